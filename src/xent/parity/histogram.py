"""Twins of ``xent.reference.histogram``.

Edges and values are multiples of 1/8, which every dtype holds exactly: the references ask for
values inside the edges, and rounding would move them out.
"""

from __future__ import annotations

import numpy as np

from xent.ops import histogram as ops
from xent.parity import Case, Tolerance, Twin
from xent.reference import histogram as reference
from xent.reference import softmax

HALVES = ("float32", "float16", "bfloat16")
GRADIENTS = {
    "float32": Tolerance(1e-5, 1e-1),
    "float16": Tolerance(2e-3, 1e-1),
    "bfloat16": Tolerance(1e-2, 1e-1),
}


def logits_and_edges(large: bool):
    """Logits of ordinary and awkward size with even and uneven bins."""
    rng = np.random.default_rng(21)
    for n, m in ((1, 1), (3, 2), (4, 17), (512, 101) if large else (5, 33)):
        edges = np.arange(m + 1) / 4 - 2
        yield f"normal {n}x{m}", 3 * rng.normal(size=(n, m)), edges, {}
    uneven = np.array([-3.0, -2.5, -2.375, 0.0, 1.0, 1.125, 4.0])
    z = rng.normal(size=(5, 6))
    yield "uneven bins", z, uneven, {}
    yield "offset +1e4", z + 1e4, uneven, {}
    yield "nearly certain", z + 60.0 * (np.arange(6) == 2), uneven, {}
    yield "all equal", np.zeros((2, 6)), uneven, {}
    yield "strided", z, uneven, {"layout": "strided"}
    yield "zero rows", z[:0], uneven, {}
    yield "three axes", rng.normal(size=(2, 3, 6)), uneven, {}


def loss_cases(large: bool):
    """Values anywhere in the bins, at both borders; narrow, usual and wide Gaussians."""
    rng = np.random.default_rng(22)
    for name, z, edges, layout in logits_and_edges(large):
        low, high = int(8 * edges[0]), int(8 * edges[-1])
        values = rng.integers(low, high + 1, size=z.shape[:-1]) / 8
        if values.size > 1:
            values.flat[0], values.flat[-1] = edges[0], edges[-1]
        for sigma in (0.02, 0.1875, 50.0):
            yield Case(f"{name}, sigma {sigma}", (z, values, edges, sigma), **layout)


def loss_gradient(upstream, logits, values, edges, sigma):
    """Analytic: the softmax minus the target."""
    targets = softmax.hl_gauss_targets(values, edges, sigma)
    return (upstream[..., None] * (softmax.softmax(logits) - targets),)


def mean_cases(large: bool):
    """The same logits and bins."""
    for name, z, edges, layout in logits_and_edges(large):
        yield Case(name, (z, edges), **layout)


def mean_gradient(upstream, logits, edges):
    """Analytic: ``p_i (c_i - mean)``."""
    centers = (edges[1:] + edges[:-1]) / 2
    spread = centers - reference.histogram_mean(logits, edges)[..., None]
    return (upstream[..., None] * softmax.softmax(logits) * spread,)


ROWS = (
    Twin(
        name="histogram.hl_gauss_loss",
        reference=reference.hl_gauss_loss,
        op=ops.hl_gauss_loss,
        cases=loss_cases,
        tolerance={dtype: Tolerance(5e-6) for dtype in HALVES},
        because="float32 log-probabilities; targets in float64, rounded once",
        gradient=loss_gradient,
        gradient_tolerance=GRADIENTS,
        op_options={"reduction": "none"},
    ),
    Twin(
        name="histogram.histogram_mean",
        reference=reference.histogram_mean,
        op=ops.histogram_mean,
        cases=mean_cases,
        tolerance={dtype: Tolerance(1e-5) for dtype in HALVES},
        because="a float32 mean of bins that may cancel; exp(z - m) is wrong by |z - m| roundings",
        gradient=mean_gradient,
        gradient_tolerance=GRADIENTS,
        backends=("torch",),
    ),
)
