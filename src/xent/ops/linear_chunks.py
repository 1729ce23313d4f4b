r"""The cross-entropy of chunks of tokens, with the gradient taken on the way forward.

When the loss is reduced to a scalar inside, each token's upstream gradient is known up to one
common factor, so the logits of a chunk serve twice: three products of 2NDV operations instead of
four. Nothing is recomputed, and nothing larger than a chunk is kept but the gradients themselves.

With r the softmax over the other classes, the gradient of :math:`-\log p_y` is a row scaled by one
number,

.. math:: \frac{\partial \ell}{\partial z} = (1 - p_y)
    (r_1, \dots, \underbrace{-1}_{y}, \dots, r_V),

whose entries sum to zero by construction. The scale goes to the hidden states, not to the logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from xent.ops.backend import upcast
from xent.ops.linear_plan import Plan
from xent.ops.linear_state import MASKED
from xent.ops.linear_sweep import add_product, factor
from xent.ops.linear_torch import products

CHUNK_BYTES = 1 << 25
CPU_TOKENS, GPU_TOKENS = 128, 4096


@dataclass(frozen=True)
class Objective:
    """The sum over tokens of ``weight[i] * phi_tau(nll_i) + square[i] * lse_i**2``, and smoothing.

    ``smooth[i] * sum_k omega_k (lse_i - z_ik)`` is added where ``omega`` is given.
    """

    plan: Plan
    labels: torch.Tensor  # (N,), -1 where ignored
    weight: torch.Tensor  # (N,)
    tau: float = 1.0
    square: torch.Tensor | None = None
    smooth: torch.Tensor | None = None
    omega: torch.Tensor | None = None  # (V,)
    kernel: bool = False  # rows by Triton where they are only scaled

    @property
    def only_scaled(self) -> bool:
        """Whether the gradient of a token is its row of the plain loss times a number."""
        return self.plan.softcap is None and self.square is None and self.omega is None


def chunked_loss(objective: Objective, hidden, weight, bias) -> torch.Tensor:
    """Return the scalar objective; its gradient is computed at once and kept until backward."""
    return _Chunked.apply(objective, hidden, weight, bias)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, objective, hidden, weight, bias):
        needs = ctx.needs_input_grad[1:]
        loss, *gradients = _run(objective, hidden, weight, bias, needs)
        ctx.gradients = gradients
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        if ctx.gradients is None:
            raise RuntimeError(
                "linear_cross_entropy gave its gradients away in the first backward; for a second "
                'one use reduction="none" and reduce the losses yourself'
            )
        gradients, ctx.gradients = ctx.gradients, None
        if upstream.is_cuda or upstream != 1:  # on a GPU a look at the number waits for the device
            gradients = [None if g is None else g.mul_(upstream) for g in gradients]
        return None, *gradients


def _run(objective: Objective, hidden, weight, bias, needs):
    """Return the loss and its gradients with respect to hidden, weight and bias."""
    sums = upcast(weight[:1]).dtype
    loss = torch.zeros((), dtype=sums, device=weight.device)
    d_hidden = torch.empty_like(hidden, dtype=sums) if needs[0] else None
    d_weight = d_bias = None
    if needs[1] and not len(hidden):
        d_weight = torch.zeros(weight.shape, dtype=sums, device=weight.device)
    if bias is not None and needs[2]:
        d_bias = torch.zeros(bias.shape, dtype=sums, device=bias.device)
    head = factor(weight)
    z = None
    for rows in _chunks(hidden, weight):
        part = factor(hidden[rows])
        z = z if _fits(z, part) else None
        z = objective.plan.logits(_products_into(z, part, head, bias))
        losses, scale, dz = _gradient_of_chunk(objective, z, rows, any(needs), part.dtype)
        loss += losses
        if not any(needs):
            continue
        if d_hidden is not None:
            d_hidden[rows] = scale[:, None] * products(dz, head.t())
        if needs[1]:
            scaled = (scale[:, None] * upcast(part)).to(dz.dtype)
            if d_weight is None:
                d_weight = products(dz.t(), scaled.t())
            else:
                add_product(d_weight, dz.t(), scaled)
        if d_bias is not None:
            d_bias.addmv_(upcast(dz).t(), scale)
        del dz  # it may lie in the logits' memory, which the next chunk needs
    gradients = (d_hidden, hidden), (d_weight, weight), (d_bias, bias)
    return loss, *(None if g is None else g.to(like.dtype) for g, like in gradients)


def _fits(buffer, hidden):
    """Whether the next chunk's logits can take the memory of the chunk before."""
    return buffer is not None and len(buffer) == len(hidden) and buffer.dtype == hidden.dtype


