"""Twins of ``xent.reference.comp_sum``."""

from __future__ import annotations

import numpy as np

from xent.ops import comp_sum as ops
from xent.parity import Case, Tolerance, Twin
from xent.reference import comp_sum as reference
from xent.reference import softmax

TAUS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
SHAPES = ((1, 1), (3, 5), (4, 128), (3, 129))
LARGE = ((1, 1), (5, 4096), (3, 4097), (16, 128256))


def loss_cases(large: bool):
    """Every member from nearly certain to nearly impossible labels."""
    rng = np.random.default_rng(11)
    for (n, v), tau in zip(LARGE if large else SHAPES, TAUS[1:], strict=False):
        z = 3 * rng.normal(size=(n, v))
        yield Case(f"normal {n}x{v}", (z, rng.integers(0, v, size=n)), {"tau": tau})
    z = rng.normal(size=(12, 150))
    labels = rng.integers(0, 150, size=12)
    certain = z.copy()
    certain[np.arange(12), labels] = z.max(-1) + np.linspace(1.0, 50.0, 12)
    masked = np.where(rng.random(z.shape) < 0.6, -np.inf, z)
    for tau in TAUS:
        options = {"tau": tau}
        yield Case(f"nearly certain, tau {tau}", (certain, labels), options)
        scale = 1.0 if tau >= 1 else 0.1  # below 1 the gradient passes float16's range
        unlikely = scale * certain, (labels + 1) % 150
        yield Case(f"nearly impossible, tau {tau}", unlikely, options)
        yield Case(f"masked classes, tau {tau}", (masked, masked.argmax(-1)), options)
    yield Case("offset +1e4", (z + 1e4, labels), {"tau": 1.7})
    yield Case("offset -1e4", (z - 1e4, labels), {"tau": 0.3})
    yield Case("extreme gaps", (100 * np.sign(z) + z, labels), {"tau": 1.3})
    yield Case("all equal", (np.full((2, 140), 3.0), np.array([0, 139])), {"tau": 2.0})
    yield Case("strided", (z, labels), {"tau": 1.4}, layout="strided")
    yield Case("misaligned labels", (z, labels), {"tau": 0.8}, layout="misaligned")
    yield Case("zero rows", (z[:0], labels[:0]), {"tau": 1.5})


def loss_gradient(upstream, logits, labels, tau=1.0):
    """Analytic: ``s^(tau-1) (p - e_y)``, with ``p_y - 1`` as ``expm1(log p_y)``."""
    logs = softmax.log_softmax(logits)
    is_label = np.arange(logits.shape[-1]) == labels[:, None]
    label_log = np.take_along_axis(logs, labels[:, None], axis=-1)
    slope = np.where(is_label, np.expm1(logs), np.exp(logs))
    return (upstream[:, None] * np.exp((tau - 1) * label_log) * slope,)


def smooth_cases(large: bool):
    """Clean and moved logits, small and large moves."""
    rng = np.random.default_rng(12)
    classes = 4097 if large else 150
    z = rng.normal(size=(6, classes))
    labels = rng.integers(0, classes, size=6)
    for tau, rho, nu, size in ((1.0, 1.0, 0.5, 0.1), (0.5, 2.0, 1.0, 1.0), (1.5, 0.7, 3.0, 5.0)):
        moved = z + size * rng.normal(size=z.shape)
        options = {"tau": tau, "rho": rho, "nu": nu}
        yield Case(f"move {size}", (z, moved, labels), options)
        yield Case(f"move {size}, two classes", (z[:, :2], moved[:, :2], labels % 2), options)
    yield Case("strided", (z, moved, labels), {"tau": 1.0}, layout="strided")


def smooth_gradient(upstream, logits, moved, labels, tau=1.0, rho=1.0, nu=1.0):
    """Analytic: the label's coordinate collects minus the sum of the other differences."""
    (slope,) = loss_gradient(upstream / rho, logits / rho, labels, tau)
    shift = moved - logits
    gaps = np.take_along_axis(shift, labels[:, None], axis=-1) - shift
    direction = gaps / np.linalg.norm(gaps, axis=-1, keepdims=True)
    is_label = np.arange(logits.shape[-1]) == labels[:, None]
    pull = np.where(is_label, direction.sum(-1, keepdims=True), -direction)
    pull *= nu * upstream[:, None]
    return slope - pull, pull


ROWS = (
    Twin(
        name="comp_sum.comp_sum_loss",
        reference=reference.comp_sum_loss,
        op=ops.comp_sum_loss,
        cases=loss_cases,
        tolerance={dtype: Tolerance(2e-5, 1e-30) for dtype in ("float32", "float16", "bfloat16")},
        because="relative at every size: the exponent (tau - 1) * loss is wrong by as many "
        "roundings as it is large, at most 100 here",
        gradient=loss_gradient,
        gradient_tolerance={
            "float32": Tolerance(3e-5, 1e-30),
            "float16": Tolerance(2e-3, 1e-4),
            "bfloat16": Tolerance(1e-2, 1e-30),
        },
        op_options={"reduction": "none"},
    ),
    Twin(
        name="comp_sum.smooth_adversarial_comp_sum",
        reference=reference.smooth_adversarial_comp_sum,
        op=ops.smooth_adversarial_comp_sum,
        cases=smooth_cases,
        tolerance={"float32": Tolerance(1e-5)},
        because="a norm of differences of float32 logits; half types lose the difference itself",
        gradient=smooth_gradient,
        differentiable=(0, 1),
        gradient_tolerance={"float32": Tolerance(1e-4, 1e-1)},
        op_options={"reduction": "none"},
    ),
)
