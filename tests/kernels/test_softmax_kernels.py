"""What only kernels can get wrong: tile borders, phantom columns, strides, import order."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is not installable on this platform")

from xent.kernels import softmax as kernels
from xent.reference import softmax as reference


@pytest.mark.parametrize("classes", [1, 2, 127, 128, 129, 255, 256, 257])
def test_phantom_columns_carry_no_weight(classes):
    z = torch.full((2, classes), -50.0)
    lse = kernels.logsumexp(z, -1)
    assert torch.allclose(lse, torch.tensor(np.log(classes) - 50.0).float(), rtol=1e-6)


def test_kernel_state_is_the_reference_state():
    z = np.random.default_rng(0).normal(size=(4, 300)).astype(np.float32)
    tops, rests = torch.empty(4), torch.empty(4)
    tensor = torch.from_numpy(z)
    kernels._launch(kernels.state_kernel, tensor, 1, tensor, tops, rests, *tensor.stride(), 300)
    top, rest = reference.leave_max_out(z)
    assert (tops.numpy() == top).all()
    assert np.allclose(rests.numpy(), rest, rtol=1e-6)


def test_inputs_are_read_through_their_strides():
    wide = torch.randn(6, 8, 4, generator=torch.Generator().manual_seed(0))
    for view in (wide[::2], wide.transpose(0, 2), wide[..., 1:3], wide[:1].expand(3, 8, 4)):
        got = kernels.softmax(view, 1)
        assert torch.allclose(got, torch.softmax(view, 1), atol=1e-6)


def test_inputs_are_not_changed():
    z = torch.randn(3, 200, requires_grad=True)
    before = z.detach().clone()
    counted = torch.ones(3, dtype=torch.bool)
    kernels.cross_entropy(z, torch.tensor([0, 1, 199]), counted, 0.1, 0.1).sum().backward()
    assert torch.equal(z.detach(), before)


class Counter:
    """Counts the elements of a tensor that interpreted kernels load or store."""

    def __init__(self, monkeypatch):
        from triton.runtime import interpreter

        builder, self.seen = interpreter.interpreter_builder, []
        for name in ("create_masked_load", "create_masked_store"):
            original = getattr(builder, name)
            monkeypatch.setattr(builder, name, self.watching(original, name), raising=True)

    def watching(self, original, name):
        def call(pointers, *rest):
            mask = rest[0 if "load" in name else 1]
            self.seen.append((name[14:], pointers.data[mask.data]))
            return original(pointers, *rest)

        return call

    def touched(self, kind, tensor) -> int:
        first = tensor.data_ptr()
        last = first + tensor.numel() * tensor.element_size()
        return sum(int(((p >= first) & (p < last)).sum()) for name, p in self.seen if name == kind)


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts what the interpreter loads")
def test_cross_entropy_reads_each_logit_once_forward_and_once_backward(monkeypatch):
    rows, classes = 4, 300
    z = torch.randn(rows, classes, requires_grad=True)
    counter = Counter(monkeypatch)
    counted = torch.tensor([True, True, False, True])
    loss = kernels.cross_entropy(z, torch.tensor([0, 299, 5, 128]), counted, 0.1, 0.0)
    logits = z.detach()
    assert counter.touched("load", logits) == 3 * (classes + 1)  # once, and the target
    counter.seen.clear()
    (slope,) = torch.autograd.grad(loss.sum(), z)
    assert counter.touched("load", logits) == 3 * classes
    assert counter.touched("store", slope) == rows * classes


PROGRAM = """
import warnings
import torch, {first}
import xent.kernels
print("imported")
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="the interpreter is chosen only without CUDA")
@pytest.mark.parametrize(("first", "works"), [("sys", True), ("triton", False)])
def test_interpreter_is_chosen_in_time_or_the_user_is_told(first, works):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", PROGRAM.format(first=first)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (found.returncode == 0) == works, found.stderr
    assert "imported" in found.stdout if works else "TRITON_INTERPRET=1" in found.stderr


HOPPER = """
import torch
torch.cuda.is_available = lambda: True  # so that the kernels are not given to the interpreter
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from xent.kernels import softmax as kernels

LOGITS = dict(row_stride="i32", column_stride="constexpr", classes="i32")
STATE = dict(tops="*fp32", rests="*fp32")
SIGNATURES = {
    kernels.state_kernel: dict(logits="*bf16", **STATE, **LOGITS),
    kernels.scaled_softmax_kernel: dict(
        logits="*bf16", **STATE, scales="*fp32", out="*bf16", **LOGITS
    ),
    kernels.softmax_kernel: dict(logits="*bf16", out="*bf16", **LOGITS, LOG="constexpr"),
    kernels.softmax_backward_kernel: dict(
        out="*bf16", upstream="*bf16", slope="*bf16", classes="i32", LOG="constexpr"
    ),
    kernels.cross_entropy_kernel: dict(
        logits="*bf16", labels="*i64", counted="*i1", losses="*fp32", **STATE,
        smoothing="fp32", z_weight="fp32", **LOGITS, SMOOTH="constexpr"
    ),
    kernels.cross_entropy_backward_kernel: dict(
        logits="*bf16", labels="*i64", counted="*i1", **STATE, upstream="*fp32", slope="*bf16",
        smoothing="fp32", z_weight="fp32", **LOGITS
    ),
}
CONSTANTS = dict(column_stride=1, LOG=False, SMOOTH=True, TILE=4096)
for kernel, signature in SIGNATURES.items():
    signature["TILE"] = "constexpr"
    attributes = {
        (i,): [["tt.divisibility", 16]]
        for i, kind in enumerate(signature.values()) if kind[0] == "*" or kind == "i32"
    }
    constants = {n: CONSTANTS[n] for n, kind in signature.items() if kind == "constexpr"}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    target = GPUTarget("cuda", 90, 32)
    ptx = triton.compile(source, target=target, options={"num_warps": 8}).asm["ptx"]
    wide, spilled = "ld.global.v4" in ptx, ".local" in ptx
    print(kernel.__name__, wide, spilled, "atom." in ptx)
"""


def test_kernels_compile_for_hopper_with_wide_loads_and_without_atomics():
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    path = Path(kernels.__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        environment |= {"TRITON_CACHE_DIR": folder, "PYTHONPATH": str(path)}
        program = Path(folder) / "hopper.py"
        program.write_text(HOPPER)
        command = [sys.executable, str(program)]
        found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    lines = [line.split() for line in found.stdout.splitlines()]
    assert len(lines) == 6
    assert all(rest == ["True", "False", "False"] for _, *rest in lines), found.stdout
