"""Losses of a float32 row: the exact ones, which the figure's third way must meet."""

import numpy as np

from xent.reference import softmax

RTOL = 1e-5  # "maxOut" is computed in float32; the exact losses agree far better
ATOL = 0.0


def parameters(rng):
    return {"gap": rng.integers(0, 61), "offset": 100.0 * rng.integers(0, 101)}


def expected(gap, offset):
    others = 2 * np.sin(3 * np.arange(1, 16))
    leads = np.arange(61.0) + softmax.logsumexp(others)
    rows = np.column_stack([leads, np.tile(others, (61, 1))]) + offset
    rows = rows.astype(np.float32).astype(np.float64)
    exact = softmax.cross_entropy_with_logits(rows, np.zeros(61, dtype=int))
    return {"exact": exact, "maxOut": exact}
