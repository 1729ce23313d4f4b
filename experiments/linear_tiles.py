"""The head's kernels under other tiles: is the one the library takes the fastest?

``python -m experiments.linear_tiles [--out results] [--commit ID]`` needs a GPU and three minutes.
Candidates take turns in one run, in bfloat16: the forward kernel for the log-sum-exp and for all
scalar statistics, the backward kernel, and the two whole steps of training. A candidate that does
not fit the device is recorded with the reason; one whose losses differ from the library's would be
recorded as wrong. The three-product step runs no tile, but chunks of tokens and a kernel of rows.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch

from experiments.linear_methods import problem
from xent import records
from xent.ops import linear as ops
from xent.ops import linear_chunks
from xent.ops.linear_plan import Backward, Context, Inputs, Marks, Plan, Swept

SHAPE = (8192, 4096, 128256)
REPEATS, WARMUP, SECONDS = 7, 2, 150.0
SCALARS = ("nll", "lse", "entropy", "top2", "margin")
TILE = {"BLOCK_N": 128, "BLOCK_V": 256, "BLOCK_D": 64, "PARTS": 4, "GROUP": 16}
TILE |= {"num_warps": 8, "num_stages": 3}
TILES = {  # changes of TILE, and the columns of a split
    "128x256": ({}, 4096),
    "128x256, 4 stages": ({"num_stages": 4}, 4096),
    "128x256, 2 parts": ({"PARTS": 2}, 4096),
    "128x256, splits of 2048": ({}, 2048),
    "128x256, splits of 8192": ({}, 8192),
    "128x256, groups of 8": ({"GROUP": 8}, 4096),
    "128x256, groups of 64": ({"GROUP": 64}, 4096),
    "256x128": ({"BLOCK_N": 256, "BLOCK_V": 128}, 4096),
    "128x128": ({"BLOCK_V": 128}, 4096),
    "128x128, 4 warps": ({"BLOCK_V": 128, "num_warps": 4}, 4096),
    "64x256, 4 warps": ({"BLOCK_N": 64, "num_warps": 4}, 4096),
}
CHUNKS = {  # tokens of a chunk, logits of a tile of the kernel of rows
    "chunks of 2048": (2048, 4096),
    "chunks of 4096": (4096, 4096),
    "chunks of 8192": (8192, 4096),
    "chunks of 4096, rows by 8192": (4096, 8192),
    "chunks of 4096, rows by 2048": (4096, 2048),
}
LIBRARY = "library"


@contextmanager
def using_tile(tile: dict, split: int):
    """Let both kernels run with a tile, and the forward kernel with a split."""
    from xent.kernels import linear

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(linear, "tiles", lambda *a, **k: tile))
        for name in ("GPU_SPLIT", "INTERPRETER_SPLIT"):
            stack.enter_context(mock.patch.object(linear, name, split))
        yield


@contextmanager
def using_chunks(tokens: int, row_tile: int):
    """Let the three-product step take chunks of a size, and rows by tiles of a size."""
    from xent.kernels import linear_rows

    with (
        mock.patch.object(linear_chunks, "GPU_TOKENS", tokens),
        mock.patch.object(linear_rows, "GPU_TILE", row_tile),
    ):
        yield


def tile_tasks(hidden, weight, labels) -> dict:
    """Return name -> (call, products); a call returns losses, or None where it has none."""
    h, w = hidden.detach(), weight.detach()

    def forward(want):
        return lambda: ops.head_stats(h, w, labels, want=want, backend="triton")[0]

    def step():
        hidden.grad = weight.grad = None
        losses = ops.linear_cross_entropy(
            hidden, weight, labels, reduction="none", backend="triton"
        )
        losses.mean().backward()
        return losses.detach()

    return {
        "forward, lse": (forward(("lse",)), 1),
        "forward, all scalars": (forward(SCALARS), 1),
        "backward kernel": (backward_kernel(h, w, labels), 1),
        "step of four products": (step, 4),
    }


def backward_kernel(hidden, weight, labels):
    """Return a call of the backward kernel alone, over all slices, for some upstream gradient."""
    from xent.kernels import linear

    zeros = hidden.new_zeros(len(hidden), dtype=torch.float32)
    marks = Marks(zeros, zeros + 1, zeros, zeros + 1)
    upstream = Swept(None, rest=zeros + 1, chosen=zeros[:, None] - 1)
    inputs = Inputs(hidden, weight, ids=labels[:, None])
    task = Backward(Context(Plan()), inputs, Swept(zeros), marks, upstream)

    def call():
        for _ in linear.logit_gradients(task):
            pass

    return call


def chunk_tasks(hidden, weight, labels) -> dict:
    """Return the step of three products, as :func:`tile_tasks` does."""

    def step():
        hidden.grad = weight.grad = None
        loss = ops.linear_cross_entropy(hidden, weight, labels, backend="triton")
        loss.backward()
        return loss.detach()

    return {"step of three products": (step, 3)}


def tile_candidates() -> dict:
    """Return name -> context manager for the library's choice and each other tile."""
    found = {LIBRARY: ExitStack}
    for name, (change, split) in TILES.items():
        found[name] = lambda change=change, split=split: using_tile(TILE | change, split)
    return found


