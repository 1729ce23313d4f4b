r"""Regression as classification: a number is a histogram over bins, its loss a cross-entropy.

The bins are given by their ``edges``, m + 1 increasing numbers. The targets, histograms of a
Gaussian, are :func:`xent.reference.softmax.hl_gauss_targets`.
"""

from __future__ import annotations

import numpy as np

from xent.reference import arguments
from xent.reference.softmax import hl_gauss_targets, log_softmax, softmax


def hl_gauss_loss(logits, values, edges, sigma: float) -> np.ndarray:
    r"""Return the cross-entropy of a histogram's logits and the HL-Gauss target of each value.

    .. math:: -\sum_i p_i(y) \log \operatorname{softmax}(z)_i, \qquad
        p_i(y) \propto \Phi\!\left(\frac{e_{i+1} - y}{\sigma}\right)
        - \Phi\!\left(\frac{e_i - y}{\sigma}\right)

    Its gradient by the logits is :math:`\operatorname{softmax}(z) - p(y)`, with entries in
    [-1, 1] however far the prediction is off.

    Args:
        logits: array ``(..., m)``; :math:`-\infty` masks a bin.
        values: array ``(...)`` of numbers inside ``[edges[0], edges[-1]]``.
        edges: increasing array ``(m + 1,)``, the borders of the bins.
        sigma: positive width of the Gaussian, in the unit of ``values``.

    Returns:
        float64 array ``(...)``, nats; infinite where a masked bin has mass.

    Raises:
        ValueError: for bad logits, edges that do not increase, a value outside them, ``sigma`` not
            positive, or shapes that do not match.
        TypeError: if an argument is no array of numbers.

    Source: *Stop Regressing* (HL-Gauss); chapter *The log-partition function*, section on
    regression as classification.
    """
    log_p = log_softmax(logits)
    targets = hl_gauss_targets(values, edges, sigma)
    if targets.shape != log_p.shape:
        raise ValueError(f"logits must have shape {targets.shape}, got {log_p.shape}")
    return -np.sum(targets * np.where(targets > 0, log_p, 0.0), axis=-1)


def histogram_mean(logits, edges) -> np.ndarray:
    r"""Return the mean of a histogram, :math:`\sum_i \operatorname{softmax}(z)_i\, c_i`.

    The prediction of a network trained with :func:`hl_gauss_loss`; :math:`c_i` is the middle of
    bin i, so the mean lies between the first and the last middle.

    Args:
        logits: array ``(..., m)``; :math:`-\infty` masks a bin, but not all of a row.
        edges: increasing array ``(m + 1,)``, the borders of the bins.

    Returns:
        float64 array ``(...)``, in the unit of ``edges``.

    Raises:
        ValueError: for bad logits, edges that do not increase, or shapes that do not match.
        TypeError: if an argument is no array of numbers.

    Source: *Stop Regressing* (HL-Gauss); chapter *The log-partition function*, section on
    regression as classification.
    """
    p, edges = softmax(logits), arguments.finite(edges, "edges", ndim=1)
    if (np.diff(edges) <= 0).any():
        raise ValueError("edges must increase")
    if len(edges) != p.shape[-1] + 1:
        raise ValueError(f"edges must have {p.shape[-1] + 1} entries, got {len(edges)}")
    return p @ ((edges[1:] + edges[:-1]) / 2)
