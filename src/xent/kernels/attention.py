"""Triton kernels of ``xent.ops.attention``: a forward sweep over keys, and two owners backward.

Tiles are upcast right after the load in the interpreter, which computes bfloat16 on bit patterns.
No atomics: one program owns a tile of queries (outputs, dq) or of keys (dk, dv).
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton
import triton.language as tl

MASKED = tl.constexpr(-1e30)
GPU = {"BLOCK_N": 64, "BLOCK_M": 64, "num_warps": 4, "num_stages": 2}
GPU_KEYS = GPU | {"num_warps": 8}  # two sums: with four warps registers spill
INTERPRETER = {"BLOCK_N": 16, "BLOCK_M": 16}


@triton.jit
def _load(base, index, index_in, width, WIDTH: tl.constexpr, UPCAST: tl.constexpr):
    """Rows of a contiguous (., width) matrix, padded to WIDTH columns with zeros."""
    d = tl.arange(0, WIDTH)
    mask = index_in[:, None] & (d < width)[None, :]
    tile = tl.load(base + index[:, None] * width + d[None, :], mask=mask, other=0.0)
    if UPCAST:
        tile = tile.to(tl.float32)
    return tile


@triton.jit
def _scores(q, k, i, j, i_in, j_in, queries, keys, scale, CAUSAL: tl.constexpr):
    """Scores of a tile, MASKED outside the matrix and above the diagonal."""
    s = scale * tl.dot(q, tl.trans(k), input_precision="ieee")
    seen = i_in[:, None] & j_in[None, :]
    if CAUSAL:
        seen = seen & (j[None, :] <= i[:, None] + (keys - queries))
    return tl.where(seen, s, MASKED)


@triton.jit
def _seen(queries, keys, CAUSAL: tl.constexpr, BLOCK_N: tl.constexpr):
    """How many keys this program's tile of queries may see."""
    seen = keys
    if CAUSAL:
        seen = tl.minimum(keys, (tl.program_id(0) + 1) * BLOCK_N + keys - queries)
    return seen


