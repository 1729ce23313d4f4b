"""The comp-sum ops: members, reductions, ignored labels and what they refuse."""

import pytest
import torch

from xent.ops import comp_sum as ops


def problem(n=6, v=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, v, generator=generator, dtype=torch.float64, requires_grad=True)
    return z, torch.randint(v, (n,), generator=generator)


def test_members():
    z, y = problem()
    s = torch.softmax(z, -1)[torch.arange(6), y]
    formulas = {0.0: 1 / s - 1, 1.0: -s.log(), 1.7: (1 - s**0.7) / 0.7, 2.0: 1 - s}
    for tau, wanted in formulas.items():
        assert torch.allclose(ops.comp_sum_loss(z, y, tau, reduction="none"), wanted, rtol=1e-12)


@pytest.mark.parametrize("tau", (0.0, 0.6, 1.0, 1.5, 2.0, 2.5))
def test_gradient_and_its_derivative(tau):
    z, y = problem(3, 4)
    assert torch.autograd.gradcheck(lambda x: ops.comp_sum_loss(x, y, tau), z)
    assert torch.autograd.gradgradcheck(lambda x: ops.comp_sum_loss(x, y, tau), z)


def test_reductions_and_ignored_labels():
    z, y = problem()
    y[2] = -100
    losses = ops.comp_sum_loss(z, y, 1.5, reduction="none")
    assert losses[2] == 0
    assert torch.isclose(ops.comp_sum_loss(z, y, 1.5), losses.sum() / 5)
    assert torch.isclose(ops.comp_sum_loss(z, y, 1.5, reduction="sum"), losses.sum())
    (slope,) = torch.autograd.grad(ops.comp_sum_loss(z, y, 1.5), z)
    assert (slope[2] == 0).all() and slope[0].abs().sum() > 0


def test_a_label_of_probability_zero_has_a_bounded_loss_above_one():
    z = torch.tensor([[0.0, -torch.inf, 1.0]], requires_grad=True)
    loss = ops.comp_sum_loss(z, torch.tensor([1]), 1.5)
    assert loss == 2
    (slope,) = torch.autograd.grad(loss, z)
    assert (slope == 0).all()


def test_smooth_loss_at_an_unmoved_point_is_the_clean_loss():
    z, y = problem()
    smooth = ops.smooth_adversarial_comp_sum(z, z, y, 1.0, 2.0, 3.0)
    assert torch.isclose(smooth, ops.comp_sum_loss(z / 2, y))
    (slope,) = torch.autograd.grad(smooth, z)
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda z, y: ops.comp_sum_loss(z, y, -1), ValueError, "tau"),
        (lambda z, y: ops.comp_sum_loss(z, y, float("nan")), ValueError, "tau"),
        (lambda z, y: ops.comp_sum_loss(z, y, reduction="max"), ValueError, "reduction"),
        (lambda z, y: ops.comp_sum_loss(z, y + 9), IndexError, "labels"),
        (lambda z, y: ops.comp_sum_loss(z.long(), y), TypeError, "logits"),
        (lambda z, y: ops.smooth_adversarial_comp_sum(z, z, y, rho=0), ValueError, "rho"),
        (lambda z, y: ops.smooth_adversarial_comp_sum(z, z, y, nu=-1), ValueError, "nu"),
        (lambda z, y: ops.smooth_adversarial_comp_sum(z, z[:1], y), ValueError, "perturbed"),
    ],
)
def test_bad_input_is_named(call, error, words):
    z, y = problem()
    with pytest.raises(error, match=words):
        call(z, y)


def test_no_label_is_ignored_by_the_smooth_loss():
    z = torch.zeros(2, 3)
    with pytest.raises(IndexError, match=r"labels must lie in \[0, 3\), got -100"):
        ops.smooth_adversarial_comp_sum(z, z, torch.tensor([0, -100]))
