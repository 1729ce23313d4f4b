"""The tile of logits that the forward and the backward kernel share, so that both see the same."""

from __future__ import annotations

import triton
import triton.language as tl

MASKED = tl.constexpr(-1e30)  # as in xent.ops.linear_state


@triton.jit
def product_tile(
    hidden,
    weight,
    rows,
    columns,
    rows_in,
    columns_in,
    width,
    UPCAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_V: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Return hidden[rows] @ weight[columns].T in float32; both are contiguous.

    UPCAST converts right after the load: the interpreter computes bfloat16 on its bit patterns.
    """
    tile = tl.zeros((BLOCK_N, BLOCK_V), dtype=tl.float32)
    for start in range(0, width, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        h_mask = rows_in[:, None] & (d < width)[None, :]
        h = tl.load(hidden + rows[:, None] * width + d[None, :], mask=h_mask, other=0.0)
        w_mask = columns_in[None, :] & (d < width)[:, None]
        w = tl.load(weight + columns[None, :] * width + d[:, None], mask=w_mask, other=0.0)
        if UPCAST:
            h = h.to(tl.float32)
            w = w.to(tl.float32)
        tile = tl.dot(h, w, tile, input_precision="ieee")
    return tile


@triton.jit
def logits_of(
    product, bias, columns, columns_in, cap, temperature, BIAS: tl.constexpr, CAP: tl.constexpr
):
    """Add the bias, bound by the soft cap, divide by the temperature."""
    if BIAS:
        b = tl.load(bias + columns, mask=columns_in, other=0.0)
        product += b.to(tl.float32)[None, :]
    if CAP:
        t = tl.exp(-2.0 * tl.abs(product) / cap)
        tanh = (1.0 - t) / (1.0 + t)
        product = cap * tl.where(product < 0, -tanh, tanh)
    return product / temperature


@triton.jit
def expm1_near(x):
    """e^x - 1 for |x| <= 1 by its series, to a relative 3e-8."""
    series = 1.0 + x / 10.0
    for k in tl.static_range(9, 1, -1):
        series = 1.0 + x / k * series
    return x * series
