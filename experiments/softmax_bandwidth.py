"""Softmax and cross-entropy from logits as a fraction of the measured copy bandwidth.

``python -m experiments.softmax_bandwidth [--device cpu] [--out results] [--commit ID]`` times each
op beside a copy in the same run. Bytes are the least an op must move: it reads its input once and
writes its output once, and a backward pass reads the logits once more. A fraction of one would
mean the speed of a copy.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from xent import records
from xent.ops import softmax as ops

SHAPES = {
    "cuda": ((8192, 4096), (8192, 32768), (4096, 128256)),
    "cpu": ((512, 1024), (256, 32768), (64, 128256)),
}
DTYPES = {"cuda": (torch.bfloat16, torch.float32), "cpu": (torch.float32,)}
BACKENDS = {"cuda": ("triton", "torch"), "cpu": ("torch",)}
REPEATS = {"cuda": 30, "cpu": 9}


def eager_cross_entropy(z, y):
    """PyTorch's own loss, for comparison."""
    return torch.nn.functional.cross_entropy(z, y)


def tasks(z, y, backend):
    """Return name -> (callable, bytes it must move)."""
    size = z.numel() * z.element_size()
    leaf = z.detach().requires_grad_()
    target = torch.empty_like(z)

    def forward_backward(loss):
        leaf.grad = None
        loss(leaf, y).backward()

    def ours(logits, labels):
        return ops.cross_entropy_with_logits(logits, labels, backend=backend)

    return {
        "copy": (lambda: target.copy_(z), 2 * size),
        "softmax": (lambda: ops.softmax(z, backend=backend), 2 * size),
        "logsumexp": (lambda: ops.logsumexp(z, backend=backend), size),
        "cross-entropy": (lambda: ours(z, y), size),
        "cross-entropy, both passes": (lambda: forward_backward(ours), 3 * size),
        "eager cross-entropy": (lambda: eager_cross_entropy(z, y), size),
        "eager, both passes": (lambda: forward_backward(eager_cross_entropy), 3 * size),
    }


def seconds(call, device: str) -> float:
    """Time of one call: device time on CUDA, processor time on the CPU."""
    if device == "cpu":
        began = time.process_time()
        call()
        return time.process_time() - began
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def measure(shape, dtype, backend: str, device: str) -> list[dict]:
    """Bytes per second of each task and its fraction of the copy's, in rounds that take turns."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(shape, generator=generator).to(device, dtype)
    y = torch.randint(shape[1], shape[:1], generator=generator).to(device)
    work = tasks(z, y, backend)
    times = {name: [] for name in work}
    for repeat in range(REPEATS[device] + 3):
        for name, (call, _) in work.items():
            taken = seconds(call, device)
            if repeat >= 3:  # warm-up: compilation, allocator
                times[name].append(taken)
    copy = [work["copy"][1] / t for t in times["copy"]]
    rows = []
    for name, (_, size) in work.items():
        speeds = [size / t for t in times[name]]
        fractions = sorted(s / c for s, c in zip(speeds, copy, strict=True))
        rows.append(
            {
                "task": name,
                "shape": list(shape),
                "dtype": str(dtype).removeprefix("torch."),
                "backend": backend,
                "GB/s": statistics.median(speeds) / 1e9,
                "fraction": statistics.median(fractions),
                "range": [fractions[len(fractions) // 10], fractions[-1 - len(fractions) // 10]],
            }
        )
    return rows


def run(out="results", commit=None, device: str = "cuda"):
    """Measure on a device and write ``softmax_bandwidth_<device>.json``; return its path."""
    rows = []
    for shape in SHAPES[device]:
        for dtype in DTYPES[device]:
            for backend in BACKENDS[device]:
                rows += measure(shape, dtype, backend, device)
    kernels = ["xent.kernels.softmax"] if device == "cuda" else []
    return records.save(
        f"softmax_bandwidth_{device}",
        {"rows": rows},
        script=__file__,
        measures=["xent.ops.softmax", *kernels],
        seeds=[0],
        out=out,
        commit=commit,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; --device cpu measures this processor")
    torch.set_num_threads(1)
    print("recorded in", run(arguments.out, arguments.commit, arguments.device))


if __name__ == "__main__":
    main()
