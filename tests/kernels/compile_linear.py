"""Compile the head's kernels for an H100 or H200 without having one; run as a script.

For each plan, with the tile the library takes for it: matrix units, no atomics, no spilled
register, no serialized product.
"""

from types import SimpleNamespace
from unittest import mock

import torch

with mock.patch.object(torch.cuda, "is_available", return_value=True):
    from xent.kernels import linear, linear_backward, linear_forward, linear_rows

from hopper import compiled

from xent.ops.linear_plan import Plan

HALVES = "hidden weight bias direction teacher_hidden teacher_weight teacher_bias dz_out da_out"
KINDS = dict.fromkeys(HALVES.split(), "*bf16")
KINDS |= {"known_ids": "*i64", "names": "*i64", "ids": "*i32"}
KINDS |= dict.fromkeys("omega center numbers picked g_chosen".split(), "*fp32")
KINDS |= dict.fromkeys("cap beta order_0 order_1 order_2 order_3".split(), "fp32")
ALIGNED = ("width", "teacher_width", "tokens", "split", "slice_classes", "classes")
FLAGS = "BIAS CAP ENTROPY TOP2 TOTAL DIRECTION TEACHER TEACHER_BIAS SMOOTH EVEN UPCAST".split()
H200 = SimpleNamespace(shared_memory_per_block_optin=232_448)

FORWARD = {  # known ids a token, flags
    "lse": (0, ""),
    "nll, lse": (1, ""),
    "nll, lse, entropy, top2, margin": (1, "ENTROPY TOP2"),
    "the same and 4 orders": (1, "ENTROPY TOP2 ORDERS"),
    "nll of capped logits with a bias, smoothed": (1, "BIAS CAP TOTAL"),
    "known classes": (2, ""),
    "direction": (1, "ENTROPY DIRECTION"),
    "teacher": (0, "ENTROPY TEACHER"),
}
BACKWARD = {
    "nll": (1, ""),
    "lse": (0, "SMOOTH"),
    "nll, entropy, top2, margin": (1, "SMOOTH ENTROPY TOP2"),
    "nll of capped logits with a bias, smoothed": (1, "BIAS CAP SMOOTH TOTAL"),
    "known classes": (2, ""),
    "direction": (1, "SMOOTH DIRECTION"),
    "teacher": (0, "SMOOTH TEACHER"),
}


def tile_of(known, flags, *, backward=False, dtype=torch.bfloat16, width=64):
    """The library's choice on an H200."""
    hidden = SimpleNamespace(is_cuda=True, dtype=dtype, device=None, shape=(1, width))
    plan = Plan(
        softcap=1.0 if "CAP" in flags else None,
        orders=(2.0,) if "ORDERS" in flags else (),
        total="TOTAL" in flags,
        direction="DIRECTION" in flags,
        teacher="TEACHER" in flags,
    )
    ids = torch.zeros(1, known) if known else None
    inputs = SimpleNamespace(hidden=hidden, ids=ids, teacher_hidden=None)
    with mock.patch.object(torch.cuda, "get_device_properties", return_value=H200):
        return linear.tiles(plan, inputs, crowded=backward and "TOP2" in flags)


def needs(kernel, known, flags, *, kinds=KINDS, dtype=torch.bfloat16, width=64, ones=()):
    """Compile a kernel for a plan; ``ones`` are arguments that are 1."""
    flags = [*flags.split(), *["EVEN"] * (width % 64 == 0)]
    constants = {flag: flag in flags for flag in FLAGS} | dict.fromkeys(ones, 1)
    constants |= {"KNOWN": known, "REST": known, "ORDERS": 4 if "ORDERS" in flags else 0}
    backward = kernel is linear_backward.backward_kernel
    tile = tile_of(known, flags, backward=backward, dtype=dtype, width=width)
    return compiled(kernel, kinds, constants, ALIGNED, tile)


def check(name, found, *, matrix_units=True):
    """Print the needs; complain of what a kernel must not have."""
    assert ("wgmma" in found.ptx) == matrix_units and "atom." not in found.ptx, name
    assert not found.serialized and found.spilled == found.stack == 0, (name, str(found))
    print(f"{name}: ok, {found}")


def main() -> None:
    forward, backward = linear_forward.forward_kernel, linear_backward.backward_kernel
    for plan, (known, flags) in FORWARD.items():
        check(f"forward {plan}", needs(forward, known, flags))
    for plan, (known, flags) in BACKWARD.items():
        check(f"backward {plan}", needs(backward, known, flags))
    check("forward of an uneven width", needs(forward, 1, "ENTROPY TOP2", width=80))
    check("backward of an uneven width", needs(backward, 1, "", width=80))
    single = dict.fromkeys(HALVES.split(), "*fp32")
    found = needs(forward, 1, "", kinds=KINDS | single, dtype=torch.float32)
    check("forward in float32", found, matrix_units=False)
    found = needs(backward, 1, "", kinds=KINDS | single, dtype=torch.float32)
    check("backward in float32", found, matrix_units=False)
    found = needs(forward, 1, "", ones=("tokens", "classes", "known", "first_class"))
    check("forward of one token and one class", found)
    found = needs(backward, 1, "", ones=("tokens", "slice_classes", "known", "first_class"))
    check("backward of one token and one class", found)

    kinds = {"logits": "*fp32", "labels": "*i64", "row_out": "*bf16"}
    kinds |= dict.fromkeys(("tops", "masses", "targets"), "*fp32")
    tile = {"TILE": linear_rows.GPU_TILE, "num_warps": 8}
    found = compiled(linear_rows.row_kernel, kinds, {}, ("stride", "classes"), tile)
    assert "ld.global.v4" in found.ptx and "st.global.v4" in found.ptx
    check("rows", found, matrix_units=False)


if __name__ == "__main__":
    main()
