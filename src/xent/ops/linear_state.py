r"""What a sweep remembers of the columns it has seen, and how two such memories become one.

A state holds, per token, sums over a set of columns relative to the largest logit m among them:
:math:`S = \sum e^{z_j-m}`, :math:`B = \sum e^{z_j-m}(z_j-m)`, :math:`S_\alpha`, and so on. States
of disjoint sets merge exactly, up to rounding, so one function joins the slices of the torch
sweep, the splits of the Triton kernel, the label's own column, and the ranks of a sharded head.
Merging is always a left fold in column order: no atomics, no locks, the same bits every time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from xent.ops.linear_plan import Plan

MASKED = -1e30  # stands for -inf, whose differences would be NaN
NEAR = 1.0  # log-ratios up to this size go through expm1


@dataclass
class State:
    """Sums over a set of columns, one entry per token; None where the plan does not ask."""

    top: torch.Tensor
    mass: torch.Tensor
    heat: torch.Tensor | None = None
    powers: torch.Tensor | None = None  # (orders, N)
    total: torch.Tensor | None = None
    top_id: torch.Tensor | None = None
    second: torch.Tensor | None = None
    second_id: torch.Tensor | None = None
    slope_mean: torch.Tensor | None = None
    slope_square: torch.Tensor | None = None
    slope_max: torch.Tensor | None = None
    slope_max_id: torch.Tensor | None = None
    slope_min: torch.Tensor | None = None
    slope_min_id: torch.Tensor | None = None
    teacher_top: torch.Tensor | None = None
    teacher_mass: torch.Tensor | None = None
    teacher_heat: torch.Tensor | None = None
    pull_q: torch.Tensor | None = None  # sum e^{u-mu} r,  r = u - z - center
    pull_p: torch.Tensor | None = None  # sum e^{z-m} r
    near_q: torch.Tensor | None = None  # sum e^{u-mu} (e^{-r} - 1) where |r| <= NEAR
    near_p: torch.Tensor | None = None  # sum e^{z-m} (e^r - 1)     where |r| <= NEAR
    far_q: torch.Tensor | None = None  # sum e^{u-mu} elsewhere
    far_p: torch.Tensor | None = None  # sum e^{z-m} elsewhere

    def lse(self) -> torch.Tensor:
        """Log-sum-exp of the columns."""
        return self.top + self.mass.log()


IDS = ("top_id", "second_id", "slope_max_id", "slope_min_id")
NAMES = tuple(field.name for field in fields(State))


def of_columns(plan: Plan, z, ids, *, omega=None, a=None, u=None, center=None, spots=()):
    """Return the state of a block of columns.

    Args:
        plan: which sums to keep.
        z: logits (N, C); overwritten, as are ``a`` and ``u``.
        ids: the columns' classes: (C,) or, per token, (N, C).
        omega: weights (C,) of ``total``, which leaves nothing out; None for zeros.
        a: directional derivatives of the logits (N, C).
        u: teacher logits (N, C).
        center: (N,) a typical value of u - z.
        spots: entries to leave out, see :func:`put`.
    """
    state = State(top=z[:, 0], mass=z[:, 0])
    if plan.total:
        state.total = torch.zeros_like(z[:, 0]) if omega is None else z @ omega
    for tensor, nothing in ((z, MASKED), (u, MASKED), (a, 0.0)):
        if tensor is not None:
            put(tensor, spots, nothing)
    state.top = z.amax(1)
    if plan.top2:
        _keep_top2(state, z, ids)
    log_ratio = None if u is None else u - z - center[:, None]
    gap = z.sub_(state.top[:, None])
    e = torch.exp(gap) if plan.entropy or plan.orders else gap.exp_()
    state.mass = e.sum(1)
    if plan.entropy:
        state.heat = (e * gap).sum(1)
    if plan.orders:
        state.powers = torch.stack([torch.exp(order * gap).sum(1) for order in plan.orders])
    if plan.direction:
        _keep_slopes(state, e, a, ids, spots)
    if plan.teacher:
        _keep_teacher(state, e, u, log_ratio)
    return state


def spots_of(ids: torch.Tensor, start: int, stop: int) -> list:
    """Return where the classes ``ids`` (N, K) lie in columns start..stop: K pairs for :func:`put`.

    A pair is the local column (N, 1), clamped into the block, and whether it is in the block.
    """
    spots = []
    for k in range(ids.shape[1]):
        column = ids[:, k : k + 1]
        inside = (column >= start) & (column < stop)
        spots.append(((column - start).clamp(0, stop - start - 1), inside))
    return spots


def put(block: torch.Tensor, spots, value, *, add: bool = False) -> None:
    """Set, or increase, one entry per row and spot. Rows are distinct: nothing is raced for."""
    for k, (where, inside) in enumerate(spots):
        old = block.gather(1, where)
        new = value[:, k : k + 1] if isinstance(value, torch.Tensor) else value
        block.scatter_(1, where, torch.where(inside, old + new if add else new, old))


def take(block: torch.Tensor, spots) -> torch.Tensor:
    """Return the entries at the spots (N, K), zero where they are not in the block."""
    return torch.cat([block.gather(1, w).where(inside, 0.0) for w, inside in spots], dim=1)


def merge(plan: Plan, left: State, right: State) -> State:
    """Return the state of the union of two disjoint sets of columns."""
    top = torch.maximum(left.top, right.top)
    gap_l, gap_r = left.top - top, right.top - top
    c_l, c_r = gap_l.exp(), gap_r.exp()
    merged = State(top=top, mass=c_l * left.mass + c_r * right.mass)
    if plan.entropy:
        heat_l = c_l * (left.heat + gap_l * left.mass)
        merged.heat = heat_l + c_r * (right.heat + gap_r * right.mass)
    if plan.orders:
        orders = torch.tensor(plan.orders, dtype=top.dtype, device=top.device)[:, None]
        merged.powers = torch.exp(orders * gap_l) * left.powers
        merged.powers = merged.powers + torch.exp(orders * gap_r) * right.powers
    if plan.total:
        merged.total = left.total + right.total
    if plan.top2:
        _merge_top2(merged, left, right)
    if plan.direction:
        _merge_slopes(merged, left, right, c_l, c_r)
    if plan.teacher:
        _merge_teacher(merged, left, right, c_l, c_r)
    return merged


def fold(plan: Plan, states) -> State:
    """Merge an iterable of states from left to right."""
    result = None
    for state in states:
        result = state if result is None else merge(plan, result, state)
    return result


def pack(state: State) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the state's numbers as one (rows, N) tensor, and its classes as another."""
    numbers = [
        value if value.ndim == 2 else value[None]
        for name in NAMES
        if name not in IDS and (value := getattr(state, name)) is not None
    ]
    ids = [value for name in IDS if (value := getattr(state, name)) is not None]
    return torch.cat(numbers), torch.stack(ids) if ids else None


