"""Triton kernels of ``xent.ops.softmax``: one program per row, tiles folded in one after another.

Every sweep carries the leave-max-out state (maximum, rest) of ``xent.reference.softmax``, in
float32 whatever the logits' dtype; logits are upcast right after the load, which bfloat16 needs in
the interpreter. A column past the end is a class of logit -inf. No atomics, a fixed order: results
are deterministic.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton
import triton.language as tl

GPU_TILE = 4096
INTERPRETER_TILE = 128  # several tiles per row even at the small shapes of the interpreter
MINUS_INF = tl.constexpr(float("-inf"))


@triton.jit
def _log1p(x):
    """Kahan's form: the rounding of 1 + x cancels between the logarithm and the divisor."""
    y = 1.0 + x
    return tl.where(y == 1.0, x, tl.log(y) * (x / tl.where(y == 1.0, 1.0, y - 1.0)))


@triton.jit
def _finite(top):
    """A maximum to subtract: zero for a set without finite logits."""
    return tl.where(top == MINUS_INF, 0.0, top)


@triton.jit
def _tile_state(z):
    """The state of one tile; (-inf, -1), the neutral one, if all of it is masked."""
    top = tl.max(z, axis=0)
    below = tl.where(z == top, 0.0, tl.exp(z - _finite(top)))
    ties = tl.sum((z == top).to(tl.float32), axis=0) - 1.0
    return top, tl.where(top == MINUS_INF, -1.0, tl.sum(below, axis=0) + ties)


@triton.jit
def _merge(m, r, n, q):
    """``merge_leave_max_out`` of the reference."""
    first = m >= n
    top = tl.where(first, m, n)
    low = tl.where(first, n, m)
    rest = tl.where(first, r, q)
    added = tl.where(first, q, r)
    return top, rest + (1.0 + added) * tl.exp(low - _finite(top))


@triton.jit
def _load(row, start, stride, classes, other, TILE: tl.constexpr):
    columns = start + tl.arange(0, TILE).to(tl.int64)
    values = tl.load(row + columns * stride, mask=columns < classes, other=other)
    return columns, values.to(tl.float32)


@triton.jit
def _row_state(row, column_stride, classes, TILE: tl.constexpr):
    top = MINUS_INF
    rest = -1.0
    for start in range(0, classes, TILE):
        _, z = _load(row, start, column_stride, classes, MINUS_INF, TILE)
        tile_top, tile_rest = _tile_state(z)
        top, rest = _merge(top, rest, tile_top, tile_rest)
    return top, rest


@triton.jit
def state_kernel(logits, tops, rests, row_stride, column_stride, classes, TILE: tl.constexpr):
    """Store the state of each row: one read of the logits."""
    index = tl.program_id(0).to(tl.int64)
    top, rest = _row_state(logits + index * row_stride, column_stride, classes, TILE)
    tl.store(tops + index, top)
    tl.store(rests + index, rest)


@triton.jit
def scaled_softmax_kernel(
    logits, tops, rests, scales, out, row_stride, column_stride, classes, TILE: tl.constexpr
):
    """Write scale * p, the gradient of log-sum-exp: one read, one write."""
    index = tl.program_id(0).to(tl.int64)
    start = tl.program_id(1).to(tl.int64) * TILE
    columns, z = _load(logits + index * row_stride, start, column_stride, classes, MINUS_INF, TILE)
    factor = tl.load(scales + index) / (1.0 + tl.load(rests + index))
    p = factor * tl.exp(z - tl.load(tops + index))
    tl.store(out + index * classes + columns, p, mask=columns < classes)


@triton.jit
def softmax_kernel(
    logits, out, row_stride, column_stride, classes, LOG: tl.constexpr, TILE: tl.constexpr
):
    """Write p or log p. A row's second read follows its first closely and hits the cache."""
    index = tl.program_id(0).to(tl.int64)
    row = logits + index * row_stride
    top, rest = _row_state(row, column_stride, classes, TILE)
    for start in range(0, classes, TILE):
        columns, z = _load(row, start, column_stride, classes, MINUS_INF, TILE)
        if LOG:
            p = (z - top) - _log1p(rest)
        else:
            p = tl.exp(z - top) / (1.0 + rest)
        tl.store(out + index * classes + columns, p, mask=columns < classes)


