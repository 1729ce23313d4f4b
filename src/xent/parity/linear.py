"""Twins of ``xent.reference.linear``."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F

from xent.ops import linear as ops
from xent.parity import Case, Tolerance, Twin, autograd
from xent.reference import linear as reference

SHAPES = ((1, 3, 1), (5, 17, 31), (16, 32, 64), (17, 33, 65))
LARGE = ((1, 3, 1), (127, 65, 8191), (128, 64, 8192), (129, 257, 8193), (512, 1024, 50257))


def heads(large: bool):
    """Hidden states, head and labels: ragged around the tiles, gaps, ties, offsets, ignored."""
    rng = np.random.default_rng(6)
    for n, d, v in LARGE if large else SHAPES:
        yield Case(f"normal {n}x{d}x{v}", _head(rng, n, d, v))
    hidden, weight, labels = _head(rng, 6, 16, 40)
    yield Case("ignored", (hidden, weight, np.where(np.arange(6) % 2, labels, -100)))
    yield Case("all ignored", (hidden, weight, np.full(6, 50)), {"ignore_index": 50})
    yield Case("zero rows", (hidden[:0], weight, labels[:0]))
    yield Case("three axes", (hidden.reshape(2, 3, 16), weight, labels.reshape(2, 3)))
    yield Case("strided", (hidden, weight, labels), layout="strided")
    yield Case("misaligned labels", (hidden, weight, labels), layout="misaligned")
    yield Case("ties", (np.ones((2, 16)), np.ones((40, 16)), np.array([0, 39])))
    lift = np.zeros_like(hidden)
    lift[:, 0] = 16.0
    for height in (-8.0, 8.0):
        level = weight.copy()
        level[:, 0] = height
        yield Case(f"offset {16 * height:+.0f}", (hidden + lift, level, labels))
    gaps = np.linspace(10.0, 60.0, 6)
    peaked = np.zeros((6, 16))
    peaked[np.arange(6), np.arange(6)] = gaps
    basis = np.zeros((40, 16))
    basis[np.arange(6), np.arange(6)] = 1.0
    yield Case("nearly certain", (peaked, basis, np.arange(6)))
    yield Case("wrong by a wide margin", (peaked, basis, (np.arange(6) + 1) % 6))


def losses(large: bool):
    """The heads, and every option of the loss."""
    yield from heads(large)
    rng = np.random.default_rng(7)
    plain = _head(rng, 6, 16, 40)
    for tau in (0.0, 0.5, 1.5, 2.0):
        yield Case(f"tau {tau}", plain, {"tau": tau})
    yield Case("smoothing", plain, {"label_smoothing": 0.1})
    yield Case("z-loss", plain, {"z_loss": 0.01})
    yield Case("temperature", plain, {"temperature": 0.7})
    yield Case("softcap", plain, {"softcap": 2.0, "temperature": 1.3})
    yield Case("all options", plain, {"label_smoothing": 0.2, "z_loss": 0.1, "softcap": 3.0})
    yield Case("shift", plain, {"shift": 2})


def pairs(large: bool):
    """Student and teacher: far, close, equal, of different widths."""
    rng = np.random.default_rng(8)
    for n, d, v in LARGE if large else SHAPES:
        hidden, weight, _ = _head(rng, n, d, v)
        yield Case(f"normal {n}x{d}x{v}", (hidden, weight, *_head(rng, n, d + 1, v)[:2]))
    hidden, weight, _ = _head(rng, 6, 16, 40)
    nudge = 2.0**-10 * np.round(4 * rng.normal(size=weight.shape))
    coarse = np.round(16 * weight) / 16
    yield Case("close", (hidden, coarse, hidden, coarse + nudge))
    yield Case("equal", (hidden, weight, hidden, weight))
    yield Case("far", (10 * hidden, weight, -10 * hidden, weight))
    yield Case("temperature", (hidden, weight, 2 * hidden, weight), {"temperature": 3.0})
    yield Case("softcap", (hidden, weight, 2 * hidden, weight), {"softcap": 2.0})


def known_classes(large: bool):
    """A teacher known on K classes: ragged around the tiles, all of the mass, extreme offsets."""
    rng = np.random.default_rng(9)
    shapes = [(5, 17, 31, 1), (16, 32, 64, 2), (17, 33, 65, 7), (4, 3, 5, 5)]
    for n, d, v, k in [*shapes, (512, 1024, 50257, 64)] if large else shapes:
        hidden, weight, _ = _head(rng, n, d, v)
        yield Case(f"{k} of {v}", (hidden, weight, *_teacher_of_known(rng, n, v, k)))
    hidden, weight, _ = _head(rng, 6, 16, 40)
    ids, log_q = _teacher_of_known(rng, 6, 40, 3)
    yield Case("zero rows", (hidden[:0], weight, ids[:0], log_q[:0]))
    yield Case("strided", (hidden, weight, ids, log_q), layout="strided")
    yield Case("misaligned ids", (hidden, weight, ids, log_q), layout="misaligned")
    yield Case("temperature", (hidden, weight, ids, log_q), {"temperature": 3.0})
    yield Case("softcap", (hidden, weight, ids, log_q), {"softcap": 2.0})
    for height in (-8.0, 8.0):
        level = np.concatenate([weight, np.full((40, 1), height)], axis=1)
        lifted = np.concatenate([hidden, np.full((6, 1), 16.0)], axis=1)
        yield Case(f"offset {16 * height:+.0f}", (lifted, level, ids, log_q))
    basis = np.eye(40, 16)
    yield Case(
        "sure of a known class", (30 * np.eye(6, 16), basis, np.arange(6)[:, None], log_q[:, :1])
    )
    yield Case(
        "sure of another", (30 * np.eye(6, 16), basis, np.arange(1, 7)[:, None], log_q[:, :1])
    )


def _teacher_of_known(rng, n, v, k):
    """K distinct classes a row, in any order, and log-masses of 0.8 in all, or of 1 for all."""
    ids = np.argsort(rng.random((n, v)), axis=1)[:, :k]
    mass = 1.0 if k == v else 0.8
    return ids, np.log(mass * rng.dirichlet(np.ones(k), size=n) * (1 - 2.0**-8))


def _head(rng, n, d, v):
    weight = 1.5 * rng.normal(size=(v, d)) / np.sqrt(d)
    return rng.normal(size=(n, d)), weight, rng.integers(0, v, size=n)


def formula(
    hidden, weight, labels, *, tau=1.0, ignore_index=-100, label_smoothing=0.0, z_loss=0.0,
    softcap=None, temperature=1.0, shift=0,
):  # fmt: skip
    """The loss as autograd sees it: all logits, the label's left out of the sum."""
    z = _logits(hidden, weight, temperature, softcap)
    if shift:
        missing = torch.full_like(labels[..., :shift], ignore_index)
        labels = torch.cat([labels[..., shift:], missing], dim=-1)
    counted = labels != ignore_index
    y = labels.where(counted, 0)[..., None]
    others = z.scatter(-1, y, -1e300)
    nll = -F.logsigmoid(z.gather(-1, y)[..., 0] - others.logsumexp(-1))
    phi = nll if tau == 1.0 else torch.expm1((1 - tau) * nll) / (1 - tau)
    lse = z.logsumexp(-1)
    uniform = lse - z.mean(-1)
    losses = (1 - label_smoothing) * phi + z_loss * lse**2 + label_smoothing * uniform
    return losses.where(counted, 0.0)


