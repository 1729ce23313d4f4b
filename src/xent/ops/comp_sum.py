r"""Differentiable comp-sum losses: every member of the family from one read of the logits.

A comp-sum loss is a function of the cross-entropy :math:`\ell_1 = -\log s` alone,
:math:`\ell_\tau = -\operatorname{expm1}(-(\tau-1)\ell_1)/(\tau-1)`, so the kernels of
:mod:`xent.ops.softmax` compute every member: the rest is one number per row. By the chain rule
the gradient is :math:`s^{\tau-1}(p - e_y)`, as accurate as that of cross-entropy at both ends.
"""

from __future__ import annotations

import torch

from xent.ops import arguments
from xent.ops.backend import upcast
from xent.ops.softmax import cross_entropy_with_logits, reduce
from xent.reference.arguments import integer


def comp_sum_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    tau: float = 1.0,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`(1 - s^{\tau-1})/(\tau-1)`: twin of the reference at ``reduction="none"``.

    Args:
        logits: tensor ``(..., V)`` of a floating dtype.
        labels: integer tensor ``(...)`` in ``[0, V)`` or equal to ``ignore_index``.
        tau: index of the family, in ``[0, 1e18]``: 0 the sum-exponential loss, 1 cross-entropy,
            between 1 and 2 the generalized cross-entropy, 2 the mean absolute error.
        ignore_index: examples with this label cost zero and do not count in the mean.
        reduction: ``"mean"`` over the examples that count, ``"sum"`` or ``"none"``.
        backend: ``"auto"``, ``"torch"`` or ``"triton"``; see :mod:`xent.ops.backend`.

    Returns:
        Scalar, or a tensor of the shape of ``labels``, in float32 or, for float64 logits, float64.

    Raises:
        TypeError: if the logits are not floating or the labels not integer.
        ValueError: for ``tau`` out of range, and as
            :func:`xent.ops.softmax.cross_entropy_with_logits`.
        IndexError: for a label that is no class.

    Source: twin of :func:`xent.reference.comp_sum.comp_sum_loss`.
    """
    tau = arguments.scalar(tau, "tau", low=0)
    ignore_index = integer(ignore_index, "ignore_index")
    arguments.classes(logits)
    cross_entropy = cross_entropy_with_logits(
        logits, labels, ignore_index=ignore_index, reduction="none", backend=backend
    )
    return reduce(_from_cross_entropy(cross_entropy, tau), labels != ignore_index, reduction)


def smooth_adversarial_comp_sum(
    logits: torch.Tensor,
    perturbed_logits: torch.Tensor,
    labels: torch.Tensor,
    tau: float = 1.0,
    rho: float = 1.0,
    nu: float = 1.0,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`\Phi^\tau(\sum_{j\ne y}e^{-\Delta_j/\rho}) + \nu\|\Delta'-\Delta\|_2`.

    The twin of the reference at ``reduction="none"``; :math:`\Delta_j = z_y - z_j`.

    Args:
        logits: tensor ``(N, V)`` at the clean inputs.
        perturbed_logits: tensor ``(N, V)`` at the perturbed inputs.
        labels: integer tensor ``(N,)`` in ``[0, V)``; none is ignored.
        tau: index of the family, in ``[0, 1e18]``.
        rho: margin, in ``[1e-18, 1e18]``.
        nu: weight of the smooth term, in ``[0, 1e18]``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: of the comp-sum term, as in :func:`comp_sum_loss`.

    Returns:
        Scalar, or a tensor ``(N,)``.

    Raises:
        TypeError, IndexError: as :func:`comp_sum_loss`.
        ValueError: as :func:`comp_sum_loss`, for ``rho`` or ``nu`` out of range, or shapes that
            differ.

    Source: twin of :func:`xent.reference.comp_sum.smooth_adversarial_comp_sum`.
    """
    rho = arguments.positive(rho, "rho")
    nu = arguments.scalar(nu, "nu", low=0)
    arguments.like(perturbed_logits, "perturbed_logits", arguments.classes(logits))
    arguments.labels(labels, logits)
    z = upcast(logits)
    clean = comp_sum_loss(z / rho, labels, tau, reduction="none", backend=backend)
    shift = upcast(perturbed_logits) - z
    moved = shift.gather(-1, labels.long()[..., None]) - shift  # zero at the label
    counted = torch.ones_like(labels, dtype=torch.bool)
    return reduce(clean + nu * torch.linalg.vector_norm(moved, dim=-1), counted, reduction)


def _from_cross_entropy(cross_entropy: torch.Tensor, tau: float) -> torch.Tensor:
    return cross_entropy if tau == 1 else _Member.apply(cross_entropy, tau - 1)


class _Member(torch.autograd.Function):
    """-expm1(-q l)/q with the slope exp(-q l): torch's own, expm1 + 1, is zero from l = 17/q on."""

    @staticmethod
    def forward(ctx, cross_entropy, q):
        ctx.save_for_backward(cross_entropy)
        ctx.q = q
        return -torch.expm1(-q * cross_entropy) / q

    @staticmethod
    def backward(ctx, upstream):
        (cross_entropy,) = ctx.saved_tensors
        return upstream * torch.exp(-ctx.q * cross_entropy), None