def chunk_candidates() -> dict:
    """Return name -> context manager for the library's choice and each other chunk."""
    return {LIBRARY: ExitStack} | {
        name: lambda sizes=sizes: using_chunks(*sizes) for name, sizes in CHUNKS.items()
    }


def turns(tasks: dict, candidates: dict, shape, *, repeats=REPEATS, deadline=float("inf")):
    """Return a row per task and candidate: times of calls that take turns, or why there are none.

    The library comes first; its losses are what the others' must be.
    """
    rows = []
    for task, (call, products) in tasks.items():
        times, failed, losses = {name: [] for name in candidates}, {}, None
        for repeat in range(WARMUP + repeats):
            for name, candidate in candidates.items():
                if name in failed:
                    continue
                if time.monotonic() > deadline and not times[name]:
                    failed[name] = "not reached in time"
                    continue
                try:
                    with candidate():
                        found, seconds = timed(call)
                except Exception as error:  # any way a tile can fail is a result
                    failed[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                    continue
                losses = found if losses is None else losses
                if found is not None and not torch.allclose(found, losses, rtol=1e-3, atol=1e-3):
                    failed[name] = "wrong losses"
                if repeat >= WARMUP:
                    times[name].append(seconds)
        rows += [row(task, products, name, shape, times[name], failed) for name in candidates]
    return rows


def timed(call):
    """Return what a call returns and its seconds: device time on CUDA, processor time elsewhere."""
    if not torch.cuda.is_available():
        began = time.process_time()
        return call(), time.process_time() - began
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    found = call()
    end.record()
    end.synchronize()
    return found, start.elapsed_time(end) / 1e3


def row(task, products, candidate, shape, times, failed) -> dict:
    """Return a row of the record."""
    found = {"task": task, "candidate": candidate, "products": products}
    if candidate in failed or not times:
        return found | {"failed": failed.get(candidate, "not reached in time")}
    seconds = statistics.median(times)
    tokens, width, classes = shape
    operations = 2 * products * tokens * width * classes
    return found | {
        "seconds": seconds,
        "range": [min(times), max(times)],
        "TFLOP/s": operations / seconds / 1e12,
    }


def best(rows: list[dict]) -> dict:
    """Return, per task, the fastest candidate and the library's time over its time."""
    found = {}
    for task in dict.fromkeys(r["task"] for r in rows):
        seconds = {
            r["candidate"]: r["seconds"] for r in rows if r["task"] == task and "seconds" in r
        }
        if seconds:
            winner = min(seconds, key=seconds.get)
            ratio = seconds[LIBRARY] / seconds[winner] if LIBRARY in seconds else None
            found[task] = {"candidate": winner, "library / best": ratio}
    return found


def measure(shape=SHAPE, device="cuda", dtype=torch.bfloat16) -> dict:
    """Return the rows of every task and candidate, and the best of each task."""
    deadline = time.monotonic() + SECONDS
    data = problem(shape, device, dtype)
    rows = turns(chunk_tasks(*data), chunk_candidates(), shape, deadline=deadline)
    rows += turns(tile_tasks(*data), tile_candidates(), shape, deadline=deadline)
    return {"shape": list(shape), "rows": rows, "best": best(rows)}


def run(out="results", commit=None):
    """Measure on a GPU, write ``linear_tiles_cuda.json``, return its path; None without a GPU."""
    if not torch.cuda.is_available():
        print("no CUDA device: torch sees no GPU here, so there is no tile to compare")
        return None
    values = measure()
    for task, found in values["best"].items():
        print(f"{task}: {found['candidate']}, library / best {found['library / best']}")
    kernels = ("linear", "linear_tile", "linear_forward", "linear_backward", "linear_rows")
    return records.save(
        "linear_tiles_cuda",
        values,
        script=__file__,
        measures=["xent.ops.linear_chunks", *(f"xent.kernels.{module}" for module in kernels)],
        seeds=[0],
        out=out,
        commit=commit,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results", help="folder of the record")
    parser.add_argument("--commit", help="commit id, where there is no git")
    arguments = parser.parse_args()
    path = run(arguments.out, arguments.commit)
    if path is not None:
        print("recorded in", path)
    return 1 if path is None else 0


if __name__ == "__main__":
    raise SystemExit(main())
