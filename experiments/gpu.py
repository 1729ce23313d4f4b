"""Everything that needs a GPU: parity of every twin on CUDA, then the GPU benchmarks.

``python -m experiments.gpu [--out results] [--commit ID] [--only NAME] [--skip NAME]`` (or
``make gpu``) writes each record as soon as it has it; ``--only`` and ``--skip`` may be given more
than once. It imports numpy, torch, triton and xent only, so it also runs on a machine with nothing
else: ``PYTHONPATH=src python -m experiments.gpu --out DIR --commit ID``.

How long it takes on an H200, counted from operations at 500 TFLOP/s and 15 seconds per compiled
kernel, not measured: parity 3 minutes, the head 4, attention 2, softmax and tiles half a minute
each. Where a call may last ten minutes, two calls do: ``--only parity`` and ``--skip parity``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback

import torch

BENCHMARKS = (  # modules experiments.<name> with run(out, commit) -> path
    "softmax_bandwidth",
    "linear_tiles",
    "attention_benchmark",
    "linear_benchmark",
)
STEPS = ("parity", *BENCHMARKS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results", help="folder of the records")
    parser.add_argument("--commit", help="commit id, where there is no git")
    parser.add_argument("--only", action="append", choices=STEPS, help="run this step alone")
    parser.add_argument("--skip", action="append", choices=STEPS, help="leave this step out")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: torch sees no GPU here, so there is nothing to measure")
        return 1
    print(torch.cuda.get_device_name(), "torch", torch.__version__, flush=True)
    began, failed = time.perf_counter(), []
    for name, step in steps(given.out, given.commit):
        if name in (given.skip or ()) or name not in (given.only or STEPS):
            continue
        try:
            ok = step()
        except Exception:
            traceback.print_exc()
            ok = False
        failed += [name] * (not ok)
        print(f"[{time.perf_counter() - began:6.1f} s] {name}: {'ok' if ok else 'FAILED'}")
        sys.stdout.flush()
        torch.cuda.empty_cache()
    print("all done" if not failed else f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def steps(out, commit):
    """Yield (name, step); a step writes its record and returns whether it went well."""
    yield "parity", lambda: parity_on_cuda(out, commit)
    for name in BENCHMARKS:
        yield name, lambda name=name: bool(benchmark(name).run(out, commit))


def benchmark(name: str):
    """Import a benchmark, no earlier than its turn: one that cannot be imported fails alone."""
    return importlib.import_module(f"experiments.{name}")


def parity_on_cuda(out, commit) -> bool:
    """Compare every twin on CUDA, print the table and record it, failures included."""
    from xent import parity

    results = parity.run("cuda")
    print(parity.table(results))
    parity.record(results, out, commit=commit)
    return all(result.passed for result in results)


if __name__ == "__main__":
    sys.exit(main())