@triton.jit
def forward_kernel(
    q,
    k,
    v,
    output,
    rows,
    tops,
    queries,
    keys,
    width,
    value_width,
    total,
    scale,
    CAUSAL: tl.constexpr,
    UPCAST: tl.constexpr,
    WIDTH: tl.constexpr,
    VALUES: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Store output, entropy, log-sum-exp, maximum and its key for one tile of queries."""
    batch = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    i_in = i < queries
    q_tile = _load(q + batch * queries * width, i, i_in, width, WIDTH, UPCAST)
    top = tl.zeros((BLOCK_N,), dtype=tl.float32) + MASKED
    mass = tl.zeros((BLOCK_N,), dtype=tl.float32)
    heat = tl.zeros((BLOCK_N,), dtype=tl.float32)
    where = tl.zeros((BLOCK_N,), dtype=tl.int32)
    sums = tl.zeros((BLOCK_N, VALUES), dtype=tl.float32)
    seen = _seen(queries, keys, CAUSAL, BLOCK_N)
    for start in range(0, seen, BLOCK_M):
        j = start + tl.arange(0, BLOCK_M)
        j_in = j < keys
        k_tile = _load(k + batch * keys * width, j, j_in, width, WIDTH, UPCAST)
        v_tile = _load(v + batch * keys * value_width, j, j_in, value_width, VALUES, UPCAST)
        s = _scores(q_tile, k_tile, i, j, i_in, j_in, queries, keys, scale, CAUSAL)
        tile_top = tl.max(s, axis=1)
        first = tl.min(tl.where(s == tile_top[:, None], j[None, :], 2147483647), axis=1)
        where = tl.where(tile_top > top, first, where)
        new_top = tl.maximum(top, tile_top)
        fade = top - new_top
        c = tl.exp(fade)
        gap = s - new_top[:, None]
        e = tl.exp(gap)
        heat = c * (heat + fade * mass) + tl.sum(e * gap, axis=1)
        mass = c * mass + tl.sum(e, axis=1)
        weighted = tl.dot(e.to(v_tile.dtype), v_tile, input_precision="ieee")
        sums = sums * c[:, None] + weighted
        top = new_top
    log_mass = tl.log(mass)
    here = rows + batch * queries + i
    tl.store(here, log_mass - heat / mass, mask=i_in)
    tl.store(here + total, top + log_mass, mask=i_in)
    tl.store(here + 2 * total, top, mask=i_in)
    tl.store(tops + batch * queries + i, where.to(tl.int64), mask=i_in)
    d = tl.arange(0, VALUES)
    place = output + (batch * queries + i)[:, None] * value_width + d[None, :]
    tl.store(place, sums / mass[:, None], mask=i_in[:, None] & (d < value_width)[None, :])


@triton.jit
def _score_gradient(s, g_tile, v_tile, rows, tops, i, j, i_in, total):
    """Return p and dL/ds of a tile; rows are level, g_entropy, g_max, entropy, lse."""
    level = tl.load(rows + i, mask=i_in, other=0.0)[:, None]
    g_entropy = tl.load(rows + total + i, mask=i_in, other=0.0)[:, None]
    g_top = tl.load(rows + 2 * total + i, mask=i_in, other=0.0)[:, None]
    entropy = tl.load(rows + 3 * total + i, mask=i_in, other=0.0)[:, None]
    lse = tl.load(rows + 4 * total + i, mask=i_in, other=0.0)[:, None]
    top = tl.load(tops + i, mask=i_in, other=-1)[:, None]
    log_p = s - lse
    p = tl.exp(log_p)
    along = tl.dot(g_tile, tl.trans(v_tile), input_precision="ieee")
    d_s = p * (along - level - g_entropy * (log_p + entropy))
    return p, d_s + tl.where(j[None, :] == top, g_top, 0.0)


@triton.jit
def query_kernel(
    q,
    k,
    v,
    g_output,
    rows,
    tops,
    d_q,
    queries,
    keys,
    width,
    value_width,
    total,
    scale,
    CAUSAL: tl.constexpr,
    UPCAST: tl.constexpr,
    WIDTH: tl.constexpr,
    VALUES: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Store dL/dq of one tile of queries."""
    batch = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    i_in = i < queries
    q_tile = _load(q + batch * queries * width, i, i_in, width, WIDTH, UPCAST)
    g_base = g_output + batch * queries * value_width
    g_tile = _load(g_base, i, i_in, value_width, VALUES, UPCAST)
    sums = tl.zeros((BLOCK_N, WIDTH), dtype=tl.float32)
    seen = _seen(queries, keys, CAUSAL, BLOCK_N)
    for start in range(0, seen, BLOCK_M):
        j = start + tl.arange(0, BLOCK_M)
        j_in = j < keys
        k_tile = _load(k + batch * keys * width, j, j_in, width, WIDTH, UPCAST)
        v_tile = _load(v + batch * keys * value_width, j, j_in, value_width, VALUES, UPCAST)
        s = _scores(q_tile, k_tile, i, j, i_in, j_in, queries, keys, scale, CAUSAL)
        own = rows + batch * queries
        _, d_s = _score_gradient(s, g_tile, v_tile, own, tops + batch * queries, i, j, i_in, total)
        sums += tl.dot(d_s.to(k_tile.dtype), k_tile, input_precision="ieee")
    d = tl.arange(0, WIDTH)
    place = d_q + (batch * queries + i)[:, None] * width + d[None, :]
    tl.store(place, scale * sums, mask=i_in[:, None] & (d < width)[None, :])


@triton.jit
def key_kernel(
    q,
    k,
    v,
    g_output,
    rows,
    tops,
    d_k,
    d_v,
    queries,
    keys,
    width,
    value_width,
    total,
    scale,
    CAUSAL: tl.constexpr,
    UPCAST: tl.constexpr,
    WIDTH: tl.constexpr,
    VALUES: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Store dL/dk and dL/dv of one tile of keys."""
    batch = tl.program_id(1).to(tl.int64)
    j = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    j_in = j < keys
    k_tile = _load(k + batch * keys * width, j, j_in, width, WIDTH, UPCAST)
    v_tile = _load(v + batch * keys * value_width, j, j_in, value_width, VALUES, UPCAST)
    k_sums = tl.zeros((BLOCK_M, WIDTH), dtype=tl.float32)
    v_sums = tl.zeros((BLOCK_M, VALUES), dtype=tl.float32)
    first = 0
    if CAUSAL:  # the first query that sees any of these keys
        first = tl.maximum(tl.program_id(0) * BLOCK_M - (keys - queries), 0)
    for start in range(first, queries, BLOCK_N):
        i = start + tl.arange(0, BLOCK_N)
        i_in = i < queries
        q_tile = _load(q + batch * queries * width, i, i_in, width, WIDTH, UPCAST)
        g_base = g_output + batch * queries * value_width
        g_tile = _load(g_base, i, i_in, value_width, VALUES, UPCAST)
        s = _scores(q_tile, k_tile, i, j, i_in, j_in, queries, keys, scale, CAUSAL)
        own = rows + batch * queries
        p, d_s = _score_gradient(s, g_tile, v_tile, own, tops + batch * queries, i, j, i_in, total)
        k_sums += tl.dot(tl.trans(d_s).to(q_tile.dtype), q_tile, input_precision="ieee")
        v_sums += tl.dot(tl.trans(p).to(g_tile.dtype), g_tile, input_precision="ieee")
    d = tl.arange(0, WIDTH)
    place = d_k + (batch * keys + j)[:, None] * width + d[None, :]
    tl.store(place, scale * k_sums, mask=j_in[:, None] & (d < width)[None, :])
    d = tl.arange(0, VALUES)
    place = d_v + (batch * keys + j)[:, None] * value_width + d[None, :]
    tl.store(place, v_sums, mask=j_in[:, None] & (d < value_width)[None, :])


def forward(q, k, v, causal, scale):
    """Return output (float32), entropy, log-sum-exp, maximum and its key."""
    q, k, v = (t.detach().contiguous() for t in (q, k, v))
    batch, queries = q.shape[:2]
    output = torch.empty((batch, queries, v.shape[2]), dtype=torch.float32, device=q.device)
    rows = torch.empty((3, batch, queries), dtype=torch.float32, device=q.device)
    tops = torch.empty((batch, queries), dtype=torch.int64, device=q.device)
    _launch(
        forward_kernel, queries, "BLOCK_N", (q, k, v, output, rows, tops), q, k, v, causal, scale
    )
    return output, *rows, tops


def backward(q, k, v, g_output, rows, tops, causal, scale):
    """Return dL/dq, dL/dk and dL/dv in float32."""
    q, k, v = (t.detach().contiguous() for t in (q, k, v))
    g_output, rows = g_output.to(v.dtype).contiguous(), rows.contiguous()
    found = [torch.empty(t.shape, dtype=torch.float32, device=t.device) for t in (q, k, v)]
    given = (q, k, v, g_output, rows, tops)
    shapes = q, k, v, causal, scale
    _launch(query_kernel, q.shape[1], "BLOCK_N", (*given, found[0]), *shapes)
    _launch(key_kernel, k.shape[1], "BLOCK_M", (*given, *found[1:]), *shapes)
    return found


def _launch(kernel, count, block, tensors, q, k, v, causal, scale):
    tiles = INTERPRETER
    if q.is_cuda:
        tiles = GPU_KEYS if kernel is key_kernel else GPU
    batch, queries, width = q.shape
    if not batch or not count:
        return
    device = torch.cuda.device(q.device) if q.is_cuda else nullcontext()
    with device:
        kernel[triton.cdiv(count, tiles[block]), batch](
            *tensors,
            queries,
            k.shape[1],
            width,
            v.shape[2],
            batch * queries,
            scale,
            CAUSAL=causal,
            UPCAST=not q.is_cuda,
            WIDTH=max(16, triton.next_power_of_2(width)),
            VALUES=max(16, triton.next_power_of_2(v.shape[2])),
            **tiles,
        )
