"""What a kernel needs of an H100 or H200, found by compiling it: no such device is needed.

Imported by the scripts beside it, which run in processes of their own: triton must not interpret.
"""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

LAUNCH = ("num_warps", "num_stages")
ASSEMBLER = Path(triton.__file__).parent / "backends/nvidia/bin/ptxas"


class Needs(NamedTuple):
    """Resources of a compiled kernel."""

    registers: int  # a thread
    spilled: int  # bytes a thread stores to local memory for want of registers
    stack: int  # bytes of local memory a thread
    shared: int  # bytes of shared memory a program
    serialized: bool  # whether the assembler gave up on overlapping matrix products
    ptx: str

    def __str__(self) -> str:
        return f"{self.registers} registers, {self.spilled} B spilled, {self.shared} B shared"


def compiled(kernel, kinds: dict, constants: dict, aligned, tile: dict) -> Needs:
    """Compile for sm_90 and return the needs.

    Args:
        kernel: a ``triton.jit`` function.
        kinds: type of each argument that is no int32, e.g. ``"*bf16"``.
        constants: values of the constexpr arguments, and of integers that are 1: the launcher
            makes constants of those.
        aligned: names of the integers that are multiples of 16; pointers always are.
        tile: block sizes, and the launch options among them.
    """
    constants = constants | {k: v for k, v in tile.items() if k not in LAUNCH}
    constants = {name: constants[name] for name in kernel.arg_names if name in constants}
    signature = {
        name: "constexpr" if name in constants else kinds.get(name, "i32")
        for name in kernel.arg_names
    }
    attributes = {
        (index,): [["tt.divisibility", 16]]
        for index, (name, kind) in enumerate(signature.items())
        if kind[0] == "*" or (name in aligned and name not in constants)
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    options = {k: v for k, v in tile.items() if k in LAUNCH}
    found = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    return _assembled(found.asm["ptx"], found.metadata.shared)


def _assembled(ptx: str, shared: int) -> Needs:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx)
        command = [ASSEMBLER, "-v", "--gpu-name=sm_90a", source, "-o", Path(folder, "kernel.cubin")]
        log = subprocess.run(command, capture_output=True, text=True, check=True)
    report = log.stdout + log.stderr

    def number(pattern):
        return int(re.search(pattern, report).group(1))

    return Needs(
        registers=number(r"Used (\d+) registers"),
        spilled=number(r"(\d+) bytes spill stores"),
        stack=number(r"(\d+) bytes stack frame"),
        shared=shared,
        serialized="C7510" in report or "serializ" in report,
        ptx=ptx,
    )
