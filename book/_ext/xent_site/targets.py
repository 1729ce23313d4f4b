"""What the kernels were built to reach, and whether the records say that they do."""

from __future__ import annotations

from typing import NamedTuple

CPU_SHAPE = [2048, 256, 32000]
GPU_SHAPE = [8192, 4096, 128256]


class Target(NamedTuple):
    """A target, what was measured against it (None: not yet), and whether it is met."""

    device: str
    says: str
    measured: str | None
    met: bool | None


def targets(found: dict) -> list[Target]:
    """Judge every target by the records in ``found``, name -> values; a missing one judges none."""
    cpu, cuda = (found.get(f"linear_benchmark_{device}") for device in ("cpu", "cuda"))
    return [
        *(
            _ratio(
                "CPU",
                f"loss and gradients take no more processor time than the fastest peer, {threads}",
                *_ours_and_fastest(cpu, count),
            )
            for count, threads in ((1, "one thread"), (2, "two threads"))
        ),
        _ratio(
            "CPU",
            "at most 1/8 of the extra memory of the eager formula",
            _value(cpu, CPU_SHAPE, "ours, kept", "extra MiB"),
            _value(cpu, CPU_SHAPE, "eager", "extra MiB"),
            limit=1 / 8,
        ),
        _number(
            "H200",
            "a forward sweep with all scalar statistics runs at 500 TFLOP/s or more",
            _value(cuda, GPU_SHAPE, "forward: all scalar statistics", "TFLOP/s"),
            "TFLOP/s",
            least=500,
        ),
        _ratio(
            "H200",
            "all scalar statistics cost at most 5 % more time than the log-sum-exp alone",
            _value(cuda, GPU_SHAPE, "forward: all scalar statistics", "seconds"),
            _value(cuda, GPU_SHAPE, "forward: lse", "seconds"),
            limit=1.05,
        ),
        _number(
            "H200",
            "four products, any upstream gradient: 60 ms or less",
            _value(cuda, GPU_SHAPE, "ours, swept", "seconds", scale=1e3),
            "ms",
            most=60,
        ),
        _number(
            "H200",
            "three products, scalar loss: 38 ms or less",
            _value(cuda, GPU_SHAPE, "ours, kept", "seconds", scale=1e3),
            "ms",
            most=38,
        ),
        _number(
            "H200",
            "cross-entropy from logits at 85 % of the speed of a copy or more, every shape",
            _slowest_cross_entropy(found.get("softmax_bandwidth_cuda")),
            "of the copy",
            least=0.85,
        ),
    ]


def peers(rows: list[dict]) -> list[dict]:
    """The rows of both passes that were measured and are not ours."""
    both = (row for row in rows if row.get("pass", "both") == "both" and "seconds" in row)
    return [row for row in both if not row["method"].startswith("ours")]


def _rows(values, shape, threads: int = 1) -> list[dict]:
    rows = values["rows"] if values else []
    return [r for r in rows if r["shape"] == shape and r.get("threads", 1) == threads]


def _value(values, shape, method: str, key: str, scale=1.0, threads: int = 1) -> float | None:
    rows = _rows(values, shape, threads)
    found = [row[key] for row in rows if row["method"] == method and key in row]
    return found[0] * scale if found else None


def _ours_and_fastest(values, threads: int) -> tuple[float | None, float | None]:
    times = [row["seconds"] for row in peers(_rows(values, CPU_SHAPE, threads))]
    ours = _value(values, CPU_SHAPE, "ours, kept", "seconds", threads=threads)
    return ours, min(times, default=None)


def _slowest_cross_entropy(values) -> float | None:
    rows = values["rows"] if values else []
    ours = (r for r in rows if r["backend"] == "triton" and r["task"] == "cross-entropy")
    return min((row["fraction"] for row in ours), default=None)


def _ratio(device, says, above, below, limit: float = 1.0) -> Target:
    if above is None or below is None:
        return Target(device, says, None, None)
    ratio = above / below
    return Target(device, says, f"ratio {ratio:.3f}, limit {limit:.3g}", ratio <= limit)


def _number(device, says, value, unit, *, least=None, most=None) -> Target:
    if value is None:
        return Target(device, says, None, None)
    met = value >= least if most is None else value <= most
    return Target(device, says, f"{value:.3g} {unit}", met)
