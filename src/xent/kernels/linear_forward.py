"""The forward sweep: each program folds a split of the columns into a state per token.

Splits depend on the number of classes alone and each stores its own state; the states are merged
by ``xent.ops.linear_state.merge``, left to right. No locks, no atomics: bitwise repeatable, and a
token's bits do not depend on the batch it comes in.
"""

from __future__ import annotations

import triton
import triton.language as tl

from xent.kernels.linear_tile import (
    MASKED,
    NO_MORE,
    expm1_near,
    known_below,
    known_column,
    logits_of,
    part_of,
    product_tile,
    program_place,
)

# rows of the buffers a program writes
NUMBERS = (
    "top mass heat total second slope_mean slope_square slope_max slope_min teacher_top "
    "teacher_mass teacher_heat pull_q pull_p near_q near_p far_q far_p"
).split()
IDS = "top_id second_id slope_max_id slope_min_id".split()


@triton.jit
def _first_where(hit, columns):
    """The smallest column of each row where ``hit``."""
    return tl.min(tl.where(hit, columns[None, :], NO_MORE), axis=1)


@triton.jit
def _pick(place, tile, at, here):
    """Store each row's entry of the tile at its one spot."""
    tl.store(place, tl.sum(tl.where(at, tile, 0.0), axis=1), mask=here)


