r"""Differentiable label-distributionally robust losses, with a temperature for each example.

No kernel: the loss is a log-mean-exp and reads the logits as often as PyTorch's ``logsumexp``. The
slope in the logits is :math:`p - e_y` with :math:`p = \operatorname{softmax}(\delta/\lambda)`; that
in the temperature is :math:`-D_{\mathrm{KL}}(p \| u)`.
"""

from __future__ import annotations

import math

import torch

from xent.ops import arguments
from xent.ops.backend import upcast
from xent.ops.softmax import reduce
from xent.reference.ldr import unique_temperature_alpha

TEMPERATURES = 65
BISECTIONS = 40


def ldr_kl_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    lam: float | torch.Tensor = 1.0,
    margin: float = 0.0,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`\lambda \log \frac1K \sum_k e^{\delta_k/\lambda}`: twin of the reference.

    Args:
        logits: tensor ``(N, K)`` of a floating dtype, finite (NaN propagates).
        labels: integer tensor ``(N,)`` in ``[0, K)``.
        lam: 0, infinity or a number in between, ``[1e-18, 1e18]``, whose square float32 can hold;
            or a tensor ``()`` or ``(N,)`` of such numbers, which gets a gradient.
        margin: :math:`c` in ``[0, 1e18]``, added to every class but the label.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Scalar, or a tensor ``(N,)``, in float32 or, for float64 logits, float64.

    Raises:
        TypeError: if the logits are not floating, the labels not integer or an option no number.
        ValueError: for shapes that do not match, ``lam`` or ``margin`` out of range, an unknown
            reduction or backend.
        IndexError: for a label that is no class.

    Source: twin of :func:`xent.reference.ldr.ldr_kl_loss`.
    """
    delta = _margins(logits, labels, margin, backend)
    everyone = torch.ones_like(labels, dtype=torch.bool)
    return reduce(_gain(delta, _temperatures(lam, delta)), everyone, reduction)


def optimal_temperature(
    logits: torch.Tensor,
    labels: torch.Tensor,
    lam0: float = 1.0,
    alpha: float = 2.0,
    margin: float = 0.0,
    *,
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return each example's adaptive temperature: twin of the reference, without gradient.

    Args:
        logits: tensor ``(N, K)`` of a floating dtype, finite, K at least 2.
        labels: integer tensor ``(N,)`` in ``[0, K)``.
        lam0: :math:`\lambda_0` in ``[1e-18, 1e18]``.
        alpha: in ``(1, 1e18]``.
        margin: :math:`c` in ``[0, 1e18]``.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Tensor ``(N,)`` between :math:`\lambda_0(1 - 1/\alpha)` and :math:`\lambda_0`; NaN where
        a logit is not finite.

    Raises:
        TypeError, ValueError, IndexError: as :func:`ldr_kl_loss`; ValueError for one class, or
            ``lam0`` or ``alpha`` out of range.

    Source: twin of :func:`xent.reference.ldr.optimal_temperature`.
    """
    delta = _margins(logits, labels, margin, backend).detach()
    return _optimal_temperature(delta, lam0, alpha)


