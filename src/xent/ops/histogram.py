r"""Differentiable histogram losses, for value functions and other regression by classification.

Twins of :mod:`xent.reference.histogram`. The targets are computed in float64 whatever the logits:
differences of :math:`\Phi` lose digits where the Gaussian is much wider than a bin.
"""

from __future__ import annotations

import torch

from xent.ops import arguments
from xent.ops.backend import upcast
from xent.ops.softmax import log_softmax, reduce


def hl_gauss_loss(
    logits: torch.Tensor,
    values: torch.Tensor,
    edges: torch.Tensor,
    sigma: float,
    *,
    reduction: str = "mean",
    backend: str = "auto",
) -> torch.Tensor:
    r"""Return :math:`-\sum_i p_i(y) \log \operatorname{softmax}(z)_i`: twin of the reference.

    Args:
        logits: tensor ``(..., m)`` of a floating dtype; :math:`-\infty` masks a bin.
        values: floating tensor ``(...)`` inside ``[edges[0], edges[-1]]``; gets no gradient.
        edges: increasing floating tensor ``(m + 1,)``, the borders of the bins.
        sigma: positive width of the Gaussian, in the unit of ``values``; three quarters of a bin
            is the usual choice.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        backend: of the log-softmax; see :mod:`xent.ops.backend`.

    Returns:
        Scalar, or a tensor ``(...)``, in nats, float32 or, for float64 logits, float64. The
        gradient by the logits is :math:`\operatorname{softmax}(z) - p(y)`.

    Raises:
        TypeError: if an argument is no floating tensor or ``sigma`` no number.
        ValueError: for shapes that do not match, edges that do not increase, a value outside them
            or NaN, ``sigma`` out of range, an unknown reduction or backend.

    Source: twin of :func:`xent.reference.histogram.hl_gauss_loss`.
    """
    edges = _borders(edges, logits)
    values = arguments.like(values, "values", logits[..., 0]).detach().double()
    sigma = arguments.positive(sigma, "sigma")
    if not ((values >= edges[0]) & (values <= edges[-1])).all():
        raise ValueError(f"values must lie in [{edges[0]:g}, {edges[-1]:g}], the range of edges")
    x = (edges - values[..., None]) / sigma
    below, above = torch.special.ndtr(x).diff(dim=-1), -torch.special.ndtr(-x).diff(dim=-1)
    mass = above.where(x[..., :-1] > 0, below)  # the smaller numbers: nothing cancels
    total = mass.sum(-1, keepdim=True)
    if (total == 0).any():
        raise ValueError(f"sigma must not dwarf the range of edges, got {sigma}")
    log_p = log_softmax(upcast(logits), backend=backend)
    targets = (mass / total).to(log_p.dtype)
    losses = -(targets * log_p.masked_fill(targets == 0, 0.0)).sum(-1)
    return reduce(losses, torch.ones_like(losses, dtype=torch.bool), reduction)


def histogram_mean(
    logits: torch.Tensor, edges: torch.Tensor, *, backend: str = "auto"
) -> torch.Tensor:
    r"""Return :math:`\sum_i \operatorname{softmax}(z)_i\, c_i`: twin of the reference.

    Args:
        logits: tensor ``(..., m)`` of a floating dtype; :math:`-\infty` masks a bin.
        edges: increasing floating tensor ``(m + 1,)``, the borders of the bins.
        backend: ``"auto"`` or ``"torch"``, the only one.

    Returns:
        Tensor ``(...)`` in the unit of ``edges``, float32 or, for float64 logits, float64.

    Raises:
        TypeError: if an argument is no floating tensor.
        ValueError: for shapes that do not match, edges that do not increase, or an unknown backend.

    Source: twin of :func:`xent.reference.histogram.histogram_mean`.
    """
    arguments.only_torch(backend)
    edges = _borders(edges, logits)
    p = torch.softmax(upcast(logits), -1)
    return p @ ((edges[1:] + edges[:-1]) / 2).to(p.dtype)


def _borders(edges, logits):
    bins = arguments.classes(logits).shape[-1]
    if arguments.floating(edges, "edges").shape != (bins + 1,):
        raise ValueError(f"edges must have shape ({bins + 1},), got {tuple(edges.shape)}")
    if edges.device != logits.device:
        raise ValueError(f"edges must be on {logits.device}, got {edges.device}")
    if not (edges.isfinite().all() and (edges.diff() > 0).all()):
        raise ValueError("edges must be finite and increase")
    return edges.detach().double()