@triton.jit
def forward_kernel(
    hidden,
    weight,
    bias,
    direction,
    teacher_hidden,
    teacher_weight,
    teacher_bias,
    known_ids,
    omega,
    center,
    numbers,
    ids,
    picked,
    tokens,
    classes,
    width,
    teacher_width,
    known,
    first_class,
    split,
    cap,
    beta,
    order_0,
    order_1,
    order_2,
    order_3,
    KNOWN: tl.constexpr,  # 0, 1 id a token, or 2 for any number
    BIAS: tl.constexpr,
    CAP: tl.constexpr,
    ENTROPY: tl.constexpr,
    ORDERS: tl.constexpr,
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
    """Store the state of (BLOCK_N tokens, one split) and the logits of known ids found in it."""
    tile, part = program_place(tokens, classes, BLOCK_N, split, GROUP)
    rows = tile.to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    rows_in = rows < tokens
    begin = part * split
    end = tl.minimum(begin + split, classes)
    nothing = tl.zeros((BLOCK_N,), dtype=tl.float32)
    none = tl.zeros((BLOCK_N,), dtype=tl.int32)

    top, mass, heat, total = nothing + MASKED, nothing, nothing, nothing
    power_0, power_1, power_2, power_3 = nothing, nothing, nothing, nothing
    second, top_id, second_id = nothing + 2 * MASKED, none + NO_MORE, none - 1
    mean, square, high, low = nothing, nothing, nothing + 2 * MASKED, nothing - 2 * MASKED
    high_id, low_id = none, none
    q_top, q_mass, q_heat = nothing + MASKED, nothing, nothing
    pull_q, pull_p, near_q, near_p = nothing, nothing, nothing, nothing
    far_q, far_p = nothing, nothing
    if KNOWN > 0:
        position = none
        if KNOWN > 1:
            position = known_below(known_ids, rows, rows_in, known, first_class + begin)
        spot = known_column(known_ids, rows, rows_in, known, position, first_class)
    if TEACHER:
        mid = tl.load(center + rows, mask=rows_in, other=0.0)

    for start in range(begin, end, BLOCK_V):
        tile_columns = start + tl.arange(0, BLOCK_V)
        z_tile = product_tile(
            hidden, weight, rows, tile_columns, tokens, classes, width,
            EVEN, UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
        )  # fmt: skip
        if DIRECTION:
            a_tile = product_tile(
                direction, weight, rows, tile_columns, tokens, classes, width,
                EVEN, UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
            )  # fmt: skip
        if TEACHER:
            u_tile = product_tile(
                teacher_hidden, teacher_weight, rows, tile_columns, tokens, classes, teacher_width,
                EVEN, UPCAST, BLOCK_N, BLOCK_V, BLOCK_D,
            )  # fmt: skip
        for k in tl.static_range(PARTS):
            first = start + k * (BLOCK_V // PARTS)
            stop = tl.minimum(first + BLOCK_V // PARTS, end)
            columns = first + tl.arange(0, BLOCK_V // PARTS)
            columns_in = columns < end
            z = part_of(z_tile, k, PARTS)
            z = logits_of(z, bias, columns, classes, cap, beta, BIAS, CAP)
            if DIRECTION:
                a = part_of(a_tile, k, PARTS) * beta
            if TEACHER:
                u = part_of(u_tile, k, PARTS)
                u = logits_of(u, teacher_bias, columns, classes, cap, beta, TEACHER_BIAS, CAP)
            if TOTAL:
                weights = tl.load(omega + columns, mask=columns_in, other=0.0)
                total += tl.sum(z * weights[None, :], axis=1)
            if start + BLOCK_V > end:
                z = tl.where(columns_in[None, :], z, MASKED)
            if KNOWN == 1:
                here = (spot >= first) & (spot < stop)
                if tl.max(here.to(tl.int32), axis=0) > 0:
                    at = columns[None, :] == spot[:, None]
                    _pick(picked + rows, z, at, here)
                    if DIRECTION:
                        _pick(picked + tokens + rows, a, at, here)
                    if TEACHER:
                        _pick(picked + 2 * tokens + rows, u, at, here)
                    z = tl.where(at, MASKED, z)
            if KNOWN > 1:
                here = spot < stop
                while tl.max(here.to(tl.int32), axis=0) > 0:
                    at = columns[None, :] == spot[:, None]
                    _pick(picked + rows * known + position, z, at, here)
                    z = tl.where(at, MASKED, z)
                    position += here.to(tl.int32)
                    spot = known_column(known_ids, rows, rows_in, known, position, first_class)
                    here = spot < stop

            tile_top = tl.max(z, axis=1)
            new_top = tl.maximum(top, tile_top)
            if TOP2:
                tile_id = _first_where(z == tile_top[:, None], columns)
                others = tl.where(columns[None, :] == tile_id[:, None], 2 * MASKED, z)
                tile_second = tl.max(others, axis=1)
                tile_second_id = _first_where(others == tile_second[:, None], columns)
                stays = top >= tile_top
                runner = tl.where(stays, second, tile_second)
                runner_id = tl.where(stays, second_id, tile_second_id)
                loser = tl.minimum(top, tile_top)
                loser_id = tl.where(stays, tile_id, top_id)
                top_id = tl.where(stays, top_id, tile_id)
                second_id = tl.where(loser >= runner, loser_id, runner_id)
                second = tl.maximum(loser, runner)
            fade = top - new_top
            c = tl.exp(fade)
            gap = z - new_top[:, None]
            e = tl.exp(gap)
            tile_mass = tl.sum(e, axis=1)
            if ENTROPY:
                heat = c * (heat + fade * mass) + tl.sum(e * gap, axis=1)
            if ORDERS > 0:
                power_0 = tl.exp(order_0 * fade) * power_0 + tl.sum(tl.exp(order_0 * gap), axis=1)
            if ORDERS > 1:
                power_1 = tl.exp(order_1 * fade) * power_1 + tl.sum(tl.exp(order_1 * gap), axis=1)
            if ORDERS > 2:
                power_2 = tl.exp(order_2 * fade) * power_2 + tl.sum(tl.exp(order_2 * gap), axis=1)
            if ORDERS > 3:
                power_3 = tl.exp(order_3 * fade) * power_3 + tl.sum(tl.exp(order_3 * gap), axis=1)
            if DIRECTION:
                out = z == MASKED
                above = tl.where(out, 2 * MASKED, a)
                below = tl.where(out, -2 * MASKED, a)
                tile_high, tile_low = tl.max(above, axis=1), tl.min(below, axis=1)
                at_high = _first_where(above == tile_high[:, None], columns)
                at_low = _first_where(below == tile_low[:, None], columns)
                high_id = tl.where(tile_high > high, at_high, high_id)
                low_id = tl.where(tile_low < low, at_low, low_id)
                high, low = tl.maximum(high, tile_high), tl.minimum(low, tile_low)
                a = tl.where(out, 0.0, a)
                tile_mean = tl.sum(e * a, axis=1) / tl.maximum(tile_mass, 1e-30)
                off = a - tile_mean[:, None]
                share = tile_mass / (c * mass + tile_mass + 1e-30)
                step = tile_mean - mean
                square = c * square + tl.sum(e * off * off, axis=1) + step * step * share * c * mass
                mean += share * step
            if TEACHER:
                r = tl.where(z == MASKED, 0.0, u - z - mid[:, None])
                u = tl.where(z == MASKED, MASKED, u)
                q_new = tl.maximum(q_top, tl.max(u, axis=1))
                q_fade = q_top - q_new
                c_q = tl.exp(q_fade)
                q_gap = u - q_new[:, None]
                e_q = tl.exp(q_gap)
                near = tl.abs(r) <= 1.0
                small = tl.where(near, r, 0.0)
                q_heat = c_q * (q_heat + q_fade * q_mass) + tl.sum(e_q * q_gap, axis=1)
                q_mass = c_q * q_mass + tl.sum(e_q, axis=1)
                pull_q = c_q * pull_q + tl.sum(e_q * r, axis=1)
                pull_p = c * pull_p + tl.sum(e * r, axis=1)
                near_q = c_q * near_q + tl.sum(e_q * expm1_near(-small), axis=1)
                near_p = c * near_p + tl.sum(e * expm1_near(small), axis=1)
                far_q = c_q * far_q + tl.sum(tl.where(near, 0.0, e_q), axis=1)
                far_p = c * far_p + tl.sum(tl.where(near, 0.0, e), axis=1)
                q_top = q_new
            mass = c * mass + tile_mass
            top = new_top

    field = tl.cdiv(classes, split).to(tl.int64) * tokens
    here = numbers + part.to(tl.int64) * tokens + rows
    tl.store(here, top, mask=rows_in)
    tl.store(here + field, mass, mask=rows_in)
    if ENTROPY:
        tl.store(here + 2 * field, heat, mask=rows_in)
    if TOTAL:
        tl.store(here + 3 * field, total, mask=rows_in)
    there = ids + part.to(tl.int64) * tokens + rows
    if TOP2:
        tl.store(here + 4 * field, second, mask=rows_in)
        tl.store(there, top_id + first_class, mask=rows_in)
        tl.store(there + field, second_id + first_class, mask=rows_in)
    if DIRECTION:
        tl.store(here + 5 * field, mean, mask=rows_in)
        tl.store(here + 6 * field, square, mask=rows_in)
        tl.store(here + 7 * field, high, mask=rows_in)
        tl.store(here + 8 * field, low, mask=rows_in)
        tl.store(there + 2 * field, high_id + first_class, mask=rows_in)
        tl.store(there + 3 * field, low_id + first_class, mask=rows_in)
    if TEACHER:
        tl.store(here + 9 * field, q_top, mask=rows_in)
        tl.store(here + 10 * field, q_mass, mask=rows_in)
        tl.store(here + 11 * field, q_heat, mask=rows_in)
        tl.store(here + 12 * field, pull_q, mask=rows_in)
        tl.store(here + 13 * field, pull_p, mask=rows_in)
        tl.store(here + 14 * field, near_q, mask=rows_in)
        tl.store(here + 15 * field, near_p, mask=rows_in)
        tl.store(here + 16 * field, far_q, mask=rows_in)
        tl.store(here + 17 * field, far_p, mask=rows_in)
    if ORDERS > 0:
        tl.store(here + 18 * field, power_0, mask=rows_in)
    if ORDERS > 1:
        tl.store(here + 19 * field, power_1, mask=rows_in)
    if ORDERS > 2:
        tl.store(here + 20 * field, power_2, mask=rows_in)
    if ORDERS > 3:
        tl.store(here + 21 * field, power_3, mask=rows_in)