def divergence(hidden, weight, teacher_hidden, teacher_weight, *, temperature=1.0, softcap=None):
    """D(q||p) by log-softmax."""
    log_p = _logits(hidden, weight, temperature, softcap).log_softmax(-1)
    log_q = _logits(teacher_hidden, teacher_weight, temperature, softcap).log_softmax(-1)
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def divergence_from_known(hidden, weight, ids, log_q, *, temperature=1.0, softcap=None):
    """D(q||p) of the ids and one bucket for the rest."""
    log_p = _logits(hidden, weight, temperature, softcap).log_softmax(-1)
    q = log_q.exp()
    losses = (q * (log_q - log_p.gather(-1, ids))).sum(-1)
    if ids.shape[-1] == weight.shape[0]:
        return losses
    rest, p_rest = 1 - q.sum(-1), log_p.scatter(-1, ids, -torch.inf).logsumexp(-1)
    return losses + rest * (rest.log() - p_rest)


def _logits(hidden, weight, temperature, softcap):
    z = hidden @ weight.T
    return (z if softcap is None else softcap * torch.tanh(z / softcap)) / temperature


def statistics_cases(large: bool):
    """Every statistic at once, so that the sweep's optional parts meet."""
    rng = np.random.default_rng(10)
    for n, d, v in LARGE if large else SHAPES:
        hidden, weight, labels = _head(rng, n, d, v)
        teacher = _head(rng, n, d + 2, v)[:2]
        yield Case(
            f"normal {n}x{d}x{v}", (hidden, weight, labels, rng.normal(size=(n, d)), *teacher)
        )
    hidden, weight, labels = _head(rng, 6, 16, 40)
    rest = rng.normal(size=(6, 16)), *_head(rng, 6, 3, 40)[:2]
    yield Case("strided", (hidden, weight, labels, *rest), layout="strided")
    yield Case("zero rows", (hidden[:0], weight, labels[:0], rest[0][:0], rest[1][:0], rest[2]))
    yield Case("ignored", (hidden, weight, np.full(6, -100), *rest), {"temperature": 1.7})


ALL = ("nll", "lse", "entropy", "top2", "margin", "argmax")
ORDERS = {"renyi": (0.5, 1, 2), "tsallis": (1, 1.5)}


