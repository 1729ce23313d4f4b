r"""Differentiable log-sum-exp, softmax and cross-entropy from logits: twins of the references.

Half-precision logits are computed in float32. Per-row results (losses, log-sum-exp) come back in
float32 or, for float64 logits, float64; arrays of the shape of the logits keep their dtype.
NaN and rows that are all :math:`-\infty` propagate as NaN instead of raising: testing for them
would read the logits once more.
"""

from __future__ import annotations

import torch

from xent.ops.backend import choose, upcast

REDUCTIONS = ("mean", "sum", "none")


def logsumexp(logits: torch.Tensor, axis: int = -1, *, backend: str = "auto") -> torch.Tensor:
    r"""Return :math:`\log \sum_j e^{z_j}` over an axis: twin of the reference.

    Args:
        logits: tensor ``(..., V)`` of a floating dtype.
        axis: the axis of the classes.
        backend: ``"auto"``, ``"torch"`` or ``"triton"``; see :mod:`xent.ops.backend`.

    Returns:
        Tensor of the remaining axes, in nats. Its gradient is the softmax.

    Raises:
        TypeError: if the logits are no floating tensor.
        ValueError: for no classes, a bad axis, or a backend that does not support the input.

    Source: twin of :func:`xent.reference.softmax.logsumexp`.
    """
    _check_logits(logits, axis)
    if choose(backend, logits) == "triton":
        return _triton().logsumexp(logits, axis)
    return _logsumexp(upcast(logits), axis)


def softmax(logits: torch.Tensor, axis: int = -1, *, backend: str = "auto") -> torch.Tensor:
    r"""Return :math:`e^{z_j} / \sum_k e^{z_k}` along an axis: twin of the reference.

    Args:
        logits: tensor ``(..., V)`` of a floating dtype.
        axis: the axis of the classes.
        backend: as in :func:`logsumexp`.

    Returns:
        Tensor of the shape and dtype of ``logits``.

    Raises:
        TypeError, ValueError: as :func:`logsumexp`.

    Source: twin of :func:`xent.reference.softmax.softmax`.
    """
    _check_logits(logits, axis)
    if choose(backend, logits) == "triton":
        return _triton().softmax(logits, axis)
    return torch.softmax(upcast(logits), axis).to(logits.dtype)


def log_softmax(logits: torch.Tensor, axis: int = -1, *, backend: str = "auto") -> torch.Tensor:
    r"""Return :math:`\log p_j` along an axis, accurate also where :math:`p_j \to 1`.

    Args:
        logits: tensor ``(..., V)`` of a floating dtype.
        axis: the axis of the classes.
        backend: as in :func:`logsumexp`.

    Returns:
        Tensor of the shape and dtype of ``logits``, in nats.

    Raises:
        TypeError, ValueError: as :func:`logsumexp`.

    Source: twin of :func:`xent.reference.softmax.log_softmax`.
    """
    _check_logits(logits, axis)
    if choose(backend, logits) == "triton":
        return _triton().log_softmax(logits, axis)
    z = upcast(logits)
    top, where = z.max(axis, keepdim=True)
    rest = (z - top).exp().scatter(axis, where, 0.0).sum(axis, keepdim=True)
    return ((z - top) - rest.log1p()).to(logits.dtype)