@triton.jit
def softmax_backward_kernel(out, upstream, slope, classes, LOG: tl.constexpr, TILE: tl.constexpr):
    """Write p (g - sum g p), or for log p: g - p sum g."""
    index = tl.program_id(0).to(tl.int64)
    out, upstream = out + index * classes, upstream + index * classes
    total = 0.0
    for start in range(0, classes, TILE):
        _, g = _load(upstream, start, 1, classes, 0.0, TILE)
        if not LOG:
            _, p = _load(out, start, 1, classes, 0.0, TILE)
            g = g * p
        total += tl.sum(g, axis=0)
    for start in range(0, classes, TILE):
        columns, g = _load(upstream, start, 1, classes, 0.0, TILE)
        _, y = _load(out, start, 1, classes, 0.0, TILE)
        if LOG:
            dz = g - tl.exp(y) * total
        else:
            dz = y * (g - total)
        tl.store(slope + index * classes + columns, dz, mask=columns < classes)


@triton.jit
def cross_entropy_kernel(
    logits,
    labels,
    counted,
    losses,
    tops,
    rests,
    smoothing,
    z_weight,
    row_stride,
    column_stride,
    classes,
    SMOOTH: tl.constexpr,
    TILE: tl.constexpr,
):
    """Store loss and state of each row that counts: one read of the logits."""
    index = tl.program_id(0).to(tl.int64)
    counts = tl.load(counted + index)
    if counts:
        row = logits + index * row_stride
        top = MINUS_INF
        rest = -1.0
        gaps = 0.0
        seen = 0.0
        for start in range(0, classes, TILE):
            columns, z = _load(row, start, column_stride, classes, MINUS_INF, TILE)
            tile_top, tile_rest = _tile_state(z)
            before = top
            top, rest = _merge(top, rest, tile_top, tile_rest)
            if SMOOTH:  # gaps = sum of top - z over the classes seen
                inside = columns < classes
                gap = tl.where(inside, _finite(top) - z, 0.0)
                gaps += seen * (_finite(top) - _finite(before)) + tl.sum(gap, axis=0)
                seen += tl.sum(inside.to(tl.float32), axis=0)
        log_rest = _log1p(rest)
        target = tl.load(labels + index).to(tl.int64)
        lead = top - tl.load(row + target * column_stride).to(tl.float32)
        loss = lead + log_rest
        if SMOOTH:
            uniform = gaps / classes + log_rest
            loss = tl.where(smoothing == 1.0, uniform, (1 - smoothing) * loss + smoothing * uniform)
        lse = top + log_rest
        tl.store(losses + index, loss + z_weight * lse * lse)
        tl.store(tops + index, top)
        tl.store(rests + index, rest)
    else:
        tl.store(losses + index, 0.0)


