"""Twins of ``xent.reference.softmax``."""

from __future__ import annotations

import numpy as np

from xent.ops import softmax as ops
from xent.parity import Case, Tolerance, Twin
from xent.reference import softmax as reference

SHAPES = ((1, 1), (3, 5), (2, 127), (2, 128), (2, 129), (2, 300))
LARGE = ((1, 1), (7, 4095), (5, 4096), (3, 4097), (64, 32001), (16, 128256))


def logit_cases(large: bool):
    """Logits of awkward shapes and sizes; the kernels' tiles are 128 and 4096 wide."""
    rng = np.random.default_rng(4)
    for n, v in LARGE if large else SHAPES:
        yield Case(f"normal {n}x{v}", (3 * rng.normal(size=(n, v)),))
    z = rng.normal(size=(3, 150))
    yield Case("offset +1e4", (z + 1e4,))
    yield Case("offset -1e4", (z - 1e4,))
    yield Case("extreme gaps", (np.where(rng.random(z.shape) < 0.5, 100.0, -100.0) + z,))
    yield Case("ties", (np.round(z),))
    yield Case("all equal", (np.full((2, 140), 3.0),))
    yield Case("masked classes", (np.where(rng.random(z.shape) < 0.7, -np.inf, z),))
    yield Case("first tile masked", (np.where(np.arange(150) < 130, -np.inf, z),))
    yield Case("strided", (z,), layout="strided")
    yield Case("zero rows", (z[:0],))
    yield Case("three axes", (rng.normal(size=(2, 3, 33)),))
    yield Case("first axis", (rng.normal(size=(140, 3)),), {"axis": 0})


def label_cases(large: bool):
    """Logits with labels: random, nearly certain, ignored, misaligned."""
    rng = np.random.default_rng(5)
    for case in logit_cases(large):
        z = case.arguments[0]
        if "axis" not in case.options:
            labels = rng.integers(0, z.shape[-1], size=z.shape[:-1])
            if "masked" in case.name:
                labels = z.argmax(-1)
            yield Case(case.name, (z, labels), layout=case.layout)
    gaps = np.linspace(1.0, 60.0, 6)
    z = rng.normal(size=(6, 150))
    labels = rng.integers(0, 150, size=6)
    z[np.arange(6), labels] = z.max(-1) + gaps
    yield Case("nearly certain", (z, labels))
    yield Case("nearly certain, offset", (z + 1e4, labels))
    yield Case("wrong by a wide margin", (z, (labels + 1) % 150))
    yield Case("ignored", (z, np.where(np.arange(6) % 3, labels, -100)))
    yield Case("all ignored", (z, np.full(6, 7)), {"ignore_index": 7})
    yield Case("misaligned labels", (z, labels), layout="misaligned")
    yield Case("int32 labels", (z, labels.astype(np.int32)))


def option_cases(large: bool):
    """Label smoothing and z-loss, over more than one tile."""
    rng = np.random.default_rng(6)
    classes = 5000 if large else 150
    plain = rng.normal(size=(6, classes)), rng.integers(0, classes, size=6)
    yield Case("smoothing", plain, {"label_smoothing": 0.1})
    yield Case("smoothing, offset", (plain[0] + 1e4, plain[1]), {"label_smoothing": 0.1})
    yield Case("only smoothing", plain, {"label_smoothing": 1.0})
    yield Case("z-loss", plain, {"z_loss": 1e-2})
    yield Case("both", plain, {"label_smoothing": 0.2, "z_loss": 0.1})
    masked = np.where(np.arange(classes) < 140, -np.inf, plain[0]), np.full(6, classes - 1)
    yield Case("z-loss, first tile masked", masked, {"z_loss": 0.1})
    yield Case("smoothing, first tile masked", masked, {"label_smoothing": 0.1})


def softmax_gradient(upstream, logits, axis=-1):
    """Analytic: ``p_j (g_j - sum_k g_k p_k)``."""
    p = reference.softmax(logits, axis)
    return (p * (upstream - (upstream * p).sum(axis, keepdims=True)),)


def log_softmax_gradient(upstream, logits, axis=-1):
    """Analytic: ``g_j - p_j sum_k g_k``."""
    p = reference.softmax(logits, axis)
    return (upstream - p * upstream.sum(axis, keepdims=True),)