def aldr_kl_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    lam0: float = 1.0,
    alpha: float = 2.0,
    margin: float = 0.0,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`\max_\lambda \psi_\lambda - \frac A2(\lambda - \lambda_0)^2`: a twin.

    The temperature carries no gradient: at the maximum the objective is flat in it.

    Args:
        logits: tensor ``(N, K)`` of a floating dtype, finite, K at least 2.
        labels: integer tensor ``(N,)`` in ``[0, K)``.
        lam0: :math:`\lambda_0` in ``[1e-18, 1e18]``.
        alpha: in ``(1, 1e18]``; :math:`A = \alpha \log K/\lambda_0`.
        margin: :math:`c` in ``[0, 1e18]``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Scalar, or a tensor ``(N,)``.

    Raises:
        TypeError, ValueError, IndexError: as :func:`optimal_temperature`.

    Source: twin of :func:`xent.reference.ldr.aldr_kl_loss`.
    """
    delta = _margins(logits, labels, margin, backend)
    lam = _optimal_temperature(delta.detach(), lam0, alpha)
    everyone = torch.ones_like(labels, dtype=torch.bool)
    return reduce(_adaptive_gain(delta, lam, lam0, alpha), everyone, reduction)


def _optimal_temperature(delta, lam0, alpha):
    """Bisection of the slope: in the bracket of a grid's best, where there may be several roots."""
    if delta.shape[1] < 2:
        raise ValueError(f"logits must have at least 2 classes, got shape {tuple(delta.shape)}")
    lam0 = arguments.positive(lam0, "lam0")
    alpha = arguments.scalar(alpha, "alpha", low=1, open_low=True)
    low = delta.new_full(delta.shape[:1], lam0 * (1 - 1 / alpha))
    high = torch.full_like(low, lam0)
    if alpha <= unique_temperature_alpha(delta.shape[1]):
        step = (high - low) / (TEMPERATURES - 1)
        grid = [low + i * step for i in range(1, TEMPERATURES)]
        heights = torch.stack([_adaptive_gain(delta, lam, lam0, alpha) for lam in grid])
        best = low + step * (1 + heights.argmax(0)).to(delta.dtype)
        low, high = best - step, (best + step).clamp_max(lam0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        share = _divergence(delta, middle) / (alpha * math.log(delta.shape[1]))
        rising = middle < lam0 * (1 - share)
        low, high = middle.where(rising, low), high.where(rising, middle)
    return ((low + high) / 2).where(share == share, math.nan)


def _adaptive_gain(delta, lam, lam0, alpha):
    weight = alpha * math.log(delta.shape[1]) / lam0
    return _gain(delta, lam) - weight / 2 * (lam - lam0) ** 2


def _gain(delta, lam):
    """psi_lam, through expm1 and log1p, which keep the digits of a large lam."""
    if not isinstance(lam, torch.Tensor):
        if lam == 0:
            return delta.amax(-1)
        if lam == math.inf:
            return delta.mean(-1)
        lam = delta.new_tensor(lam)
    top = delta.detach().amax(-1)
    below = torch.expm1((delta - top[:, None]) / lam[..., None]).mean(-1)
    return top + lam * torch.log1p(below)


def _divergence(delta, lam):
    x = (delta - delta.amax(-1, keepdim=True)) / lam[:, None]
    return (x.softmax(-1) * x).sum(-1) - x.expm1().mean(-1).log1p()


def _margins(logits, labels, margin, backend):
    arguments.only_torch(backend)
    if arguments.classes(logits).ndim != 2:
        raise ValueError(f"logits must have shape (N, K), got {tuple(logits.shape)}")
    arguments.labels(labels, logits)
    margin = arguments.scalar(margin, "margin", low=0)
    z, target = upcast(logits), labels.long()[:, None]
    extra = torch.full_like(z, margin).scatter(-1, target, 0.0)
    return z - z.gather(-1, target) + extra


def _temperatures(lam, delta):
    if not isinstance(lam, torch.Tensor):
        lam = arguments.scalar(lam, "lam", low=0, high=math.inf)
        inside = 1 / arguments.LARGEST <= lam <= arguments.LARGEST
        if not inside and lam not in (0, math.inf):
            raise ValueError(f"lam must be 0, infinite or in [1e-18, 1e18], got {lam}")
        return lam
    if lam.shape != ():
        arguments.like(lam, "lam", delta[:, 0])
    if not ((lam >= 1 / arguments.LARGEST) & (lam <= arguments.LARGEST)).all():
        raise ValueError("lam must lie in [1e-18, 1e18] as a tensor; pass 0 and inf as numbers")
    return upcast(arguments.floating(lam, "lam"))
