"""The backward sweep: recompute a tile of logits, write the gradient of any mix of outputs.

The products with it are the BLAS library's: dW's rows are complete when written, dH is summed over
slices in float32 in a fixed order.
"""

from __future__ import annotations

import triton
import triton.language as tl

from xent.kernels.linear_tile import MASKED, expm1_near, logits_of, product_tile

# rows of the tables of per-token numbers and classes; g_rest is divided by the rest's mass, and
# after these rows follow log sum p^alpha and its gradient for each order
NUMBERS = (
    "top_of_all g_lse entropy g_entropy slope_mean g_slope_mean slope_variance g_slope_variance "
    "teacher_lse g_kl reverse_kl g_reverse_kl top_of_rest g_rest g_total g_chosen g_top g_second "
    "g_rest_top g_slope_max g_slope_min log_mass"
).split()
CLASSES = "label top second rest_top slope_max slope_min".split()


@triton.jit
def _row(table, index, tokens, rows, rows_in):
    return tl.load(table + index * tokens + rows, mask=rows_in, other=0.0)[:, None]


@triton.jit
def _hit(table, index, tokens, rows, rows_in, columns):
    """Where a tile meets the row's class number ``index``."""
    name = tl.load(table + index * tokens + rows, mask=rows_in, other=-1)
    return name[:, None] == columns[None, :]


@triton.jit
def backward_kernel(
    hidden,
    weight,
    bias,
    direction,
    teacher_hidden,
    teacher_weight,
    teacher_bias,
    omega,
    numbers,
    names,
    dz_out,
    da_out,
    tokens,
    slice_classes,
    width,
    teacher_width,
    first_class,
    cap,
    temperature,
    order_0,
    order_1,
    order_2,
    order_3,
    BIAS: tl.constexpr,
    CAP: tl.constexpr,
    SMOOTH: tl.constexpr,
    ENTROPY: tl.constexpr,
    ORDERS: tl.constexpr,
    REST: tl.constexpr,
    TOP2: tl.constexpr,
    TOTAL: tl.constexpr,
    DIRECTION: tl.constexpr,
    TEACHER: tl.constexpr,
    TEACHER_BIAS: tl.constexpr,
    UPCAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_V: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Write dL/d(h w + b), and dL/d(direction w), of one tile of a slice of columns."""
    rows = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    rows_in = rows < tokens
    columns = tl.program_id(1).to(tl.int64) * BLOCK_V + tl.arange(0, BLOCK_V)
    columns_in = columns < slice_classes
    classes = columns + first_class
    z = product_tile(
        hidden, weight, rows, columns, rows_in, columns_in, width,
        UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
    )  # fmt: skip
    z = logits_of(z, bias, columns, columns_in, cap, temperature, BIAS, CAP)
    if CAP:
        bounded = z * temperature / cap
    out = rows_in[:, None] & columns_in[None, :]
    z = tl.where(out, z, MASKED)
    dz = tl.zeros((BLOCK_N, BLOCK_V), dtype=tl.float32)
    place = rows[:, None] * slice_classes + columns[None, :]

    if SMOOTH:
        log_p = z - _row(numbers, 0, tokens, rows, rows_in)
        log_p -= _row(numbers, 21, tokens, rows, rows_in)
        p = tl.exp(log_p)
        inner = _row(numbers, 1, tokens, rows, rows_in)
        if ENTROPY:
            h = _row(numbers, 2, tokens, rows, rows_in)
            inner -= _row(numbers, 3, tokens, rows, rows_in) * (log_p + h)
        if DIRECTION:
            a = product_tile(
                direction, weight, rows, columns, rows_in, columns_in, width,
                UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
            ) / temperature  # fmt: skip
            g_mean = _row(numbers, 5, tokens, rows, rows_in)
            g_square = _row(numbers, 7, tokens, rows, rows_in)
            off = a - _row(numbers, 4, tokens, rows, rows_in)
            inner += g_mean * off
            inner += g_square * (off * off - _row(numbers, 6, tokens, rows, rows_in))
            da = p * (g_mean + 2.0 * g_square * off)
            g = _row(numbers, 19, tokens, rows, rows_in)
            da += tl.where(_hit(names, 4, tokens, rows, rows_in, classes), g, 0.0)
            g = _row(numbers, 20, tokens, rows, rows_in)
            da += tl.where(_hit(names, 5, tokens, rows, rows_in, classes), g, 0.0)
            da = da / temperature
            tl.store(da_out + place, da.to(da_out.dtype.element_ty), mask=out)
        if TEACHER:
            u = product_tile(
                teacher_hidden, teacher_weight, rows, columns, rows_in, columns_in, teacher_width,
                UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
            )  # fmt: skip
            u = logits_of(u, teacher_bias, columns, columns_in, cap, temperature, TEACHER_BIAS, CAP)
            log_q = tl.where(out, u, MASKED) - _row(numbers, 8, tokens, rows, rows_in)
            q = tl.exp(log_q)
            ratio = log_p - log_q
            reverse = _row(numbers, 10, tokens, rows, rows_in)
            inner += _row(numbers, 11, tokens, rows, rows_in) * (ratio - reverse)
            near = tl.abs(ratio) < 1.0
            difference = tl.where(near, q * expm1_near(tl.where(near, ratio, 0.0)), p - q)
            dz += _row(numbers, 9, tokens, rows, rows_in) * difference
        dz += p * inner
        if ORDERS > 0:
            q = tl.exp(order_0 * log_p - _row(numbers, 22, tokens, rows, rows_in))
            dz += order_0 * _row(numbers, 23, tokens, rows, rows_in) * (q - p)
        if ORDERS > 1:
            q = tl.exp(order_1 * log_p - _row(numbers, 24, tokens, rows, rows_in))
            dz += order_1 * _row(numbers, 25, tokens, rows, rows_in) * (q - p)
        if ORDERS > 2:
            q = tl.exp(order_2 * log_p - _row(numbers, 26, tokens, rows, rows_in))
            dz += order_2 * _row(numbers, 27, tokens, rows, rows_in) * (q - p)
        if ORDERS > 3:
            q = tl.exp(order_3 * log_p - _row(numbers, 28, tokens, rows, rows_in))
            dz += order_3 * _row(numbers, 29, tokens, rows, rows_in) * (q - p)
    if REST:
        at_label = _hit(names, 0, tokens, rows, rows_in, classes)
        others = tl.exp(tl.where(at_label, MASKED, z - _row(numbers, 12, tokens, rows, rows_in)))
        others = others * _row(numbers, 13, tokens, rows, rows_in)
        dz += tl.where(at_label, _row(numbers, 15, tokens, rows, rows_in), others)
    if TOTAL:
        weights = tl.load(omega + columns, mask=columns_in, other=0.0)
        dz += _row(numbers, 14, tokens, rows, rows_in) * weights[None, :]
    if TOP2:
        g = _row(numbers, 16, tokens, rows, rows_in)
        dz += tl.where(_hit(names, 1, tokens, rows, rows_in, classes), g, 0.0)
        g = _row(numbers, 17, tokens, rows, rows_in)
        dz += tl.where(_hit(names, 2, tokens, rows, rows_in, classes), g, 0.0)
        g = _row(numbers, 18, tokens, rows, rows_in)
        dz += tl.where(_hit(names, 3, tokens, rows, rows_in, classes), g, 0.0)
    if CAP:
        dz = dz * (1.0 - bounded * bounded)
    dz = dz / temperature
    tl.store(dz_out + place, dz.to(dz_out.dtype.element_ty), mask=out)
