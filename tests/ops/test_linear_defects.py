"""Each defect reported of a public cross-entropy kernel, as a test that ours must pass."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from xent.ops import linear as ops
from xent.ops import linear_torch

BACKENDS = ["torch", "triton"]
both = pytest.mark.parametrize("backend", BACKENDS)


def skip_without_triton(backend):
    if backend == "triton":
        pytest.importorskip("triton", reason="triton is not installable on this platform")


def head(seed, tokens=6, width=8, classes=40):
    rng = np.random.default_rng(seed)
    hidden, weight = rng.normal(size=(tokens, width)), rng.normal(size=(classes, width))
    labels = torch.from_numpy(rng.integers(0, classes, size=tokens))
    return torch.from_numpy(hidden).float(), torch.from_numpy(weight).float(), labels


def exact_gradients(hidden, weight, loss):
    variables = [t.double().requires_grad_() for t in (hidden, weight)]
    return torch.autograd.grad(loss(variables[0] @ variables[1].T), variables)


@both
@pytest.mark.parametrize("certainty", [0.9, 0.99, 0.999, 1 - 1e-6])
def test_the_gradient_at_the_label_is_not_rounded_before_one_is_subtracted(backend, certainty):
    """Shipped with a relative error of 20 % at p_y = 0.99 and 100 % at 0.999, in bfloat16."""
    skip_without_triton(backend)
    gap = np.log(certainty / (1 - certainty))
    hidden = torch.tensor([[gap, 0.0]]).bfloat16().requires_grad_()
    weight = torch.eye(2).bfloat16()
    loss = ops.linear_cross_entropy(
        hidden, weight, torch.tensor([0]), reduction="none", backend=backend
    )
    found = torch.autograd.grad(loss.sum(), hidden)[0].double()
    wanted = torch.sigmoid(-hidden.detach().double()[0, 0])
    torch.testing.assert_close(found[0], torch.stack([-wanted, wanted]), rtol=8e-3, atol=0.0)


@both
def test_losses_are_never_negative_and_keep_their_digits(backend):
    """z_y and lse from different summation orders gave negative losses."""
    skip_without_triton(backend)
    hidden, weight, _ = head(1)
    direction = weight / weight.norm(dim=1, keepdim=True)
    labels = torch.arange(6)
    gaps = torch.linspace(10, 60, 6)
    certain = gaps[:, None] * direction[:6] / 0.3
    losses = ops.linear_cross_entropy(certain, direction, labels, reduction="none", backend=backend)
    z = certain.double() @ direction.double().T
    others = z.scatter(1, labels[:, None], -torch.inf).logsumexp(1)
    wanted = -F.logsigmoid(z[torch.arange(6), labels] - others)
    assert (losses >= 0).all() and (losses[wanted > 0] > 0).all()
    torch.testing.assert_close(losses.double(), wanted, rtol=1e-4, atol=0.0)


@both
@pytest.mark.parametrize("offset", [-1e4, -1e2, 1e2, 1e4])
def test_a_common_offset_does_not_matter(backend, offset):
    """Rebuilding the loss from rounded pieces broke it under a large common offset.

    These logits are exact in float32 with and without the offset, so nothing may change.
    """
    skip_without_triton(backend)
    hidden, weight, labels = head(2)
    hidden, weight = (hidden * 16).round() / 16, (weight * 16).round() / 16
    found = []
    for bias in (torch.zeros(40), torch.full((40,), offset)):
        h = hidden.clone().requires_grad_()
        s = ops.head_stats(h, weight, labels, renyi=(0.5,), bias=bias, backend=backend)
        loss = ops.linear_cross_entropy(h, weight, labels, bias=bias, backend=backend)
        gradients = torch.autograd.grad((s.nll + s.entropy).sum() + loss, h)
        found.append((s.nll, s.entropy, s.renyi, loss, *gradients))
    for plain, moved in zip(*found, strict=True):
        torch.testing.assert_close(moved, plain, rtol=2e-6, atol=1e-6)


@both
@pytest.mark.parametrize("classes", [31, 32, 33, 63, 64, 65, 127, 129])
def test_columns_past_the_last_class_do_not_exist(backend, classes):
    """Phantom columns of logit 0 and a running maximum that starts at 0: wrong by 0.3 nats."""
    skip_without_triton(backend)
    hidden, weight, labels = head(3, classes=classes)
    bias = torch.full((classes,), -50.0)
    found = ops.head_stats(
        hidden, weight, labels, want=("nll", "entropy", "top2"), bias=bias, backend=backend
    )
    z = hidden.double() @ weight.double().T + bias.double()
    log_p = z.log_softmax(1)
    assert (found.top2 < 0).all()
    torch.testing.assert_close(
        found.nll.double(), -log_p.gather(1, labels[:, None])[:, 0], rtol=0, atol=2e-5
    )
    torch.testing.assert_close(
        found.entropy.double(), -(log_p.exp() * log_p).sum(1), rtol=0, atol=2e-5
    )


@both
def test_forward_and_backward_see_the_same_logits(backend):
    """Logits in bfloat16 forward and float32 backward: p summed to 1.11 at |z| = 40."""
    skip_without_triton(backend)
    hidden, weight, labels = head(4)
    hidden, weight = (20 * hidden).bfloat16(), weight.bfloat16()
    ones = torch.ones(40, 1).bfloat16()
    widened = torch.cat([weight, ones], dim=1).requires_grad_()
    padded = torch.cat([hidden, torch.zeros(6, 1).bfloat16()], dim=1).requires_grad_()
    s = ops.head_stats(padded, widened, labels, backend=backend)
    found = torch.autograd.grad((s.nll + s.entropy).sum(), padded, retain_graph=True)[0]
    assert found[:, -1].abs().max() < 1e-4  # sum_j dz_j
    found = torch.autograd.grad(s.lse.sum(), padded)[0]
    assert (found[:, -1] - 1).abs().max() < 5e-3  # sum_j p_j


@both
def test_every_token_has_its_own_upstream_gradient(backend):
    """For two years a public kernel applied the first token's to all of them."""
    skip_without_triton(backend)
    hidden, weight, labels = head(5)
    g = torch.randn(6, generator=torch.Generator().manual_seed(0))
    variables = [t.clone().requires_grad_() for t in (hidden, weight)]
    losses = ops.linear_cross_entropy(*variables, labels, reduction="none", backend=backend)
    found = torch.autograd.grad((g * losses).sum(), variables)
    wanted = exact_gradients(
        hidden, weight, lambda z: (g * F.cross_entropy(z, labels, reduction="none")).sum()
    )
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_weight_gradient_does_not_get_worse_with_more_chunks(reduction, monkeypatch):
    """A bfloat16 accumulator lost a digit at 128 chunks."""
    hidden, weight, labels = head(6, tokens=256, classes=60)
    hidden, weight = hidden.bfloat16(), weight.bfloat16()
    wanted = exact_gradients(hidden, weight, lambda z: F.cross_entropy(z, labels))[1]
    errors = []
    for tokens in (256, 2):
        monkeypatch.setattr("xent.ops.linear_chunks.CPU_TOKENS", tokens)
        monkeypatch.setattr("xent.ops.linear_chunks.CHUNK_BYTES", 0)
        monkeypatch.setattr(linear_torch, "CPU_COLUMNS", tokens)
        head_weight = weight.clone().requires_grad_()
        loss = ops.linear_cross_entropy(hidden, head_weight, labels, reduction=reduction)
        found = torch.autograd.grad(loss.mean(), head_weight)[0].double()
        errors.append(float((found - wanted).norm() / wanted.norm()))
    assert errors[1] <= 1.01 * errors[0] < 3e-3


