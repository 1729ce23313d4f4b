r"""Softmax attention together with what its rows look like: entropy, log-sum-exp, maximum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import entr, logsumexp, softmax

from xent.reference import arguments


class Attention(NamedTuple):
    """The output ``(..., N, E)`` and statistics of each row of scores ``(..., N)``."""

    output: object
    entropy: object
    lse: object
    maximum: object


def attention_with_entropy(q, k, v, *, causal=False, scale=None) -> Attention:
    r"""Return :math:`\sum_j p_{ij} v_j` with :math:`p_i = \operatorname{softmax}(c\, q_i K^\top)`.

    Besides the output: the entropy :math:`-\sum_j p_{ij} \log p_{ij}` in nats, the log-sum-exp and
    the largest of each row of scores.

    Args:
        q: queries ``(..., N, D)``.
        k: keys ``(..., M, D)``.
        v: values ``(..., M, E)``.
        causal: query i sees keys up to i + M - N, so the last query sees all; needs M >= N.
        scale: c > 0, by default :math:`1/\sqrt D`.

    Returns:
        :class:`Attention` of float64 arrays.

    Raises:
        ValueError: if shapes do not match, there are no keys, or a causal row would see none.

    Source: Vaswani et al. (2017); chapter *Cross-entropy over large vocabularies* for the sweep.
    """
    q, k, v = (arguments.finite(t, name) for t, name in ((q, "q"), (k, "k"), (v, "v")))
    check_shapes(q.shape, k.shape, v.shape, causal)
    scale = q.shape[-1] ** -0.5 if scale is None else arguments.positive(scale, "scale")
    scores = scale * q @ np.swapaxes(k, -1, -2)
    if causal:
        queries, keys = scores.shape[-2:]
        hidden = np.arange(keys) > np.arange(queries)[:, None] + keys - queries
        scores = np.where(hidden, -np.inf, scores)
    p = softmax(scores, axis=-1)
    return Attention(p @ v, entr(p).sum(axis=-1), logsumexp(scores, axis=-1), scores.max(axis=-1))


def check_shapes(q: tuple, k: tuple, v: tuple, causal: bool) -> None:
    """Check the shapes of queries, keys and values.

    Args:
        q: shape of the queries.
        k: shape of the keys.
        v: shape of the values.
        causal: whether queries see only earlier keys.

    Raises:
        ValueError: if they do not match, there are no keys, or a causal row would see none.
    """
    for name, shape in (("q", q), ("k", k), ("v", v)):
        if len(shape) < 2:
            raise ValueError(f"{name} must have at least two axes, got shape {tuple(shape)}")
    if q[:-2] != k[:-2] or q[:-2] != v[:-2]:
        raise ValueError(f"q, k and v must share leading axes, got {q[:-2]}, {k[:-2]}, {v[:-2]}")
    if q[-1] != k[-1] or q[-1] == 0:
        raise ValueError(f"q and k must have the same width > 0, got {q[-1]} and {k[-1]}")
    if k[-2] != v[-2] or k[-2] == 0:
        raise ValueError(f"k and v must have the same number > 0 of keys, got {k[-2]} and {v[-2]}")
    if causal and k[-2] < q[-2]:
        raise ValueError(f"causal needs at least as many keys as queries, got {k[-2]} < {q[-2]}")
