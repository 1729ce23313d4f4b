"""The backward sweep: recompute a tile of logits, write the gradient of any mix of outputs.

The products with it are the BLAS library's: dW's rows are complete when written, dH is summed over
slices in float32 in a fixed order.
"""

from __future__ import annotations

import triton
import triton.language as tl

from xent.kernels.linear_tile import (
    expm1_near,
    known_below,
    known_column,
    logits_of,
    part_of,
    product_tile,
    program_place,
)

# rows of the tables of per-token numbers and classes; g_rest is divided by the rest's mass, and
# after these rows follow log sum p^alpha and its gradient for each order
NUMBERS = (
    "top_of_all g_lse entropy g_entropy slope_mean g_slope_mean slope_variance g_slope_variance "
    "teacher_lse g_kl reverse_kl g_reverse_kl top_of_rest g_rest g_total g_top g_second "
    "g_rest_top g_slope_max g_slope_min log_mass"
).split()
CLASSES = "top second rest_top slope_max slope_min".split()


@triton.jit
def _row(table, index, tokens, row):
    """A per-token number as a column of a tile."""
    return tl.load(table + index * tokens + row)[:, None]


@triton.jit
def _hit(table, index, tokens, row, first_class, columns):
    """Where a tile meets the row's class number ``index``."""
    column = (tl.load(table + index * tokens + row) - first_class).to(tl.int32)
    return column[:, None] == columns[None, :]


