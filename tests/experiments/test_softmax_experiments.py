"""The experiments at toy size: they run, and what they write can be read."""

import shutil

import numpy as np
import pytest
import torch

from experiments import gpu, softmax_bandwidth, softmax_passes


def test_bandwidth_run_writes_fractions_of_the_copy(tmp_path, monkeypatch):
    monkeypatch.setitem(softmax_bandwidth.SHAPES, "cpu", ((4, 32),))
    monkeypatch.setitem(softmax_bandwidth.REPEATS, "cpu", 3)
    rows = softmax_bandwidth.measure((64, 512), torch.float32, "torch", "cpu")
    assert {"copy", "softmax", "cross-entropy"} <= {row["task"] for row in rows}
    assert rows[0]["fraction"] == 1.0 and all(row["GB/s"] > 0 for row in rows)
    path = softmax_bandwidth.run(tmp_path, "0" * 12, "cpu")
    assert path.name == "softmax_bandwidth_cpu.json"


def test_gpu_module_says_when_there_is_no_gpu(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 1
    assert "no CUDA device" in capsys.readouterr().out


def test_gpu_module_goes_on_after_a_failed_step(capsys, monkeypatch):
    def broken():
        raise OSError("no space left")

    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a test")
    monkeypatch.setattr(gpu, "steps", lambda out, commit: [("a", broken), ("b", lambda: True)])
    assert gpu.main() == 1
    printed = capsys.readouterr().out
    assert "a: FAILED" in printed and "b: ok" in printed and "failed: a" in printed


def test_every_gpu_benchmark_can_be_run():
    from importlib import import_module

    assert all(callable(import_module(name).run) for name in gpu.BENCHMARKS)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_c_passes_agree_with_float64(tmp_path):
    library = softmax_passes.compiled("avx2", tmp_path)
    errors = softmax_passes.worst_errors(library)
    assert set(errors) == {"recompute", "reload", "two_pass"}
    assert max(errors.values()) < 1e-6
    times = softmax_passes.measure(library, 2**10, repeats=2)
    assert all(np.median(t) > 0 for t in times.values())
