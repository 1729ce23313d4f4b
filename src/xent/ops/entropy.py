r"""Differentiable entropy, cross-entropy and divergences: twins of the references.

Half-precision inputs are computed in float32. Probabilities are not tested for their sum, and NaN
propagates, because a test would read the data once more. Where training code has logits, the
functions ending in ``_from_logits`` are the accurate ones; their gradients stay finite for masked
classes and for probabilities that underflow.
"""

from __future__ import annotations

import torch

from xent.ops import arguments
from xent.ops.backend import upcast
from xent.ops.softmax import log_softmax, reduce
from xent.reference.arguments import broadcastable, integer


def entropy(
    p: torch.Tensor, axis: int = -1, *, reduction: str = "mean", backend: str = "auto"
) -> torch.Tensor:
    r"""Return :math:`-\sum_i p_i \log p_i`, in nats: twin of the reference.

    Args:
        p: probabilities ``(..., K)`` of a floating dtype.
        axis: the axis of the outcomes.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Scalar, or a tensor of the remaining axes, in float32 or, for float64, float64. The
        gradient is infinite where ``p`` is zero.

    Raises:
        TypeError: if ``p`` is not a floating tensor.
        ValueError: for an axis without outcomes, an unknown reduction or backend.

    Source: twin of :func:`xent.reference.entropy.entropy`.
    """
    arguments.only_torch(backend)
    p = _probabilities(p, "p", axis)
    return _reduced(torch.special.entr(p).sum(axis), reduction)


def cross_entropy(
    p: torch.Tensor,
    q: torch.Tensor,
    axis: int = -1,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`-\sum_i p_i \log q_i`, in nats: twin of the reference.

    Args:
        p: the true law ``(..., K)``.
        q: the model's law, of a shape that broadcasts with ``p``.
        axis: the axis of the outcomes.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Scalar, or a tensor of the remaining axes, in nats.

    Raises:
        TypeError: if an argument is not a floating tensor.
        ValueError: if the outcomes do not match, or as :func:`entropy`.

    Source: twin of :func:`xent.reference.entropy.cross_entropy`.
    """
    arguments.only_torch(backend)
    p, q = _pair(p, q, axis)
    return _reduced(-torch.xlogy(p, q).sum(axis), reduction)


def kl_divergence(
    p: torch.Tensor,
    q: torch.Tensor,
    axis: int = -1,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`D(p \| q) = \sum_i p_i \log (p_i / q_i)`: twin of the reference.

    Args:
        p: the true law ``(..., K)``.
        q: the model's law, of a shape that broadcasts with ``p``.
        axis: the axis of the outcomes.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Scalar, or a tensor of the remaining axes, in nats.

    Raises:
        TypeError: if an argument is not a floating tensor.
        ValueError: if the outcomes do not match, or as :func:`entropy`.

    Source: twin of :func:`xent.reference.entropy.kl_divergence`.
    """
    arguments.only_torch(backend)
    p, q = _pair(p, q, axis)
    return _reduced(_relative_entropy(p, q).sum(axis), reduction)


def js_divergence(
    p: torch.Tensor,
    q: torch.Tensor,
    axis: int = -1,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return the Jensen--Shannon divergence, at most :math:`\log 2`: twin of the reference.

    Args:
        p: probabilities ``(..., K)``.
        q: probabilities of a shape that broadcasts with ``p``.
        axis: the axis of the outcomes.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Scalar, or a tensor of the remaining axes, in nats.

    Raises:
        TypeError: if an argument is not a floating tensor.
        ValueError: if the outcomes do not match, or as :func:`entropy`.

    Source: twin of :func:`xent.reference.entropy.js_divergence`.
    """
    arguments.only_torch(backend)
    p, q = _pair(p, q, axis)
    m = (p + q) / 2
    both = _relative_entropy(p, m) + _relative_entropy(q, m)
    return _reduced(both.sum(axis) / 2, reduction)


def entropy_from_logits(
    logits: torch.Tensor, axis: int = -1, *, reduction: str = "mean", backend: str = "auto"
) -> torch.Tensor:
    r"""Return the entropy of the softmax law: twin of the reference.

    Args:
        logits: scores ``(..., K)`` of a floating dtype; ``-inf`` masks a class.
        axis: the axis of the classes.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: of the log-softmax; see :mod:`xent.ops.backend`.

    Returns:
        Scalar, or a tensor of the remaining axes. Its gradient is
        :math:`-p_j (\log p_j + H)`, finite everywhere.

    Raises:
        TypeError, ValueError: as :func:`xent.ops.softmax.log_softmax`, or for an unknown reduction.

    Source: twin of :func:`xent.reference.entropy.entropy_from_logits`.
    """
    arguments.floating(logits, "logits")
    log_p, p = _law(logits, axis, backend)
    return _reduced(-(p * log_p.masked_fill(p == 0, 0.0)).sum(axis), reduction)


def kl_from_logits(
    p_logits: torch.Tensor,
    q_logits: torch.Tensor,
    axis: int = -1,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`D(p \| q)` of two softmax laws: twin of the reference.

    Args:
        p_logits: scores of the true law ``(..., K)``; ``-inf`` masks a class.
        q_logits: scores of the model, of the same shape.
        axis: the axis of the classes.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: of the log-softmax; see :mod:`xent.ops.backend`.

    Returns:
        Scalar, or a tensor of the remaining axes; infinite where ``q`` masks a class that ``p``
        allows.

    Raises:
        TypeError, ValueError: as :func:`xent.ops.softmax.log_softmax`, if the shapes differ, or
            for an unknown reduction.

    Source: twin of :func:`xent.reference.entropy.kl_from_logits`.
    """
    arguments.like(q_logits, "q_logits", arguments.floating(p_logits, "p_logits"))
    log_p, p = _law(p_logits, axis, backend)
    log_q, _ = _law(q_logits, axis, backend)
    gap = log_p.masked_fill(p == 0, 0.0) - log_q.masked_fill(p == 0, 0.0)
    return _reduced((p * gap).sum(axis), reduction)


def _law(logits, axis, backend):
    integer(axis, "axis")
    log_p = log_softmax(upcast(logits), axis, backend=backend)
    return log_p, log_p.exp()


def _relative_entropy(p, q):
    return torch.xlogy(p, p) - torch.xlogy(p, q)


def _probabilities(p, name, axis):
    arguments.floating(p, name)
    integer(axis, "axis")
    if p.ndim == 0 or not -p.ndim <= axis < p.ndim or p.shape[axis] == 0:
        raise ValueError(f"{name} must have outcomes along axis {axis}, got {tuple(p.shape)}")
    return upcast(p)


def _pair(p, q, axis):
    p, q = _probabilities(p, "p", axis), _probabilities(q, "q", axis)
    if p.shape[axis] != q.shape[axis]:
        raise ValueError(
            f"q must have as many outcomes as p ({p.shape[axis]}) along axis {axis}, "
            f"got {q.shape[axis]}"
        )
    if axis >= 0 and p.ndim != q.ndim:
        raise ValueError(
            f"axis must be negative where p and q differ in their number of axes, got {axis}"
        )
    broadcastable(p=p, q=q)
    if p.device != q.device:
        raise ValueError(f"q must be on the device of p, {p.device}, got {q.device}")
    return p, q


def _reduced(values, reduction):
    return reduce(values, torch.ones_like(values, dtype=torch.bool), reduction)
