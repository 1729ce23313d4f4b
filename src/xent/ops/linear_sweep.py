r"""One sweep over the vocabulary: statistics of all tokens forward, gradients backward.

Forward, each slice of columns leaves a :class:`~xent.ops.linear_state.State`; nothing else of the
logits is kept. Backward recomputes the slice, forms :math:`\partial L / \partial z` of any mix of
outputs in one pass, and multiplies: the slice's rows of dW are complete when written, and only dH
is accumulated. Four products of 2NDV operations in all, against three when the logits are kept.
"""

from __future__ import annotations

import torch

from xent.ops import linear_group, linear_torch
from xent.ops.backend import upcast
from xent.ops.linear_plan import Backward, Context, Inputs, Marks, Plan, Swept
from xent.ops.linear_state import divergences, merge, of_columns


def sweep(inputs: Inputs, plan: Plan, *, backend: str = "torch", group=None) -> Swept:
    """Return what the plan asks for, differentiable in hidden, weight, bias and direction."""
    offset, classes = linear_group.placement(len(inputs.weight), group, inputs.weight.device)
    context = Context(plan, backend, group, offset)
    if plan.teacher:
        context.center = _typical_log_ratio(inputs, plan, group, classes)
    constants = inputs._replace(hidden=None, weight=None, bias=None, direction=None)
    variables = inputs.hidden, inputs.weight, inputs.bias, inputs.direction
    return Swept(*_Sweep.apply(context, constants, *variables))


class _Sweep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, context, constants, hidden, weight, bias, direction):
        inputs = constants._replace(hidden=hidden, weight=weight, bias=bias, direction=direction)
        out, marks = _forward(context, inputs)
        ctx.set_materialize_grads(False)
        if out.top_id is not None:
            ctx.mark_non_differentiable(out.top_id)
        ctx.context, ctx.constants = context, constants
        ctx.save_for_backward(hidden, weight, bias, direction, *out, *marks)
        return tuple(out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *upstream):
        hidden, weight, bias, direction, *saved = ctx.saved_tensors
        inputs = ctx.constants._replace(
            hidden=hidden, weight=weight, bias=bias, direction=direction
        )
        out, marks = Swept(*saved[: len(Swept._fields)]), Marks(*saved[len(Swept._fields) :])
        done = Backward(ctx.context, inputs, out, marks, _without_gap(Swept(*upstream), out.chosen))
        return None, None, *_backward(done, ctx.needs_input_grad[2:])


def _forward(context: Context, inputs: Inputs) -> tuple[Swept, Marks]:
    plan, group, ids = context.plan, context.group, inputs.ids
    rest, picked = _engine(context.backend).states(context, inputs)
    full = rest = linear_group.merge_ranks(plan, rest, group)
    if ids is not None:
        picked = [linear_group.total(part, group) for part in picked]
        full = merge(plan, rest, _state_of_ids(context, ids, picked))
    out = {"lse": full.lse()}
    if ids is not None:
        out["chosen"] = picked[0]
        out["rest"] = rest.lse()
        out["gap"] = (rest.top - picked[0].amax(1)) + rest.mass.log()
    if plan.entropy:
        out["entropy"] = full.mass.log() - full.heat / full.mass
    if plan.orders:
        orders = torch.tensor(plan.orders, dtype=full.mass.dtype, device=full.mass.device)
        out["log_powers"] = full.powers.log() - orders[:, None] * full.mass.log()
    if plan.total:
        out["total"] = full.total
    if plan.top2:
        out |= {"top": full.top, "second": full.second, "rest_top": rest.top.clone()}
        out["top_id"] = full.top_id
    if plan.direction:
        out |= {"slope_mean": full.slope_mean, "slope_variance": full.slope_square / full.mass}
        out |= {"slope_max": full.slope_max, "slope_min": full.slope_min}
    teacher_lse = None
    if plan.teacher:
        out["kl"], out["reverse_kl"], teacher_lse = divergences(full, context.center)
        heat = full.teacher_heat / full.teacher_mass
        out["teacher_entropy"] = full.teacher_mass.log() - heat
    marks = Marks(
        top=full.top.clone(),
        mass=full.mass,
        rest_top=rest.top,
        rest_mass=rest.mass,
        second_id=full.second_id,
        rest_top_id=rest.top_id,
        slope_max_id=full.slope_max_id,
        slope_min_id=full.slope_min_id,
        teacher_lse=teacher_lse,
    )
    return Swept(**out), marks


