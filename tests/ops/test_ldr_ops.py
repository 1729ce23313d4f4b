"""The LDR ops: gradients, temperatures of rows, and what they refuse."""

import numpy as np
import pytest
import torch

from xent.ops import ldr as ops


def problem(n=5, k=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(n, k, generator=generator, dtype=torch.float64)
    return z.requires_grad_(), torch.randint(k, (n,), generator=generator)


@pytest.mark.parametrize("lam", (0.3, 1.0, 20.0))
def test_gradients_in_logits_and_temperatures(lam):
    z, y = problem()
    rows = torch.full((5,), lam, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: ops.ldr_kl_loss(a, y, b, 0.5), (z, rows))
    assert torch.autograd.gradgradcheck(lambda a: ops.ldr_kl_loss(a, y, lam), z)


def test_the_adaptive_gradient_is_that_of_the_maximum():
    z, y = problem()
    assert torch.autograd.gradcheck(lambda a: ops.aldr_kl_loss(a, y, 1.0, 2.0, 0.2), z, atol=1e-6)
    assert not ops.optimal_temperature(z, y).requires_grad


def test_cross_entropy_is_a_member():
    z, y = problem()
    wanted = torch.nn.functional.cross_entropy(z, y) - np.log(6)
    assert torch.isclose(ops.ldr_kl_loss(z, y), wanted)
    wanted = torch.nn.functional.multi_margin_loss(z[:, :2], y % 2) * 2  # two classes: one rival
    assert torch.isclose(ops.ldr_kl_loss(z[:, :2], y % 2, 0.0, 1.0), wanted)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda z, y: ops.ldr_kl_loss(z, y, -1.0), ValueError, "lam"),
        (lambda z, y: ops.ldr_kl_loss(z, y, torch.zeros(5)), ValueError, "lam"),
        (lambda z, y: ops.ldr_kl_loss(z, y, torch.ones(4)), ValueError, "lam"),
        (lambda z, y: ops.ldr_kl_loss(z, y, 1.0, -1.0), ValueError, "margin"),
        (lambda z, y: ops.ldr_kl_loss(z, y, backend="triton"), ValueError, "backend"),
        (lambda z, y: ops.ldr_kl_loss(z, y.float()), TypeError, "labels"),
        (lambda z, y: ops.ldr_kl_loss(z.long(), y), TypeError, "logits"),
        (lambda z, y: ops.ldr_kl_loss(z, y[:3]), ValueError, "labels"),
        (lambda z, y: ops.ldr_kl_loss(z, y + 6), IndexError, "labels"),
        (lambda z, y: ops.ldr_kl_loss(z, y, reduction="max"), ValueError, "reduction"),
        (lambda z, y: ops.aldr_kl_loss(z, y, 0.0), ValueError, "lam0"),
        (lambda z, y: ops.aldr_kl_loss(z, y, 1.0, 1.0), ValueError, "alpha"),
        (lambda z, y: ops.optimal_temperature(z[:, :1], 0 * y), ValueError, "classes"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(*problem())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_logit_without_value_leaves_no_temperature(bad):
    z, y = problem()
    z = z.detach().clone()
    z[1, (y[1] + 1) % 6] = bad
    for alpha in (1.05, 2.0):
        found = ops.optimal_temperature(z, y, 1.0, alpha)
        assert found.isnan().tolist() == [row == 1 for row in range(len(y))]


@pytest.mark.parametrize("lam", [1e-18, 1e18])
def test_extreme_temperatures_reach_the_limits(lam):
    z, y = problem()
    z = z.detach().float()
    limit = ops.ldr_kl_loss(z, y, 0.0 if lam < 1 else float("inf"), reduction="none")
    assert torch.allclose(ops.ldr_kl_loss(z, y, lam, reduction="none"), limit, rtol=1e-5)
    for beyond in (1e-300, 1e300, 1e-30, 1e30, [1.0], True + 1j):
        with pytest.raises((TypeError, ValueError), match="lam must"):
            ops.ldr_kl_loss(z, y, beyond)
        with pytest.raises((TypeError, ValueError), match="lam0 must"):
            ops.aldr_kl_loss(z, y, beyond)
