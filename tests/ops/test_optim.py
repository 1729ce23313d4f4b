"""The controller caps the update that is made, for any optimizer, and remembers its state."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from xent.ops import ghosts
from xent.optim import RadiusController

# torch.func.jvp itself still loads decompositions through torch.jit.script
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")

OPTIMIZERS = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    "adamw": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.1),
}


def problem(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.BatchNorm1d(12), nn.Linear(12, 4))
    return model.double(), torch.randn(32, 6).double(), torch.randint(0, 4, (32,))


def train(model, control, inputs, labels, steps):
    for _ in range(steps):
        control.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        control.step(inputs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_update_made_has_the_length_of_the_cap(name):
    model, inputs, labels = problem()
    control = RadiusController(OPTIMIZERS[name](model.parameters(), 30.0), model, limit=0.5)
    for _ in range(3):
        control.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        frozen = copy.deepcopy(model).eval()
        control.step(inputs)
        moved = zip(model.named_parameters(), frozen.parameters(), strict=True)
        update = {name: p.detach() - old.detach() for (name, p), old in moved}
        made = float(ghosts.logit_spread(frozen, inputs, update).max()) / math.pi
        assert control.scale < 1 and made == pytest.approx(0.5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_a_binding_cap_nothing_changes(name):
    free, inputs, labels = problem()
    capped = copy.deepcopy(free)
    plain = OPTIMIZERS[name](free.parameters(), 1e-3)
    control = RadiusController(OPTIMIZERS[name](capped.parameters(), 1e-3), capped, limit=1e6)
    train(capped, control, inputs, labels, 5)
    for _ in range(5):
        plain.zero_grad()
        F.cross_entropy(free(inputs), labels).backward()
        plain.step()
    for p, q in zip(free.parameters(), capped.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


def test_linear_logits_move_by_at_most_pi_times_the_limit():
    torch.manual_seed(1)
    model = nn.Linear(6, 4).double()
    inputs, labels = torch.randn(40, 6).double(), torch.randint(0, 4, (40,))
    control = RadiusController(torch.optim.Adam(model.parameters(), lr=100.0), model)
    before = model(inputs).detach()
    train(model, control, inputs, labels, 1)
    moved = model(inputs).detach() - before
    assert float((moved.amax(-1) - moved.amin(-1)).max()) == pytest.approx(math.pi)


def test_parameter_groups_and_closures():
    model, inputs, labels = problem()
    first, last = model[0].parameters(), model[3].parameters()
    groups = [{"params": first, "lr": 5.0}, {"params": last, "lr": 0.0}]
    control = RadiusController(torch.optim.SGD(groups, lr=1.0), model, limit=0.1)
    frozen = [p.detach().clone() for p in model[3].parameters()]

    def closure():
        control.zero_grad()
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        return loss

    loss = control.step(inputs, closure)
    assert loss.item() > 0 and control.param_groups[1]["lr"] == 0.0
    for p, old in zip(model[3].parameters(), frozen, strict=True):
        assert torch.equal(p, old)


def test_state_is_saved_and_restored():
    model, inputs, labels = problem()
    control = RadiusController(torch.optim.Adam(model.parameters(), lr=1.0), model, limit=0.3)
    train(model, control, inputs, labels, 3)
    twin = copy.deepcopy(model)
    other = RadiusController(torch.optim.Adam(twin.parameters(), lr=9.0), twin)
    other.load_state_dict(copy.deepcopy(control.state_dict()))
    assert (other.limit, other.proposed, other.scale) == (0.3, control.proposed, control.scale)
    train(model, control, inputs, labels, 2)
    train(twin, other, inputs, labels, 2)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)


def test_modes_and_batch_statistics_are_left_alone():
    model, inputs, labels = problem()
    model[2].eval()
    control = RadiusController(torch.optim.SGD(model.parameters(), lr=1.0), model)
    F.cross_entropy(model(inputs), labels).backward()
    statistics = model[2].running_mean.clone()
    control.step(inputs)
    assert model.training and not model[2].training
    assert torch.equal(model[2].running_mean, statistics)


def test_an_infinite_update_is_refused_and_undone():
    model, inputs, _ = problem()
    control = RadiusController(torch.optim.SGD(model.parameters(), lr=1.0), model)
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.full_like(p, math.inf)
    with pytest.raises(FloatingPointError, match="not finite"):
        control.step(inputs)
    for p, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(p, old)


def test_bad_limit_is_named():
    model, _, _ = problem()
    with pytest.raises(ValueError, match="limit"):
        RadiusController(torch.optim.SGD(model.parameters(), lr=1.0), model, limit=0.0)


def test_only_optimizers_and_modules_are_controlled():
    model = torch.nn.Linear(2, 2)
    with pytest.raises(TypeError, match="optimizer must"):
        RadiusController(None, model)
    with pytest.raises(TypeError, match="model must"):
        RadiusController(torch.optim.SGD(model.parameters(), lr=1.0), None)