@triton.jit
def backward_kernel(
    hidden,
    weight,
    bias,
    direction,
    teacher_hidden,
    teacher_weight,
    teacher_bias,
    known_ids,
    g_chosen,
    omega,
    numbers,
    names,
    dz_out,
    da_out,
    tokens,
    slice_classes,
    width,
    teacher_width,
    known,
    first_class,
    cap,
    beta,
    order_0,
    order_1,
    order_2,
    order_3,
    BIAS: tl.constexpr,
    CAP: tl.constexpr,
    SMOOTH: tl.constexpr,
    ENTROPY: tl.constexpr,
    ORDERS: tl.constexpr,
    REST: tl.constexpr,  # 0, 1 known id a token, or 2 for any number
    TOP2: tl.constexpr,
    TOTAL: tl.constexpr,
    DIRECTION: tl.constexpr,
    TEACHER: tl.constexpr,
    TEACHER_BIAS: tl.constexpr,
    EVEN: tl.constexpr,
    UPCAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_V: tl.constexpr,
    BLOCK_D: tl.constexpr,
    PARTS: tl.constexpr,
    GROUP: tl.constexpr,
):
    """Write dL/d(h w + b), and dL/d(direction w), of one tile of a slice of columns."""
    tile, block = program_place(tokens, slice_classes, BLOCK_N, BLOCK_V, GROUP)
    rows = tile.to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    rows_in = rows < tokens
    row = tl.minimum(rows, tokens - 1)
    start = block * BLOCK_V
    tile_columns = start + tl.arange(0, BLOCK_V)
    if REST > 0:
        position = tl.zeros((BLOCK_N,), dtype=tl.int32)
        if REST > 1:
            position = known_below(known_ids, rows, rows_in, known, first_class + start)
        spot = known_column(known_ids, rows, rows_in, known, position, first_class)
    z_tile = product_tile(
        hidden, weight, rows, tile_columns, tokens, slice_classes, width,
        EVEN, UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
    )  # fmt: skip
    if DIRECTION:
        a_tile = product_tile(
            direction, weight, rows, tile_columns, tokens, slice_classes, width,
            EVEN, UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
        )  # fmt: skip
    if TEACHER:
        u_tile = product_tile(
            teacher_hidden, teacher_weight, rows, tile_columns, tokens, slice_classes,
            teacher_width, EVEN, UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
        )  # fmt: skip
    for k in tl.static_range(PARTS):
        first = start + k * (BLOCK_V // PARTS)
        stop = tl.minimum(first + BLOCK_V // PARTS, slice_classes)
        columns = first + tl.arange(0, BLOCK_V // PARTS)
        columns_in = columns < slice_classes
        out = rows_in[:, None] & columns_in[None, :]
        place = rows[:, None] * slice_classes + columns[None, :]
        z = part_of(z_tile, k, PARTS)
        z = logits_of(z, bias, columns, slice_classes, cap, beta, BIAS, CAP)
        dz = tl.zeros((BLOCK_N, BLOCK_V // PARTS), dtype=tl.float32)

        if SMOOTH:
            log_p = z - _row(numbers, 0, tokens, row)
            log_p -= _row(numbers, 20, tokens, row)
            p = tl.exp(log_p)
            inner = _row(numbers, 1, tokens, row)
            if ENTROPY:
                h = _row(numbers, 2, tokens, row)
                inner -= _row(numbers, 3, tokens, row) * (log_p + h)
            if DIRECTION:
                g_mean = _row(numbers, 5, tokens, row)
                g_square = _row(numbers, 7, tokens, row)
                a = part_of(a_tile, k, PARTS) * beta
                off = a - _row(numbers, 4, tokens, row)
                inner += g_mean * off
                inner += g_square * (off * off - _row(numbers, 6, tokens, row))
                da = p * (g_mean + 2.0 * g_square * off)
                g = _row(numbers, 18, tokens, row)
                da += tl.where(_hit(names, 3, tokens, row, first_class, columns), g, 0.0)
                g = _row(numbers, 19, tokens, row)
                da += tl.where(_hit(names, 4, tokens, row, first_class, columns), g, 0.0)
                tl.store(da_out + place, (da * beta).to(da_out.dtype.element_ty), mask=out)
            if TEACHER:
                u = part_of(u_tile, k, PARTS)
                u = logits_of(u, teacher_bias, columns, slice_classes, cap, beta, TEACHER_BIAS, CAP)
                log_q = u - _row(numbers, 8, tokens, row)
                q = tl.exp(log_q)
                ratio = log_p - log_q
                reverse = _row(numbers, 10, tokens, row)
                inner += _row(numbers, 11, tokens, row) * (ratio - reverse)
                near = tl.abs(ratio) < 1.0
                difference = tl.where(near, q * expm1_near(tl.where(near, ratio, 0.0)), p - q)
                dz += _row(numbers, 9, tokens, row) * difference
            dz += p * inner
            if ORDERS > 0:
                q = tl.exp(order_0 * log_p - _row(numbers, 21, tokens, row))
                dz += order_0 * _row(numbers, 22, tokens, row) * (q - p)
            if ORDERS > 1:
                q = tl.exp(order_1 * log_p - _row(numbers, 23, tokens, row))
                dz += order_1 * _row(numbers, 24, tokens, row) * (q - p)
            if ORDERS > 2:
                q = tl.exp(order_2 * log_p - _row(numbers, 25, tokens, row))
                dz += order_2 * _row(numbers, 26, tokens, row) * (q - p)
            if ORDERS > 3:
                q = tl.exp(order_3 * log_p - _row(numbers, 27, tokens, row))
                dz += order_3 * _row(numbers, 28, tokens, row) * (q - p)
        if REST > 0:
            fall = tl.minimum(z - _row(numbers, 12, tokens, row), 0.0)
            others = tl.exp(fall) * _row(numbers, 13, tokens, row)
            here = (spot >= first) & (spot < stop)
            if REST == 1:
                if tl.max(here.to(tl.int32), axis=0) > 0:
                    g = tl.load(g_chosen + rows, mask=here, other=0.0)[:, None]
                    others = tl.where(columns[None, :] == spot[:, None], g, others)
            if REST > 1:
                while tl.max(here.to(tl.int32), axis=0) > 0:
                    g = tl.load(g_chosen + rows * known + position, mask=here, other=0.0)[:, None]
                    others = tl.where(columns[None, :] == spot[:, None], g, others)
                    position += here.to(tl.int32)
                    spot = known_column(known_ids, rows, rows_in, known, position, first_class)
                    here = spot < stop
            dz += others
        if TOTAL:
            weights = tl.load(omega + columns, mask=columns_in, other=0.0)
            dz += _row(numbers, 14, tokens, row) * weights[None, :]
        if TOP2:
            g = _row(numbers, 15, tokens, row)
            dz += tl.where(_hit(names, 0, tokens, row, first_class, columns), g, 0.0)
            g = _row(numbers, 16, tokens, row)
            dz += tl.where(_hit(names, 1, tokens, row, first_class, columns), g, 0.0)
            g = _row(numbers, 17, tokens, row)
            dz += tl.where(_hit(names, 2, tokens, row, first_class, columns), g, 0.0)
        if CAP:
            bounded = z / (beta * cap)
            dz *= 1.0 - bounded * bounded
        tl.store(dz_out + place, (dz * beta).to(dz_out.dtype.element_ty), mask=out)
