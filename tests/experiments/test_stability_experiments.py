"""The experiments of the stability part: their measures on cases with known answers."""

import math

import numpy as np
import pytest
import torch

from experiments import ghosts_controller, ghosts_transition, instabilities, pruning_temperature
from xent import models

# torch.func.jvp itself still loads decompositions through torch.jit.script
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")


@pytest.fixture(scope="module")
def problem():
    return ghosts_transition.data(0)


def test_onset_is_the_first_failure():
    assert ghosts_transition.onset([1.0, 2.0, 3.0], np.array([False, True, False])) == 2.0
    assert ghosts_transition.onset([1.0, 2.0], np.array([False, False])) is None


def test_a_linear_model_has_the_onsets_of_its_linearization(problem):
    torch.manual_seed(0)
    model = models.digit_classifier("linear")
    for _, direction in ghosts_transition.directions(model, problem[0][:384], problem[1][:384]):
        found = ghosts_transition.response(model, problem, direction)
        assert found["true"] == found["linear"]
        assert found["rho"] > 0


def test_stages_come_in_order(problem):
    torch.manual_seed(0)
    model = models.digit_classifier("mlp-norm")
    names = list(ghosts_transition.stages(model, problem, steps=40))
    assert names[0] == "start" and names[-1] == "trained" and set(names) >= {"early", "middle"}


@pytest.mark.parametrize("guard", ghosts_controller.GUARDS)
def test_guards_only_shorten(guard, problem):
    torch.manual_seed(0)
    model, x, y = models.digit_classifier("mlp"), problem[0][:64], problem[1][:64]
    gradient = torch.autograd.grad(
        torch.nn.functional.cross_entropy(model(x), y), list(model.parameters())
    )
    update = [-100.0 * g for g in gradient]
    factor = ghosts_controller.allowed(guard, model, x, y, update, gradient, 100.0, [0.1, 0.2])
    assert 0 <= factor <= 1
    names = [name for name, _ in model.named_parameters()]
    made = {n: factor * u for n, u in zip(names, update, strict=True)}
    if guard in ("radius", "gradient radius"):  # plain gradient descent: the two agree
        assert ghosts_controller.normalized(model, x, made) == pytest.approx(1.0, rel=1e-4)
    if guard == "median update":
        assert ghosts_controller.norm(made.values()) == pytest.approx(0.2)
    if guard in ("plain", "gradient clipping"):
        assert factor == 1


def test_curvature_is_a_second_difference(problem):
    torch.manual_seed(0)
    model, x, y = models.digit_classifier("mlp").double(), problem[0][:64].double(), problem[1][:64]
    update = [torch.randn_like(p) for p in model.parameters()]
    state = dict(model.named_parameters())

    def loss(t):
        moved = {n: p.detach() + t * u for (n, p), u in zip(state.items(), update, strict=True)}
        logits = torch.func.functional_call(model, moved, (x,))
        return torch.nn.functional.cross_entropy(logits, y).item()

    h = 1e-4
    second = (loss(h) - 2 * loss(0) + loss(-h)) / h**2
    found = ghosts_controller.directional_curvature(model, x, y, update)
    assert found == pytest.approx(second, rel=1e-4)


def test_instability_run_reports_the_length_of_its_update():
    row = instabilities.run("plain", 0.01, 16, 0, steps=3)
    assert len(row["signals"]) == 3 and all(len(s) == 5 for s in row["signals"])
    assert row["signals"][0][0] > 0 and math.isfinite(row["final"])
    assert instabilities.run("qk-norm", 0.3, 16, 0, steps=3)["largest score"] <= 2.0001


def test_pruning_keeps_the_share_it_is_told(problem):
    torch.manual_seed(0)
    model = models.digit_classifier("mlp")
    before = [p.detach().clone() for p in model.parameters()]
    full = pruning_temperature.pruned_accuracy(model, problem, 1.0)
    with torch.no_grad():
        assert full == ghosts_transition.accuracy(model(problem[2]), problem[3])
    assert 0 <= pruning_temperature.pruned_accuracy(model, problem, 0.01) <= 1
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
