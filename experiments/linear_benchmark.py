"""The output head: time, memory and accuracy of its cross-entropy beside other implementations.

``python -m experiments.linear_benchmark [--device cpu|cuda] [--out results] [--commit ID]``.
On a CPU every method runs in a process of its own, with one thread; time is processor time. On a
GPU methods take turns in one process; time is device time, memory the allocator's peak. "Products"
counts multiplications of 2NDV operations.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from xent import records
from xent.ops import linear as ops

CPU_SHAPES = ((2048, 256, 32000), (1024, 512, 16000))
GPU_SHAPES = (
    (4096, 1024, 32768),
    (8192, 2304, 256000),
    (8192, 4096, 128256),
    (16384, 5120, 151936),
)
REPEATS = {"cpu": 5, "cuda": 10}
GAPS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)


def eager(hidden, weight, labels):
    """All logits, in the dtype of the head, and the loss in float32."""
    return F.cross_entropy((hidden @ weight.T).float(), labels)


def torch_chunks(size):
    """PyTorch's own chunked loss with a given chunk of tokens; None for its own choice."""

    def loss(hidden, weight, labels):
        options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=size)
        return F.linear_cross_entropy(hidden, weight, labels, options=options)

    return loss


def kept(hidden, weight, labels):
    """Ours, gradient on the way forward."""
    return ops.linear_cross_entropy(hidden, weight, labels)


def swept(hidden, weight, labels):
    """Ours, logits recomputed backward: any upstream gradient."""
    return ops.linear_cross_entropy(hidden, weight, labels, reduction="none").mean()


def with_entropy(hidden, weight, labels):
    """Ours, loss and entropy in one sweep."""
    found = ops.head_stats(hidden, weight, labels, want=("nll", "entropy"))
    return (found.nll - 1e-3 * found.entropy).mean()


def compiled(hidden, weight, labels):
    """The eager formula through torch.compile."""
    return torch.compile(eager)(hidden, weight, labels)


def methods(device: str) -> dict:
    """Return name -> (loss, number of products)."""
    found = {"eager": (eager, 3), "ours, kept": (kept, 3), "ours, swept": (swept, 4)}
    found["ours, with entropy"] = with_entropy, 4
    if hasattr(F, "linear_cross_entropy"):
        found["torch, default chunks"] = torch_chunks(None), 3
        found["torch, 256 tokens"] = torch_chunks(256), 3
    if device == "cuda":
        found["torch.compile"] = compiled, 3
        found |= _installed_peers()
    return found


def _installed_peers() -> dict:
    found = {}
    try:
        from cut_cross_entropy import linear_cross_entropy

        found["cut-cross-entropy"] = linear_cross_entropy, 4
    except ImportError:
        pass
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

        liger = LigerFusedLinearCrossEntropyLoss()
        found["liger"] = (lambda h, w, y: liger(w, h, y)), 3
    except ImportError:
        pass
    return found


def problem(shape, device, dtype):
    """Hidden states, a head of scale one and labels."""
    tokens, width, classes = shape
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, width, generator=generator)
    weight = torch.randn(classes, width, generator=generator) / width**0.5
    labels = torch.randint(classes, (tokens,), generator=generator)
    hidden, weight = (t.to(device, dtype).requires_grad_() for t in (hidden, weight))
    return hidden, weight, labels.to(device)


def cpu_process(name: str, shape) -> dict:
    """Measure one method in this process: median seconds and peak memory beyond the inputs."""
    torch.set_num_threads(1)
    loss, products = methods("cpu")[name]
    hidden, weight, labels = problem(shape, "cpu", torch.float32)
    small = [t[:64].detach().requires_grad_() for t in (hidden, weight)]
    loss(*small, labels[:64] % 64).backward()
    before, times = _resident(), []
    for _ in range(REPEATS["cpu"]):
        hidden.grad = weight.grad = None
        began = time.process_time()
        value = loss(hidden, weight, labels)
        value.backward()
        times.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "method": name,
        "shape": list(shape),
        "products": products,
        "seconds": statistics.median(times),
        "range": [min(times), max(times)],
        "extra MiB": peak - before,
        "loss": value.item(),
    }


def _resident() -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        return int(status.read().split("VmRSS:")[1].split()[0]) / 1024


