"""Twins of ``xent.reference.attention``."""

from __future__ import annotations

import numpy as np
import torch

from xent.ops import attention as ops
from xent.parity import Case, Tolerance, Twin, autograd
from xent.reference import attention as reference

SHAPES = ((1, 1, 1, 1), (5, 17, 4, 3), (16, 16, 16, 16), (17, 33, 20, 5))
LARGE = ((1, 1, 1, 1), (63, 65, 40, 40), (64, 64, 64, 64), (127, 1025, 128, 96))


def cases(large: bool):
    """Ragged shapes, causal rows, one certain key, ties, layouts."""
    rng = np.random.default_rng(11)
    for n, m, d, e in LARGE if large else SHAPES:
        yield Case(f"normal {n}x{m}x{d}x{e}", _qkv(rng, (), n, m, d, e))
    yield Case("causal", _qkv(rng, (), 18, 18, 8, 8), {"causal": True})
    yield Case("causal, more keys", _qkv(rng, (2,), 3, 21, 8, 8), {"causal": True})
    yield Case("heads", _qkv(rng, (2, 2), 4, 6, 8, 8), {"scale": 0.3})
    q, k, v = _qkv(rng, (), 4, 20, 8, 8)
    yield Case("sharp", (q, k, v), {"scale": 20.0})
    yield Case("strided", (q, k, v), layout="strided")
    yield Case("zero rows", (q[:0], k, v))
    yield Case("equal keys", (q, np.zeros_like(k), v))


def formula(q, k, v, *, causal=False, scale=None):
    """Attention from stored scores."""
    scores = (q.shape[-1] ** -0.5 if scale is None else scale) * q @ k.mT
    if causal:
        n, m = scores.shape[-2:]
        scores = scores.masked_fill(torch.arange(m) > torch.arange(n)[:, None] + m - n, -1e300)
    log_p = scores.log_softmax(-1)
    top = scores.gather(-1, scores.argmax(-1, keepdim=True))[..., 0]
    entropy = -(log_p.exp() * log_p.clamp_min(-1e4)).sum(-1)
    return log_p.exp() @ v, entropy, scores.logsumexp(-1), top


def _qkv(rng, lead, n, m, d, e):
    shapes = (*lead, n, d), (*lead, m, d), (*lead, m, e)
    return tuple(rng.normal(size=shape) for shape in shapes)


ROWS = (
    Twin(
        name="attention.attention_with_entropy",
        reference=reference.attention_with_entropy,
        op=ops.attention_with_entropy,
        cases=cases,
        tolerance={
            "float32": Tolerance(1e-4, 0.1),
            "float16": Tolerance(5e-3, 0.1),
            "bfloat16": Tolerance(3e-2, 0.1),
        },
        because="sums in float32; the output rounds once, and on a GPU the weights before it",
        gradient=autograd(formula, (0, 1, 2)),
        differentiable=(0, 1, 2),
        gradient_tolerance={
            "float32": Tolerance(5e-4, 1.0),
            "float16": Tolerance(1e-2, 1.0),
            "bfloat16": Tolerance(6e-2, 1.0),
        },
    ),
)
