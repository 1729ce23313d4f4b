"""The output head: time, memory and accuracy of its cross-entropy beside other implementations.

``python -m experiments.linear_benchmark [--device cpu|cuda] [--out results] [--commit ID]``.
Methods take turns within one process, so that their ratios are from one run; the first turn is
thrown away. On a CPU ``seconds`` is processor time of all threads, ``wall`` what the clock says,
and peak memory beyond the inputs comes from a process per method, with one thread. On a GPU
``seconds`` is device time and memory the allocator's peak. A method that fails leaves a row that
says why. ``products`` counts multiplications of 2NDV operations, forward and backward.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import torch

from experiments import linear_methods as compared
from experiments.turns import in_turns, peak_of, reason, show, summary
from xent import records

SHAPES = {
    "cpu": ((2048, 256, 32000), (1024, 512, 16000), (4096, 256, 8192)),
    "cuda": (
        (4096, 1024, 32768),
        (8192, 2304, 256000),
        (8192, 4096, 128256),
        (16384, 5120, 151936),
    ),
}
DTYPE = {"cpu": torch.float32, "cuda": torch.bfloat16}
TURNS = {"cpu": 4, "cuda": 10}
THREADS = (1, 2)
CHUNKS = {"cpu": (128, 256, 512, 1024), "cuda": (1024, 2048, 4096, 8192)}
GAPS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)


def turns(shape, device: str, *, threads: int | None = None, quick: bool = False) -> dict:
    """Time every method on one shape, in turns; return rows and the search for a chunk size."""
    repeats = 2 if quick else TURNS[device]
    if threads:
        torch.set_num_threads(threads)
    data = compared.problem(shape, device, DTYPE[device])
    search = {size: _step(compared.torch_chunks(size), data) for size in CHUNKS[device]}
    found = in_turns(search, device, 1 if quick else 2)
    search = {size: times for size, times in found.items() if "failed" not in times}
    best = min(search, key=lambda size: min(search[size]["seconds"]), default=None)
    methods = compared.methods(device, best)
    steps = {name: _step(method.loss, data) for name, method in methods.items()}
    sweeps = {f"forward: {name}": compared.statistics(name, data) for name in compared.FORWARD}
    rows = []
    for name, times in in_turns(steps | sweeps, device, repeats).items():
        both = name in methods
        row = {"method": name, "pass": "both" if both else "forward", "shape": list(shape)}
        row |= {"products": methods[name].products if both else 1}
        row |= {"threads": threads} if threads else {}
        row |= {"tokens": best} if name == compared.BEST else {}
        rows.append(row | summary(times, 2 * row["products"] * math.prod(shape)))
    search = [
        {"shape": list(shape), "threads": threads, "tokens": size, "seconds": min(times["seconds"])}
        for size, times in search.items()
    ]
    return {"rows": rows, "search": search}


def _step(loss, data):
    hidden, weight, labels = data

    def step():
        hidden.grad = weight.grad = None
        loss(hidden, weight, labels).backward()

    return step


def peak_memory(name: str, shape, tokens: int | None = None) -> float:
    """MiB beyond the inputs and the code at the peak of one step, in this process (Linux)."""
    torch.set_num_threads(1)
    loss = compared.methods("cpu", tokens)[name].loss
    data = compared.problem(shape, "cpu", torch.float32)
    if name == "torch.compile":  # compiles for its shape
        _step(loss, data)()
        data[0].grad = data[1].grad = None
        gc.collect()
    else:
        _step(loss, compared.problem((64, shape[1], 64), "cpu", torch.float32))()
    return peak_of(_step(loss, data))


def _child(arguments: list[str]) -> dict:
    """Run this module in a process of its own; return its answer, or the reason of its failure."""
    command = [sys.executable, "-m", "experiments.linear_benchmark", *arguments]
    quiet = os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    found = subprocess.run(command, capture_output=True, text=True, env=quiet)
    if found.returncode:
        lines = found.stderr.strip().splitlines()
        return {"failed": (lines[-1] if lines else f"exit status {found.returncode}")[:160]}
    return json.loads(found.stdout.splitlines()[-1])


def on_cpu(quick: bool = False) -> dict:
    """Times in turns by shape and number of threads; memory by method and shape."""
    values, haste = {"rows": [], "search": []}, ["--quick"] * quick
    for shape in SHAPES["cpu"][: 1 if quick else None]:
        sizes = list(map(str, shape))
        for threads in THREADS:
            found = _child(["--turns", "--threads", str(threads), "--shape", *sizes, *haste])
            if "failed" in found:
                raise RuntimeError(f"{shape} with {threads} threads: {found['failed']}")
            for key in values:
                values[key] += found[key]
        rows = [r for r in values["rows"] if r["shape"] == list(shape) and r["pass"] == "both"]
        best = {r["method"]: r.get("tokens") for r in rows if r["threads"] == 1}
        calls = [
            ["--memory", name, "--tokens", str(tokens or 0), "--shape", *sizes]
            for name, tokens in best.items()
        ]
        with ThreadPoolExecutor(2) as pool:
            memory = dict(zip(best, pool.map(_child, calls), strict=True))
        eager = memory["eager"].get("extra MiB")
        for row in rows:
            if row["threads"] == 1:
                found = memory[row["method"]]
                row |= {"memory failed": found["failed"]} if "failed" in found else found
            if row["threads"] == 1 and eager and "extra MiB" in row:
                row["of eager"] = row["extra MiB"] / eager
        show(r for r in values["rows"] if r["shape"] == list(shape))
    return values


def on_gpu(save) -> dict:
    """Forward and backward of every method and shape in bfloat16; ``save`` after each shape."""
    values = {"rows": [], "search": []}
    for shape in SHAPES["cuda"]:
        torch.compiler.reset()
        found = turns(shape, "cuda")
        eager = next(r.get("extra MiB") for r in found["rows"] if r["method"] == "eager")
        for row in found["rows"]:
            if eager and "extra MiB" in row and row["pass"] == "both":
                row["of eager"] = row["extra MiB"] / eager
        for key in values:
            values[key] += found[key]
        show(found["rows"])
        torch.cuda.empty_cache()
        save(values)
    return values


def accuracy(device: str) -> list[dict]:
    """Relative error of every method's loss by the gap of the label's logit to the 255 others."""
    dtype, rows = DTYPE[device], []
    torch.compiler.reset()
    methods = compared.methods(device, 64)
    others = [n for n in methods if n in ("ours, with entropy", "ours, all statistics")]
    for gap in GAPS:
        hidden = torch.zeros(128, 64, device=device, dtype=dtype)
        hidden[:, 0] = gap
        weight = torch.eye(256, 64, device=device, dtype=dtype)
        weight[1:] = 0.0
        labels = torch.zeros(128, dtype=torch.long, device=device)
        exact = math.log1p(255 * math.exp(-gap))
        row = {"gap": gap, "loss": exact}
        for name, method in methods.items():
            if name in others:
                continue
            try:
                found = method.loss(hidden.requires_grad_(), weight.requires_grad_(), labels)
                row[name] = abs(found.item() - exact) / exact
            except Exception as error:
                row[name] = reason(error)
        rows.append(row)
    return rows


def run(out="results", commit=None, device: str = "cuda", *, quick: bool = False):
    """Measure on a device and write ``linear_benchmark_<device>.json``; return its path."""
    modules = ["linear", "linear_chunks", "linear_plan", "linear_state", "linear_sweep"]
    measured = [f"xent.ops.{module}" for module in (*modules, "linear_torch")]
    measured += ["experiments.linear_methods", "experiments.turns"]
    if device == "cuda":
        kernels = ("linear", "linear_tile", "linear_forward", "linear_backward", "linear_rows")
        measured += [f"xent.kernels.{module}" for module in kernels]

    def save(values):
        return records.save(
            f"linear_benchmark_{device}",
            values,
            script=__file__,
            measures=measured,
            seeds=[0],
            out=out,
            commit=commit,
        )

    errors = accuracy(device)
    values = on_cpu(quick) if device == "cpu" else on_gpu(lambda v: save(v | {"accuracy": errors}))
    return save(values | {"accuracy": errors})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    parser.add_argument("--quick", action="store_true", help="CPU: one shape, two turns")
    parser.add_argument("--turns", action="store_true", help="time one shape and print the rows")
    parser.add_argument("--memory", help="print the peak memory of one method")
    parser.add_argument("--shape", nargs=3, type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=0)
    given = parser.parse_args()
    if given.turns:
        shape, options = tuple(given.shape), {"threads": given.threads, "quick": given.quick}
        print(json.dumps(turns(shape, "cpu", **options)))
    elif given.memory:
        extra = peak_memory(given.memory, tuple(given.shape), given.tokens)
        print(json.dumps({"extra MiB": extra}))
    elif given.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; --device cpu measures this processor")
    else:
        print("recorded in", run(given.out, given.commit, given.device, quick=given.quick))


if __name__ == "__main__":
    main()
