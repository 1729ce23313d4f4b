"""Compile the head's kernels for an H100 or H200 without having one; run as a script."""

from unittest import mock

import torch

with mock.patch.object(torch.cuda, "is_available", return_value=True):
    from xent.kernels import linear, linear_backward, linear_forward, linear_rows

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

POINTERS = {
    "bias": "*bf16",
    "hidden": "*bf16",
    "weight": "*bf16",
    "direction": "*bf16",
    "teacher_hidden": "*bf16",
    "teacher_weight": "*bf16",
    "teacher_bias": "*bf16",
    "labels": "*i64",
    "ids": "*i32",
    "names": "*i64",
    "dz_out": "*bf16",
    "da_out": "*bf16",
    "omega": "*fp32",
    "center": "*fp32",
    "numbers": "*fp32",
    "picked": "*fp32",
}
REALS = ("cap", "temperature", "order_0", "order_1", "order_2", "order_3")
ALIGNED = ("width", "teacher_width", "tokens", "split", "slice_classes")
FLAGS = (
    "LABELS BIAS CAP ENTROPY TOP2 TOTAL DIRECTION TEACHER TEACHER_BIAS SMOOTH REST UPCAST".split()
)


def compile_kernel(kernel, on):
    options = dict(linear.GPU)
    launch = {key: options.pop(key) for key in ("num_warps", "num_stages")}
    constants = options | {"ORDERS": 4 if "ORDERS" in on else 0}
    constants |= {flag: flag in on for flag in FLAGS}
    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    signature = {
        name: "constexpr"
        if name in constants
        else POINTERS.get(name, "fp32" if name in REALS else "i32")
        for name in kernel.arg_names
    }
    aligned = [["tt.divisibility", 16]]
    attributes = {
        (index,): aligned
        for index, name in enumerate(kernel.arg_names)
        if name in POINTERS or name in ALIGNED
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=launch)


def compile_rows():
    kinds = {"logits": "*fp32", "labels": "*i64", "row_out": "*bf16", "TILE": "constexpr"}
    kinds |= dict.fromkeys(("tops", "masses", "targets"), "*fp32")
    kernel = linear_rows.row_kernel
    signature = {name: kinds.get(name, "i32") for name in kernel.arg_names}
    aligned = {
        (i,): [["tt.divisibility", 16]] for i, name in enumerate(signature) if name != "TILE"
    }
    constants = {"TILE": linear_rows.GPU_TILE}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
    target = GPUTarget("cuda", 90, 32)
    return triton.compile(source, target=target, options={"num_warps": 8})


if __name__ == "__main__":
    everything = set(FLAGS) - {"UPCAST"} | {"ORDERS"}
    for kernel in (linear_forward.forward_kernel, linear_backward.backward_kernel):
        code = compile_kernel(kernel, everything).asm["ptx"]
        assert "wgmma" in code and "atom." not in code
        print(kernel.__name__, "ok")
    code = compile_rows().asm["ptx"]
    assert "ld.global.v4" in code and "st.global.v4" in code and ".local" not in code
    print("row_kernel", "ok")
