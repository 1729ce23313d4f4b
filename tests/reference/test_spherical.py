"""xent.reference.spherical against autograd and dense gradient descent."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.reference import spherical as reference

CASES = settings(deadline=None, derandomize=True, max_examples=25)


def torch_z_loss(outputs, label, a, b):
    z = (outputs - outputs.mean()) / outputs.std(correction=0)
    return torch.nn.functional.softplus(a * (b - z[label]), threshold=1e9) / a


@CASES
@given(st.integers(0, 10**6), st.floats(0.1, 3), st.floats(-2, 6))
def test_slopes_agree_with_autograd(seed, a, b):
    rng = np.random.default_rng(seed)
    outputs, label = rng.normal(size=7) + rng.normal(), int(rng.integers(7))
    o = torch.from_numpy(outputs).requires_grad_()
    wanted = torch_z_loss(o, label, a, b)
    (gradient,) = torch.autograd.grad(wanted, o)
    options = {"sharpness": a, "target": b}
    assert reference.z_loss(outputs, label, **options) == pytest.approx(wanted.item(), rel=1e-12)
    sums = outputs[label], outputs.sum(), (outputs**2).sum()
    by_label, by_total, by_squares = reference.z_loss_slopes(*sums, 7, **options)
    found = by_total + 2 * by_squares * outputs
    found[label] += by_label
    np.testing.assert_allclose(found, gradient.numpy(), rtol=1e-9, atol=1e-12)


def test_factored_steps_equal_dense_steps():
    rng = np.random.default_rng(0)
    dense = torch.from_numpy(rng.normal(size=(50, 6))).requires_grad_()
    head = reference.spherical_head(dense.detach().numpy())
    for _ in range(40):
        h = torch.from_numpy(rng.normal(size=6)).requires_grad_()
        label = int(rng.integers(50))
        loss = torch_z_loss(dense @ h, label, 0.5, 3.0)
        d_weight, d_hidden = torch.autograd.grad(loss, (dense, h))
        found, by_hidden = reference.spherical_step(
            head, h.detach().numpy(), label, rate=0.3, sharpness=0.5, target=3.0
        )
        assert found == pytest.approx(loss.item(), rel=1e-9)
        np.testing.assert_allclose(by_hidden, d_hidden.numpy(), rtol=1e-7, atol=1e-10)
        dense = (dense.detach() - 0.3 * d_weight).requires_grad_()
    weight = dense.detach().numpy()
    np.testing.assert_allclose(head.weight(), weight, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(head.row(3), weight[3], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(head.gram, weight.T @ weight, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(head.total, weight.sum(axis=0), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(head.inverse @ head.mixing, np.eye(6), atol=1e-9)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="all be equal"):
        reference.z_loss(np.ones((2, 3)), [0, 1])
    with pytest.raises(ValueError, match="sharpness"):
        reference.z_loss([0.0, 1.0], 0, sharpness=0)
    with pytest.raises(IndexError, match="labels"):
        reference.z_loss([0.0, 1.0], 2)
    with pytest.raises(ValueError, match="outputs must have"):
        reference.z_loss(1.0, 0)
    head = reference.spherical_head(np.eye(3))
    with pytest.raises(ValueError, match="hidden must have shape"):
        reference.spherical_step(head, np.ones(2), 0, rate=0.1)
    with pytest.raises(IndexError, match="label must lie"):
        reference.spherical_step(head, np.arange(3.0), 3, rate=0.1)


def test_a_step_that_would_be_singular_is_refused():
    head = reference.spherical_head(np.array([[1.0, 0.0], [2.0, 1.0], [4.0, 0.5]]))
    h = np.array([1.0, 0.0])
    sums = 4.0, 7.0, 21.0
    by_squares = reference.z_loss_slopes(*sums, 3)[2]
    with pytest.raises(ValueError, match="singular"):
        reference.spherical_step(head, h, 2, rate=1 / (2 * by_squares))


def test_an_offset_changes_no_z_score():
    z = np.array([1.0, 2.0, 4.0, -3.0])
    assert reference.z_loss(z + 1e9, 1) == pytest.approx(reference.z_loss(z, 1), rel=1e-6)
    with pytest.raises(ValueError, match="all be equal"):
        reference.z_loss([0.1, 0.1, 0.1], 0)