def _backward(done: Backward, needs):
    """Return dL/d hidden, weight, bias and direction: two products per slice."""
    inputs, group, weight = done.inputs, done.context.group, done.inputs.weight
    hidden, direction = factor(inputs.hidden), None
    d_hidden = torch.zeros_like(upcast(inputs.hidden)) if needs[0] else None
    d_weight = torch.empty_like(weight, memory_format=torch.contiguous_format) if needs[1] else None
    d_bias = torch.empty_like(inputs.bias) if inputs.bias is not None and needs[2] else None
    d_direction = None
    if inputs.direction is not None:
        direction, d_direction = (
            factor(inputs.direction),
            torch.zeros_like(upcast(inputs.direction)),
        )
    for start, stop, dz, da in _engine(done.context.backend).logit_gradients(done):
        part = weight[start:stop]
        if d_bias is not None:
            d_bias[start:stop] = dz.sum(0)
        dz = dz.to(hidden.dtype)
        if d_hidden is not None:
            add_product(d_hidden, dz, part)
        if d_weight is not None:
            store_product(d_weight[start:stop], dz.t(), hidden)
        if da is not None:
            da = da.to(hidden.dtype)
            add_product(d_direction, da, part)
            if d_weight is not None:
                d_weight[start:stop] += (da.t() @ direction).to(weight.dtype)
    return (
        _finished(d_hidden, inputs.hidden, group),
        d_weight,
        d_bias,
        _finished(d_direction, inputs.direction, group),
    )


def _without_gap(g: Swept, chosen) -> Swept:
    """Let rest and the largest of the chosen, whose difference the gap is, take its gradient."""
    if g.gap is None:
        return g
    pull = torch.zeros_like(chosen).scatter_(1, chosen.argmax(1, keepdim=True), -g.gap[:, None])
    return g._replace(
        gap=None,
        rest=g.gap if g.rest is None else g.rest + g.gap,
        chosen=pull if g.chosen is None else g.chosen + pull,
    )


def factor(tensor: torch.Tensor) -> torch.Tensor:
    """Return a factor of a product in the dtype that sums in float32 or better on its device."""
    return tensor if tensor.is_cuda else upcast(tensor)


def add_product(total, left, right):
    """total += left @ right, summed in the dtype of ``total``."""
    if left.dtype == right.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += linear_torch.products(left, right.t())


def store_product(out, left, right):
    """out = left @ right; the sum is complete before it is rounded to the dtype of ``out``."""
    if out.dtype == left.dtype == right.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(left @ right)


def _finished(total, like, group):
    return None if total is None else linear_group.total(total, group).to(like.dtype)


def _state_of_ids(context, ids, picked):
    z, a, u = (None if part is None else part.clone() for part in picked)
    spots = [(torch.full_like(ids[:, :1], k), ids[:, k : k + 1] < 0) for k in range(ids.shape[1])]
    return of_columns(context.plan, z, ids, a=a, u=u, center=context.center, spots=spots)


def _typical_log_ratio(inputs: Inputs, plan: Plan, group, classes: int):
    """Per token, the mean over classes of u - z before the cap: divergences expand around it."""

    def mean_logit(hidden, weight, bias):
        dtype = upcast(weight[:1]).dtype
        mean = upcast(hidden) @ linear_group.total(weight.sum(0, dtype=dtype), group)
        if bias is not None:
            mean = mean + linear_group.total(bias.sum(dtype=dtype), group)
        return mean / (classes * plan.temperature)

    with torch.no_grad():
        teacher = mean_logit(inputs.teacher_hidden, inputs.teacher_weight, inputs.teacher_bias)
        return teacher - mean_logit(inputs.hidden, inputs.weight, inputs.bias)


def _engine(backend: str):
    """The module with ``states`` and ``logit_gradients``; Triton's is imported when first used."""
    if backend == "torch":
        return linear_torch
    from xent.kernels import linear

    return linear
