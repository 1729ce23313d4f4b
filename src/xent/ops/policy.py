r"""Policies in training: log-probability and entropy of tokens, losses, and interventions.

Twins of :mod:`xent.reference.policy`. Shapes: ``G`` responses of ``T`` tokens per prompt; rewards
are ``(..., G)``, everything per token ``(..., G, T)``. Padding is left to the caller: take
``reduction="none"``, multiply by the mask and divide by its sum.

Half-precision tensors are computed in float32 and results come back in float32, or in float64 for
float64. NaN propagates, except into a mask, which could not show it: there it raises.
"""

from __future__ import annotations

import math

import torch

from xent.ops import arguments
from xent.ops.backend import choose, upcast
from xent.ops.softmax import reduce
from xent.reference.arguments import choice, flag


def token_logprob_entropy(
    logits: torch.Tensor, tokens: torch.Tensor, *, backend: str = "auto"
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Return :math:`\log\pi(y)` and :math:`H(\pi)` of every token, from one read of the logits.

    Args:
        logits: tensor ``(..., K)`` of a floating dtype; ``-inf`` masks an action.
        tokens: integer tensor ``(...)`` in ``[0, K)``.
        backend: ``"auto"``, ``"torch"`` or ``"triton"``. The Triton kernel reads each logit once
            forward and once backward and keeps five numbers per row; PyTorch keeps the softmax.

    Returns:
        Two tensors ``(...)`` in nats, float32 or, for float64 logits, float64. Both differentiable.

    Raises:
        TypeError: if the logits are not floating or the tokens not integer.
        ValueError: if shapes do not match, or for an unsupported backend.
        IndexError: for a token out of range.

    Source: twin of :func:`xent.reference.policy.token_logprob_entropy`.
    """
    arguments.labels(tokens, arguments.classes(logits), "tokens")
    if choose(backend, logits) == "triton":
        from xent.kernels import policy as kernels

        return kernels.token_logprob_entropy(logits, tokens)
    log_pi = torch.log_softmax(upcast(logits), -1)
    chosen = log_pi.gather(-1, tokens.long()[..., None])[..., 0]
    return chosen, _entropy(log_pi)


def token_entropy_change(
    logits: torch.Tensor, tokens: torch.Tensor, advantages: torch.Tensor
) -> torch.Tensor:
    r"""Return the exact first-order entropy change of every sampled token, per unit step.

    .. math:: -A\left[\pi_a (\log\pi_a + H) - \textstyle\sum_j \pi_j^2 (\log\pi_j + H)\right]

    Args:
        logits: tensor ``(..., K)`` of a floating dtype; ``-inf`` masks an action.
        tokens: integer tensor ``(...)`` in ``[0, K)``.
        advantages: floating tensor ``(...)``.

    Returns:
        Tensor ``(...)`` in nats.

    Raises:
        TypeError, ValueError, IndexError: as :func:`token_logprob_entropy`, also for advantages of
            another dtype or shape.

    Source: twin of :func:`xent.reference.policy.token_entropy_change`.
    """
    arguments.labels(tokens, arguments.classes(logits), "tokens")
    advantages = upcast(arguments.like(advantages, "advantages", tokens))
    log_pi = torch.log_softmax(upcast(logits), -1)
    pi = log_pi.exp()
    pull = pi * (_without_infinity(log_pi) + _entropy(log_pi)[..., None])
    own = pull.gather(-1, tokens.long()[..., None])[..., 0]
    return -advantages * (own - (pi * pull).sum(-1))


def group_relative_advantages(
    rewards: torch.Tensor, *, baseline: str = "mean", standardize: bool = True
) -> torch.Tensor:
    """Return advantages relative to the group: twin of the reference.

    Args:
        rewards: tensor ``(..., G)`` of a floating dtype.
        baseline: ``"mean"``, ``"leave-one-out"`` or ``"none"``.
        standardize: divide by the group's standard deviation; a group of equal rewards gets 0.

    Returns:
        Tensor ``(..., G)``.

    Raises:
        TypeError: if the rewards are no floating tensor, or ``standardize`` not True or False.
        ValueError: for an empty group, an unknown baseline, or leave-one-out in a group of one.

    Source: twin of :func:`xent.reference.policy.group_relative_advantages`.
    """
    rewards = upcast(arguments.floating(rewards, "rewards"))
    if rewards.ndim == 0 or rewards.shape[-1] == 0:
        raise ValueError(f"rewards must have a last axis of responses, got {tuple(rewards.shape)}")
    choice(baseline, "baseline", ("mean", "leave-one-out", "none"))
    size = rewards.shape[-1]
    if baseline == "leave-one-out" and size < 2:
        raise ValueError("rewards must hold at least 2 responses per group for leave-one-out")
    centered = rewards - rewards.mean(-1, keepdim=True)
    advantages = rewards if baseline == "none" else centered
    if baseline == "leave-one-out":
        advantages = advantages * size / (size - 1)
    if not flag(standardize, "standardize"):
        return advantages
    size = (rewards.amax(-1) - rewards.amin(-1))[..., None]
    equal = size == 0
    unit = torch.where(equal, 1.0, size)  # squares of tiny rewards underflow
    variance = torch.where(equal, 1.0, (centered / unit).square().mean(-1, keepdim=True))
    return torch.where(equal, 0.0, advantages / (unit * variance.sqrt()))


def policy_loss(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    clip_low: float | None = 0.2,
    clip_high: float | None = 0.2,
    reduction: str = "mean",
) -> torch.Tensor:
    r"""Return the clipped surrogate loss of every token: twin of the reference.

    .. math:: \max\left(-A\rho,\; -A \operatorname{clip}(\rho, 1 - c_l, 1 + c_h)\right)

    Args:
        logprobs: log-probabilities of the sampled tokens ``(...)``.
        old_logprobs: the same under the sampling policy.
        advantages: a tensor of the same shape.
        clip_low: :math:`c_l \ge 0`, or None (both) for no clipping.
        clip_high: :math:`c_h \ge 0`. A ratio beyond float32 is infinite.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Scalar, or a tensor of the shape of ``logprobs``.

    Raises:
        TypeError: if an argument is no floating tensor or a clip no number.
        ValueError: if shapes differ, a clip is negative or alone None, or the reduction is unknown.

    Source: twin of :func:`xent.reference.policy.policy_loss`.
    """
    arguments.floating(logprobs, "logprobs")
    old_logprobs = upcast(arguments.like(old_logprobs, "old_logprobs", logprobs))
    advantages = upcast(arguments.like(advantages, "advantages", logprobs))
    if (clip_low is None) != (clip_high is None):
        raise ValueError("clip_low and clip_high must both be numbers or both be None")
    ratio = (upcast(logprobs) - old_logprobs).exp()
    losses = -advantages * ratio
    if clip_low is not None:
        low = arguments.scalar(clip_low, "clip_low", low=0)
        high = arguments.scalar(clip_high, "clip_high", low=0)
        losses = torch.maximum(losses, -advantages * ratio.clamp(1 - low, 1 + high))
    return reduce(losses, torch.ones_like(losses, dtype=torch.bool), reduction)


def grpo_loss(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    rewards: torch.Tensor,
    *,
    clip_low: float | None = 0.2,
    clip_high: float | None = 0.2,
    reduction: str = "mean",
) -> torch.Tensor:
    """Return the GRPO loss, :func:`policy_loss` with standardized group advantages.

    Args:
        logprobs: tensor ``(..., G, T)``.
        old_logprobs: the same under the sampling policy.
        rewards: tensor ``(..., G)``.
        clip_low: lower clip of the ratio, or None (both) for no clipping.
        clip_high: upper clip of the ratio.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Scalar, or a tensor ``(..., G, T)``.

    Raises:
        TypeError, ValueError: as :func:`policy_loss` and :func:`group_relative_advantages`.

    Source: twin of :func:`xent.reference.policy.grpo_loss`.
    """
    advantages = _per_token(group_relative_advantages(rewards), logprobs)
    clips = {"clip_low": clip_low, "clip_high": clip_high}
    return policy_loss(logprobs, old_logprobs, advantages, **clips, reduction=reduction)


def rloo_loss(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    rewards: torch.Tensor,
    *,
    reduction: str = "mean",
) -> torch.Tensor:
    """Return the RLOO loss: leave-one-out baseline, no clipping.

    Args:
        logprobs: tensor ``(..., G, T)``.
        old_logprobs: the same under the sampling policy.
        rewards: tensor ``(..., G)``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Scalar, or a tensor ``(..., G, T)``.

    Raises:
        TypeError, ValueError: as :func:`policy_loss` and :func:`group_relative_advantages`.

    Source: twin of :func:`xent.reference.policy.rloo_loss`.
    """
    advantages = group_relative_advantages(rewards, baseline="leave-one-out", standardize=False)
    advantages = _per_token(advantages, logprobs)
    clips = {"clip_low": None, "clip_high": None}
    return policy_loss(logprobs, old_logprobs, advantages, **clips, reduction=reduction)


def reinforce_loss(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    rewards: torch.Tensor,
    *,
    reduction: str = "mean",
) -> torch.Tensor:
    """Return the REINFORCE loss: the reward itself, no baseline, no clipping.

    Args:
        logprobs: tensor ``(..., G, T)``.
        old_logprobs: the same under the sampling policy.
        rewards: tensor ``(..., G)``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Scalar, or a tensor ``(..., G, T)``.

    Raises:
        TypeError, ValueError: as :func:`policy_loss` and :func:`group_relative_advantages`.

    Source: twin of :func:`xent.reference.policy.reinforce_loss`.
    """
    advantages = group_relative_advantages(rewards, baseline="none", standardize=False)
    advantages = _per_token(advantages, logprobs)
    clips = {"clip_low": None, "clip_high": None}
    return policy_loss(logprobs, old_logprobs, advantages, **clips, reduction=reduction)


def token_covariance(logprobs: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    """Return every token's contribution to the batch covariance: twin of the reference.

    Args:
        logprobs: log-probabilities of the sampled tokens ``(...)``.
        advantages: a tensor of the same shape.

    Returns:
        Tensor of the same shape, without gradient.

    Raises:
        TypeError: if an argument is no floating tensor.
        ValueError: if shapes differ or the batch is empty.

    Source: twin of :func:`xent.reference.policy.token_covariance`.
    """
    arguments.like(advantages, "advantages", arguments.floating(logprobs, "logprobs"))
    if logprobs.numel() == 0:
        raise ValueError("logprobs must hold at least one token")
    logprobs, advantages = upcast(logprobs.detach()), upcast(advantages.detach())
    return (logprobs - logprobs.mean()) * (advantages - advantages.mean())


def clip_cov_mask(
    covariances: torch.Tensor,
    priority: torch.Tensor,
    *,
    low: float = 1.0,
    high: float = 5.0,
    fraction: float = 2e-4,
) -> torch.Tensor:
    """Return True for the tokens that Clip-Cov keeps: twin of the reference.

    Args:
        covariances: :func:`token_covariance` of the batch ``(...)``.
        priority: uniform random numbers of the same shape; the lowest inside the window drop out.
        low: lower end of the window.
        high: upper end of the window.
        fraction: share of all tokens to drop, in (0, 1].

    Returns:
        Bool tensor of the same shape; multiply the token losses by it.

    Raises:
        TypeError: if an argument is no floating tensor or an option no number.
        ValueError: for NaN, an empty batch, shapes that differ, ``high`` not above ``low``, or a
            fraction outside (0, 1].

    Source: twin of :func:`xent.reference.policy.clip_cov_mask`.
    """
    arguments.like(priority, "priority", arguments.filled(covariances, "covariances"))
    arguments.filled(priority, "priority")
    low = arguments.scalar(low, "low")
    high = arguments.scalar(high, "high", low=low, open_low=True)
    fraction = _fraction(fraction)
    eligible = (covariances > low) & (covariances < high)
    order = torch.where(eligible, priority, math.inf).flatten().argsort(stable=True)
    quota = min(max(1, int(fraction * covariances.numel())), int(eligible.sum()))
    keep = torch.ones(covariances.numel(), dtype=torch.bool, device=covariances.device)
    keep[order[:quota]] = False
    return keep.view(covariances.shape)


def kl_cov_mask(covariances: torch.Tensor, *, fraction: float = 2e-3) -> torch.Tensor:
    """Return True for the tokens that KL-Cov penalizes, the top fraction by covariance.

    Args:
        covariances: :func:`token_covariance` of the batch ``(...)``.
        fraction: share of all tokens, in (0, 1]; at least one.

    Returns:
        Bool tensor of the same shape.

    Raises:
        TypeError: if the covariances are no floating tensor or the fraction no number.
        ValueError: for NaN, an empty batch, or a fraction outside (0, 1].

    Source: twin of :func:`xent.reference.policy.kl_cov_mask`.
    """
    return _top(covariances, fraction, "covariances")


def kl_cov_penalty(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    selected: torch.Tensor,
    *,
    beta: float = 1.0,
    reduction: str = "mean",
) -> torch.Tensor:
    r"""Return :math:`\beta\,|\log\pi - \log\pi_{old}|` of the selected tokens, else 0.

    Args:
        logprobs: log-probabilities of the sampled tokens ``(...)``.
        old_logprobs: the same under the sampling policy.
        selected: bool tensor of the same shape, :func:`kl_cov_mask`.
        beta: the coefficient, positive.
        reduction: ``"mean"`` over all tokens, ``"sum"`` or ``"none"``.

    Returns:
        Scalar, or a tensor of the shape of ``logprobs``.

    Raises:
        TypeError: if the log-probabilities are no floating tensors, ``selected`` no bool tensor, or
            beta no number.
        ValueError: if shapes differ, beta is not positive or the reduction is unknown.

    Source: twin of :func:`xent.reference.policy.kl_cov_penalty`.
    """
    arguments.floating(logprobs, "logprobs")
    old_logprobs = upcast(arguments.like(old_logprobs, "old_logprobs", logprobs))
    arguments.mask(selected, "selected", logprobs)
    gap = arguments.positive(beta, "beta") * (upcast(logprobs) - old_logprobs).abs()
    losses = torch.where(selected, gap, torch.zeros_like(gap))
    return reduce(losses, torch.ones_like(selected), reduction)


def steer_entropy_change(
    logprobs: torch.Tensor, entropies: torch.Tensor, advantages: torch.Tensor
) -> torch.Tensor:
    r"""Return STEER's estimate :math:`A\,(1 - \pi_a)(\log\pi_a + H)`: twin of the reference.

    Args:
        logprobs: log-probabilities of the sampled tokens ``(...)``, at most 0 (not tested).
        entropies: entropies of the policy there.
        advantages: a tensor of the same shape.

    Returns:
        Tensor of the same shape, without gradient.

    Raises:
        TypeError: if an argument is no floating tensor.
        ValueError: if shapes differ.

    Source: twin of :func:`xent.reference.policy.steer_entropy_change`.
    """
    logprobs = upcast(arguments.floating(logprobs, "logprobs").detach())
    entropies = upcast(arguments.like(entropies, "entropies", logprobs).detach())
    advantages = upcast(arguments.like(advantages, "advantages", logprobs).detach())
    return -advantages * torch.expm1(logprobs) * (logprobs + entropies)


def steer_weights(
    changes: torch.Tensor, *, lowest: float = 0.8, floor: float = 0.02
) -> torch.Tensor:
    r"""Return STEER's token weights :math:`e^{-k|\Omega|}`: twin of the reference.

    Args:
        changes: :func:`steer_entropy_change` or :func:`token_entropy_change` of a batch ``(...)``.
        lowest: weight of the largest change, in (0, 1].
        floor: positive; keeps weights near 1 when every change is small.

    Returns:
        Tensor of the same shape in [``lowest``, 1].

    Raises:
        TypeError: if ``changes`` is no floating tensor or an option no number.
        ValueError: for NaN, an empty batch, or an option out of range.

    Source: twin of :func:`xent.reference.policy.steer_weights`.
    """
    size = upcast(arguments.filled(changes, "changes")).abs()
    lowest = arguments.scalar(lowest, "lowest", low=0, high=1, open_low=True)
    floor = arguments.positive(floor, "floor")
    return (math.log(lowest) * size / size.max().clamp(min=floor)).exp()


def high_entropy_mask(entropies: torch.Tensor, *, fraction: float = 0.2) -> torch.Tensor:
    """Return True for the forking tokens, the top fraction of the batch by entropy.

    Args:
        entropies: token entropies of a batch ``(...)``.
        fraction: share of tokens to keep, in (0, 1]; at least one.

    Returns:
        Bool tensor of the same shape.

    Raises:
        TypeError: if the entropies are no floating tensor or the fraction no number.
        ValueError: for NaN, an empty batch, or a fraction outside (0, 1].

    Source: twin of :func:`xent.reference.policy.high_entropy_mask`.
    """
    return _top(entropies, fraction, "entropies")


def nucleus_mask(logits: torch.Tensor, *, top_p: float = 0.8) -> torch.Tensor:
    """Return True for the actions of SIREN's nucleus: twin of the reference.

    Args:
        logits: tensor ``(..., K)`` of a floating dtype.
        top_p: in (0, 1].

    Returns:
        Bool tensor ``(..., K)``: cumulative probability at most ``top_p``, and the top action.

    Raises:
        TypeError: if the logits are no floating tensor or ``top_p`` no number.
        ValueError: if ``top_p`` leaves (0, 1], for NaN, or a row without a finite logit.

    Source: twin of :func:`xent.reference.policy.nucleus_mask`.
    """
    top_p = arguments.scalar(top_p, "top_p", low=0, high=1, open_low=True)
    pi = torch.softmax(upcast(arguments.classes(logits).detach()), -1)
    if pi.isnan().any():
        raise ValueError("logits must have no NaN or +inf and a finite entry in each row")
    pi, order = pi.sort(dim=-1, descending=True, stable=True)
    inside = pi.cumsum(-1) <= top_p
    inside[..., 0] = True
    return torch.zeros_like(inside).scatter(-1, order, inside)


def nucleus_entropy(logits: torch.Tensor, *, top_p: float = 0.8) -> torch.Tensor:
    """Return the entropy of the policy renormalized on its nucleus: twin of the reference.

    Args:
        logits: tensor ``(..., K)`` of a floating dtype.
        top_p: in (0, 1].

    Returns:
        Tensor ``(...)`` in nats; no gradient reaches an action outside the nucleus.

    Raises:
        TypeError, ValueError: as :func:`nucleus_mask`.

    Source: twin of :func:`xent.reference.policy.nucleus_entropy`.
    """
    inside = nucleus_mask(logits, top_p=top_p)
    masked = upcast(logits).masked_fill(~inside, -math.inf)
    return _entropy(torch.log_softmax(masked, -1))


def anchored_penalty(entropies: torch.Tensor, mask: torch.Tensor, anchor: float) -> torch.Tensor:
    """Return SIREN's squared distance of the masked mean entropy from its initial value.

    Args:
        entropies: nucleus entropies of a batch ``(...)``.
        mask: bool tensor of the same shape, at least one True.
        anchor: the same mean under the initial policy.

    Returns:
        Scalar tensor, squared nats.

    Raises:
        TypeError: if the entropies are no floating tensor, the mask no bool tensor, or the anchor
            no number.
        ValueError: if shapes differ or the mask is empty.

    Source: twin of :func:`xent.reference.policy.anchored_penalty`.
    """
    entropies = upcast(arguments.floating(entropies, "entropies"))
    if not arguments.mask(mask, "mask", entropies).any():
        raise ValueError("mask must keep at least one token")
    return (entropies[mask].mean() - arguments.scalar(anchor, "anchor")) ** 2


def _entropy(log_pi):
    finite = _without_infinity(log_pi)
    return -(log_pi.exp() * finite).sum(-1)


def _without_infinity(log_pi):
    return log_pi.masked_fill(log_pi == -math.inf, 0.0)


def _top(values, fraction, name):
    arguments.filled(values, name)
    count = max(1, int(_fraction(fraction) * values.numel()))
    threshold = values.detach().flatten().sort().values[-count]
    return values >= threshold


def _per_token(advantages, logprobs):
    arguments.floating(logprobs, "logprobs")
    if logprobs.ndim < 2 or logprobs.shape[:-1] != advantages.shape:
        shapes = tuple(logprobs.shape[:-1]), tuple(advantages.shape)
        raise ValueError(f"rewards must have shape {shapes[0]}, got {shapes[1]}")
    return advantages[..., None].expand(logprobs.shape)


def _fraction(fraction):
    return arguments.scalar(fraction, "fraction", low=0, high=1, open_low=True)