@both
def test_a_close_teacher_keeps_the_digits_of_the_divergence(backend):
    """p - q in low precision: the gradient of distillation was wrong by 19 % near agreement."""
    skip_without_triton(backend)
    hidden, weight, _ = head(7)
    nudge = 1e-3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    teacher = weight + nudge
    for direction in ("forward", "reverse"):
        variables = [t.clone().requires_grad_() for t in (hidden, weight)]
        loss = ops.linear_kl(
            *variables, hidden, teacher, direction=direction, reduction="sum", backend=backend
        )
        found = torch.autograd.grad(loss, variables)
        log_q = (hidden.double() @ teacher.double().T).log_softmax(1)

        def exact(z, log_q=log_q, direction=direction):
            log_p = z.log_softmax(1)
            pair = (log_q, log_p) if direction == "forward" else (log_p, log_q)
            return (pair[0].exp() * (pair[0] - pair[1])).sum()

        value = exact(hidden.double() @ weight.double().T)
        assert loss.item() == pytest.approx(value.item(), rel=2e-3)
        for a, b in zip(found, exact_gradients(hidden, weight, exact), strict=True):
            assert (a.double() - b).norm() < 2e-3 * b.norm()


@both
def test_soft_cap_and_temperature_reach_the_gradient(backend):
    """A patch ignored the soft cap; others forgot the temperature's chain factor."""
    skip_without_triton(backend)
    hidden, weight, labels = head(8)
    variables = [t.clone().requires_grad_() for t in (hidden, weight)]
    options = {"softcap": 3.0, "temperature": 0.7}
    s = ops.head_stats(*variables, labels, backend=backend, **options)
    found = torch.autograd.grad((s.nll - 0.3 * s.entropy).sum(), variables)

    def exact(z):
        log_p = (3 * torch.tanh(z / 3) / 0.7).log_softmax(1)
        entropy = -(log_p.exp() * log_p).sum()
        return -log_p.gather(1, labels[:, None]).sum() - 0.3 * entropy

    for a, b in zip(found, exact_gradients(hidden, weight, exact), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


@both
def test_labels_may_start_anywhere_in_memory(backend):
    """Vector loads of labels that were not aligned to 16 bytes read the wrong classes."""
    skip_without_triton(backend)
    hidden, weight, labels = head(9)
    plain = ops.linear_cross_entropy(hidden, weight, labels, reduction="none", backend=backend)
    for skipped in (1, 3):
        buffer = torch.full((6 + skipped,), 39)
        buffer[skipped:] = labels
        moved = ops.linear_cross_entropy(
            hidden, weight, buffer[skipped:], reduction="none", backend=backend
        )
        assert torch.equal(plain, moved)


@both
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_divergences_of_sharp_laws_keep_their_digits(backend, direction):
    """Two laws sure of the same class, with log-normalizers far apart: once off by 0.2, or inf."""
    skip_without_triton(backend)
    hidden, weight, _ = head(3)
    for sharpness in (1.0, 5.0, 25.0, 100.0):
        student, teacher = sharpness * hidden, 1.3 * sharpness * hidden
        z, u = (h.double() @ weight.double().T for h in (student, teacher))
        first, second = (u, z) if direction == "forward" else (z, u)
        log_p, log_q = first.log_softmax(-1), second.log_softmax(-1)
        exact = (log_p.exp() * (log_p - log_q)).sum(-1)
        found = ops.linear_kl(
            student,
            weight,
            teacher,
            weight,
            direction=direction,
            reduction="none",
            backend=backend,
        )
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5 * sharpness)
