"""Compile the attention kernels for an H100 or H200 without having one; run as a script.

For the usual widths of a head: matrix units, no atomics, no spilled register, no serialized
product.
"""

from unittest import mock

import torch

with mock.patch.object(torch.cuda, "is_available", return_value=True):
    from xent.kernels import attention

from hopper import compiled

KINDS = dict.fromkeys(("output", "rows", "d_q", "d_k", "d_v"), "*fp32")
KINDS |= dict.fromkeys(("q", "k", "v", "g_output"), "*bf16") | {"tops": "*i64", "scale": "fp32"}


def main() -> None:
    tiles = {
        attention.forward_kernel: attention.GPU,
        attention.query_kernel: attention.GPU,
        attention.key_kernel: attention.GPU_KEYS,
    }
    for kernel, tile in tiles.items():
        for width in (64, 128):
            constants = {"CAUSAL": True, "UPCAST": False, "WIDTH": width, "VALUES": width}
            aligned = ("width", "value_width")
            found = compiled(kernel, KINDS, constants, aligned, tile)
            name = f"{kernel.__name__} of width {width}"
            assert "wgmma" in found.ptx and "atom." not in found.ptx, name
            assert not found.serialized and found.spilled == found.stack == 0, (name, str(found))
            print(f"{name}: ok, {found}")


if __name__ == "__main__":
    main()
