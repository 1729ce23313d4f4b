"""The experiments at toy size: they run, and what they write can be read."""

import shutil

import numpy as np
import pytest
import torch

from experiments import softmax_bandwidth, softmax_passes


def test_bandwidth_run_writes_fractions_of_the_copy(tmp_path, monkeypatch):
    monkeypatch.setitem(softmax_bandwidth.SHAPES, "cpu", ((4, 32),))
    monkeypatch.setitem(softmax_bandwidth.REPEATS, "cpu", 3)
    rows = softmax_bandwidth.measure((64, 512), torch.float32, "torch", "cpu")
    assert {"copy", "softmax", "cross-entropy"} <= {row["task"] for row in rows}
    assert rows[0]["fraction"] == 1.0 and all(row["GB/s"] > 0 for row in rows)
    path = softmax_bandwidth.run(tmp_path, "0" * 12, "cpu")
    assert path.name == "softmax_bandwidth_cpu.json"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_c_passes_agree_with_float64(tmp_path):
    library = softmax_passes.compiled("avx2", tmp_path)
    errors = softmax_passes.worst_errors(library)
    assert set(errors) == {"recompute", "reload", "two_pass"}
    assert max(errors.values()) < 1e-6
    times = softmax_passes.measure(library, 2**10, repeats=2)
    assert all(np.median(t) > 0 for t in times.values())
