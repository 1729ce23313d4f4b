r"""Softmax policies: how their entropy moves under training, and the losses that steer it.

A policy is :math:`\pi = \operatorname{softmax}(z)` over ``K`` actions. Write :math:`s = \log \pi`,
:math:`H = -\mathbb E\, s` and :math:`\tilde x = x - \mathbb E_\pi x`. Entropies are in nats.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import entr, log_softmax, logit, logsumexp

from xent.reference import arguments

LONGEST = 700  # nats; exp overflows soon after

# --- the covariance law -------------------------------------------------------------------------


def entropy_change(logits, delta, *, order: int = 1) -> np.ndarray:
    r"""Return the Taylor polynomial of :math:`H(z + \delta) - H(z)` up to ``order``.

    With cumulants :math:`\kappa` under :math:`\pi = \operatorname{softmax}(z)`,

    .. math:: H^{(n)} = -(n-1)\,\kappa_n(\delta) - \kappa(\log\pi, \delta, \dots, \delta),

    so the first term is :math:`-\operatorname{Cov}_\pi(\log\pi, \delta)`.

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.
        delta: finite change of the logits, of the same shape.
        order: 1, 2 or 3.

    Returns:
        float64 array ``(...)`` in nats.

    Raises:
        ValueError: if shapes differ or ``order`` is not 1, 2 or 3.
        TypeError: if ``order`` is no integer.

    Source: first term, *The Entropy Mechanism of Reinforcement Learning*; the others, chapter
    *The covariance law*.
    """
    pi, log_pi = _policy(logits)
    delta = _like(delta, "delta", pi)
    if arguments.integer(order, "order") not in (1, 2, 3):
        raise ValueError(f"order must be 1, 2 or 3, got {order!r}")
    d = _centered(pi, delta)
    s = _centered(pi, log_pi)
    covariance, variance = _mean(pi, s * d), _mean(pi, d**2)
    change = -covariance
    if order >= 2:
        change = change - (variance + _mean(pi, s * d**2)) / 2
    if order == 3:
        joint = _mean(pi, s * d**3) - 3 * variance * covariance
        change = change - (2 * _mean(pi, d**3) + joint) / 6
    return change


def entropy_change_bound(logits, delta, *, order: int = 1) -> np.ndarray:
    r"""Return a bound on the error of :func:`entropy_change`, free of ``K`` and of ``min(pi)``.

    With the spread :math:`D = \max\delta - \min\delta`,

    .. math:: |R_1| \le H (e^D - 1 - D), \qquad |R_2| \le 2 H (e^D - 1 - D - D^2/2).

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.
        delta: finite change of the logits, of the same shape.
        order: 1 or 2.

    Returns:
        float64 array ``(...)`` in nats. The constant 1 of the first bound is optimal.

    Raises:
        ValueError: if shapes differ, a row of ``delta`` spreads over more than 700 nats, where
            the bound overflows, or ``order`` is not 1 or 2.
        TypeError: if ``order`` is no integer.

    Source: chapter *The covariance law*.
    """
    pi, log_pi = _policy(logits)
    spread = np.ptp(_like(delta, "delta", pi), axis=-1)
    if (spread > LONGEST).any():
        raise ValueError(
            f"delta must spread over at most {LONGEST} nats in a row, or its exp overflows"
        )
    if arguments.integer(order, "order") not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    entropy = -_mean(pi, log_pi)
    if order == 1:
        return entropy * (np.expm1(spread) - spread)
    return 2 * entropy * (np.expm1(spread) - spread - spread**2 / 2)


def policy_gradient_delta(logits, advantages, step: float = 1.0) -> np.ndarray:
    r"""Return the logit change of one exact policy-gradient step, :math:`\eta\,\pi_a A_a`.

    Args:
        logits: scores ``(..., K)``.
        advantages: ``(..., K)``; centered here, so rewards give the same result.
        step: the learning rate :math:`\eta`.

    Returns:
        float64 array ``(..., K)``.

    Raises:
        ValueError: if shapes differ or ``step`` is not a number.

    Source: *The Entropy Mechanism of Reinforcement Learning*.
    """
    pi, _ = _policy(logits)
    advantages = _like(advantages, "advantages", pi)
    return arguments.scalar(step, "step") * pi * _centered(pi, advantages)


def natural_policy_gradient_delta(logits, advantages, step: float = 1.0) -> np.ndarray:
    r"""Return the logit change of one natural-gradient step, :math:`\eta\,A_a`.

    :math:`\pi A = (\operatorname{diag}\pi - \pi\pi^\top) A`, so multiplying the gradient by the
    pseudo-inverse of the Fisher matrix leaves :math:`A`.

    Args:
        logits: scores ``(..., K)``.
        advantages: ``(..., K)``; centered here, so rewards give the same result.
        step: the learning rate :math:`\eta`.

    Returns:
        float64 array ``(..., K)``.

    Raises:
        ValueError: if shapes differ or ``step`` is not a number.

    Source: *The Entropy Mechanism of Reinforcement Learning*.
    """
    pi, _ = _policy(logits)
    advantages = _like(advantages, "advantages", pi)
    return arguments.scalar(step, "step") * _centered(pi, advantages)


# --- binary rewards and the curve R(H) ----------------------------------------------------------


def binary_reward_covariance(p, entropy_correct, entropy_wrong) -> np.ndarray:
    r"""Return :math:`\operatorname{Cov}_\pi(\log\pi, A)` for the reward 1[correct], exactly.

    .. math:: p(1-p)\left[\operatorname{logit} p - (H_c - H_w)\right]

    Args:
        p: probability of a correct answer, in (0, 1).
        entropy_correct: entropy :math:`H_c \ge 0` of the policy given a correct answer.
        entropy_wrong: entropy :math:`H_w \ge 0` of the policy given a wrong answer.

    Returns:
        float64 array: the rate at which entropy falls per unit of natural-gradient step.

    Raises:
        ValueError: if ``p`` is not inside (0, 1), an entropy is negative or shapes do not match.

    Source: chapter *Reward and entropy*.
    """
    p, correct, wrong = _binary_policy(p, entropy_correct, entropy_wrong)
    return p * (1 - p) * (logit(p) - (correct - wrong))


def reward_entropy_curve(p, entropy_correct, entropy_wrong) -> np.ndarray:
    r"""Return the entropy of a policy that answers correctly with probability ``p``.

    .. math:: H(p) = h(p) + p H_c + (1-p) H_w

    Under the natural-gradient flow of a binary reward :math:`H_c` and :math:`H_w` do not move, so
    this is the whole curve of reward against entropy. It peaks where
    :math:`\operatorname{logit} p = H_c - H_w`.

    Args:
        p: probability of a correct answer, in (0, 1).
        entropy_correct: entropy :math:`H_c \ge 0` given a correct answer.
        entropy_wrong: entropy :math:`H_w \ge 0` given a wrong answer.

    Returns:
        float64 array in nats.

    Raises:
        ValueError: if ``p`` is not inside (0, 1), an entropy is negative or shapes do not match.

    Source: chain rule of entropy; chapter *Reward and entropy*.
    """
    p, correct, wrong = _binary_policy(p, entropy_correct, entropy_wrong)
    return entr(p) + entr(1 - p) + p * correct + (1 - p) * wrong


class Path(NamedTuple):
    """Expected reward, entropy and policy along a flow; the first axis is time."""

    reward: np.ndarray
    entropy: np.ndarray
    policy: np.ndarray


def natural_gradient_path(p0, reward, t) -> Path:
    r"""Return the natural-gradient flow in closed form, :math:`\pi_t \propto \pi_0\, e^{t r}`.

    Args:
        p0: the initial policy ``(K,)``, a distribution without zeros.
        reward: reward of each action ``(K,)``.
        t: times ``(T,)``, in units of 1 / learning rate.

    Returns:
        ``Path(reward (T,), entropy (T,), policy (T, K))``.

    Raises:
        ValueError: if shapes do not match or ``p0`` has a zero.

    Source: chapter *Reward and entropy*.
    """
    p0 = arguments.distribution(p0, "p0")
    if p0.ndim != 1 or (p0 == 0).any():
        raise ValueError("p0 must be one distribution (K,) with every entry above 0")
    reward = _like(reward, "reward", p0)
    t = arguments.finite(t, "t", ndim=1)
    pi = np.exp(log_softmax(np.log(p0) + t[:, None] * reward, axis=-1))
    return Path(pi @ reward, entr(pi).sum(axis=-1), pi)


def policy_gradient_path(logits, correct, remaining) -> Path:
    r"""Return the exact policy-gradient flow of a binary reward, in closed form.

    With :math:`w = e^{z(0)}` and two increasing clocks :math:`\tau, \tau'`,

    .. math:: e^{z_i} = \frac{w_i}{1 - \tau w_i} \text{ (correct)}, \qquad
              e^{z_j} = \frac{w_j}{1 + \tau' w_j} \text{ (wrong)}, \qquad
              \textstyle\sum_a z_a \text{ constant.}

    The initially most probable correct answer takes all: :math:`\tau \to 1/w_{\max}`.

    Args:
        logits: initial scores ``(K,)``, at most 700 nats apart.
        correct: bool ``(K,)``; at least one correct and one wrong action.
        remaining: :math:`1 - \tau w_{\max}`, ``(T,)`` in (0, 1]; 1 is the start.

    Returns:
        ``Path(reward (T,), entropy (T,), policy (T, K))``.

    Raises:
        ValueError: if shapes do not match, logits lie too far apart, a class is empty or
            ``remaining`` leaves (0, 1].

    Source: chapter *Reward and entropy*.
    """
    logits = arguments.finite(logits, "logits", ndim=1)
    correct = arguments.mask(correct, "correct", logits.shape)
    if correct.all() or not correct.any():
        raise ValueError("correct must mark at least one action and leave at least one wrong")
    if np.ptp(logits) > LONGEST:
        raise ValueError(f"logits must lie at most {LONGEST} nats apart, or their exp overflows")
    remaining = arguments.finite(remaining, "remaining", ndim=1)
    if (remaining <= 0).any() or (remaining > 1).any():
        raise ValueError("remaining must lie in (0, 1]")
    w = np.exp(logits - logits[correct].max())
    z = np.array([_flow_logits(np.log(w), w, correct, r) for r in remaining])
    z = z.reshape(len(remaining), len(w))
    pi = np.exp(log_softmax(z, axis=-1))
    return Path(pi[:, correct].sum(axis=-1), entr(pi).sum(axis=-1), pi)


def _flow_logits(z, w, correct, remaining):
    gained = np.where(correct, -np.log(remaining * w + (1 - np.minimum(w, 1))), 0.0)
    if gained.sum() == 0:
        return z
    wrong = w[~correct]

    def imbalance(log_clock):
        return np.log1p(np.exp(log_clock) * wrong).sum() - gained.sum()

    low, high = -60.0 - np.log(wrong.max()), 1.0
    while imbalance(high) < 0:
        high *= 2
    clock = math.exp(brentq(imbalance, low, high, xtol=1e-14, rtol=1e-14))
    return z + gained - np.where(correct, 0.0, np.log1p(clock * w))


def line_fit_error(p_low: float, p_high: float, entropy_correct, entropy_wrong) -> float:
    r"""Return the smallest worst-case error of a straight line :math:`R = \alpha H + \beta`.

    One prompt, natural gradient, falling branch from ``p_low`` to ``p_high``. With the chord
    :math:`m = (h(p_1) - h(p_0))/(p_1 - p_0)`,

    .. math:: E = \frac{\log(1 + e^{-m}) - h(p_0) + m p_0}{2\,(H_w - H_c - m)}.

    Args:
        p_low: reward at the start, in (0, 1).
        p_high: reward at the end, in (``p_low``, 1).
        entropy_correct: :math:`H_c \ge 0`.
        entropy_wrong: :math:`H_w \ge 0`.

    Returns:
        float: the error in units of reward.

    Raises:
        ValueError: if the range is empty or entropy does not fall all along it.
        TypeError: if an argument is no number.

    Source: chapter *Reward and entropy*.
    """
    low = arguments.scalar(p_low, "p_low", low=0, high=1, open_low=True, open_high=True)
    high = arguments.scalar(p_high, "p_high", low=low, high=1, open_low=True, open_high=True)
    gap = arguments.scalar(entropy_correct, "entropy_correct", low=0)
    gap -= arguments.scalar(entropy_wrong, "entropy_wrong", low=0)
    if logit(low) < gap:
        raise ValueError("p_low must lie on the falling branch: logit(p_low) >= H_c - H_w")
    h_low, h_high = (entr(p) + entr(1 - p) for p in (low, high))
    chord = (h_high - h_low) / (high - low)
    return float((np.logaddexp(0, -chord) - h_low + chord * low) / (2 * (-gap - chord)))


class RewardFit(NamedTuple):
    """Coefficients of a law of reward against entropy, and how well it fits."""

    a: float
    b: float
    r_squared: float


def fit_reward_entropy(entropy, reward, *, law: str = "exponential") -> RewardFit:
    r"""Fit :math:`R = -a\, e^{H} + b` or the straight line :math:`R = -a H + b`, by least squares.

    Args:
        entropy: entropies along a run ``(n,)`` in [0, 700] nats, not all equal.
        reward: rewards along the run ``(n,)``, not all equal.
        law: "exponential" or "line".

    Returns:
        ``RewardFit(a, b, r_squared)``. The ceiling at zero entropy is ``b - a`` or ``b``.

    Raises:
        ValueError: if shapes differ, an entropy leaves [0, 700], there are fewer than 3 points or
            one series is constant.

    Source: *The Entropy Mechanism of Reinforcement Learning*; chapter *Reward and entropy*.
    """
    arguments.choice(law, "law", ("exponential", "line"))
    entropy = arguments.finite(entropy, "entropy", ndim=1, low=0, high=LONGEST)
    reward = _like(reward, "reward", entropy)
    x = np.exp(entropy) if law == "exponential" else entropy
    if entropy.size < 3 or np.ptp(x) == 0 or np.ptp(reward) == 0 or reward.var() == 0:
        raise ValueError("entropy and reward must hold at least 3 points that are not all equal")
    slope, b = np.polyfit(x, reward, 1)
    residual = reward - slope * x - b
    return RewardFit(float(-slope), float(b), float(1 - residual.var() / reward.var()))


def noise_drift(logits) -> np.ndarray:
    r"""Return :math:`\Phi(\pi)`: pure sampling noise moves entropy by :math:`-\eta^2 c\,\Phi/(2G)`.

    .. math:: \Phi = q_2 - 2 q_3 + q_2^2 + (1 + 2 q_2) \sum_a \pi_a^2 \tilde s_a
              - 3 \sum_a \pi_a^3 \tilde s_a, \qquad q_k = \sum_a \pi_a^k

    :math:`G` samples with rewards independent of the action; :math:`c` is the mean square of the
    advantages (1 for standardized rewards without ties).

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.

    Returns:
        float64 array ``(...)``. Positive: noise lowers entropy. Negative for sharp policies.

    Raises:
        ValueError: if a row has no action.

    Source: chapter *Reward and entropy*.
    """
    pi, log_pi = _policy(logits)
    s = _centered(pi, log_pi)
    q2, q3 = (pi**2).sum(axis=-1), (pi**3).sum(axis=-1)
    drift = q2 - 2 * q3 + q2**2
    return drift + (1 + 2 * q2) * (pi**2 * s).sum(axis=-1) - 3 * (pi**3 * s).sum(axis=-1)


# --- sequences: trees of states -----------------------------------------------------------------


def tree_reach(logits) -> list[np.ndarray]:
    r"""Return the probability of reaching each state of a full tree, level by level.

    Args:
        logits: list of levels; level ``t`` is ``(n_t, K_t)`` with ``n_0 = 1`` and
            ``n_{t+1} = n_t K_t``: action ``a`` of state ``i`` leads to state ``i K_t + a``.

    Returns:
        list of float64 arrays ``(n_t,)``, and a last one with the probability of each leaf.

    Raises:
        ValueError: if the levels do not fit together.

    Source: chapter *The covariance law*.
    """
    reach = [np.ones(1)]
    for pi, _ in _tree(logits):
        reach.append((reach[-1][:, None] * pi).ravel())
    return reach


def tree_entropy(logits) -> float:
    r"""Return the entropy of a whole response, :math:`\sum_s \rho(s) H_s` (chain rule).

    Args:
        logits: levels of a full tree as in :func:`tree_reach`.

    Returns:
        float: the entropy in nats.

    Raises:
        ValueError: if the levels do not fit together.

    Source: chapter *The covariance law*.
    """
    return float(entr(tree_reach(logits)[-1]).sum())


def tree_advantages(logits, rewards) -> list[np.ndarray]:
    r"""Return :math:`A(s, a) = Q(s, a) - V(s)` in every state, for rewards at the leaves.

    Args:
        logits: levels of a full tree as in :func:`tree_reach`.
        rewards: one finite reward per leaf ``(L,)``, in the order of :func:`tree_reach`.

    Returns:
        list of float64 arrays, levels of the shapes of ``logits``.

    Raises:
        ValueError: if the levels do not fit together or the rewards are not one per leaf.

    Source: chapter *The covariance law*.
    """
    policies = _tree(logits)
    value = _like(rewards, "rewards", policies[-1][0].ravel())
    advantages = []
    for pi, _ in reversed(policies):
        action_value = value.reshape(pi.shape)
        advantages.append(_centered(pi, action_value))
        value = _mean(pi, action_value)
    return advantages[::-1]


def tree_covariance_term(logits, delta) -> float:
    r"""Return :math:`-\sum_s \rho(s) \operatorname{Cov}_s(\log\pi, \delta_s)`: states held fixed.

    Args:
        logits: levels of a full tree as in :func:`tree_reach`.
        delta: finite logit changes, levels of the same shapes.

    Returns:
        the first-order entropy change in nats that ignores the change of visited states.

    Raises:
        ValueError: if shapes differ.

    Source: *The Entropy Mechanism of Reinforcement Learning*, per state.
    """
    levels, reach = list(_levels(logits)), tree_reach(logits)
    deltas = _tree_like(delta, levels)
    changes = (r @ entropy_change(z, d) for r, z, d in zip(reach, levels, deltas, strict=False))
    return float(sum(changes))


def visitation_term(logits, delta) -> float:
    r"""Return :math:`\sum_s \rho(s) \operatorname{Cov}_s(W(s,\cdot), \delta_s)`.

    :math:`W(s, a)` is the entropy still to come after action ``a`` in state ``s``. Added to
    :func:`tree_covariance_term` it gives the first-order change of the response's entropy.

    Args:
        logits: levels of a full tree as in :func:`tree_reach`.
        delta: finite logit changes, levels of the same shapes.

    Returns:
        the term in nats.

    Raises:
        ValueError: if shapes differ.

    Source: chapter *The covariance law*.
    """
    policies = _tree(logits)
    deltas = _tree_like(delta, list(_levels(logits)))
    to_go, total = np.zeros(policies[-1][0].size), 0.0
    reach = tree_reach(logits)
    for (pi, log_pi), rho, d in reversed(list(zip(policies, reach, deltas, strict=False))):
        future = to_go.reshape(pi.shape)
        total += float(rho @ _mean(pi, _centered(pi, future) * d))
        to_go = _mean(pi, future - log_pi)
    return total


# --- advantages and losses of sampled responses -------------------------------------------------


def group_relative_advantages(rewards, *, baseline: str = "mean", standardize: bool = True):
    r"""Return advantages of ``G`` responses to one prompt, relative to their group.

    ``baseline="mean"``: :math:`r_i - \bar r`, divided by the standard deviation (:math:`1/G`
    normalization) if ``standardize`` (GRPO). ``baseline="leave-one-out"``:
    :math:`r_i - \bar r_{-i} = \frac{G}{G-1}(r_i - \bar r)` (RLOO). ``baseline="none"``: rewards.

    Args:
        rewards: ``(..., G)``, finite.
        baseline: "mean", "leave-one-out" or "none".
        standardize: divide by the group's standard deviation; a group of equal rewards gets 0.

    Returns:
        float64 array ``(..., G)``.

    Raises:
        ValueError: if the group is empty, ``baseline`` is unknown, or a leave-one-out group has
            fewer than two members.
        TypeError: if ``standardize`` is not True or False.

    Source: GRPO, RLOO; chapter *Reward and entropy*.
    """
    rewards = arguments.finite(rewards, "rewards")
    if rewards.ndim == 0 or rewards.shape[-1] == 0:
        raise ValueError(f"rewards must have a last axis of responses, got {rewards.shape}")
    arguments.choice(baseline, "baseline", ("mean", "leave-one-out", "none"))
    size = rewards.shape[-1]
    if baseline == "leave-one-out" and size < 2:
        raise ValueError("rewards must hold at least 2 responses per group for leave-one-out")
    if baseline == "none":
        advantages = rewards
    else:
        advantages = rewards - rewards.mean(axis=-1, keepdims=True)
    if baseline == "leave-one-out":
        advantages = advantages * size / (size - 1)
    if not arguments.flag(standardize, "standardize"):
        return advantages
    size = np.ptp(rewards, axis=-1, keepdims=True)
    unit = np.where(size > 0, size, 1.0)  # squares of tiny rewards underflow
    deviation = np.where(size > 0, (rewards / unit).std(axis=-1, keepdims=True), 1.0)
    return np.where(size > 0, advantages / (unit * deviation), 0.0)


def token_logprob_entropy(logits, tokens) -> tuple[np.ndarray, np.ndarray]:
    r"""Return :math:`\log \pi(y)` and :math:`H(\pi)` of every token.

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.
        tokens: sampled actions ``(...)``, integers in [0, K).

    Returns:
        two float64 arrays ``(...)`` in nats: log-probability and entropy.

    Raises:
        ValueError: if shapes do not match. IndexError: if a token is out of range.

    Source: chapter *The covariance law*.
    """
    pi, log_pi = _policy(logits, finite=False)
    tokens = arguments.labels(tokens, pi.shape[:-1], pi.shape[-1], "tokens")
    chosen = np.take_along_axis(log_pi, tokens[..., None], axis=-1)[..., 0]
    return chosen, entr(pi).sum(axis=-1)


def policy_loss(logprobs, old_logprobs, advantages, *, clip_low=0.2, clip_high=0.2) -> np.ndarray:
    r"""Return the clipped surrogate loss of every token.

    With the ratio :math:`\rho = \pi/\pi_{old}`,

    .. math:: \max\left(-A\rho,\; -A \operatorname{clip}(\rho, 1 - c_l, 1 + c_h)\right)

    Args:
        logprobs: :math:`\log\pi` of the sampled tokens ``(...)``.
        old_logprobs: the same under the sampling policy.
        advantages: ``(...)``.
        clip_low: :math:`c_l \ge 0`; None (with ``clip_high=None``) leaves the ratio unclipped.
        clip_high: :math:`c_h \ge 0`.

    Returns:
        float64 array ``(...)``; at :math:`\pi = \pi_{old}` its gradient is
        :math:`-A \nabla\log\pi`.

    Raises:
        ValueError: if shapes differ, only one clip is None, a clip is negative, or ``logprobs``
            rise by more than 700 nats, where the ratio overflows.

    Source: PPO's clipped surrogate; chapter *Token-selective regularization*.
    """
    logprobs = arguments.finite(logprobs, "logprobs")
    log_ratio = logprobs - _like(old_logprobs, "old_logprobs", logprobs)
    if (log_ratio > LONGEST).any():
        raise ValueError(f"logprobs must exceed old_logprobs by at most {LONGEST} nats")
    ratio = np.exp(log_ratio)
    advantages = _like(advantages, "advantages", logprobs)
    if (clip_low is None) != (clip_high is None):
        raise ValueError("clip_low and clip_high must both be numbers or both be None")
    if clip_low is None:
        return -advantages * ratio
    low = arguments.scalar(clip_low, "clip_low", low=0)
    high = arguments.scalar(clip_high, "clip_high", low=0)
    return np.maximum(-advantages * ratio, -advantages * np.clip(ratio, 1 - low, 1 + high))


def grpo_loss(logprobs, old_logprobs, rewards, *, clip_low=0.2, clip_high=0.2) -> np.ndarray:
    r"""Return the GRPO loss of every token: :func:`policy_loss` with standardized advantages.

    Args:
        logprobs: ``(..., G, T)``, log-probabilities of ``G`` responses of ``T`` tokens.
        old_logprobs: the same under the sampling policy.
        rewards: one reward per response ``(..., G)``.
        clip_low: lower clip of the ratio, or None.
        clip_high: upper clip of the ratio, or None.

    Returns:
        float64 array ``(..., G, T)``.

    Raises:
        ValueError: if shapes do not match.

    Source: GRPO; chapter *Token-selective regularization*.
    """
    advantages = _per_token(group_relative_advantages(rewards), logprobs)
    return policy_loss(logprobs, old_logprobs, advantages, clip_low=clip_low, clip_high=clip_high)


def rloo_loss(logprobs, old_logprobs, rewards) -> np.ndarray:
    r"""Return the RLOO loss of every token: :math:`-A\rho` with the leave-one-out baseline.

    Args:
        logprobs: ``(..., G, T)``, log-probabilities of ``G`` responses of ``T`` tokens.
        old_logprobs: the same under the sampling policy.
        rewards: one reward per response ``(..., G)``.

    Returns:
        float64 array ``(..., G, T)``.

    Raises:
        ValueError: if shapes do not match.

    Source: RLOO; chapter *Token-selective regularization*.
    """
    advantages = group_relative_advantages(rewards, baseline="leave-one-out", standardize=False)
    advantages = _per_token(advantages, logprobs)
    return policy_loss(logprobs, old_logprobs, advantages, clip_low=None, clip_high=None)


def reinforce_loss(logprobs, old_logprobs, rewards) -> np.ndarray:
    r"""Return the REINFORCE loss of every token: :math:`-R\rho` without a baseline.

    Args:
        logprobs: ``(..., G, T)``, log-probabilities of ``G`` responses of ``T`` tokens.
        old_logprobs: the same under the sampling policy.
        rewards: one reward per response ``(..., G)``.

    Returns:
        float64 array ``(..., G, T)``.

    Raises:
        ValueError: if shapes do not match.

    Source: REINFORCE; chapter *Token-selective regularization*.
    """
    advantages = group_relative_advantages(rewards, baseline="none", standardize=False)
    advantages = _per_token(advantages, logprobs)
    return policy_loss(logprobs, old_logprobs, advantages, clip_low=None, clip_high=None)


# --- interventions on tokens --------------------------------------------------------------------


def token_covariance(logprobs, advantages) -> np.ndarray:
    r"""Return the covariance contribution of every token of a batch.

    .. math:: c_i = (\log\pi_i - \overline{\log\pi})\,(A_i - \bar A)

    Args:
        logprobs: log-probabilities of the sampled tokens, any shape.
        advantages: their advantages, of the same shape.

    Returns:
        float64 array; its mean is the batch covariance.

    Raises:
        ValueError: if shapes differ or the batch is empty.

    Source: *The Entropy Mechanism of Reinforcement Learning*, Clip-Cov (official code).
    """
    logprobs = arguments.finite(logprobs, "logprobs")
    advantages = _like(advantages, "advantages", logprobs)
    if logprobs.size == 0:
        raise ValueError("logprobs must hold at least one token")
    return (logprobs - logprobs.mean()) * (advantages - advantages.mean())


def clip_cov_mask(covariances, priority, *, low=1.0, high=5.0, fraction=2e-4) -> np.ndarray:
    r"""Return True for the tokens that Clip-Cov keeps.

    Among the tokens with :math:`low < c_i < high`, the
    :math:`\max(1, \lfloor fraction \cdot N \rfloor)` of lowest ``priority`` lose their gradient.

    Args:
        covariances: :func:`token_covariance` of the batch, any shape.
        priority: numbers of the same shape that break the choice; uniform random in the method.
        low: lower end of the window.
        high: upper end of the window.
        fraction: share of all tokens to drop, in (0, 1].

    Returns:
        bool array of the same shape.

    Raises:
        ValueError: if shapes differ, batch or window are empty or ``fraction`` leaves (0, 1].

    Source: *The Entropy Mechanism of Reinforcement Learning*, Clip-Cov (official code).
    """
    covariances = arguments.finite(covariances, "covariances")
    priority = _like(priority, "priority", covariances)
    low = arguments.scalar(low, "low")
    high = arguments.scalar(high, "high", low=low, open_low=True)
    fraction = arguments.scalar(fraction, "fraction", low=0, high=1, open_low=True)
    if covariances.size == 0:
        raise ValueError("covariances must hold at least one token")
    eligible = np.flatnonzero((covariances > low) & (covariances < high))
    quota = max(1, int(fraction * covariances.size))
    dropped = eligible[np.argsort(priority.ravel()[eligible], kind="stable")[:quota]]
    keep = np.ones(covariances.size, dtype=bool)
    keep[dropped] = False
    return keep.reshape(covariances.shape)


def kl_cov_mask(covariances, *, fraction=2e-3) -> np.ndarray:
    r"""Return True for the tokens that KL-Cov penalizes: the top ``fraction`` by covariance.

    Args:
        covariances: :func:`token_covariance` of the batch, any shape.
        fraction: share of all tokens, in (0, 1]; at least one token is chosen.

    Returns:
        bool array of the same shape.

    Raises:
        ValueError: if the batch is empty or ``fraction`` leaves (0, 1].

    Source: *The Entropy Mechanism of Reinforcement Learning*, KL-Cov (official code).
    """
    return _top(covariances, "covariances", fraction)


def kl_cov_penalty(logprobs, old_logprobs, selected, *, beta: float = 1.0) -> np.ndarray:
    r"""Return KL-Cov's penalty :math:`\beta\,|\log\pi - \log\pi_{old}|` of the selected tokens.

    Args:
        logprobs: log-probabilities of the sampled tokens, any shape.
        old_logprobs: the same under the sampling policy.
        selected: bool mask of :func:`kl_cov_mask`.
        beta: the coefficient, positive.

    Returns:
        float64 array of the same shape. Zero, with zero subgradient, on the first step of a batch.

    Raises:
        ValueError: if shapes differ or ``beta`` is not positive.

    Source: *The Entropy Mechanism of Reinforcement Learning*, KL-Cov (official code).
    """
    logprobs = arguments.finite(logprobs, "logprobs")
    gap = logprobs - _like(old_logprobs, "old_logprobs", logprobs)
    selected = arguments.mask(selected, "selected", logprobs.shape)
    return np.where(selected, arguments.positive(beta, "beta") * np.abs(gap), 0.0)


def token_entropy_change(logits, tokens, advantages) -> np.ndarray:
    r"""Return the first-order change of the state's entropy, per unit step, from one sampled token.

    The sampled gradient moves all logits by :math:`A (e_a - \pi)`, hence

    .. math:: -A\left[\pi_a (s_a + H) - \textstyle\sum_j \pi_j^2 (s_j + H)\right].

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.
        tokens: sampled actions ``(...)``.
        advantages: their advantages ``(...)``.

    Returns:
        float64 array ``(...)`` in nats.

    Raises:
        ValueError: if shapes do not match. IndexError: if a token is out of range.

    Source: chapter *The covariance law*.
    """
    pi, log_pi = _policy(logits)
    tokens = arguments.labels(tokens, pi.shape[:-1], pi.shape[-1], "tokens")
    advantages = _like(advantages, "advantages", tokens)
    pull = pi * _centered(pi, log_pi)
    own = np.take_along_axis(pull, tokens[..., None], axis=-1)[..., 0]
    return -advantages * (own - _mean(pi, pull))


def steer_entropy_change(logprobs, entropies, advantages) -> np.ndarray:
    r"""Return STEER's estimate :math:`\Omega = A\,(1 - \pi_a)(\log\pi_a + H)`.

    It estimates minus the entropy change divided by :math:`\pi_a`, and keeps only the motion of
    the sampled logit. Positive: the update lowers entropy.

    Args:
        logprobs: :math:`\log\pi_a` of the sampled tokens, at most 0.
        entropies: entropy of the policy at the same positions.
        advantages: of the same shape.

    Returns:
        float64 array of the same shape.

    Raises:
        ValueError: if shapes differ or a log-probability is positive.

    Source: *Rethinking Entropy Interventions in RLVR* (official code).
    """
    logprobs = arguments.finite(logprobs, "logprobs", high=0)
    entropies = _like(entropies, "entropies", logprobs)
    advantages = _like(advantages, "advantages", logprobs)
    return -advantages * np.expm1(logprobs) * (logprobs + entropies)


def steer_weights(changes, *, lowest: float = 0.8, floor: float = 0.02) -> np.ndarray:
    r"""Return STEER's token weights :math:`e^{-k|\Omega|}`, 1 for no change, ``lowest`` at the top.

    .. math:: k = -\log(lowest) / \max(\max_i|\Omega_i|, floor)

    Args:
        changes: :func:`steer_entropy_change` of a batch, any shape.
        lowest: weight of the token with the largest change, in (0, 1].
        floor: positive; keeps weights near 1 when every change is small.

    Returns:
        float64 array of the same shape in [``lowest``, 1].

    Raises:
        ValueError: if the batch is empty, or an option is out of range.

    Source: *Rethinking Entropy Interventions in RLVR* (official code, exponential variant).
    """
    size = np.abs(arguments.finite(changes, "changes"))
    if size.size == 0:
        raise ValueError("changes must hold at least one token")
    lowest = arguments.scalar(lowest, "lowest", low=0, high=1, open_low=True)
    rate = -math.log(lowest) / max(size.max(), arguments.positive(floor, "floor"))
    return np.exp(-rate * size)


def high_entropy_mask(entropies, *, fraction: float = 0.2) -> np.ndarray:
    r"""Return True for the forking tokens: the top ``fraction`` of a batch by entropy.

    Args:
        entropies: token entropies of a batch, any shape.
        fraction: share of tokens to keep, in (0, 1]; at least one is kept.

    Returns:
        bool array of the same shape.

    Raises:
        ValueError: if the batch is empty or ``fraction`` leaves (0, 1].

    Source: *Beyond the 80/20 Rule*; SIREN's peak-entropy mask is the same rule per response.
    """
    return _top(entropies, "entropies", fraction)


def nucleus_mask(logits, *, top_p: float = 0.8) -> np.ndarray:
    r"""Return True for the actions of SIREN's nucleus: cumulative probability at most ``top_p``.

    Actions are taken from the most probable downward; the first is always kept, and the one that
    crosses ``top_p`` is left out (as in the official code; nucleus sampling includes it).

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.
        top_p: in (0, 1].

    Returns:
        bool array ``(..., K)``.

    Raises:
        ValueError: if a row has no action or ``top_p`` leaves (0, 1].

    Source: *Rethinking Entropy Regularization in Large Reasoning Models* (official code).
    """
    pi, _ = _policy(logits)
    top_p = arguments.scalar(top_p, "top_p", low=0, high=1, open_low=True)
    order = np.argsort(-pi, axis=-1, kind="stable")
    cumulative = np.cumsum(np.take_along_axis(pi, order, axis=-1), axis=-1)
    inside = cumulative <= top_p
    inside[..., 0] = True
    mask = np.zeros(pi.shape, dtype=bool)
    np.put_along_axis(mask, order, inside, axis=-1)
    return mask


def nucleus_entropy(logits, *, top_p: float = 0.8) -> np.ndarray:
    r"""Return the entropy of the policy renormalized on :func:`nucleus_mask`.

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.
        top_p: in (0, 1].

    Returns:
        float64 array ``(...)`` in nats, 0 where the nucleus is a single action.

    Raises:
        ValueError: if a row has no action or ``top_p`` leaves (0, 1].

    Source: *Rethinking Entropy Regularization in Large Reasoning Models* (official code).
    """
    inside = nucleus_mask(logits, top_p=top_p)
    masked = np.where(inside, arguments.logits(logits), -np.inf)
    pi, _ = _policy(masked)
    return entr(pi).sum(axis=-1)


def anchored_penalty(entropies, mask, anchor: float) -> float:
    r"""Return SIREN's self-anchored penalty :math:`(\bar H - h_0)^2`.

    :math:`\bar H` is the mean entropy of the tokens on the mask.

    Args:
        entropies: nucleus entropies of a batch, any shape.
        mask: bool of the same shape, at least one True.
        anchor: :math:`h_0`, the same mean under the initial policy.

    Returns:
        the penalty in squared nats.

    Raises:
        ValueError: if shapes differ or the mask is empty.

    Source: *Rethinking Entropy Regularization in Large Reasoning Models* (official code).
    """
    entropies = arguments.finite(entropies, "entropies")
    mask = arguments.mask(mask, "mask", entropies.shape)
    if not mask.any():
        raise ValueError("mask must keep at least one token")
    return float((entropies[mask].mean() - arguments.scalar(anchor, "anchor")) ** 2)


def entropy_bonus_delta(logits, step: float = 1.0) -> np.ndarray:
    r"""Return the logit gradient of the entropy, :math:`-\eta\,\pi_a(\log\pi_a + H)`.

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks an action.
        step: learning rate times bonus coefficient.

    Returns:
        float64 array ``(..., K)``; it sums to 0, and an action rises if :math:`\pi_a < e^{-H}`.

    Raises:
        ValueError: if a row has no action.

    Source: chapter *Token-selective regularization*.
    """
    pi, log_pi = _policy(logits)
    return -arguments.scalar(step, "step") * pi * _centered(pi, log_pi)


def entropy_bonus_policy(reward, tau: float) -> np.ndarray:
    r"""Return the maximizer :math:`\propto e^{r/\tau}` of :math:`\mathbb E_\pi r + \tau H(\pi)`.

    Its reward falls short of the best by at most :math:`\tau H(\pi) \le \tau \log K`: the bias of
    an entropy bonus.

    Args:
        reward: reward of each action ``(..., K)``.
        tau: the bonus coefficient, positive.

    Returns:
        float64 array ``(..., K)``, a distribution.

    Raises:
        ValueError: if there is no action, a reward is not finite or ``tau`` is not positive.

    Source: Gibbs variational principle; chapter *Token-selective regularization*.
    """
    reward, tau = arguments.finite(reward, "reward"), arguments.positive(tau, "tau")
    if reward.ndim == 0 or reward.shape[-1] == 0:
        raise ValueError(f"reward must have a last axis of actions, got shape {reward.shape}")
    return _policy((reward - reward.max(axis=-1, keepdims=True)) / tau)[0]


def pass_at_k(num_samples: int, num_correct, k: int) -> np.ndarray:
    r"""Return the unbiased estimate of pass@k, :math:`1 - \binom{n-c}{k} / \binom{n}{k}`.

    Args:
        num_samples: :math:`n`, samples drawn per prompt.
        num_correct: :math:`c`, correct ones among them, integers in [0, n].
        k: number of tries, in [1, n].

    Returns:
        float64 array of the shape of ``num_correct``.

    Raises:
        ValueError: if a count is out of range. TypeError: if a count is no integer.

    Source: hypergeometric identity; chapter *Token-selective regularization*.
    """
    n = arguments.integer(num_samples, "num_samples", low=1)
    k = arguments.integer(k, "k", low=1)
    correct = arguments.integers(num_correct, "num_correct")
    if k > n or (correct < 0).any() or (correct > n).any():
        raise ValueError(f"k and num_correct must be at most num_samples={n}")
    j = np.arange(k)
    factors = np.clip(n - correct[..., None] - j, 0, None) / (n - j)
    return 1 - factors.prod(axis=-1)


# --- likelihood as policy gradient, soft values -------------------------------------------------


def shaped_likelihood_policy(p, beta: float) -> np.ndarray:
    r"""Return the stationary policy of the likelihood weighted by :math:`(1 - \pi_y)^\beta`.

    Training on labels from ``p`` with reward :math:`\frac{1}{\pi_y}(1 - \pi_y)^\beta` stops where

    .. math:: \pi_a \propto p_a\,(1 - \pi_a)^{\beta}.

    :math:`\beta = 0` is cross-entropy, :math:`\beta > 0` flattens, :math:`\beta < 0` sharpens.

    Args:
        p: law of the labels ``(K,)``, at least two outcomes and no zeros.
        beta: in (-1, inf). Below 0 the objective is not concave; the policy reached from ``p``.

    Returns:
        float64 array ``(K,)``.

    Raises:
        ValueError: if ``p`` is no such law or ``beta`` is at most -1.

    Source: *Diversity or Precision?*; chapter *Cross-entropy as policy gradient*.
    """
    p = arguments.distribution(p, "p")
    if p.ndim != 1 or p.size < 2 or (p == 0).any():
        raise ValueError("p must be one distribution (K,) of at least 2 outcomes, none of them 0")
    beta = arguments.scalar(beta, "beta", low=-1, open_low=True)

    log_pi, damping = np.log(p), 1 / (1 + abs(beta))
    for _ in range(10_000):
        log_rest = np.log1p(-np.exp(np.minimum(log_pi, -1e-16)))
        target = log_softmax(np.log(p) + beta * log_rest)
        if np.abs(target - log_pi).max() < 1e-13:
            return np.exp(target)
        log_pi = log_softmax(log_pi + damping * (target - log_pi))
    raise ValueError(f"beta={beta} lets no stationary policy be reached from p; it must be larger")


def coverage_loss(logprobs, num_samples: int) -> np.ndarray:
    r"""Return :math:`-\log\left(1 - (1 - p)^N\right)`, the log-loss of pass@N.

    Args:
        logprobs: log-probability of the label, at most 0.
        num_samples: :math:`N`; 1 is cross-entropy.

    Returns:
        float64 array in nats.

    Raises:
        ValueError: if a log-probability is positive or ``num_samples`` below 1.

    Source: *Rethinking Fine-Tuning when Scaling Test-Time Compute*.
    """
    log_wrong = _log_complement(logprobs)
    n = arguments.integer(num_samples, "num_samples", low=1)
    with np.errstate(divide="ignore"):
        return -np.log(-np.expm1(n * log_wrong))


def coverage_weight(logprobs, num_samples: int) -> np.ndarray:
    r"""Return the gradient of :func:`coverage_loss` over that of cross-entropy.

    .. math:: \frac{N p (1-p)^{N-1}}{1 - (1-p)^N}

    It tends to 1 for :math:`p \to 0` and to 0 for :math:`p \to 1` (:math:`N > 1`).

    Args:
        logprobs: log-probability of the label, negative and finite.
        num_samples: :math:`N`.

    Returns:
        float64 array in [0, 1].

    Raises:
        ValueError: if a log-probability is not negative or ``num_samples`` below 1.

    Source: *Rethinking Fine-Tuning when Scaling Test-Time Compute*.
    """
    logprobs = arguments.finite(logprobs, "logprobs")
    if (logprobs >= 0).any():
        raise ValueError("logprobs must be negative")
    log_wrong = _log_complement(logprobs)
    n = arguments.integer(num_samples, "num_samples", low=1)
    once, any_try = n * np.exp(logprobs + (n - 1) * log_wrong), -np.expm1(n * log_wrong)
    limit = np.ones_like(logprobs)  # where p underflows
    return np.divide(once, any_try, out=limit, where=any_try > 0)


def pacs_loss(log_ratios, rewards, *, beta: float = 1.0) -> np.ndarray:
    r"""Return PACS's loss of every response: binary cross-entropy of reward and score.

    .. math:: \psi_i = \beta\,(\ell_i - \bar\ell_{-i}), \qquad
              -R_i \log\sigma(\psi_i) - (1 - R_i)\log\sigma(-\psi_i)

    with :math:`\ell_i = \log\pi(y_i) - \log\pi_{old}(y_i)`.

    Args:
        log_ratios: :math:`\ell`, ``(..., G)`` with at least two responses.
        rewards: ``(..., G)`` in [0, 1].
        beta: scale of the score, positive.

    Returns:
        float64 array ``(..., G)``.

    Raises:
        ValueError: if shapes differ, a reward leaves [0, 1] or ``beta`` is not positive.

    Source: *Implicit Actor Critic Coupling via a Supervised Learning Framework for RLVR* (code).
    """
    options = {"baseline": "leave-one-out", "standardize": False}
    centered = group_relative_advantages(log_ratios, **options)
    rewards = arguments.finite(_like(rewards, "rewards", centered), "rewards", low=0, high=1)
    score = arguments.positive(beta, "beta") * centered
    return np.logaddexp(0, score) - rewards * score


class SoftSolution(NamedTuple):
    """Soft values of every state and the optimal policy, level by level."""

    values: list[np.ndarray]
    logits: list[np.ndarray]


def soft_values(reference_logits, rewards, beta: float) -> SoftSolution:
    r"""Solve the soft Bellman equations of a tree.

    .. math:: V(s) = \beta\log\mathbb E_{ref}\,e^{V(s')/\beta}

    The optimal policy of :math:`\mathbb E\,r - \beta D(\pi\|\pi_{ref})` satisfies
    :math:`V(s') - V(s) = \beta\log(\pi/\pi_{ref})` at every step.

    Args:
        reference_logits: levels of a full tree as in :func:`tree_reach`.
        rewards: one finite reward per leaf ``(L,)``.
        beta: positive.

    Returns:
        ``SoftSolution(values, logits)``: values ``(n_t,)`` per level with the rewards last, and
        the optimal policy's log-probabilities in the shapes of ``reference_logits``.

    Raises:
        ValueError: if shapes do not match or ``beta`` is not positive.

    Source: *Offline Reinforcement Learning for LLM Multi-Step Reasoning*; *Free Process Rewards
    without Process Labels*.
    """
    policies = _tree(reference_logits, "reference_logits")
    beta = arguments.positive(beta, "beta")
    values = [_like(rewards, "rewards", policies[-1][0].ravel())]
    logits = []
    for pi, log_pi in reversed(policies):
        tilted = log_pi + values[-1].reshape(pi.shape) / beta
        total = logsumexp(tilted, axis=-1, b=pi > 0)
        logits.append(np.where(pi > 0, tilted - total[:, None], -np.inf))
        values.append(beta * total)
    return SoftSolution(values[::-1], logits[::-1])


# --- shared pieces ------------------------------------------------------------------------------


def _policy(logits, *, finite: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and log-probabilities, 0 instead of -inf for masked actions."""
    log_pi = log_softmax(arguments.logits(logits), axis=-1)
    pi = np.exp(log_pi)
    return pi, np.where(pi > 0, log_pi, 0.0) if finite else log_pi


def _mean(pi, x):
    return (pi * x).sum(axis=-1)


def _centered(pi, x):
    return x - _mean(pi, x)[..., None]


def _like(value, name, other) -> np.ndarray:
    value = arguments.finite(value, name)
    if value.shape != other.shape:
        raise ValueError(f"{name} must have shape {other.shape}, got {value.shape}")
    return value


def _top(values, name, fraction):
    values = arguments.finite(values, name)
    if values.size == 0:
        raise ValueError(f"{name} must hold at least one token")
    fraction = arguments.scalar(fraction, "fraction", low=0, high=1, open_low=True)
    count = max(1, int(fraction * values.size))
    threshold = np.sort(values, axis=None)[-count]
    return values >= threshold


def _per_token(advantages, logprobs) -> np.ndarray:
    shape = arguments.finite(logprobs, "logprobs").shape
    if len(shape) < 2 or shape[:-1] != advantages.shape:
        raise ValueError(f"rewards must have shape {shape[:-1]}, got {advantages.shape}")
    return np.broadcast_to(advantages[..., None], shape)


def _log_complement(logprobs):
    logprobs = arguments.finite(logprobs, "logprobs", high=0)
    small = logprobs < -math.log(2)
    with np.errstate(divide="ignore"):
        near_one = np.log(-np.expm1(np.where(small, -1.0, logprobs)))
    far = np.log1p(-np.exp(np.where(small, logprobs, -1.0)))
    return np.where(small, far, near_one)


def _binary_policy(p, entropy_correct, entropy_wrong):
    p = arguments.finite(p, "p")
    if (p <= 0).any() or (p >= 1).any():
        raise ValueError("p must lie strictly between 0 and 1")
    correct = arguments.finite(entropy_correct, "entropy_correct", low=0)
    wrong = arguments.finite(entropy_wrong, "entropy_wrong", low=0)
    arguments.broadcastable(p=p, entropy_correct=correct, entropy_wrong=wrong)
    return p, correct, wrong


def _levels(logits, name="logits"):
    if not isinstance(logits, list | tuple):
        raise TypeError(f"{name} must be a list of levels, got {type(logits).__name__}")
    width = 1
    for index, level in enumerate(logits):
        level = arguments.logits(level, f"{name}[{index}]")
        if level.ndim != 2 or level.shape[0] != width:
            raise ValueError(f"{name}[{index}] must have shape ({width}, K), got {level.shape}")
        width = level.size
        yield level
    if width == 1 and not len(logits):
        raise ValueError(f"{name} must hold at least one level")


def _tree(logits, name="logits"):
    return [_policy(level) for level in _levels(logits, name)]


def _tree_like(delta, levels):
    if not isinstance(delta, list | tuple):
        raise TypeError(f"delta must be a list of levels, got {type(delta).__name__}")
    if len(delta) != len(levels):
        raise ValueError(f"delta must have {len(levels)} levels, got {len(delta)}")
    return [_like(d, f"delta[{i}]", z) for i, (d, z) in enumerate(zip(delta, levels, strict=True))]