def unpack(like: State, numbers: torch.Tensor, ids: torch.Tensor | None) -> State:
    """Invert :func:`pack`; ``like`` says which fields there are."""
    rows, id_rows, found = iter(numbers), iter(() if ids is None else ids), {}
    for name in NAMES:
        value = getattr(like, name)
        if value is None:
            continue
        if name in IDS:
            found[name] = next(id_rows)
        elif value.ndim == 2:
            found[name] = torch.stack([next(rows) for _ in value])
        else:
            found[name] = next(rows)
    return State(**found)


def divergences(state: State, center):
    """Return D(q||p), D(p||q) and the teacher's log-sum-exp.

    With r = log(q/p) + const, D(q||p) = E_q[r] + log E_q[e^-r]: where the two laws are close this
    keeps the digits that a difference of log-normalizers loses; where they are far it may
    overflow, and where the log-normalizers are far apart the expectation is e^(their distance)
    with no digits left: there the difference is used.
    """
    lse, lse_q = state.lse(), state.teacher_top + state.teacher_mass.log()
    shift = lse_q - lse - center
    mean_q = state.pull_q / state.teacher_mass
    mean_p = state.pull_p / state.mass
    share_q, share_p = state.far_q / state.teacher_mass, state.far_p / state.mass
    excess_q = state.near_q / state.teacher_mass - share_q + share_p * torch.exp(-shift)
    excess_p = state.near_p / state.mass - share_p + share_q * torch.exp(shift)
    kl = _accurate(shift, mean_q - shift, mean_q + torch.log1p(excess_q))
    reverse = _accurate(shift, shift - mean_p, torch.log1p(excess_p) - mean_p)
    return kl, reverse, lse_q