def on_cpu() -> list[dict]:
    """Every method and shape, each in a process of its own."""
    rows = []
    for shape in CPU_SHAPES:
        for name in methods("cpu"):
            command = [sys.executable, "-m", "experiments.linear_benchmark", "--one", name]
            command += ["--shape", *map(str, shape)]
            found = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(found.stdout))
            print(rows[-1], flush=True)
    return rows


def on_gpu() -> list[dict]:
    """Forward and backward of every method and shape in bfloat16, methods taking turns."""
    rows = []
    for shape in GPU_SHAPES:
        data = problem(shape, "cuda", torch.bfloat16)
        for name, (loss, products) in methods("cuda").items():
            try:
                rows.append(_gpu_row(name, loss, products, shape, data))
            except torch.OutOfMemoryError:
                rows.append({"method": name, "shape": list(shape), "failed": "out of memory"})
            torch.cuda.empty_cache()
            print(rows[-1], flush=True)
        rows += [_gpu_forward(shape, data, want) for want in FORWARD]
    return rows


FORWARD = (("lse",), ("nll", "lse"), ("nll", "lse", "entropy", "top2", "margin"))


def _gpu_row(name, loss, products, shape, data):
    hidden, weight, labels = data

    def step():
        hidden.grad = weight.grad = None
        loss(hidden, weight, labels).backward()

    return _timed(step, shape, products) | {"method": name, "pass": "both"}


def _gpu_forward(shape, data, want):
    hidden, weight, labels = (t.detach() for t in data)

    def step():
        ops.head_stats(hidden, weight, labels, want=want)

    return _timed(step, shape, 1) | {"method": "ours: " + ", ".join(want), "pass": "forward"}


def _timed(step, shape, products):
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before, times = torch.cuda.memory_allocated(), []
    for _ in range(REPEATS["cuda"]):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    seconds = statistics.median(times)
    operations = 2 * products * shape[0] * shape[1] * shape[2]
    return {
        "shape": list(shape),
        "products": products,
        "seconds": seconds,
        "range": [min(times), max(times)],
        "TFLOP/s": operations / seconds / 1e12,
        "extra MiB": (torch.cuda.max_memory_allocated() - before) / 2**20,
    }


def accuracy(device: str, dtype) -> list[dict]:
    """Relative error of a single token's loss by the gap between its label's logit and the rest."""
    rows = []
    for gap in GAPS:
        hidden = torch.tensor([[gap]], device=device, dtype=dtype)
        weight = torch.zeros(256, 1, device=device, dtype=dtype)
        weight[0] = 1.0
        labels = torch.zeros(1, dtype=torch.long, device=device)
        exact = torch.log1p(255 * torch.exp(torch.tensor(-gap, dtype=torch.float64))).item()
        found = {"ours": ops.linear_cross_entropy(hidden, weight, labels).item()}
        found["eager"] = eager(hidden, weight, labels).item()
        errors = {name: abs(value - exact) / exact for name, value in found.items()}
        rows.append({"gap": gap, "loss": exact} | errors)
    return rows


def run(out="results", commit=None, device: str = "cuda"):
    """Measure on a device and write ``linear_benchmark_<device>.json``; return its path."""
    rows = on_cpu() if device == "cpu" else on_gpu()
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    modules = ["linear", "linear_chunks", "linear_plan", "linear_state", "linear_sweep"]
    measured = [f"xent.ops.{module}" for module in (*modules, "linear_torch")]
    if device == "cuda":
        kernels = ("linear", "linear_tile", "linear_forward", "linear_backward", "linear_rows")
        measured += [f"xent.kernels.{module}" for module in kernels]
    return records.save(
        f"linear_benchmark_{device}",
        {"rows": rows, "accuracy": accuracy(device, dtype)},
        script=__file__,
        measures=measured,
        seeds=[0],
        out=out,
        commit=commit,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    parser.add_argument("--one", help="measure one method on the CPU and print its row")
    parser.add_argument("--shape", nargs=3, type=int)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(cpu_process(arguments.one, tuple(arguments.shape))))
        return
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; --device cpu measures this processor")
    print("recorded in", run(arguments.out, arguments.commit, arguments.device))


if __name__ == "__main__":
    main()
