"""The GPU run's order of events, with fakes in place of the GPU and the benchmarks."""

from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from experiments import gpu
from xent import parity


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run ``experiments.gpu`` with fake benchmarks; return exit status, what ran, and the text."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a test")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    def start(*options, broken=()):
        ran = []

        def module(name):
            def measure(out, commit):
                ran.append((name, out, commit))
                if name in broken:
                    raise OSError("no space left")
                return tmp_path / f"{name}_cuda.json"

            return SimpleNamespace(run=measure)

        monkeypatch.setattr(gpu, "benchmark", module)
        monkeypatch.setattr(gpu, "parity_on_cuda", lambda out, commit: "parity" not in broken)
        arguments = ["gpu", "--out", str(tmp_path), "--commit", "abc", *options]
        monkeypatch.setattr("sys.argv", arguments)
        return gpu.main(), ran, capsys.readouterr().out

    return start


def test_every_step_runs_and_gets_folder_and_commit(run, tmp_path):
    status, ran, text = run()
    assert status == 0 and "all done" in text and "parity: ok" in text
    assert ran == [(name, str(tmp_path), "abc") for name in gpu.BENCHMARKS]


def test_a_failed_step_does_not_stop_the_others(run):
    status, ran, text = run(broken=("softmax_bandwidth", "parity"))
    assert status == 1 and len(ran) == len(gpu.BENCHMARKS)
    assert "softmax_bandwidth: FAILED" in text and "linear_benchmark: ok" in text
    assert "failed: parity, softmax_bandwidth" in text


def test_only_and_skip(run):
    status, ran, text = run("--only", "linear_benchmark", "--only", "attention_benchmark")
    assert {name for name, *_ in ran} == {"linear_benchmark", "attention_benchmark"}
    assert status == 0 and "parity" not in text
    assert len(run("--skip", "linear_benchmark")[1]) == len(gpu.BENCHMARKS) - 1
    with pytest.raises(SystemExit):
        run("--only", "nothing")


def test_without_a_gpu_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 1
    assert "no CUDA device" in capsys.readouterr().out


@pytest.mark.parametrize("name", [n for n in gpu.BENCHMARKS if find_spec(f"experiments.{n}")])
def test_every_benchmark_can_be_run(name):
    assert callable(gpu.benchmark(name).run)


def test_a_twin_that_raises_is_a_result_that_failed(monkeypatch):
    twin = next(t for t in parity.TWINS if t.name == "softmax.softmax")

    def broken(*_, **__):
        raise RuntimeError("does not compile")

    changed = parity.Twin(**{**vars(twin), "op": broken})
    monkeypatch.setattr(parity, "TWINS", (changed,))
    results = parity.run("cpu", ["torch"])
    assert not any(result.passed for result in results)
    assert "does not compile" in parity.table(results) and results[0].error == float("inf")
