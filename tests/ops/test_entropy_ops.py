"""What the parity table does not cover: reductions, gradients at masks, zeros, errors."""

import numpy as np
import pytest
import torch

from xent.ops import entropy as ops
from xent.reference import entropy as reference

P = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], dtype=torch.float64)
Q = torch.tensor([[0.25, 0.5, 0.25], [0.2, 0.3, 0.5]], dtype=torch.float64)


def test_reductions_and_zero_probabilities():
    rows = reference.kl_divergence(P.numpy(), Q.numpy())
    assert ops.kl_divergence(P, Q, reduction="none").numpy() == pytest.approx(rows)
    assert ops.kl_divergence(P, Q).item() == pytest.approx(rows.mean())
    assert ops.kl_divergence(P, Q, reduction="sum").item() == pytest.approx(rows.sum())
    assert ops.kl_divergence(Q[:1], P[:1]).item() == np.inf
    assert ops.cross_entropy(Q[:1], P[:1]).item() == np.inf
    for name in ("entropy", "cross_entropy", "js_divergence"):
        laws = (P,) if name == "entropy" else (P, Q)
        expected = getattr(reference, name)(*(a.numpy() for a in laws))
        found = getattr(ops, name)(*laws, reduction="none")
        assert found.numpy() == pytest.approx(expected)


def test_gradients_are_finite_at_masks_and_underflow():
    z = torch.tensor([[0.0, -torch.inf, 3.0], [900.0, 0.0, -900.0]], requires_grad=True)
    w = torch.tensor([[0.0, -torch.inf, 1.0], [0.0, 900.0, 0.0]], requires_grad=True)
    loss = ops.entropy_from_logits(z) + ops.kl_from_logits(z, w)
    gradients = torch.autograd.grad(loss, (z, w))
    assert all(torch.isfinite(g).all() for g in gradients)
    assert gradients[0][0, 1] == 0 and gradients[1][0, 1] == 0


def test_gradcheck():
    z, w = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z, w = z.requires_grad_(), w.requires_grad_()
    assert torch.autograd.gradcheck(lambda a: ops.entropy_from_logits(a, backend="torch"), z)
    assert torch.autograd.gradcheck(lambda a, b: ops.kl_from_logits(a, b), (z, w))
    assert torch.autograd.gradcheck(
        lambda a, b: ops.js_divergence(a.softmax(-1), b.softmax(-1)), (z, w)
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ops.entropy(torch.ones(2, dtype=torch.int64)), TypeError, "floating"),
        (lambda: ops.entropy(np.ones(2)), TypeError, "floating"),
        (lambda: ops.entropy(P, axis=2), ValueError, "along axis"),
        (lambda: ops.entropy(P[:, :0]), ValueError, "outcomes"),
        (lambda: ops.kl_divergence(P, Q[:, :2]), ValueError, "as many outcomes"),
        (lambda: ops.kl_from_logits(P, Q[:1]), ValueError, "q_logits must have shape"),
        (lambda: ops.entropy(P, reduction="max"), ValueError, "reduction"),
        (lambda: ops.js_divergence(P, Q, backend="triton"), ValueError, "backend"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("pair", [ops.cross_entropy, ops.kl_divergence, ops.js_divergence])
def test_laws_that_do_not_match_are_refused(pair):
    square, row = torch.full((5, 5), 0.2), torch.full((5,), 0.2)
    with pytest.raises(ValueError, match=r"got p \(3, 5\), q \(5, 5\)"):
        pair(square[:3], square)
    with pytest.raises(ValueError, match="axis must be negative where p and q differ"):
        pair(square, row, 0)
    with pytest.raises(TypeError, match="axis must be an integer"):
        pair(square, square, None)


@pytest.mark.parametrize("scores", [None, [[1.0]], torch.ones(2, 3, dtype=torch.complex64)])
def test_scores_are_floating_tensors(scores):
    with pytest.raises(TypeError, match="logits must be a floating tensor"):
        ops.entropy_from_logits(scores)
    with pytest.raises(TypeError, match="q_logits must be a floating tensor"):
        ops.kl_from_logits(torch.ones(2, 3), scores)
