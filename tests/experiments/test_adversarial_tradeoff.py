"""The attacks and losses of the experiment against exact values and the references."""

import numpy as np
import pytest
import torch

from experiments import adversarial_tradeoff as runs
from xent.reference import adversarial

torch.set_num_threads(1)


def test_attack_stays_in_ball_and_box_and_reaches_the_exact_margin_of_two_classes():
    torch.manual_seed(0)
    linear = torch.nn.Linear(6, 2).double()
    x, y = torch.rand(20, 6).double(), torch.randint(0, 2, (20,))
    moved = runs.pgd(lambda v: runs.cross_entropy(linear(v), y), x, 0.3, 20)
    assert float((moved - x).abs().max()) <= 0.3 + 1e-12
    assert 0 <= float(moved.min()) and float(moved.max()) <= 1
    weights, bias = (p.detach().numpy() for p in linear.parameters())
    exact = adversarial.linear_worst_margins(weights, bias, x.numpy(), y.numpy(), 0.3)
    found = -runs.deficit(linear(moved), y).detach().numpy()
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_crossmax_equals_the_reference():
    z = np.random.default_rng(0).normal(size=(5, 7, 4))
    np.testing.assert_array_equal(
        runs.crossmax(torch.tensor(z)).numpy(), adversarial.crossmax(z, 3)
    )


def test_divergence_and_shift_vanish_where_predictions_agree():
    z, y = torch.randn(8, 5).double(), torch.randint(0, 5, (8,))
    assert float(runs.divergence(z, z + 3).abs().max()) < 1e-12
    assert float(runs.shift(z, z + 3, y).max()) < 1e-12
    assert float(runs.divergence(z, -z).min()) > 0


@pytest.mark.parametrize("method", sorted({run[0] for run in runs.RUNS.values()}))
def test_every_loss_is_finite_and_trains_the_network(method):
    torch.manual_seed(0)
    x, y, _, _ = runs.tensors()
    net = torch.nn.Linear(64, 10)
    loss = runs.loss(method, 0.5, net, x[:20], y[:20], 1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert float(net.weight.grad.abs().sum()) > 0
