"""The tile of logits that the forward and the backward kernel share, so that both see the same.

A tile is multiplied whole and then worked on in parts of a few columns: the accumulator of the
product fills half the registers, and a part's temporaries fit beside it.
"""

from __future__ import annotations

import triton
import triton.language as tl

MASKED = tl.constexpr(-1e30)  # as in xent.ops.linear_state
NO_MORE = tl.constexpr(2147483647)  # the id after a row's last


@triton.jit
def program_place(tokens, columns, BLOCK_N: tl.constexpr, block, GROUP: tl.constexpr):
    """Return this program's tile of tokens and its block of columns.

    Programs that run at the same time share GROUP tiles of hidden states and a few blocks of the
    weight, so that both stay in the L2 cache.
    """
    tiles, blocks = tl.cdiv(tokens, BLOCK_N), tl.cdiv(columns, block)
    return tl.swizzle2d(0, tl.program_id(0), tiles, blocks, GROUP)


@triton.jit
def product_tile(
    hidden,
    weight,
    rows,
    columns,
    tokens,
    classes,
    width,
    EVEN: tl.constexpr,
    UPCAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_V: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Return hidden[rows] @ weight[columns].T in float32; both are contiguous.

    Rows and columns past the end repeat the last one: cheaper than a mask, and nobody reads them.
    EVEN: the width is a multiple of BLOCK_D. UPCAST converts right after the load: the interpreter
    computes bfloat16 on its bit patterns.
    """
    d = tl.arange(0, BLOCK_D)
    row = tl.minimum(rows, tokens - 1).to(tl.int64)
    column = tl.minimum(columns, classes - 1).to(tl.int64)
    h_place = hidden + row[:, None] * width + d[None, :]
    w_place = weight + column[None, :] * width + d[:, None]
    tile = tl.zeros((BLOCK_N, BLOCK_V), dtype=tl.float32)
    for start in range(0, width, BLOCK_D):
        if EVEN:
            h, w = tl.load(h_place + start), tl.load(w_place + start)
        else:
            d_in = d < width - start
            h = tl.load(h_place + start, mask=d_in[None, :], other=0.0)
            w = tl.load(w_place + start, mask=d_in[:, None], other=0.0)
        if UPCAST:
            h, w = h.to(tl.float32), w.to(tl.float32)
        tile = tl.dot(h, w, tile, input_precision="ieee")
    return tile


@triton.jit
def _halves(tile):
    """Return the left and the right half of the columns; no data moves between threads."""
    BLOCK_N: tl.constexpr = tile.shape[0]
    HALF: tl.constexpr = tile.shape[1] // 2
    return tl.split(tl.permute(tl.reshape(tile, (BLOCK_N, 2, HALF)), (0, 2, 1)))


@triton.jit
def part_of(tile, k: tl.constexpr, PARTS: tl.constexpr):
    """Return the k-th of PARTS blocks of columns, a power of two up to 8."""
    if PARTS > 1:
        left, right = _halves(tile)
        tile = left if k < PARTS // 2 else right
    if PARTS > 2:
        left, right = _halves(tile)
        tile = left if k % (PARTS // 2) < PARTS // 4 else right
    if PARTS > 4:
        left, right = _halves(tile)
        tile = left if k % 2 == 0 else right
    return tile


@triton.jit
def logits_of(product, bias, columns, classes, cap, beta, BIAS: tl.constexpr, CAP: tl.constexpr):
    """Add the bias, bound by the soft cap, multiply by the inverse temperature beta."""
    if BIAS:
        b = tl.load(bias + tl.minimum(columns, classes - 1))
        product += b.to(tl.float32)[None, :]
    if CAP:
        t = tl.exp(-2.0 * tl.abs(product) / cap)
        tanh = (1.0 - t) / (1.0 + t)
        product = cap * tl.where(product < 0, -tanh, tanh)
    return product * beta


@triton.jit
def known_below(ids, rows, rows_in, known, first):
    """Return how many of a row's ascending ids lie below the class ``first``."""
    below = tl.zeros(rows.shape, dtype=tl.int32)
    for start in range(0, known, 16):
        k = start + tl.arange(0, 16)
        k_in = rows_in[:, None] & (k < known)[None, :]
        name = tl.load(ids + rows[:, None] * known + k[None, :], mask=k_in, other=NO_MORE)
        below += tl.sum((k_in & (name < first)).to(tl.int32), axis=1)
    return below


@triton.jit
def known_column(ids, rows, rows_in, known, position, first_class):
    """Return the column of the row's id at a position, NO_MORE past the last."""
    there = rows_in & (position < known)
    name = tl.load(ids + rows * known + position, mask=there, other=0)
    return tl.where(there, (name - first_class).to(tl.int32), NO_MORE)


@triton.jit
def expm1_near(x):
    """e^x - 1 for |x| <= 1 by its series, to a relative 3e-8."""
    series = 1.0 + x * 0.1
    for k in tl.static_range(9, 1, -1):
        series = 1.0 + x * (1.0 / k) * series
    return x * series
