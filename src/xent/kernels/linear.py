"""The sweep in Triton: launches of the two kernels, with the interface of ``ops.linear_torch``.

Tiles and splits are fixed by the device, the dtype and what is asked, never by the number of
tokens: a token's numbers come out the same, bit for bit, in any batch.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton

from xent.kernels import linear_backward, linear_forward
from xent.ops.linear_plan import TRITON_ORDERS, Backward, Context, Inputs, Plan
from xent.ops.linear_state import State, fold

# Registers set the tiles: tests/kernels/compile_linear.py shows that none spills on Hopper.
WIDE = {"BLOCK_N": 128, "BLOCK_V": 256, "BLOCK_D": 64, "PARTS": 4, "GROUP": 16}
WIDE |= {"num_warps": 8, "num_stages": 3}
NARROW = WIDE | {"BLOCK_V": 128}
SINGLE = WIDE | {"BLOCK_N": 64, "BLOCK_V": 64, "BLOCK_D": 32, "PARTS": 2}
INTERPRETER = {"BLOCK_N": 16, "BLOCK_V": 32, "BLOCK_D": 16, "PARTS": 2, "GROUP": 2}
WIDE_SHARED_MEMORY = 150_000  # bytes, three stages
GPU_SPLIT, INTERPRETER_SPLIT = 4096, 64
GPU_COLUMNS, INTERPRETER_COLUMNS = 8192, 128


def tiles(plan: Plan, inputs: Inputs, *, crowded: bool = False) -> dict:
    """Return the tile: wide where its memory is there, rows are even and little else is kept.

    A tile of 256 columns moves a quarter fewer bytes from the L2 cache than one of 128.
    """
    hidden = inputs.hidden
    if not hidden.is_cuda:
        return INTERPRETER
    if hidden.dtype == torch.float32:
        return SINGLE
    crowded = crowded or plan.direction or plan.teacher or plan.total or _known(inputs) > 1
    crowded = crowded or plan.orders or plan.softcap is not None or not _even(inputs, WIDE)
    room = torch.cuda.get_device_properties(hidden.device).shared_memory_per_block_optin
    return NARROW if crowded or room < WIDE_SHARED_MEMORY else WIDE


def states(context: Context, inputs: Inputs) -> tuple[State, list | None]:
    """Return the state of all columns but the known ids, and what the ids' columns hold.

    With several ids a token, only their logits are returned.
    """
    plan, inputs = context.plan, _contiguous(inputs)
    tokens, width = inputs.hidden.shape
    classes, device = len(inputs.weight), inputs.hidden.device
    split = GPU_SPLIT if inputs.hidden.is_cuda else INTERPRETER_SPLIT
    splits = triton.cdiv(classes, split)
    rows = len(linear_forward.NUMBERS) + len(plan.orders)
    numbers = torch.empty((rows, splits, tokens), dtype=torch.float32, device=device)
    ids = torch.empty((len(linear_forward.IDS), splits, tokens), dtype=torch.int32, device=device)
    known = _known(inputs)
    wanted = (True, plan.direction, plan.teacher)
    shape = (3 if any(wanted[1:]) else 1, tokens, known)
    picked = torch.zeros(shape, dtype=torch.float32, device=device)
    tile = tiles(plan, inputs)
    if tokens:
        with _on(device):
            linear_forward.forward_kernel[triton.cdiv(tokens, tile["BLOCK_N"]) * splits,](
                *_tensors(inputs),
                inputs.ids,
                inputs.omega,
                context.center,
                numbers,
                ids,
                picked,
                tokens,
                classes,
                width,
                _widths(inputs)[-1],
                known,
                context.offset,
                split,
                plan.softcap or 1.0,
                1.0 / plan.temperature,
                *_orders(plan),
                KNOWN=min(known, 2),
                ENTROPY=plan.entropy,
                TOP2=plan.top2,
                TOTAL=inputs.omega is not None,
                **_flags(plan, inputs, tile),
                **tile,
            )
    state = fold(plan, (_state(plan, numbers[:, s], ids[:, s]) for s in range(splits)))
    if inputs.ids is None:
        return state, None
    return state, [picked[k] if asked else None for k, asked in enumerate(wanted)]


def logit_gradients(sweep: Backward):
    """Yield start, stop, dL/d(h w + b) and, where there are slopes, dL/d(direction w)."""
    inputs, plan = _contiguous(sweep.inputs), sweep.context.plan
    g = sweep.upstream
    tokens, device = len(inputs.hidden), inputs.hidden.device
    columns = GPU_COLUMNS if inputs.hidden.is_cuda else INTERPRETER_COLUMNS
    numbers, names = _tables(sweep)
    dtype = inputs.hidden.dtype if inputs.hidden.is_cuda else torch.float32
    slopes = any(
        part is not None for part in (g.slope_mean, g.slope_variance, g.slope_max, g.slope_min)
    )
    divergence = g.kl is not None or g.reverse_kl is not None
    smooth = slopes or divergence or g.lse is not None or g.entropy is not None
    known = _known(inputs) if g.rest is not None or g.chosen is not None else 0
    g_chosen = None if g.chosen is None else g.chosen.contiguous()
    if known and g_chosen is None:
        g_chosen = torch.zeros((tokens, known), dtype=torch.float32, device=device)
    extremes = any(x is not None for x in (g.top, g.second, g.rest_top))
    tile = tiles(plan, inputs, crowded=extremes)
    for start in range(0, len(inputs.weight), columns):
        stop = min(start + columns, len(inputs.weight))
        part = _part(inputs, start, stop)
        dz = torch.empty((tokens, stop - start), dtype=dtype, device=device)
        da = torch.empty_like(dz) if slopes else None
        flags = _flags(plan, part, tile) | {"DIRECTION": slopes, "TEACHER": divergence}
        flags["ORDERS"] = len(plan.orders) if g.log_powers is not None else 0
        programs = triton.cdiv(tokens, tile["BLOCK_N"]) * triton.cdiv(stop - start, tile["BLOCK_V"])
        if tokens:
            with _on(device):
                linear_backward.backward_kernel[programs,](
                    *_tensors(part),
                    inputs.ids,
                    g_chosen,
                    part.omega,
                    numbers,
                    names,
                    dz,
                    da,
                    tokens,
                    stop - start,
                    inputs.hidden.shape[1],
                    _widths(inputs)[-1],
                    known,
                    sweep.context.offset + start,
                    plan.softcap or 1.0,
                    1.0 / plan.temperature,
                    *_orders(plan),
                    SMOOTH=smooth or flags["ORDERS"] > 0,
                    ENTROPY=g.entropy is not None,
                    REST=min(known, 2),
                    TOP2=extremes,
                    TOTAL=g.total is not None,
                    **flags,
                    **tile,
                )
        yield start, stop, dz, da


def _tables(sweep: Backward):
    """Return the per-token numbers and classes that the backward kernel reads."""
    out, g, marks = sweep.out._asdict(), sweep.upstream._asdict(), sweep.marks
    values = out | {f"g_{name}": value for name, value in g.items()}
    values |= {"top_of_all": marks.top, "log_mass": marks.mass.log()}
    values |= {"teacher_lse": marks.teacher_lse, "top_of_rest": marks.rest_top}
    values["g_rest"] = None if g["rest"] is None else g["rest"] / marks.rest_mass
    tokens, device = len(sweep.inputs.hidden), sweep.inputs.hidden.device
    nothing = torch.zeros(tokens, dtype=torch.float32, device=device)
    rows = [_flat(values[name], nothing) for name in linear_backward.NUMBERS]
    for k in range(len(sweep.context.plan.orders)):
        rows.append(out["log_powers"][k])
        rows.append(nothing if g["log_powers"] is None else g["log_powers"][k])
    nowhere = torch.full((tokens,), -1, dtype=torch.int64, device=device)
    classes = (
        out["top_id"],
        marks.second_id,
        marks.rest_top_id,
        marks.slope_max_id,
        marks.slope_min_id,
    )
    return torch.stack(rows), torch.stack([nowhere if c is None else c.long() for c in classes])


def _flat(value, nothing):
    return nothing if value is None else value.reshape(-1)


def _state(plan: Plan, numbers, ids) -> State:
    """Read one split's state out of the kernel's buffers."""
    asked = {"top", "mass"} | ({"heat"} if plan.entropy else set())
    asked |= {"total"} if plan.total else set()
    asked |= {"second", "top_id", "second_id"} if plan.top2 else set()
    if plan.direction:
        asked |= {"slope_mean", "slope_square", "slope_max", "slope_min"}
        asked |= {"slope_max_id", "slope_min_id"}
    if plan.teacher:
        asked |= set(linear_forward.NUMBERS[9:])
    rows = dict(zip(linear_forward.NUMBERS, numbers, strict=False))
    rows |= {name: row.long() for name, row in zip(linear_forward.IDS, ids, strict=True)}
    state = State(**{name: rows[name] for name in asked})
    if plan.orders:
        state.powers = numbers[len(linear_forward.NUMBERS) :]
    return state


def _flags(plan: Plan, inputs: Inputs, tile: dict) -> dict:
    if len(plan.orders) > TRITON_ORDERS:
        raise ValueError(
            f"backend='triton' supports {TRITON_ORDERS} distinct orders besides 1 in one call, "
            f"got {len(plan.orders)}: call twice or use backend='torch'"
        )
    return {
        "BIAS": inputs.bias is not None,
        "CAP": plan.softcap is not None,
        "ORDERS": len(plan.orders),
        "DIRECTION": plan.direction,
        "TEACHER": plan.teacher,
        "TEACHER_BIAS": inputs.teacher_bias is not None,
        "EVEN": _even(inputs, tile),
        "UPCAST": not inputs.hidden.is_cuda,
    }


def _tensors(inputs: Inputs) -> tuple:
    return (
        inputs.hidden,
        inputs.weight,
        inputs.bias,
        inputs.direction,
        inputs.teacher_hidden,
        inputs.teacher_weight,
        inputs.teacher_bias,
    )


def _part(inputs: Inputs, start: int, stop: int) -> Inputs:
    names = ("weight", "bias", "omega", "teacher_weight", "teacher_bias")
    values = {name: getattr(inputs, name) for name in names}
    return inputs._replace(
        **{name: None if v is None else v[start:stop] for name, v in values.items()}
    )


def _contiguous(inputs: Inputs) -> Inputs:
    return Inputs(*(None if t is None else t.detach().contiguous() for t in inputs))


def _orders(plan: Plan) -> tuple[float, ...]:
    return (*plan.orders, *(1.0,) * TRITON_ORDERS)[:TRITON_ORDERS]


def _widths(inputs: Inputs) -> list[int]:
    heads = inputs.hidden, inputs.teacher_hidden
    return [hidden.shape[1] for hidden in heads if hidden is not None]


def _even(inputs: Inputs, tile: dict) -> bool:
    return all(width % tile["BLOCK_D"] == 0 for width in _widths(inputs))


def _known(inputs: Inputs) -> int:
    return 0 if inputs.ids is None else inputs.ids.shape[1]


def _on(device):
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
