"""The sweep runner: order, resuming, and a dask cluster that loses a worker."""

import json
import os
import signal
import time

import joblib
import pytest

from experiments.sweep import sweep


def square(number, folder=None):
    if folder is not None:
        with open(os.path.join(folder, f"ran-{number}-{os.getpid()}-{time.time_ns()}"), "w"):
            pass
    return {"square": number * number}


def slow_square(number):
    time.sleep(0.3)
    return {"square": number * number}


def stumble(number, folder):
    if number == 3 and not os.path.exists(os.path.join(folder, "second try")):
        raise RuntimeError("interrupted")
    return square(number, folder)


def test_results_come_in_the_order_of_the_settings(tmp_path):
    results = sweep(square, [dict(number=n) for n in (5, 2, 9)], tmp_path)
    assert [r["square"] for r in results] == [25, 4, 81]
    assert results[0] == {"number": 5, "square": 25}


def test_an_interrupted_sweep_runs_only_what_is_missing(tmp_path):
    marks, work = tmp_path / "marks", tmp_path / "work"
    marks.mkdir()
    settings = [dict(number=n, folder=str(marks)) for n in range(5)]
    with pytest.raises(RuntimeError, match="interrupted"):
        sweep(stumble, settings, work)
    (marks / "second try").touch()
    results = sweep(stumble, settings, work)
    assert [r["square"] for r in results] == [0, 1, 4, 9, 16]
    runs = [name.split("-")[1] for name in os.listdir(marks) if name.startswith("ran")]
    assert sorted(runs) == ["0", "1", "2", "3", "4"]


def test_a_half_written_result_is_not_taken_for_one(tmp_path):
    (tmp_path / "abc.json.1.partial").write_text('{"square":')
    assert sweep(square, [dict(number=4)], tmp_path)[0]["square"] == 16
    (stored,) = tmp_path.glob("*.json")
    assert json.loads(stored.read_text())["square"] == 16


def test_a_sweep_on_a_dask_cluster_survives_the_loss_of_a_worker(tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = client.run(os.getpid)
        assert len(workers) == 2
        settings = [dict(number=n) for n in range(12)]
        with joblib.parallel_config(backend="dask", wait_for_workers_timeout=30):
            victim = next(iter(workers.values()))
            kill = (0.7, os.kill, victim, signal.SIGKILL)
            client.loop.add_callback(client.loop.call_later, *kill)
            results = sweep(slow_square, settings, tmp_path)
        survivors = client.run(os.getpid)
    assert [r["square"] for r in results] == [n * n for n in range(12)]
    assert victim not in survivors.values()