def cross_entropy_with_logits(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return the cross-entropy from logits: twin of the reference, at ``reduction="none"``.

    .. math:: (1 - \varepsilon)\, \ell_y + \frac{\varepsilon}{V} \sum_j \ell_j
              + \zeta \operatorname{lse}(z)^2, \qquad
              \ell_j = \operatorname{lse}(z) - z_j

    The loss and its gradient keep their relative accuracy as :math:`p_y \to 1` and under a common
    offset of the logits. The Triton kernels read each logit once forward and once backward, use no
    atomics and are deterministic; the PyTorch path also differentiates twice.

    Args:
        logits: tensor ``(..., V)`` of a floating dtype.
        labels: integer tensor ``(...)`` in ``[0, V)`` or equal to ``ignore_index``. They are
            checked, which on a GPU waits for the device.
        ignore_index: examples with this label cost zero and do not count in the mean.
        label_smoothing: :math:`\varepsilon` in ``[0, 1]``.
        z_loss: :math:`\zeta \ge 0`, the weight of the squared log-normalizer.
        reduction: ``"mean"`` over the examples that count, ``"sum"`` or ``"none"``.
        backend: as in :func:`logsumexp`.

    Returns:
        Scalar, or a tensor of the shape of ``labels``, in nats.

    Raises:
        TypeError: if the logits are not floating or the labels not integer.
        ValueError: for shapes or devices that do not match, options out of range, an unsupported
            backend, or the mean of no example (the sum of none is zero).
        IndexError: for a label that is no class.

    Source: twin of :func:`xent.reference.softmax.cross_entropy_with_logits`.
    """
    _check_logits(logits, -1)
    counted = _check_labels(logits, labels, ignore_index)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing must lie in [0, 1], got {label_smoothing}")
    if not 0.0 <= z_loss < float("inf"):
        raise ValueError(f"z_loss must be finite and >= 0, got {z_loss}")
    compute = _triton().cross_entropy if choose(backend, logits) == "triton" else _cross_entropy
    losses = compute(logits, labels, counted, float(label_smoothing), float(z_loss))
    return reduce(losses, counted, reduction)


def reduce(losses: torch.Tensor, counted: torch.Tensor, reduction: str) -> torch.Tensor:
    """Reduce per-example losses, the mean over those that count.

    Args:
        losses: tensor ``(...)``, zero where an example does not count.
        counted: bool tensor of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        Scalar, or ``losses`` itself.

    Raises:
        ValueError: for an unknown reduction, or the mean of no example.

    Source: the convention of ``torch.nn.functional.cross_entropy``.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    count = counted.sum()
    if count == 0:
        raise ValueError("reduction='mean' of no example: the batch is empty or all ignored")
    return losses.sum() / count


def _logsumexp(z, axis):
    """torch.logsumexp differentiates as exp(z - lse), which a common offset of 1e4 makes wrong."""
    top = z.detach().amax(axis, keepdim=True)
    top = top.where(top > -torch.inf, 0.0)
    return top.squeeze(axis) + (z - top).exp().sum(axis).log()


def _cross_entropy(logits, labels, counted, smoothing, z_weight):
    """Leave-target-out: softplus(lse of the others - z_y), the largest other subtracted first."""
    z = upcast(logits)
    target = labels.where(counted, 0).long()[..., None]
    others = z.scatter(-1, target, -torch.inf)
    top = others.detach().amax(-1, keepdim=True)
    top = top.where(top > -torch.inf, 0.0)
    weight = (others - top).exp().sum(-1)
    alone = weight == 0  # no other class has any weight: the loss is zero, its slope too
    lead = weight.masked_fill(alone, 1.0).log() - (z.gather(-1, target) - top)[..., 0]
    losses = -torch.nn.functional.logsigmoid(-lead.masked_fill(alone, -torch.inf))
    if smoothing:
        uniform = -torch.log_softmax(z, -1).mean(-1)
        losses = (1 - smoothing) * losses + smoothing * uniform if smoothing < 1 else uniform
    if z_weight:
        losses = losses + z_weight * _logsumexp(z, -1) ** 2
    return losses.where(counted, 0.0)


def _check_logits(logits, axis):
    if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
        kind = logits.dtype if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise TypeError(f"logits must be a floating tensor, got {kind}")
    if not -logits.ndim <= axis < logits.ndim:
        raise ValueError(f"axis must lie in [-{logits.ndim}, {logits.ndim}), got {axis}")
    if logits.shape[axis] == 0:
        raise ValueError(f"logits of shape {tuple(logits.shape)} have no classes on axis {axis}")


def _check_labels(logits, labels, ignore_index):
    """Return which labels count, or raise."""
    if not isinstance(labels, torch.Tensor):
        raise TypeError(f"labels must be a tensor of integers, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    if labels.shape != logits.shape[:-1]:
        shapes = f"{tuple(labels.shape)} for logits {tuple(logits.shape)}"
        raise ValueError(f"labels must have the shape of the logits without classes, got {shapes}")
    if labels.device != logits.device:
        raise ValueError(f"labels are on {labels.device}, logits on {logits.device}")
    counted = labels != ignore_index
    wrong = counted & ((labels < 0) | (labels >= logits.shape[-1]))
    if wrong.any():
        bad, classes = labels[wrong][0].item(), logits.shape[-1]
        raise IndexError(
            f"labels must lie in [0, {classes}) or equal ignore_index={ignore_index}, got {bad}"
        )
    return counted


def _triton():
    """The kernels' module, imported at first use: it imports triton."""
    from xent.kernels import softmax

    return softmax
