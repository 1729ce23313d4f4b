"""Triton kernel of ``xent.ops.policy``: log-probability and entropy in one read of the logits.

Besides the leave-max-out state (maximum, rest) of ``xent.kernels.softmax`` a row carries the moment
``sum (top - z) exp(z - top)``. Entropy is ``log1p(rest) + moment / (1 + rest)``: two terms that are
never negative, so a nearly certain policy keeps its relative accuracy.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from xent.kernels.softmax import (
    MINUS_INF,
    _finite,
    _launch,
    _like,
    _load,
    _log1p,
    _merge,
    _per_row,
    _tile_state,
)


@triton.jit
def _weighted_gap(z, top):
    """(top - z) exp(z - top), zero for masked classes."""
    gap = tl.where(z == MINUS_INF, 0.0, _finite(top) - z)
    return gap * tl.exp(z - _finite(top))


@triton.jit
def token_kernel(
    logits,
    tokens,
    logprobs,
    entropies,
    tops,
    rests,
    row_stride,
    column_stride,
    classes,
    TILE: tl.constexpr,
):
    """Store log-probability, entropy and state of each row: one read of the logits."""
    index = tl.program_id(0).to(tl.int64)
    row = logits + index * row_stride
    top = MINUS_INF
    rest = -1.0
    moment = 0.0
    for start in range(0, classes, TILE):
        _, z = _load(row, start, column_stride, classes, MINUS_INF, TILE)
        tile_top, tile_rest = _tile_state(z)
        tile_moment = tl.sum(_weighted_gap(z, tile_top), axis=0)
        before, before_rest = top, rest
        top, rest = _merge(top, rest, tile_top, tile_rest)
        moment = _shifted(moment, before_rest, before, top)
        moment += _shifted(tile_moment, tile_rest, tile_top, top)
    token = tl.load(tokens + index).to(tl.int64)
    chosen = tl.load(row + token * column_stride).to(tl.float32)
    log_rest = _log1p(rest)
    tl.store(logprobs + index, (chosen - top) - log_rest)
    tl.store(entropies + index, log_rest + moment / (1.0 + rest))
    tl.store(tops + index, top)
    tl.store(rests + index, rest)


@triton.jit
def _shifted(moment, rest, old, new):
    """The moment of a part about a new maximum: every gap grows by new - old."""
    grown = tl.where(old == MINUS_INF, 0.0, _finite(new) - old)
    return tl.exp(old - _finite(new)) * (moment + (1.0 + rest) * grown)


@triton.jit
def token_backward_kernel(
    logits,
    tokens,
    entropies,
    tops,
    rests,
    logprob_upstream,
    entropy_upstream,
    slope,
    row_stride,
    column_stride,
    classes,
    TILE: tl.constexpr,
):
    """Write g (1[token] - p) - h p (log p + H) of one tile of one row: one read, one write."""
    index = tl.program_id(0).to(tl.int64)
    start = tl.program_id(1).to(tl.int64) * TILE
    columns, z = _load(logits + index * row_stride, start, column_stride, classes, MINUS_INF, TILE)
    top, rest = tl.load(tops + index), tl.load(rests + index)
    token = tl.load(tokens + index).to(tl.int64)
    p = tl.exp(z - top) / (1.0 + rest)
    missing = tl.where(z == top, rest / (1.0 + rest), 1.0 - p)
    log_p = tl.where(z == MINUS_INF, 0.0, (z - top) - _log1p(rest))
    data = tl.where(columns == token, missing, -p)
    pull = p * (log_p + tl.load(entropies + index))
    dz = tl.load(logprob_upstream + index) * data - tl.load(entropy_upstream + index) * pull
    tl.store(slope + index * classes + columns, dz, mask=columns < classes)


class _TokenLogprobEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, tokens):
        logprobs, entropies, tops, rests = (_per_row(z) for _ in range(4))
        outputs = logprobs, entropies, tops, rests
        _launch(token_kernel, z, 1, z, tokens, *outputs, *z.stride(), z.shape[1])
        ctx.save_for_backward(z, tokens, entropies, tops, rests)
        return logprobs, entropies

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, logprob_upstream, entropy_upstream):
        z, *saved = ctx.saved_tensors
        slope = _like(z)
        upstream = logprob_upstream.contiguous(), entropy_upstream.contiguous()
        rows = *saved, *upstream, slope, *z.stride(), z.shape[1]
        _launch(token_backward_kernel, z, 2, z, *rows)
        return slope, None


def token_logprob_entropy(logits, tokens):
    """Log-probability of the token and entropy of each row, in float32; checks are the op's."""
    rows = logits.reshape(-1, logits.shape[-1])
    found = _TokenLogprobEntropy.apply(rows, tokens.contiguous().view(-1))
    return tuple(values.view(tokens.shape) for values in found)
