"""The sweep in PyTorch's own operators: forward slice by slice, backward slice by slice."""

from __future__ import annotations

import torch

from xent.ops.backend import upcast
from xent.ops.linear_plan import Backward, Context, Inputs, Plan
from xent.ops.linear_state import State, merge, of_columns, put, spots_of, take

CPU_COLUMNS, GPU_COLUMNS = 1024, 8192


def states(context: Context, inputs: Inputs) -> tuple[State, list | None]:
    """Return the state of all columns but the ids, and what the ids' columns hold (N, K)."""
    plan, ids = context.plan, inputs.ids
    state = picked = None
    for start, stop in slices(inputs.weight):
        z, a, u = columns(plan, inputs, start, stop)
        first, last = context.offset + start, context.offset + stop
        spots = ()
        if ids is not None:
            spots = spots_of(ids, first, last)
            found = [None if block is None else take(block, spots) for block in (z, a, u)]
            picked = found if picked is None else _added(picked, found)
        classes = torch.arange(first, last, device=z.device)
        omega = None if inputs.omega is None else inputs.omega[start:stop]
        block = of_columns(
            plan, z, classes, omega=omega, a=a, u=u, center=context.center, spots=spots
        )
        state = block if state is None else merge(plan, state, block)
    return state, picked


def logit_gradients(sweep: Backward):
    """Yield start, stop, dL/d(h w + b) and, where there are slopes, dL/d(direction w)."""
    plan, inputs = sweep.context.plan, sweep.inputs
    for start, stop in slices(inputs.weight):
        z, a, u = columns(plan, inputs, start, stop)
        chain = plan.slope_of_logits(z)
        dz, da = slice_gradient(sweep, z, a, u, start, stop)
        if plan.softcap is not None or plan.temperature != 1.0:
            dz *= chain
        if da is not None and plan.temperature != 1.0:
            da /= plan.temperature
        yield start, stop, dz, da


def slices(weight: torch.Tensor):
    """Yield starts and stops: of fixed width, so that no sum depends on the number of tokens."""
    width = GPU_COLUMNS if weight.is_cuda else CPU_COLUMNS
    for start in range(0, len(weight), width):
        yield start, min(start + width, len(weight))


def products(hidden, weight, bias=None) -> torch.Tensor:
    """Return ``hidden @ weight.T + bias``, accumulated and returned in float32 (or float64)."""
    if hidden.is_cuda and hidden.dtype == weight.dtype and hidden.dtype.itemsize == 2:
        z = torch.mm(hidden, weight.t(), out_dtype=torch.float32)
        return z if bias is None else z.add_(bias.float())
    bias = None if bias is None else upcast(bias)
    return torch.nn.functional.linear(upcast(hidden), upcast(weight), bias)


def columns(plan: Plan, inputs: Inputs, start: int, stop: int):
    """Return a slice of the logits, of their directional derivatives and of the teacher's."""

    def part(tensor):
        return None if tensor is None else tensor[start:stop]

    z = plan.logits(products(inputs.hidden, part(inputs.weight), part(inputs.bias)))
    a = u = None
    if plan.direction:
        a = products(inputs.direction, part(inputs.weight)).div_(plan.temperature)
    if plan.teacher:
        bias = part(inputs.teacher_bias)
        u = plan.logits(products(inputs.teacher_hidden, part(inputs.teacher_weight), bias))
    return z, a, u


def slice_gradient(sweep: Backward, z, a, u, start: int, stop: int):
    """Return dL/dz and dL/da of a slice; z is overwritten."""
    out, g, marks, inputs = sweep.out, sweep.upstream, sweep.marks, sweep.inputs
    first, last = sweep.context.offset + start, sweep.context.offset + stop
    dz, da = _smooth_gradient(sweep, z, a, u), _slope_gradient(sweep, z, a)
    if g.rest is not None:
        scale = g.rest / marks.rest_mass
        others = z.sub_(marks.rest_top[:, None]).exp_().mul_(scale[:, None])
        put(others, spots_of(inputs.ids, first, last), 0.0)
        dz = others if dz is None else dz.add_(others)
    if dz is None:
        dz = torch.zeros_like(z)
    if g.total is not None:
        dz.addr_(g.total, inputs.omega[start:stop])
    if g.chosen is not None:
        put(dz, spots_of(inputs.ids, first, last), g.chosen, add=True)
    extremes = (g.top, out.top_id), (g.second, marks.second_id), (g.rest_top, marks.rest_top_id)
    _put_all(dz, extremes, first, last)
    extremes = (g.slope_max, marks.slope_max_id), (g.slope_min, marks.slope_min_id)
    if any(upstream is not None for upstream, _ in extremes):
        da = torch.zeros_like(dz) if da is None else da
        _put_all(da, extremes, first, last)
    return dz, da


def _smooth_gradient(sweep, z, a, u):
    """The part of dL/dz made of p_j, q_j and a_j; None where it is zero."""
    out, g = sweep.out, sweep.upstream
    parts = (g.lse, g.entropy, g.log_powers, g.slope_mean, g.slope_variance, g.kl, g.reverse_kl)
    if all(part is None for part in parts):
        return None
    log_p = (z - sweep.marks.top[:, None]).sub_(sweep.marks.mass.log()[:, None])
    p = log_p.exp()
    inner = torch.zeros_like(z)
    if g.lse is not None:
        inner += g.lse[:, None]
    if g.entropy is not None:
        inner -= g.entropy[:, None] * (log_p + out.entropy[:, None])
    if g.slope_mean is not None:
        inner += g.slope_mean[:, None] * (a - out.slope_mean[:, None])
    if g.slope_variance is not None:
        square = (a - out.slope_mean[:, None]) ** 2
        inner += g.slope_variance[:, None] * (square - out.slope_variance[:, None])
    log_q = None if u is None else u - sweep.marks.teacher_lse[:, None]
    if g.reverse_kl is not None:
        inner += g.reverse_kl[:, None] * (log_p - log_q - out.reverse_kl[:, None])
    dz = inner.mul_(p)
    if g.log_powers is not None:
        orders = sweep.context.plan.orders
        for order, weight, log_power in zip(orders, g.log_powers, out.log_powers, strict=True):
            escort = torch.exp(order * log_p - log_power[:, None])
            dz += (order * weight)[:, None] * (escort - p)
    if g.kl is not None:
        dz += g.kl[:, None] * _difference_of_laws(log_p, log_q)
    return dz


def _difference_of_laws(log_p, log_q):
    """p - q, relatively accurate also where the two are close."""
    log_ratio = log_p - log_q
    close = log_q.exp() * torch.expm1(log_ratio.clamp(-1.0, 1.0))
    return torch.where(log_ratio.abs() < 1.0, close, log_p.exp() - log_q.exp())


def _slope_gradient(sweep, z, a):
    out, g = sweep.out, sweep.upstream
    if g.slope_mean is None and g.slope_variance is None:
        return None
    inner = torch.zeros_like(z)
    if g.slope_mean is not None:
        inner += g.slope_mean[:, None]
    if g.slope_variance is not None:
        inner += 2 * g.slope_variance[:, None] * (a - out.slope_mean[:, None])
    return inner.mul_(torch.exp(z - sweep.marks.top[:, None])).div_(sweep.marks.mass[:, None])


def _put_all(block, upstream_and_class, first, last):
    for upstream, where in upstream_and_class:
        if upstream is not None:
            put(block, spots_of(where[:, None], first, last), upstream[:, None], add=True)


def _added(left, right):
    return [None if x is None else x.add_(y) for x, y in zip(left, right, strict=True)]
