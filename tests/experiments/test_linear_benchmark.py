"""The benchmarks of head and attention at toy size, and what becomes of a method that fails."""

import json

import pytest
import torch

from experiments import attention_benchmark, linear_benchmark, linear_methods, turns
from xent import records


def broken(*_):
    raise RuntimeError("no kernel here\nsecond line")


def test_turns_go_on_after_a_failure():
    found = turns.in_turns({"a": broken, "b": lambda: torch.ones(9).sum()}, "cpu", 3)
    assert found["a"] == {"failed": "RuntimeError: no kernel here"}
    assert len(found["b"]["seconds"]) == len(found["b"]["wall"]) == 3
    assert turns.summary(found["a"], 1.0) == found["a"]


def test_summary_is_median_range_and_speed():
    row = turns.summary({"seconds": [3.0, 1.0, 2.0], "wall": [4.0, 4.0, 5.0]}, 4e12)
    assert row == {"seconds": 2.0, "range": [1.0, 3.0], "wall": 4.0, "TFLOP/s": 2.0}


def test_peak_sees_what_is_freed_again():
    peak = turns.peak_of(lambda: torch.ones(1 << 23))
    assert 30 < peak < 40  # 32 MiB


@pytest.fixture
def toy(monkeypatch):
    """Tiny shapes, one of PyTorch's compilers less, children that run here."""
    monkeypatch.setitem(linear_benchmark.SHAPES, "cpu", ((48, 8, 40),))
    monkeypatch.setitem(linear_benchmark.TURNS, "cpu", 2)
    monkeypatch.setitem(linear_benchmark.CHUNKS, "cpu", (8, 16))
    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)


def test_every_method_gives_the_same_loss(toy):
    data = linear_methods.problem((48, 8, 40), "cpu", torch.float32)
    methods = linear_methods.methods("cpu", 16)
    plain = {n: m for n, m in methods.items() if m.loss not in (broken,)}
    losses = {name: method.loss(*data).item() for name, method in plain.items()}
    for name in ("ours, kept", "ours, swept", "torch, no options", linear_methods.BEST):
        assert losses[name] == pytest.approx(losses["eager"], rel=1e-6)
    assert {m.products for m in methods.values()} == {3, 4}


def test_cpu_record_has_every_method_at_both_thread_counts(toy, tmp_path, monkeypatch, capsys):
    def here(arguments):
        monkeypatch.setattr("sys.argv", ["linear_benchmark", *arguments])
        linear_benchmark.main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    def child(arguments):
        if "--memory" in arguments:
            return {"failed": "out of memory"} if "ours, kept" in arguments else {"extra MiB": 2.0}
        return here(arguments)

    threads = torch.get_num_threads()
    monkeypatch.setattr(linear_benchmark, "_child", child)
    path = linear_benchmark.run(tmp_path, "0" * 12, "cpu")
    torch.set_num_threads(threads)
    values = records.load(path.stem, folder=tmp_path).values
    both = [row for row in values["rows"] if row["pass"] == "both"]
    assert {row["threads"] for row in both} == {1, 2}
    assert {row["method"] for row in both} == set(linear_methods.methods("cpu", 16))
    failed = [row["method"] for row in both if "failed" in row]
    assert failed == ["torch.compile", "torch.compile"]
    kept = next(row for row in both if row["method"] == "ours, kept")
    assert kept["memory failed"] == "out of memory" and kept["seconds"] > 0
    eager = next(row for row in both if row["method"] == "eager")
    assert eager["of eager"] == 1.0 and eager["wall"] > 0
    forward = {row["method"] for row in values["rows"] if row["pass"] == "forward"}
    assert forward == {f"forward: {name}" for name in linear_methods.FORWARD}
    assert {row["tokens"] for row in values["search"]} == {8, 16}
    assert values["accuracy"][0]["torch.compile"] == "RuntimeError: no kernel here"
    assert all(row["ours, kept"] < 1e-5 for row in values["accuracy"])
    assert values["accuracy"][-1]["eager"] == 1.0


def test_a_child_that_fails_says_why():
    assert "failed" in linear_benchmark._child(["--shape", "not-a-number"])


def test_gpu_rows_are_saved_shape_by_shape(toy, monkeypatch):
    monkeypatch.setitem(linear_benchmark.SHAPES, "cuda", ((48, 8, 40), (16, 8, 24)))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    on_this_machine = linear_benchmark.turns
    monkeypatch.setattr(
        linear_benchmark, "turns", lambda shape, device: on_this_machine(shape, "cpu")
    )
    saved = []
    values = linear_benchmark.on_gpu(lambda v: saved.append(len(v["rows"])))
    assert saved[1] == 2 * saved[0] == len(values["rows"])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_methods_agree(causal):
    (q, k, v), _ = attention_benchmark.problem((1, 2, 40, 16), "cpu")
    found = {name: m(q, k, v, causal) for name, m in attention_benchmark.METHODS.items()}
    plain, eager, ours = found.values()
    torch.testing.assert_close(ours[0], plain[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours[1], eager[1], rtol=1e-5, atol=1e-5)


def test_attention_record(tmp_path, monkeypatch):
    monkeypatch.setitem(attention_benchmark.SHAPES, "cpu", ((1, 1, 16, 8),))
    monkeypatch.setitem(attention_benchmark.TURNS, "cpu", 2)
    monkeypatch.setattr(attention_benchmark, "_memory", lambda name, shape: 1.0)
    path = attention_benchmark.run(tmp_path, "0" * 12, "cpu")
    rows = records.load(path.stem, folder=tmp_path).values["rows"]
    assert len(rows) == 3 * 2 * 2 and all(row["seconds"] > 0 for row in rows)
    assert attention_benchmark.operations((1, 1, 4, 2), True, "both") == 7 * 32
