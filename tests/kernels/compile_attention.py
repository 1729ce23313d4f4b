"""Compile the attention kernels for an H100 or H200 without having one; run as a script."""

from unittest import mock

import torch

with mock.patch.object(torch.cuda, "is_available", return_value=True):
    from xent.kernels import attention

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

FLOATS = ("output", "rows", "d_q", "d_k", "d_v")
HALVES = ("q", "k", "v", "g_output")

if __name__ == "__main__":
    for kernel in (attention.forward_kernel, attention.query_kernel, attention.key_kernel):
        options = dict(attention.GPU)
        launch = {key: options.pop(key) for key in ("num_warps", "num_stages")}
        constants = options | {"CAUSAL": True, "UPCAST": False, "WIDTH": 128, "VALUES": 64}
        kinds = dict.fromkeys(constants, "constexpr") | {"tops": "*i64", "scale": "fp32"}
        kinds |= dict.fromkeys(FLOATS, "*fp32") | dict.fromkeys(HALVES, "*bf16")
        signature = {name: kinds.get(name, "i32") for name in kernel.arg_names}
        aligned = {
            (i,): [["tt.divisibility", 16]]
            for i, name in enumerate(kernel.arg_names)
            if signature[name][0] == "*" or name in ("width", "value_width")
        }
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=launch)
        code = compiled.asm["ptx"]
        assert "wgmma" in code and "atom." not in code
        print(kernel.__name__, "ok")