@triton.jit
def cross_entropy_backward_kernel(
    logits,
    labels,
    counted,
    tops,
    rests,
    upstream,
    slope,
    smoothing,
    z_weight,
    row_stride,
    column_stride,
    classes,
    TILE: tl.constexpr,
):
    """Write the gradient of one tile of one row: one read, one write, none read if ignored."""
    index = tl.program_id(0).to(tl.int64)
    start = tl.program_id(1).to(tl.int64) * TILE
    counts = tl.load(counted + index)
    if counts:
        columns, z = _load(
            logits + index * row_stride, start, column_stride, classes, MINUS_INF, TILE
        )
        top, rest = tl.load(tops + index), tl.load(rests + index)
        target = tl.load(labels + index).to(tl.int64)
        p = tl.exp(z - top) / (1.0 + rest)
        missing = tl.where(z == top, rest / (1.0 + rest), 1.0 - p)  # 1 - p without cancellation
        data = tl.where(columns == target, -missing, p)
        lse = top + _log1p(rest)
        dz = (1.0 - smoothing) * data + smoothing * (p - 1.0 / classes) + 2.0 * z_weight * lse * p
        dz = dz * tl.load(upstream + index)
        tl.store(slope + index * classes + columns, dz, mask=columns < classes)
    else:
        columns = start + tl.arange(0, TILE).to(tl.int64)
        zeros = tl.zeros((TILE,), tl.float32)
        tl.store(slope + index * classes + columns, zeros, mask=columns < classes)


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        tops, rests = _per_row(z), _per_row(z)
        _launch(state_kernel, z, 1, z, tops, rests, *z.stride(), z.shape[1])
        ctx.save_for_backward(z, tops, rests)
        return tops + rests.log1p()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        z, tops, rests = ctx.saved_tensors
        out = _like(z)
        scales = upstream.contiguous()
        _launch(scaled_softmax_kernel, z, 2, z, tops, rests, scales, out, *z.stride(), z.shape[1])
        return out


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, log):
        out = _like(z)
        _launch(softmax_kernel, z, 1, z, out, *z.stride(), z.shape[1], LOG=log)
        ctx.save_for_backward(out)
        ctx.log = log
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        (out,) = ctx.saved_tensors
        slope, upstream = _like(out), upstream.contiguous()
        rows = out, upstream, slope, out.shape[1]
        _launch(softmax_backward_kernel, out, 1, *rows, LOG=ctx.log)
        return slope, None


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, labels, counted, smoothing, z_weight):
        losses, tops, rests = _per_row(z), _per_row(z), _per_row(z)
        options = smoothing, z_weight, *z.stride(), z.shape[1]
        outputs = losses, tops, rests
        smooth = smoothing > 0.0
        _launch(cross_entropy_kernel, z, 1, z, labels, counted, *outputs, *options, SMOOTH=smooth)
        ctx.save_for_backward(z, labels, counted, tops, rests)
        ctx.options = options
        return losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        z, *saved = ctx.saved_tensors
        slope = _like(z)
        rows = *saved, upstream.contiguous(), slope
        _launch(cross_entropy_backward_kernel, z, 2, z, *rows, *ctx.options)
        return slope, None, None, None, None


def logsumexp(logits, axis):
    """Log-sum-exp along an axis, in float32."""
    rows = logits.movedim(axis, -1)
    return _LogSumExp.apply(rows.reshape(-1, rows.shape[-1])).view(rows.shape[:-1])


def softmax(logits, axis):
    """Softmax along an axis, in the dtype of the logits."""
    return _elementwise(logits, axis, log=False)


def log_softmax(logits, axis):
    """Logarithm of the softmax along an axis, in the dtype of the logits."""
    return _elementwise(logits, axis, log=True)


def cross_entropy(logits, labels, counted, smoothing, z_weight):
    """Cross-entropy of each example, in float32; checks are the op's."""
    rows = logits.reshape(-1, logits.shape[-1])
    flat = labels.contiguous().view(-1), counted.contiguous().view(-1)
    return _CrossEntropy.apply(rows, *flat, smoothing, z_weight).view(labels.shape)


def _elementwise(logits, axis, *, log):
    rows = logits.movedim(axis, -1)
    out = _Softmax.apply(rows.reshape(-1, rows.shape[-1]), log)
    return out.view(rows.shape).movedim(-1, axis)


def _per_row(z):
    return torch.empty(z.shape[0], dtype=torch.float32, device=z.device)


def _like(z):
    return torch.empty(z.shape, dtype=z.dtype, device=z.device)


def _launch(kernel, z, axes, *arguments, **constants):
    """Run a kernel on a grid of rows (``axes=1``) or rows and tiles (``axes=2``)."""
    rows, classes = z.shape
    if rows == 0:
        return
    tile = min(triton.next_power_of_2(classes), GPU_TILE if z.is_cuda else INTERPRETER_TILE)
    grid = (rows, triton.cdiv(classes, tile))[:axes]
    with torch.cuda.device(z.device) if z.is_cuda else nullcontext():
        kernel[grid](*arguments, **constants, TILE=tile, num_warps=min(max(tile // 256, 1), 8))
