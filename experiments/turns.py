"""Timing several steps in turns, so that ratios between them are from one run.

A step that fails gives the reason of its failure instead of times, and the others go on.
"""

from __future__ import annotations

import gc
import statistics
import time

import torch


def in_turns(steps: dict, device: str, repeats: int) -> dict[str, dict]:
    """Run every step ``repeats`` times, in turns after a first turn that is not timed.

    Returns:
        name -> ``seconds`` (processor time of all threads, or the GPU's time) and ``wall``, lists
        of one number per turn, and on a GPU ``extra MiB``, the allocator's peak; or ``failed``.
    """
    found = {name: {"seconds": [], "wall": []} for name in steps}
    for turn in range(-1, repeats):
        for name, step in steps.items():
            if "failed" in found[name]:
                continue
            try:
                if turn < 0:
                    found[name] |= _first(step, device)
                else:
                    seconds, wall = _timed(step, device)
                    found[name]["seconds"].append(seconds)
                    found[name]["wall"].append(wall)
            except Exception as error:  # whatever a peer raises
                found[name] = {"failed": reason(error)}
                gc.collect()
                if device == "cuda":
                    torch.cuda.empty_cache()
    return found


def summary(times: dict, operations: float) -> dict:
    """Return medians and range of one step's times, and its speed; or why it failed."""
    if "failed" in times:
        return times
    seconds = statistics.median(times["seconds"])
    row = {
        "seconds": seconds,
        "range": [min(times["seconds"]), max(times["seconds"])],
        "wall": statistics.median(times["wall"]),
        "TFLOP/s": operations / seconds / 1e12,
    }
    return row | ({"extra MiB": times["extra MiB"]} if "extra MiB" in times else {})


def peak_of(step) -> float:
    """MiB by which one step's peak of resident memory exceeds what the process holds (Linux)."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as peaks:
        peaks.write("5")  # forget the peak so far
    before = _status("VmRSS")
    step()
    return _status("VmHWM") - before


def reason(error: BaseException) -> str:
    """Return an exception's type and first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:160].rstrip(": ")


def show(rows) -> None:
    """Print rows, numbers with four digits."""
    for row in rows:
        print({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}, flush=True)


def _first(step, device: str) -> dict:
    """Compile and warm up; on a GPU, also find the peak of memory."""
    step()
    if device == "cpu":
        return {}
    step()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return {"extra MiB": (torch.cuda.max_memory_allocated() - before) / 2**20}


def _timed(step, device: str) -> tuple[float, float]:
    if device == "cpu":
        began = time.process_time(), time.perf_counter()
        step()
        return time.process_time() - began[0], time.perf_counter() - began[1]
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began = time.perf_counter()
    start.record()
    step()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3, time.perf_counter() - began


def _status(key: str) -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        return int(status.read().split(f"{key}:")[1].split()[0]) / 1024
