r"""One row of stored logits to one row of gradient, in place: two reads, one write.

The gradient has the head's dtype: in half precision it takes the first half of the row's memory.
Ten bytes a logit then, beside the four that the product before writes and the four that the two
products after read.

With X the largest logit besides the label's and S the sum of :math:`e^{z_j - X}` over the others,
the row written is :math:`(e^{z_1 - X}, \dots, -S, \dots, e^{z_V - X})`; see
``xent.ops.linear_chunks`` for the number it is scaled by.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton
import triton.language as tl

MASKED = tl.constexpr(-1e30)
GPU_TILE, INTERPRETER_TILE = 4096, 64


@triton.jit
def row_kernel(logits, labels, tops, masses, targets, row_out, stride, classes, TILE: tl.constexpr):
    """Store X, S, the label's logit and the row; a negative label leaves nothing out."""
    index = tl.program_id(0).to(tl.int64)
    row = logits + index * classes
    label = tl.load(labels + index)
    top = MASKED
    mass = 0.0
    for start in range(0, classes, TILE):
        columns = start + tl.arange(0, TILE)
        z = tl.load(row + columns, mask=columns < classes, other=MASKED)
        z = tl.where(columns == label, MASKED, z)
        new_top = tl.maximum(top, tl.max(z, axis=0))
        mass = mass * tl.exp(top - new_top) + tl.sum(tl.exp(z - new_top), axis=0)
        top = new_top
    tl.store(tops + index, top)
    tl.store(masses + index, mass)
    tl.store(targets + index, tl.load(row + tl.maximum(label, 0)))
    for start in range(0, classes, TILE):
        columns = start + tl.arange(0, TILE)
        z = tl.load(row + columns, mask=columns < classes, other=MASKED)
        tl.debug_barrier()  # all of the tile is read before any of it is overwritten
        e = tl.where(columns == label, -mass, tl.exp(tl.minimum(z - top, 0.0)))
        place = row_out + index * stride + columns
        tl.store(place, e.to(row_out.dtype.element_ty), mask=columns < classes)


def rows(logits, labels, dtype):
    """Return X, S and the labels' logits in float32, and the rows in ``dtype``, over ``logits``."""
    tokens, classes = logits.shape
    tops, masses, targets = torch.empty((3, tokens), dtype=torch.float32, device=logits.device)
    out = logits.view(dtype)
    tile = GPU_TILE if logits.is_cuda else INTERPRETER_TILE
    options = {"num_warps": 8} if logits.is_cuda else {}
    given = logits, labels, tops, masses, targets, out, out.stride(0), classes, tile
    with torch.cuda.device(logits.device) if logits.is_cuda else nullcontext():
        row_kernel[tokens,](*given, **options)
    return tops, masses, targets, out[:, :classes]
