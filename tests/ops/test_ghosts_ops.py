"""Slopes of a model's logits against autodiff, finite differences and the reference."""

import numpy as np
import pytest
import torch
from torch import nn

from xent.ops import ghosts
from xent.reference import ghosts as reference

# torch.func.jvp itself still loads decompositions through torch.jit.script
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")


@pytest.fixture
def problem():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4)).double()
    inputs = torch.randn(6, 5, dtype=torch.float64)
    direction = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    return model, inputs, direction


def moved_logits(model, inputs, direction, t):
    state = {name: p + t * direction.get(name, 0) for name, p in model.named_parameters()}
    return torch.func.functional_call(model, state, (inputs,)).detach()


def test_slopes_are_central_differences(problem):
    model, inputs, direction = problem
    logits, slopes = ghosts.logit_slopes(model, inputs, direction)
    h = 1e-5
    difference = moved_logits(*problem, h) - moved_logits(*problem, -h)
    torch.testing.assert_close(slopes, difference / (2 * h), rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(logits, model(inputs).detach())
    assert not slopes.requires_grad


def test_spread_and_radius_follow_the_reference(problem):
    model, inputs, direction = problem
    slopes = ghosts.logit_slopes(model, inputs, direction)[1].numpy()
    spread = ghosts.logit_spread(model, (inputs,), direction).numpy()
    np.testing.assert_allclose(spread, reference.slope_spread(slopes), rtol=1e-12)
    radius = float(ghosts.radius(model, inputs, direction))
    np.testing.assert_allclose(radius, reference.radius_lower_bound(slopes).min(), rtol=1e-12)


def test_parameters_without_a_direction_stay(problem):
    model, inputs, direction = problem
    only = {"2.bias": direction["2.bias"]}
    slopes = ghosts.logit_slopes(model, inputs, only)[1]
    torch.testing.assert_close(slopes, only["2.bias"].expand(6, 4))


def test_unknown_parameter_is_named(problem):
    model, inputs, _ = problem
    with pytest.raises(KeyError, match="head"):
        ghosts.logit_slopes(model, inputs, {"head": torch.ones(3)})


@pytest.mark.parametrize(
    "call",
    [
        lambda: ghosts.slope_spread(torch.tensor(1.0)),
        lambda: ghosts.slope_spread(torch.ones(2, 3), backend="fastest"),
        lambda: ghosts.descent_step(-torch.ones(1), torch.ones(1), torch.ones(1)),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("slopes", [[1.0, 2.0], np.array([1.0, 2.0]), None])
def test_what_is_no_tensor_is_sent_to_the_reference(slopes):
    with pytest.raises(TypeError, match="must be a torch.Tensor.*xent.reference"):
        ghosts.radius_lower_bound(slopes)
