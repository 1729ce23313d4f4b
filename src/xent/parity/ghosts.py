"""Twins of ``xent.reference.ghosts``."""

from __future__ import annotations

import numpy as np

from xent.ops import ghosts as ops
from xent.parity import Case, Tolerance, Twin
from xent.reference import ghosts as reference

ROUNDING = {"float64": Tolerance(1e-12), "float32": Tolerance(2e-6)}


def slope_cases(large: bool):
    """Slopes of awkward shapes: one class, ties, a large common offset, no rows."""
    rng = np.random.default_rng(8)
    for n, k in ((1, 2), (3, 5), (2, 129)) + (((16, 128256),) if large else ()):
        yield Case(f"normal {n}x{k}", (rng.normal(size=(n, k)),))
    yield Case("offset", (rng.normal(size=(3, 7)) + 100.0,))
    yield Case("ties", (np.round(rng.normal(size=(4, 9))),))
    yield Case("strided", (rng.normal(size=(3, 20)),), layout="strided")
    yield Case("zero rows", (np.empty((0, 4)),))
    yield Case("three axes", (rng.normal(size=(2, 3, 11)),))


def equal_slope_cases(large: bool):
    """As above, and rows in which nothing moves."""
    yield from slope_cases(large)
    yield Case("one class", (np.array([[3.0], [-1.0]]),))


def step_cases(large: bool):
    """Descent, curvature and spread over twelve decades of their ratio."""
    rng = np.random.default_rng(9)
    size = 1000 if large else 40
    ratio = np.logspace(-2, 5, size)
    curvature, spread = rng.uniform(0.1, 2, size), rng.uniform(0.1, 5, size)
    yield Case("small to large", (ratio * curvature / spread, curvature, spread))
    yield Case("no descent", (np.zeros(3), np.ones(3), np.ones(3)))


def spread_gradient(upstream, slopes):
    """One at the largest slope, minus one at the smallest, shared between ties."""
    top = slopes == slopes.max(-1, keepdims=True)
    low = slopes == slopes.min(-1, keepdims=True)
    shares = top / top.sum(-1, keepdims=True) - low / low.sum(-1, keepdims=True)
    return (upstream[..., None] * shares,)


def radius_gradient(upstream, slopes):
    """Chain rule: ``-pi / spread^2`` times the gradient of the spread."""
    return spread_gradient(-np.pi / reference.slope_spread(slopes) ** 2 * upstream, slopes)


ROWS = (
    Twin(
        name="ghosts.slope_spread",
        reference=reference.slope_spread,
        op=ops.slope_spread,
        cases=equal_slope_cases,
        tolerance=ROUNDING,
        because="one subtraction of the rounded inputs",
        gradient=spread_gradient,
        backends=("torch",),
    ),
    Twin(
        name="ghosts.radius_lower_bound",
        reference=reference.radius_lower_bound,
        op=ops.radius_lower_bound,
        cases=slope_cases,
        tolerance=ROUNDING,
        because="one subtraction and one division",
        gradient=radius_gradient,
        gradient_tolerance={"float64": Tolerance(1e-9), "float32": Tolerance(1e-4)},
        backends=("torch",),
    ),
    Twin(
        name="ghosts.descent_step",
        reference=reference.descent_step,
        op=ops.descent_step,
        cases=step_cases,
        tolerance={"float64": Tolerance(1e-10), "float32": Tolerance(1e-4)},
        because="the equation's root is ill-conditioned as c tends to 0: rounding error over c",
        backends=("torch",),
    ),
)
