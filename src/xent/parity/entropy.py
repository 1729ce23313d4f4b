"""Twins of ``xent.reference.entropy``.

Probabilities are counts over 256, which every dtype holds exactly: the references ask for sums of
one, and rounding would break them.
"""

from __future__ import annotations

import numpy as np

from xent.ops import entropy as ops
from xent.parity import Case, Tolerance, Twin
from xent.reference import entropy as reference
from xent.reference import softmax

HALVES = ("float32", "float16", "bfloat16")


def probability_cases(large: bool, laws: int = 1):
    """One or two laws per row, all outcomes possible; sharp, flat, one outcome, other axes."""
    rng = np.random.default_rng(8)

    def draw(n, v, concentration):
        spread = rng.dirichlet(np.full(v, concentration), size=n)
        return (1.0 + np.stack([rng.multinomial(256 - v, row) for row in spread])) / 256

    for n, v in ((1, 1), (3, 2), (4, 17), (512 if large else 5, 100)):
        yield Case(f"{n}x{v}", tuple(draw(n, v, 1.0) for _ in range(laws)))
    sharp = tuple(draw(4, 9, 0.05) for _ in range(laws))
    yield Case("sharp", sharp)
    yield Case("equal laws", (sharp[0],) * laws)
    yield Case("strided", sharp, layout="strided")
    yield Case("first axis", tuple(p.T for p in sharp), {"axis": 0})
    yield Case("three axes", tuple(p.reshape(2, 2, 9) for p in sharp))


def pair_cases(large: bool):
    """Two laws per row."""
    return probability_cases(large, laws=2)


def logit_cases(large: bool, arrays: int = 1):
    """Logits of ordinary and awkward size; masks are shared, so that divergences are finite."""
    rng = np.random.default_rng(9)
    for n, v in ((1, 1), (3, 5), (2, 129), (64, 32001) if large else (2, 300)):
        yield Case(f"normal {n}x{v}", tuple(2 * rng.normal(size=(n, v)) for _ in range(arrays)))
    z = tuple(rng.normal(size=(3, 150)) for _ in range(arrays))
    mask = rng.random((3, 150)) < 0.6
    yield Case("offset 1e4", tuple(1e4 + np.round(a) for a in z))
    yield Case("masked classes", tuple(np.where(mask, -np.inf, a) for a in z))
    yield Case("nearly certain", tuple(a + 40.0 * (np.arange(150) == 7) for a in z))
    yield Case("same logits", (z[0],) * arrays)
    yield Case("strided", z, layout="strided")
    yield Case("first axis", tuple(a.T for a in z), {"axis": 0})


def two_logit_cases(large: bool):
    """Two arrays of logits."""
    return logit_cases(large, arrays=2)


def entropy_gradient(upstream, p, axis=-1):
    """Analytic: ``-(log p + 1)``."""
    return (-np.expand_dims(upstream, axis) * (np.log(p) + 1.0),)


def cross_entropy_gradient(upstream, p, q, axis=-1):
    """Analytic: ``-log q`` and ``-p / q``."""
    g = np.expand_dims(upstream, axis)
    return -g * np.log(q), -g * p / q


def kl_gradient(upstream, p, q, axis=-1):
    """Analytic: ``log(p / q) + 1`` and ``-p / q``."""
    g = np.expand_dims(upstream, axis)
    return g * (np.log(p / q) + 1.0), -g * p / q


def js_gradient(upstream, p, q, axis=-1):
    """Analytic: half of ``log(p / m)`` and ``log(q / m)``."""
    g, m = np.expand_dims(upstream, axis) / 2, (p + q) / 2
    return g * np.log(p / m), g * np.log(q / m)


def entropy_from_logits_gradient(upstream, logits, axis=-1):
    """Analytic: ``-p (log p + H)``."""
    p = softmax.softmax(logits, axis)
    log_p = np.where(p > 0, softmax.log_softmax(logits, axis), 0.0)
    h = np.expand_dims(reference.entropy_from_logits(logits, axis), axis)
    return (-np.expand_dims(upstream, axis) * p * (log_p + h),)


def kl_from_logits_gradient(upstream, p_logits, q_logits, axis=-1):
    """Analytic: ``p (log p - log q - D)`` and ``q - p``."""
    g = np.expand_dims(upstream, axis)
    p, q = softmax.softmax(p_logits, axis), softmax.softmax(q_logits, axis)
    log_p, log_q = (softmax.log_softmax(z, axis) for z in (p_logits, q_logits))
    gap = np.subtract(log_p, log_q, out=np.zeros_like(p), where=p > 0)
    d = np.expand_dims(reference.kl_from_logits(p_logits, q_logits, axis), axis)
    return g * p * (gap - d), g * (q - p)


def _twin(name, cases, gradient, differentiable=(0,), backends=("torch",), because=""):
    return Twin(
        name=f"entropy.{name}",
        reference=getattr(reference, name),
        op=getattr(ops, name),
        cases=cases,
        tolerance={dtype: Tolerance(2e-6) for dtype in HALVES},
        because=because or "float32 sums of at most a few hundred terms",
        gradient=gradient,
        gradient_tolerance={
            "float32": Tolerance(2e-5, 1e-1),
            "float16": Tolerance(2e-3, 1e-1),
            "bfloat16": Tolerance(1e-2, 1e-1),
        },
        differentiable=differentiable,
        op_options={"reduction": "none"},
        backends=backends,
    )


BOTH = ("torch", "triton")
FROM_LOGITS = "float32 log-probabilities by leaving the maximum out; each term is p log p"

ROWS = (
    _twin("entropy", probability_cases, entropy_gradient),
    _twin("cross_entropy", pair_cases, cross_entropy_gradient, (0, 1)),
    _twin("kl_divergence", pair_cases, kl_gradient, (0, 1)),
    _twin("js_divergence", pair_cases, js_gradient, (0, 1)),
    _twin(
        "entropy_from_logits",
        logit_cases,
        entropy_from_logits_gradient,
        backends=BOTH,
        because=FROM_LOGITS,
    ),
    _twin("kl_from_logits", two_logit_cases, kl_from_logits_gradient, (0, 1), BOTH, FROM_LOGITS),
)