@functools.wraps(reference.head_stats)
def _reference_statistics(hidden, weight, labels, direction, teacher_hidden, teacher_weight, **kw):
    teacher = teacher_hidden, teacher_weight
    return reference.head_stats(
        hidden, weight, labels, want=ALL, **ORDERS, direction=direction, teacher=teacher, **kw
    )


@functools.wraps(ops.head_stats)
def _statistics(hidden, weight, labels, direction, teacher_hidden, teacher_weight, **kw):
    teacher = teacher_hidden, teacher_weight
    return ops.head_stats(
        hidden, weight, labels, want=ALL, **ORDERS, direction=direction, teacher=teacher, **kw
    )


def statistics_formula(
    hidden, weight, labels, direction, teacher_hidden, teacher_weight, temperature=1.0
):
    """Every statistic from stored logits, in the order of ``HeadStats`` without ``argmax``."""
    z = hidden @ weight.T / temperature
    log_p, log_q = (
        z.log_softmax(-1),
        (teacher_hidden @ teacher_weight.T / temperature).log_softmax(-1),
    )
    p, q, a = log_p.exp(), log_q.exp(), direction @ weight.T / temperature
    counted = labels >= 0
    y = labels.where(counted, 0)[:, None]
    others = z.scatter(1, y, -torch.inf)
    entropy = -(p * log_p).sum(1)
    half, one_half, two = ((s * log_p).logsumexp(1) for s in (0.5, 1.5, 2.0))
    margin = z.gather(1, y)[:, 0] - others.amax(1)
    second = z.scatter(1, z.argmax(1, keepdim=True), -torch.inf).amax(1)
    mean = (p * a).sum(1)
    high, low = a.amax(1), a.amin(1)
    return (
        (-log_p.gather(1, y)[:, 0]).where(counted, 0.0),
        z.logsumexp(1),
        entropy,
        torch.stack([2 * half, entropy, -two], 1),
        torch.stack([entropy, -2 * torch.expm1(one_half)], 1),
        torch.stack([z.amax(1), second], 1),
        margin.where(counted, 0.0),
        mean,
        (p * (a - mean[:, None]) ** 2).sum(1),
        high,
        low,
        high - low,
        (q * (log_q - log_p)).sum(1),
        (p * (log_p - log_q)).sum(1),
        -(q * log_q).sum(1) + 0 * hidden.sum(),
    )


HALF = ("float16", "bfloat16")
VALUE = {dtype: Tolerance(5e-5, 1e-30) for dtype in ("float32", *HALF)}
SLOPE = {"float32": Tolerance(2e-4, 1.0), "float16": Tolerance(4e-3, 0.1)}
SLOPE["bfloat16"] = Tolerance(2e-2, 0.1)

ROWS = (
    Twin(
        name="linear.linear_cross_entropy",
        reference=reference.linear_cross_entropy,
        op=ops.linear_cross_entropy,
        cases=losses,
        tolerance=VALUE,
        because="relative, down to losses of 1e-27; sums in float32 whatever the dtype, and an "
        "offset of 128 costs 128 roundings of the logits, and their sum as many of the gradient",
        gradient=autograd(formula, (0, 1)),
        differentiable=(0, 1),
        gradient_tolerance=SLOPE,
        op_options={"reduction": "none"},
    ),
    Twin(
        name="linear.head_stats",
        reference=_reference_statistics,
        op=_statistics,
        cases=statistics_cases,
        tolerance={dtype: Tolerance(1e-4, 1e-2) for dtype in ("float32", *HALF)},
        because="sums of up to 1e5 terms in float32, some through a difference of logarithms",
        gradient=autograd(statistics_formula, (0, 1, 3)),
        differentiable=(0, 1, 3),
        gradient_tolerance={
            "float32": Tolerance(1e-3, 0.1),
            "float16": Tolerance(1e-2, 1.0),
            "bfloat16": Tolerance(5e-2, 1.0),
        },
    ),
    Twin(
        name="linear.linear_kl",
        reference=reference.linear_kl,
        op=ops.linear_kl,
        cases=pairs,
        tolerance={dtype: Tolerance(1e-3, 1e-7) for dtype in ("float32", *HALF)},
        because="relative down to divergences of 1e-7, which a difference of log-normalizers loses",
        gradient=autograd(divergence, (0, 1)),
        differentiable=(0, 1),
        gradient_tolerance={
            "float32": Tolerance(1e-3, 1e-2),
            "float16": Tolerance(4e-3, 0.1),
            "bfloat16": Tolerance(2e-2, 0.1),
        },
        op_options={"reduction": "none"},
    ),
    Twin(
        name="linear.linear_topk_kl",
        reference=reference.linear_topk_kl,
        op=ops.linear_topk_kl,
        cases=known_classes,
        tolerance={dtype: Tolerance(1e-4, 1e-2) for dtype in ("float32", *HALF)},
        because="the bucket of the teacher is one minus a float32 sum",
        gradient=autograd(divergence_from_known, (0, 1)),
        differentiable=(0, 1),
        gradient_tolerance=SLOPE,
        op_options={"reduction": "none"},
    ),
)