def _products_into(buffer, hidden, weight, bias):
    """Return ``hidden @ weight.T + bias``, in a buffer where one is given."""
    if buffer is None:
        return products(hidden, weight, bias)
    torch.mm(hidden, weight.t(), out=buffer)
    return buffer if bias is None else buffer.add_(bias)


def _gradient_of_chunk(objective: Objective, z, rows, wanted, dtype):
    """Return the chunk's loss, and dL/d(h w + b) as a scale per row and rows of ``dtype``.

    z is overwritten.
    """
    plan, omega = objective.plan, objective.omega
    labels = objective.labels[rows]
    counted, where = labels >= 0, labels.clamp_min(0)[:, None]
    uniform = None if omega is None else z @ omega
    chain = None if plan.softcap is None or not wanted else plan.slope_of_logits(z)
    kernel = objective.kernel and objective.only_scaled and wanted
    top, mass, target, e, total = (_rows_in_triton if kernel else _leave_out)(z, labels, dtype)
    rest = top + mass.log()
    lse = torch.where(counted, torch.logaddexp(rest, target), rest)
    gap = (top - target) + mass.log()
    loss, slope, pull = _values(objective, rows, counted, gap, lse, uniform)
    if not wanted:
        return loss, None, None

    # 1 - p_y over the sum of e, with no logit but in a difference
    share = torch.where(counted, torch.sigmoid(gap), 1.0) / total
    scale = (slope + pull) * share
    if objective.only_scaled:
        if not kernel:
            e.scatter_(1, where, torch.where(counted, -total, 0.0)[:, None])
        return loss, torch.where(counted, scale / plan.temperature, 0.0), e.to(dtype)
    at_label = pull * torch.sigmoid(-gap) - slope * torch.sigmoid(gap)
    e.mul_(scale[:, None]).scatter_(1, where, at_label[:, None])
    if omega is not None:
        e.addr_(objective.smooth[rows], omega, alpha=-1)
    e.div_(plan.temperature) if chain is None else e.mul_(chain)
    return loss, counted.to(e.dtype), e.to(dtype)


def _leave_out(z, labels, dtype):
    """Return X, S, the labels' logits and, in place of z, the softmax without the labels.

    X is the largest logit but the label's, S the sum of e^{z - X}, and last is what a row sums to.
    """
    where = labels.clamp_min(0)[:, None]
    target = z.gather(1, where)[:, 0]
    z.scatter_(1, where, torch.where(labels >= 0, MASKED, target)[:, None])
    top = z.amax(1)
    r = torch.softmax(z, 1, out=z)  # a row is read before it is written
    return top, 1 / r.amax(1), target, r, torch.ones_like(top)


def _rows_in_triton(z, labels, dtype):
    from xent.kernels import linear_rows

    top, mass, target, e = linear_rows.rows(z, labels, dtype)
    return top, mass, target, e, mass


def _values(objective: Objective, rows, counted, gap, lse, uniform):
    """Return the chunk's loss and its slopes by nll and by log-sum-exp, per token."""
    tau, weight = objective.tau, objective.weight[rows]
    nll = torch.where(counted, -torch.nn.functional.logsigmoid(-gap), 0.0)
    phi = nll if tau == 1.0 else torch.expm1((1 - tau) * nll) / (1 - tau)
    loss = (weight * phi).sum()
    slope = weight if tau == 1.0 else weight * torch.exp((1 - tau) * nll)
    pull = torch.zeros_like(slope)
    if objective.square is not None:
        loss += (objective.square[rows] * lse**2).sum()
        pull += 2 * objective.square[rows] * lse
    if uniform is not None:
        smooth, total = objective.smooth[rows], objective.omega.sum()
        loss += (smooth * (total * lse - uniform)).sum()
        pull += smooth * total
    return loss, slope, pull


def _chunks(hidden, weight):
    """Yield equal slices of tokens: few enough for the cache, enough for fast products."""
    least = GPU_TOKENS if hidden.is_cuda else CPU_TOKENS
    most = max(least, CHUNK_BYTES // (4 * len(weight)))
    tokens = len(hidden)
    size = -(-tokens // -(-tokens // most)) if tokens else 1
    for start in range(0, tokens, size):
        yield slice(start, min(start + size, tokens))