def logsumexp_gradient(upstream, logits, axis=-1):
    """Analytic: ``g p_j``."""
    return (np.expand_dims(upstream, axis) * reference.softmax(logits, axis),)


def cross_entropy_gradient(
    upstream, logits, labels, ignore_index=-100, label_smoothing=0.0, z_loss=0.0
):
    """Analytic, with ``p_y - 1`` as ``expm1(log p_y)``."""
    p = reference.softmax(logits)
    counted = (labels != ignore_index)[..., None]
    target = np.where(counted, labels[..., None], 0)
    is_target = np.arange(p.shape[-1]) == target
    data = np.where(is_target, np.expm1(reference.log_softmax(logits)), p)
    smooth = p - 1.0 / p.shape[-1]
    lse = reference.logsumexp(logits)[..., None]
    slope = (1 - label_smoothing) * data + label_smoothing * smooth + 2 * z_loss * lse * p
    return (np.where(counted, upstream[..., None] * slope, 0.0),)


ROWS = (
    Twin(
        name="softmax.logsumexp",
        reference=reference.logsumexp,
        op=ops.logsumexp,
        cases=logit_cases,
        tolerance={dtype: Tolerance(1e-6) for dtype in ("float32", "float16", "bfloat16")},
        because="float32 inside and out whatever the logits: a few roundings of the sum",
        gradient=logsumexp_gradient,
        gradient_tolerance={
            "float32": Tolerance(1e-5, 1e-6),
            "float16": Tolerance(2e-3, 1e-4),
            "bfloat16": Tolerance(1e-2, 1e-6),
        },
    ),
    Twin(
        name="softmax.softmax",
        reference=reference.softmax,
        op=ops.softmax,
        cases=logit_cases,
        tolerance={
            "float32": Tolerance(1e-5, 1e-6),
            "float16": Tolerance(2e-3, 1e-4),
            "bfloat16": Tolerance(1e-2, 1e-6),
        },
        because="exp(z - m) is wrong by |z - m| roundings; half types round (the interpreter "
        "truncates) the result once, and float16 loses digits below 6e-5",
        gradient=softmax_gradient,
        gradient_tolerance={
            "float32": Tolerance(1e-5, 1e-2),
            "float16": Tolerance(1e-2, 1e-2),
            "bfloat16": Tolerance(5e-2, 1e-2),
        },
    ),
    Twin(
        name="softmax.log_softmax",
        reference=reference.log_softmax,
        op=ops.log_softmax,
        cases=logit_cases,
        tolerance={
            "float32": Tolerance(1e-5, 1e-30),
            "float16": Tolerance(2e-3, 1e-4),
            "bfloat16": Tolerance(1e-2, 1e-30),
        },
        because="leave-max-out: relative accuracy at every size; half types round once",
        gradient=log_softmax_gradient,
        gradient_tolerance={
            "float32": Tolerance(1e-5),
            "float16": Tolerance(1e-2),
            "bfloat16": Tolerance(5e-2),
        },
    ),
    Twin(
        name="softmax.cross_entropy_with_logits",
        reference=reference.cross_entropy_with_logits,
        op=ops.cross_entropy_with_logits,
        cases=label_cases,
        tolerance={dtype: Tolerance(1e-5, 1e-30) for dtype in ("float32", "float16", "bfloat16")},
        because="relative, down to losses of 1e-27: leaving the largest term out, nothing cancels; "
        "e^-60 is wrong by 60 roundings",
        gradient=cross_entropy_gradient,
        gradient_tolerance={
            "float32": Tolerance(1e-5, 1e-30),
            "float16": Tolerance(2e-3, 1e-4),
            "bfloat16": Tolerance(1e-2, 1e-30),
        },
        op_options={"reduction": "none"},
    ),
    Twin(
        name="softmax.cross_entropy_with_logits (options)",
        reference=reference.cross_entropy_with_logits,
        op=ops.cross_entropy_with_logits,
        cases=option_cases,
        tolerance={dtype: Tolerance(1e-5) for dtype in ("float32", "float16", "bfloat16")},
        because="float32 sums; with smoothing the gradient p - 1/V crosses zero",
        gradient=cross_entropy_gradient,
        gradient_tolerance={
            "float32": Tolerance(1e-5, 1e-2),
            "float16": Tolerance(2e-3, 1e-2),
            "bfloat16": Tolerance(1e-2, 1e-2),
        },
        op_options={"reduction": "none"},
    ),
)
