"""The softmax ops: reductions, derivatives, devices and what they refuse."""

import numpy as np
import pytest
import torch

from xent.ops import softmax as ops
from xent.ops.backend import choose

BACKENDS = pytest.mark.parametrize("backend", ["torch", "triton"])


@pytest.fixture(autouse=True)
def needs_triton(request):
    if "triton" in request.node.name:
        pytest.importorskip("triton", reason="triton is not installable on this platform")


def problem(n=5, v=140, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, v, generator=generator, requires_grad=True)
    return z, torch.randint(v, (n,), generator=generator)


@BACKENDS
def test_reductions(backend):
    z, y = problem()
    y[1] = -100
    losses = ops.cross_entropy_with_logits(z, y, reduction="none", backend=backend)
    assert losses[1] == 0
    total = ops.cross_entropy_with_logits(z, y, reduction="sum", backend=backend)
    mean = ops.cross_entropy_with_logits(z, y, backend=backend)
    assert torch.isclose(total, losses.sum()) and torch.isclose(mean, losses.sum() / 4)
    assert torch.isclose(mean, torch.nn.functional.cross_entropy(z, y))


@BACKENDS
def test_a_mean_over_nothing_is_refused_and_a_sum_is_zero(backend):
    z, y = problem()
    for logits, labels in ((z, torch.full_like(y, -100)), (z[:0], y[:0])):
        with pytest.raises(ValueError, match="no example"):
            ops.cross_entropy_with_logits(logits, labels, backend=backend)
        total = ops.cross_entropy_with_logits(logits, labels, reduction="sum", backend=backend)
        assert total == 0
        (slope,) = torch.autograd.grad(total, z)
        assert (slope == 0).all()


@BACKENDS
def test_gradient_of_the_mean_reaches_every_counted_row(backend):
    z, y = problem()
    (slope,) = torch.autograd.grad(ops.cross_entropy_with_logits(z, y, backend=backend), z)
    wanted = (torch.softmax(z, -1) - torch.nn.functional.one_hot(y, z.shape[1])) / len(y)
    assert torch.allclose(slope, wanted, atol=1e-7)
    assert slope.sum(-1).abs().max() < 1e-6


@BACKENDS
def test_results_are_bitwise_repeatable_and_independent_of_the_batch(backend):
    z, y = problem()
    first = ops.cross_entropy_with_logits(z, y, reduction="none", backend=backend)
    again = ops.cross_entropy_with_logits(z, y, reduction="none", backend=backend)
    alone = ops.cross_entropy_with_logits(z[2:3], y[2:3], reduction="none", backend=backend)
    assert torch.equal(first, again)
    if backend == "triton":
        assert torch.equal(first[2:3], alone)


@BACKENDS
def test_an_ignored_row_may_hold_anything(backend):
    z, y = problem()
    y[0] = -100
    with torch.no_grad():
        z[0] = 1e30
    loss = ops.cross_entropy_with_logits(z, y, backend=backend)
    (slope,) = torch.autograd.grad(loss, z)
    assert loss.isfinite() and (slope[0] == 0).all()


def test_torch_path_passes_gradcheck_and_gradgradcheck():
    z = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 5, -100])

    def loss(z):
        return ops.cross_entropy_with_logits(
            z, y, label_smoothing=0.1, z_loss=0.2, reduction="none"
        )

    for function in (loss, ops.logsumexp, ops.softmax, ops.log_softmax):
        assert torch.autograd.gradcheck(function, z)
        assert torch.autograd.gradgradcheck(function, z)


def test_triton_path_refuses_a_second_derivative():
    z, y = problem()
    loss = ops.cross_entropy_with_logits(z, y, backend="triton")
    (slope,) = torch.autograd.grad(loss, z, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad|once_differentiable"):
        slope.sum().backward()


@pytest.mark.parametrize("gap", [10.0, 30.0, 60.0])
@BACKENDS
def test_loss_and_slope_of_a_nearly_certain_target_keep_their_digits(backend, gap):
    z = torch.tensor([[gap, 0.0, 0.0]], requires_grad=True)
    loss = ops.cross_entropy_with_logits(z, torch.tensor([0]), backend=backend)
    (slope,) = torch.autograd.grad(loss, z)
    exact = np.log1p(2 * np.exp(-gap))
    assert abs(loss.item() / exact - 1) < 1e-5
    assert abs(-slope[0, 0].item() / -np.expm1(-exact) - 1) < 1e-5


def test_dtypes_of_results():
    for dtype, wide in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        z = torch.zeros(2, 3, dtype=dtype)
        assert ops.logsumexp(z).dtype == wide
        assert ops.cross_entropy_with_logits(z, torch.tensor([0, 1])).dtype == wide
        assert ops.softmax(z).dtype == ops.log_softmax(z).dtype == dtype


def test_auto_takes_torch_on_the_cpu():
    assert choose("auto", torch.zeros(1)) == "torch"
    assert choose("triton", torch.zeros(1)) == "triton"


Z, Y = torch.zeros(2, 3), torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.softmax([1.0]), TypeError, "floating tensor"),
        (lambda: ops.softmax(torch.zeros(2, 0)), ValueError, "no classes"),
        (lambda: ops.logsumexp(Z, axis=2), ValueError, "axis"),
        (lambda: ops.logsumexp(Z, backend="cuda"), ValueError, "backend must be"),
        (lambda: ops.logsumexp(Z.double(), backend="triton"), ValueError, "float32, float16"),
        (lambda: ops.logsumexp(Z.to("meta"), backend="triton"), ValueError, "cuda and cpu"),
        (lambda: ops.cross_entropy_with_logits(Z, [0, 1]), TypeError, "labels"),
        (lambda: ops.cross_entropy_with_logits(Z, Y.float()), TypeError, "integers"),
        (lambda: ops.cross_entropy_with_logits(Z, Y[:1]), ValueError, "shape"),
        (lambda: ops.cross_entropy_with_logits(Z, Y + 1), IndexError, r"\[0, 3\).*got 3"),
        (lambda: ops.cross_entropy_with_logits(Z, Y, reduction="avg"), ValueError, "reduction"),
        (lambda: ops.cross_entropy_with_logits(Z, Y, z_loss=-1), ValueError, "z_loss"),
        (
            lambda: ops.cross_entropy_with_logits(Z, Y, label_smoothing=2),
            ValueError,
            "label_smoothing",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
