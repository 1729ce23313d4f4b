r"""Softmax attention with the entropy of its rows, without N x M scores in memory.

One sweep over the keys gives the output, the entropy, the log-sum-exp and the maximum of each row;
all four are differentiable, in any mix. Backward recomputes the scores. Deterministic: no atomics,
each gradient is summed by one owner in a fixed order. Memory beyond inputs, outputs and gradients:
on the torch backend one block of 128 query rows of scores per head, in Triton four numbers a row.
"""

from __future__ import annotations

import math

import torch

from xent.ops.backend import choose, upcast
from xent.ops.linear_arguments import FLOATS, positive
from xent.reference.attention import Attention, check_shapes

ROWS = 128


def attention_with_entropy(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    backend: str = "auto",
) -> Attention:
    r"""Return softmax attention, row entropy, log-sum-exp and maximum: twin of the reference.

    With upstream gradients :math:`g` of output, entropy, log-sum-exp and maximum, the scores get

    .. math:: \frac{\partial L}{\partial s_j} = p_j \bigl(g_o \cdot (v_j - o)
              - g_H (\log p_j + H) + g_l\bigr) + g_m [j = \arg\max].

    Args:
        q: queries ``(..., N, D)``, floating.
        k: keys ``(..., M, D)``.
        v: values ``(..., M, E)``.
        causal: query i sees keys up to i + M - N; needs M >= N.
        scale: c > 0, by default :math:`1/\sqrt D`.
        backend: "auto", "torch" or "triton" (widths up to 128).

    Returns:
        :class:`~xent.reference.attention.Attention`; the output has the dtype of ``v``, the
        statistics are float32, or float64 for float64 inputs.

    Raises:
        TypeError: if a tensor is not floating, ``causal`` no truth value or ``scale`` no number.
        ValueError: if shapes, dtypes or devices do not match, ``scale`` is not positive, or the
            backend does not support them.
    """
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if not isinstance(tensor, torch.Tensor) or tensor.dtype not in FLOATS:
            found = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            allowed = "float64, float32, bfloat16 or float16"
            raise TypeError(f"{name} must be a floating tensor, {allowed}; got {found}")
        if tensor.dtype != q.dtype:
            raise ValueError(f"{name} must have the dtype of q, {q.dtype}; got {tensor.dtype}")
        if tensor.device != q.device:
            raise ValueError(f"{name} must be on the device of q, {q.device}: {tensor.device}")
    if not isinstance(causal, bool):
        raise TypeError(f"causal must be True or False, got {type(causal).__name__}")
    check_shapes(q.shape, k.shape, v.shape, causal)
    scale = q.shape[-1] ** -0.5 if scale is None else positive(scale, "scale")
    widest = max(q.shape[-1], v.shape[-1])
    if backend == "triton" and widest > 128:
        raise ValueError(f"backend='triton' supports widths up to 128, got {widest}")
    if backend == "auto" and widest > 128:
        backend = "torch"
    chosen = choose(backend, q)
    batch = math.prod(q.shape[:-2])
    flat = [t.reshape(batch, *t.shape[-2:]) for t in (q, k, v)]
    output, *rows, _ = _Attention.apply(*flat, causal, scale, chosen)
    lead = q.shape[:-1]
    return Attention(output.reshape(*lead, v.shape[-1]), *(r.reshape(lead) for r in rows))


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, causal, scale, backend):
        output, entropy, lse, top, where = _engine(backend)[0](q, k, v, causal, scale)
        ctx.save_for_backward(q, k, v, output, entropy, lse, where)
        ctx.options = causal, scale, backend
        ctx.mark_non_differentiable(where)
        return output.to(v.dtype), entropy, lse, top, where

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_output, g_entropy, g_lse, g_top, _):
        q, k, v, output, entropy, lse, where = ctx.saved_tensors
        causal, scale, backend = ctx.options
        g_output = upcast(g_output)
        level = (g_output * output).sum(-1) - g_lse
        rows = torch.stack([level, g_entropy, g_top, entropy, lse])
        found = _engine(backend)[1](q, k, v, g_output, rows, where, causal, scale)
        return *(g.to(q.dtype) for g in found), None, None, None


def _engine(backend):
    if backend == "torch":
        return _forward, _backward
    from xent.kernels import attention

    return attention.forward, attention.backward


def _blocks(q, k, causal, scale):
    """Yield blocks of rows: where they are, and their scores (B, rows, M)."""
    queries, keys = q.shape[1], k.shape[1]
    for start in range(0, queries, ROWS):
        rows = slice(start, min(start + ROWS, queries))
        scores = scale * upcast(q[:, rows]) @ upcast(k).mT
        if causal:
            last = torch.arange(rows.start, rows.stop, device=q.device) + keys - queries
            hidden = torch.arange(keys, device=q.device) > last[:, None]
            scores = scores.masked_fill(hidden, -torch.inf)
        yield rows, scores


def _forward(q, k, v, causal, scale):
    sums = upcast(q[:0, :0]).dtype
    output = torch.empty((*q.shape[:2], v.shape[2]), dtype=sums, device=q.device)
    entropy, lse, top = (output.new_empty(q.shape[:2]) for _ in range(3))
    where = torch.empty(q.shape[:2], dtype=torch.int64, device=q.device)
    for rows, scores in _blocks(q, k, causal, scale):
        top[:, rows], where[:, rows] = scores.max(-1)
        gap = scores - top[:, rows, None]
        e = gap.exp()
        mass = e.sum(-1)
        heat = (e * gap.masked_fill(e == 0, 0.0)).sum(-1)
        entropy[:, rows] = mass.log() - heat / mass
        lse[:, rows] = top[:, rows] + mass.log()
        output[:, rows] = (e @ upcast(v)) / mass[..., None]
    return output, entropy, lse, top, where


def _backward(q, k, v, g_output, rows_of, where, causal, scale):
    d_q = torch.empty_like(upcast(q))
    d_k, d_v = torch.zeros_like(upcast(k)), torch.zeros_like(upcast(v))
    for rows, scores in _blocks(q, k, causal, scale):
        level, g_entropy, g_top, entropy, lse = rows_of[:, :, rows, None]
        log_p = scores - lse
        p = log_p.exp()
        log_p = log_p.masked_fill(p == 0, 0.0)
        pull = g_output[:, rows] @ upcast(v).mT - level - g_entropy * (log_p + entropy)
        d_scores = p * pull
        at_top = where[:, rows, None]
        d_scores.scatter_(-1, at_top, d_scores.gather(-1, at_top) + g_top)
        d_q[:, rows] = scale * d_scores @ upcast(k)
        d_k += scale * d_scores.mT @ upcast(q[:, rows])
        d_v += p.mT @ g_output[:, rows]
    return d_q, d_k, d_v
