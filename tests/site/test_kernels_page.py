"""Targets and tables of the kernels page, from records made up here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from xent.records import Record

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

PROVENANCE = {"sources": {}, "date": "2026-01-01", "device": {"kind": "cuda", "name": "a GPU"}}


def row(method, shape, seconds, **more):
    kind = "forward" if method.startswith("forward") else "both"
    found = {"method": method, "pass": kind, "shape": shape, "products": 3, "seconds": seconds}
    return found | {"wall": seconds, "TFLOP/s": 1.0} | more


def cpu(ours, memory):
    from xent_site.targets import CPU_SHAPE

    one = {"threads": 1}
    rows = [
        row("eager", CPU_SHAPE, 2.0, **one, **{"extra MiB": 800.0, "of eager": 1.0}),
        row("torch, best chunks", CPU_SHAPE, 1.0, tokens=512, **one),
        row("ours, swept", CPU_SHAPE, 0.1, **one),
        row("ours, kept", CPU_SHAPE, ours, **one, **{"extra MiB": memory}),
        row("eager", CPU_SHAPE, 0.5, threads=2),
        row("ours, kept", CPU_SHAPE, ours / 2, threads=2),
    ]
    rows.append({k: v for k, v in rows[0].items() if k != "seconds"} | {"method": "torch.compile"})
    rows[-1] |= {"failed": "RuntimeError: <no compiler>"}
    return rows


def cuda(swept, slowdown):
    from xent_site.targets import GPU_SHAPE

    return [
        row("ours, swept", GPU_SHAPE, swept),
        row("ours, kept", GPU_SHAPE, 0.03),
        row("forward: lse", GPU_SHAPE, 0.02),
        row("forward: all scalar statistics", GPU_SHAPE, 0.02 * slowdown, **{"TFLOP/s": 510.0}),
    ]


def verdicts(found):
    from xent_site.targets import targets

    return [target.met for target in targets(found)]


def test_without_records_no_target_is_judged():
    assert verdicts({}) == [None] * 8


@pytest.mark.parametrize("ours,memory,met", [(1.0, 100.0, True), (1.01, 101.0, False)])
def test_cpu_targets_compare_with_the_fastest_peer_and_with_eager(ours, memory, met):
    found = {"linear_benchmark_cpu": {"rows": cpu(ours, memory)}}
    assert verdicts(found) == [met, met, met] + [None] * 5


@pytest.mark.parametrize("swept,slowdown,met", [(0.06, 1.05, True), (0.061, 1.06, False)])
def test_gpu_targets(swept, slowdown, met):
    softmax = [
        {"backend": "triton", "task": "cross-entropy", "fraction": 0.86 if met else 0.84},
        {"backend": "torch", "task": "cross-entropy", "fraction": 0.1},
    ]
    found = {
        "linear_benchmark_cuda": {"rows": cuda(swept, slowdown)},
        "softmax_bandwidth_cuda": {"rows": softmax},
    }
    assert verdicts(found) == [None, None, None, True, met, met, True, met]


@pytest.mark.parametrize("rows", [cpu(0.9, 50.0), cuda(0.05, 1.0)], ids=["cpu", "cuda"])
def test_tables_show_every_method_and_say_why_one_failed(rows):
    from xent_site.measured import tables_of

    accuracy = [{"gap": 10.0, "loss": 0.01, "ours, kept": 1e-7, "torch.compile": "Failure: here"}]
    values = {"rows": rows, "accuracy": accuracy}
    html = tables_of(Record("linear_benchmark_test", values, PROVENANCE, ROOT))
    assert all(r["method"].removeprefix("forward: ") in html for r in rows)
    assert "Failure: here" in html and "a GPU" in html
    if "threads" in rows[0]:
        assert "512 tokens" in html and "RuntimeError: &lt;no compiler&gt;" in html


def test_parity_table_names_what_failed():
    from xent_site.measured import tables_of

    good = {"name": "a.f", "backend": "torch", "dtype": "float32", "error": 1e-7, "cases": 3}
    good |= {"tolerance": 1e-6, "gradient_error": None, "gradient_tolerance": None}
    good |= {"worst_case": "", "passed": True}
    bad = good | {"dtype": "float64", "error": "inf", "worst_case": "ties", "passed": False}
    html = tables_of(Record("parity_test", {"rows": [good, bad]}, PROVENANCE, ROOT))
    assert "1 of 2 comparisons" in html and "✗ inf" in html and "ties" in html
