"""Twins of ``xent.reference.ldr``."""

from __future__ import annotations

import numpy as np

from xent.ops import ldr as ops
from xent.parity import Case, Tolerance, Twin
from xent.reference import ldr as reference

SHAPES = ((1, 1), (3, 2), (4, 10), (3, 129))
LARGE = ((1, 1), (512, 10), (64, 1000), (16, 32001))


def loss_cases(large: bool):
    """Temperatures from cold to hot, with and without margin, limits, ties, offsets."""
    rng = np.random.default_rng(21)
    prices = (0.3, 1.0, 10.0, 1e3)
    for (n, k), lam in zip(LARGE if large else SHAPES, prices, strict=True):
        z, y = 2 * rng.normal(size=(n, k)), rng.integers(0, k, size=n)
        yield Case(f"normal {n}x{k}, lam {lam}", (z, y, lam), {"margin": 0.5})
    z, y = rng.normal(size=(6, 20)), rng.integers(0, 20, size=6)
    for lam in (0.0, 0.05, 1e6, np.inf):
        yield Case(f"lam {lam}", (z, y, lam), {"margin": 1.0})
    yield Case("nearly certain", (z + 60.0 * (np.arange(20) == y[:, None]), y, 1.0))
    yield Case("all equal", (np.full((2, 7), 3.0), np.array([0, 6]), 2.0))
    yield Case("strided", (z, y, 0.7), layout="strided")
    yield Case("misaligned labels", (z, y, 0.7), layout="misaligned")
    yield Case("zero rows", (z[:0], y[:0], 1.0))


def row_cases(large: bool):
    """One temperature for each example."""
    rng = np.random.default_rng(22)
    for n, k in LARGE if large else SHAPES:
        z, y = 2 * rng.normal(size=(n, k)), rng.integers(0, k, size=n)
        yield Case(f"{n}x{k}", (z, y, rng.uniform(0.2, 8.0, size=n)), {"margin": 0.3})


def adaptive_cases(large: bool):
    """Flat and sharp examples, two starting temperatures."""
    rng = np.random.default_rng(23)
    for n, k in (LARGE if large else SHAPES)[1:]:
        for lam0 in (1.0, 10.0):
            size = np.linspace(0.1, 4.0, n)[:, None] * lam0
            z, y = size * rng.normal(size=(n, k)), rng.integers(0, k, size=n)
            options = {"alpha": 4.0, "margin": 0.2}
            yield Case(f"{n}x{k}, lam0 {lam0}", (z, y, lam0), options)
    leads = np.append(3.0 * np.eye(6, 20), 9.0 * np.eye(6, 20), axis=0)  # either side of the jump
    yield Case("several maxima", (leads, np.zeros(12, dtype=int), 1.0), {"alpha": 1.3})
    yield Case("all equal", (np.zeros((2, 5)), np.array([0, 4]), 1.0))
    yield Case("strided", (z, y, 1.0), {"alpha": 4.0}, layout="strided")


def loss_gradient(upstream, logits, labels, lam=1.0, margin=0.0):
    """Worst-case labels minus the label's indicator; at the ends one-hot and uniform."""
    is_label = np.arange(logits.shape[-1]) == labels[:, None]
    if lam == np.inf:
        worst = np.full(logits.shape, 1 / logits.shape[-1])
    elif lam == 0:
        delta = reference.label_margins(logits, labels, margin)
        worst = (delta == delta.max(-1, keepdims=True)).astype(float)
        worst /= worst.sum(-1, keepdims=True)
    else:
        worst = reference.worst_case_labels(logits, labels, lam, margin)
    return (upstream[:, None] * (worst - is_label),)


def row_gradient(upstream, logits, labels, lam, margin=0.0):
    """As above, and in the temperature minus the divergence from the uniform law."""
    worst = reference.worst_case_labels(logits, labels, lam, margin)
    is_label = np.arange(logits.shape[-1]) == labels[:, None]
    safe = np.where(worst > 0, worst, 1.0)
    divergence = np.log(logits.shape[-1]) + np.sum(worst * np.log(safe), axis=-1)
    return upstream[:, None] * (worst - is_label), -upstream * divergence


def adaptive_gradient(upstream, logits, labels, lam0=1.0, alpha=2.0, margin=0.0):
    """Envelope theorem: the slope at the optimal temperature, held fixed."""
    lam = reference.optimal_temperature(logits, labels, lam0, alpha, margin)
    worst = reference.worst_case_labels(logits, labels, lam, margin)
    is_label = np.arange(logits.shape[-1]) == labels[:, None]
    return (upstream[:, None] * (worst - is_label),)


ROUNDING = "rounding of the logits' differences, a few units; the floor is one nat"
ROWS = (
    Twin(
        name="ldr.ldr_kl_loss",
        reference=reference.ldr_kl_loss,
        op=ops.ldr_kl_loss,
        cases=loss_cases,
        tolerance={"float64": Tolerance(1e-12), "float32": Tolerance(1e-5)},
        because=ROUNDING,
        gradient=loss_gradient,
        op_options={"reduction": "none"},
        backends=("torch",),
    ),
    Twin(
        name="ldr.ldr_kl_loss (row temperatures)",
        reference=reference.ldr_kl_loss,
        op=ops.ldr_kl_loss,
        cases=row_cases,
        tolerance={"float64": Tolerance(1e-12), "float32": Tolerance(1e-5)},
        because=ROUNDING,
        gradient=row_gradient,
        gradient_tolerance={"float64": Tolerance(1e-11), "float32": Tolerance(1e-4)},
        differentiable=(0, 2),
        op_options={"reduction": "none"},
        backends=("torch",),
    ),
    Twin(
        name="ldr.aldr_kl_loss",
        reference=reference.aldr_kl_loss,
        op=ops.aldr_kl_loss,
        cases=adaptive_cases,
        tolerance={"float64": Tolerance(1e-11), "float32": Tolerance(3e-5)},
        because="as the loss; an error of the temperature enters squared",
        gradient=adaptive_gradient,
        gradient_tolerance={"float64": Tolerance(1e-8), "float32": Tolerance(1e-3)},
        op_options={"reduction": "none"},
        backends=("torch",),
    ),
    Twin(
        name="ldr.optimal_temperature",
        reference=reference.optimal_temperature,
        op=ops.optimal_temperature,
        cases=adaptive_cases,
        tolerance={"float64": Tolerance(1e-9), "float32": Tolerance(1e-3)},
        because="the fixed point multiplies rounding by 1/(1 - slope)",
        differentiable=(),
        backends=("torch",),
    ),
)
