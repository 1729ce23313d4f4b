"""The sweep over weights trains the losses that it names."""

import pytest
import torch

from experiments import adversarial_tradeoff as runs
from experiments import smoothing_weight as sweep


@pytest.mark.parametrize("schedule", sorted(sweep.METHODS))
def test_a_small_weight_learns_and_a_weight_out_of_reach_does_not(schedule, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(runs, "EPOCHS", 12)
    learned = sweep.accuracies(schedule, 0.1, 0)
    lost = sweep.accuracies(schedule, 10.0, 0)
    assert learned["clean"] > 0.85 > 0.2 > lost["clean"]
    assert learned["clean"] > learned["robust"] > lost["robust"] - 0.05


def test_only_the_schedule_differs():
    torch.manual_seed(0)
    x, y, _, _ = runs.tensors()
    net = torch.nn.Linear(64, 10)
    constant, grown = (method for method, _ in sweep.METHODS.values())
    values = []
    for method, progress in ((constant, 0.0), (constant, 1.0), (grown, 0.0), (grown, 1.0)):
        torch.manual_seed(1)
        values.append(float(runs.loss(method, 2.0, net, x[:30], y[:30], progress).detach()))
    assert values[0] == values[1] == values[3] > values[2]
