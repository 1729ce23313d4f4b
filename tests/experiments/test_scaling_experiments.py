"""The scaling experiments on synthetic data of the shape of the public files."""

import json

import numpy as np
import pytest

from experiments import annealing_curves, chinchilla_refit, knowledge_capacity, scaling_sweep
from xent import records
from xent.reference import scaling


def write_points(folder, seed=0):
    rng = np.random.default_rng(seed)
    params, tokens = 10 ** rng.uniform(8, 10, 245), 10 ** rng.uniform(9, 11.5, 245)
    loss = scaling.chinchilla_law(params, tokens, 1.8, 480.0, 2100.0, 0.35, 0.37)
    loss = loss * np.exp(0.004 * rng.normal(size=245))
    rows = ["x,y,color,Model Size,Training FLOP,hex_color,loss"]
    for n, d, value in zip(params, tokens, loss, strict=True):
        rows.append(f"0,0,#fff,{n},{6 * n * d},#fff,{value}")
    deep = folder / "some" / "where"
    deep.mkdir(parents=True)
    (deep / chinchilla_refit.FILE).write_text("\n".join(rows) + "\n")


def test_the_refit_finds_its_file_and_the_law(tmp_path, monkeypatch):
    write_points(tmp_path)
    command = ["refit", "--data", str(tmp_path), "--out", str(tmp_path), "--bootstrap", "3"]
    monkeypatch.setattr("sys.argv", [*command, "--commit", "none"])
    chinchilla_refit.main()
    values = json.loads((tmp_path / "chinchilla_refit.json").read_text())["values"]
    assert values["fit"]["alpha"] == pytest.approx(0.35, abs=0.03)
    assert values["fit"]["e"] == pytest.approx(1.8, abs=0.05)
    assert values["condition_raw"] > 100 * values["condition_centered"]
    best = values["profile"]["e"].index(values["fit"]["e"])
    assert min(values["profile"]["chi2"]) == pytest.approx(0, abs=1e-6)
    assert np.argmin(values["profile"]["chi2"]) == best
    assert values["mean_of_losses"][-1] >= values["fit"]["objective"]


def test_a_missing_file_says_what_to_set(tmp_path):
    with pytest.raises(FileNotFoundError, match="XENT_DATA"):
        chinchilla_refit.read_points(tmp_path)
    with pytest.raises(FileNotFoundError, match="XENT_DATA"):
        annealing_curves.read_curve(None, 25, "cosine_24000")


def test_schedules_start_at_the_peak_and_end_where_their_names_say():
    ends = {"constant_24000": 3e-4, "cosine_24000": 3e-5, "wsd_20000_24000": 3e-5}
    ends |= {"wsdld_20000_24000": 3e-5, "wsdcon_9": 9e-5, "cosine_72000": 3e-5}
    for name, end in ends.items():
        lr = annealing_curves.schedule(name)
        assert lr[0] == pytest.approx(annealing_curves.PEAK)
        assert lr[-1] == pytest.approx(end, rel=5e-3)
        assert (np.diff(lr) <= 1e-18).all()
    linear = annealing_curves.schedule("wsdld_20000_24000")
    assert linear[22_000 - annealing_curves.WARMUP] == pytest.approx(1.65e-4)


def test_curves_that_follow_the_law_are_predicted(tmp_path, monkeypatch):
    monkeypatch.setattr(annealing_curves, "DECAYS", (0.998, 0.999))
    truth = scaling.AnnealingFit(2.8, 0.6, 0.45, 0.5, 0.999, 0.0)
    folder = tmp_path / "csv_25"
    folder.mkdir()
    for name in (*annealing_curves.TWO, *annealing_curves.BRANCH):
        lr = annealing_curves.schedule(name)
        loss = annealing_curves.predict(truth, lr)
        index = np.arange(16, len(lr), 512)
        lines = [f"{i + annealing_curves.WARMUP},{lr[i]},{loss[i]}" for i in index]
        (folder / f"{name}.csv").write_text("\n".join(["step,lr,loss", *lines]) + "\n")
    curves = {
        name: annealing_curves.read_curve(tmp_path, 25, name)
        for name in (*annealing_curves.TWO, *annealing_curves.BRANCH)
    }
    found = annealing_curves.fit_and_predict(curves, annealing_curves.TWO)
    assert found["fit"]["decay"] == 0.999
    assert max(worst for _, worst in found["errors"].values()) < 1e-4
    without = annealing_curves.without_annealing(curves, annealing_curves.TWO)
    assert without["errors"]["wsdcon_3"][0] > 0.005


def test_the_sweep_starts_above_the_entropy_and_learns():
    run = scaling_sweep.train(width=4, samples=64, seed=0, steps=48, batch=32)
    values = [value for _, value in run["curve"]]
    source = scaling_sweep.ZipfContextSource(
        scaling_sweep.EXPONENT, num_contexts=scaling_sweep.CONTEXTS
    )
    assert min(values) > scaling_sweep.entropy_of(source)
    assert run["loss"] == min(values) < values[0]


def test_the_recorded_sweep_trained_the_network_that_is_in_the_library():
    record = records.load("scaling_sweep")
    assert record.values["model_code"] == scaling_sweep.model_code()


def test_a_small_network_stores_facts_and_rounding_costs_some():
    weights, data = knowledge_capacity.train(8, 40, 60, seeds=2)
    assert sum(w[0].numel() for w in weights) == knowledge_capacity.parameters(8)
    fresh = knowledge_capacity.stored(knowledge_capacity.fresh(8, 2), *data)
    learned = knowledge_capacity.stored(weights, *data)
    assert (learned > fresh + 10).all() and (learned <= 40 * 6).all()
    coarse = knowledge_capacity.best_rounding(weights, data, 2)
    fine = knowledge_capacity.best_rounding(weights, data, 14)
    assert (coarse < learned).all()
    assert fine == pytest.approx(learned, abs=1)
    blurred = knowledge_capacity.under_noise(weights, data, 0.5, draws=3)
    assert (blurred < learned).all()


def test_rounded_weights_lie_on_their_grid():
    weights = knowledge_capacity.fresh(8, 2)[0]
    (rounded,) = knowledge_capacity.rounded([weights], 3, 1.0, (1,))
    in_steps = rounded.numpy() / (np.abs(rounded.numpy()).max(axis=1, keepdims=True) / 3)
    assert np.allclose(in_steps, in_steps.round(), atol=1e-5)
    assert np.abs(in_steps).max() == pytest.approx(3)