def _accurate(shift, difference, close):
    near = (difference < 0.1) & (shift.abs() < 1.0)
    return torch.where(near, close, difference).clamp_min(0.0)


def _name(ids, local):
    """The classes of local columns."""
    return ids[local] if ids.ndim == 1 else ids.gather(1, local[:, None])[:, 0]


def _keep_top2(state, z, ids):
    if z.shape[1] == 1:
        state.top_id = _name(ids, torch.zeros_like(z[:, 0], dtype=torch.long))
        state.second = torch.full_like(state.top, MASKED)
        state.second_id = torch.full_like(state.top_id, -1)
        return
    first = z.argmax(1)
    state.top_id = _name(ids, first)
    rest = z.scatter(1, first[:, None], 2 * MASKED)
    state.second, second = rest.max(1)
    state.second_id = _name(ids, second)


def _merge_top2(merged, left, right):
    left_wins = (left.top > right.top) | ((left.top == right.top) & (left.top_id <= right.top_id))
    merged.top_id = torch.where(left_wins, left.top_id, right.top_id)
    loser, loser_id = (
        torch.minimum(left.top, right.top),
        torch.where(left_wins, right.top_id, left.top_id),
    )
    runner = torch.where(left_wins, left.second, right.second)
    runner_id = torch.where(left_wins, left.second_id, right.second_id)
    merged.second = torch.maximum(loser, runner)
    merged.second_id = torch.where(loser >= runner, loser_id, runner_id)


def _keep_slopes(state, e, a, ids, spots):
    state.slope_mean = (e * a).sum(1) / state.mass
    state.slope_square = (e * (a - state.slope_mean[:, None]) ** 2).sum(1)
    put(a, spots, MASKED)
    state.slope_max, where = a.max(1)
    state.slope_max_id = _name(ids, where)
    put(a, spots, -MASKED)
    state.slope_min, where = a.min(1)
    state.slope_min_id = _name(ids, where)


def _merge_slopes(merged, left, right, c_l, c_r):
    share = c_r * right.mass / merged.mass
    step = right.slope_mean - left.slope_mean
    merged.slope_mean = left.slope_mean + share * step
    merged.slope_square = (
        c_l * left.slope_square + c_r * right.slope_square + step**2 * share * c_l * left.mass
    )
    higher = right.slope_max > left.slope_max
    merged.slope_max = torch.maximum(left.slope_max, right.slope_max)
    merged.slope_max_id = torch.where(higher, right.slope_max_id, left.slope_max_id)
    lower = right.slope_min < left.slope_min
    merged.slope_min = torch.minimum(left.slope_min, right.slope_min)
    merged.slope_min_id = torch.where(lower, right.slope_min_id, left.slope_min_id)


def _keep_teacher(state, e, u, log_ratio):
    state.teacher_top = u.amax(1)
    gap = u - state.teacher_top[:, None]
    e_q = gap.exp()
    state.teacher_mass, state.teacher_heat = e_q.sum(1), (e_q * gap).sum(1)
    near = log_ratio.abs() <= NEAR
    small = log_ratio.masked_fill(~near, 0.0)
    state.pull_q, state.pull_p = (e_q * log_ratio).sum(1), (e * log_ratio).sum(1)
    state.near_q = (e_q * torch.expm1(-small)).sum(1)
    state.near_p = (e * torch.expm1(small)).sum(1)
    state.far_q = e_q.masked_fill(near, 0.0).sum(1)
    state.far_p = e.masked_fill(near, 0.0).sum(1)


def _merge_teacher(merged, left, right, c_l, c_r):
    merged.teacher_top = torch.maximum(left.teacher_top, right.teacher_top)
    gap_l = left.teacher_top - merged.teacher_top
    gap_r = right.teacher_top - merged.teacher_top
    d_l, d_r = gap_l.exp(), gap_r.exp()
    heat_l = d_l * (left.teacher_heat + gap_l * left.teacher_mass)
    merged.teacher_heat = heat_l + d_r * (right.teacher_heat + gap_r * right.teacher_mass)
    for name in ("teacher_mass", "pull_q", "near_q", "far_q"):
        setattr(merged, name, d_l * getattr(left, name) + d_r * getattr(right, name))
    for name in ("pull_p", "near_p", "far_p"):
        setattr(merged, name, c_l * getattr(left, name) + c_r * getattr(right, name))
