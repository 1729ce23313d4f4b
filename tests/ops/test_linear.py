"""xent.ops.linear: gradients, invariances, memory, and each defect found in other kernels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.ops import linear as ops
from xent.ops import linear_torch
from xent.reference import linear as reference

CASES = settings(deadline=None, derandomize=True, max_examples=25)
SEEDS = st.integers(0, 10**6)
EVERYTHING = ("nll", "lse", "entropy", "top2", "margin", "argmax")


@pytest.fixture(autouse=True)
def narrow_slices(monkeypatch):
    """Several slices even for few classes."""
    monkeypatch.setattr(linear_torch, "CPU_COLUMNS", 7)


def head(seed=0, tokens=5, width=4, classes=17, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    hidden = torch.from_numpy(rng.normal(size=(tokens, width))).to(dtype)
    weight = torch.from_numpy(rng.normal(size=(classes, width))).to(dtype)
    return hidden, weight, torch.from_numpy(rng.integers(0, classes, size=tokens)), rng


def leaves(*tensors):
    return [t.detach().clone().requires_grad_() for t in tensors]


def everything(hidden, weight, labels, direction, teacher, **options):
    return ops.head_stats(
        hidden, weight, labels, want=EVERYTHING, renyi=(0.5, 1, 2), tsallis=(1, 1.5),
        direction=direction, teacher=teacher, **options,
    )  # fmt: skip


@CASES
@given(SEEDS, st.integers(1, 6), st.integers(1, 5), st.integers(1, 23))
def test_statistics_equal_the_reference(seed, tokens, width, classes):
    hidden, weight, labels, rng = head(seed, tokens, width, classes)
    labels[0] = -100
    direction = torch.from_numpy(rng.normal(size=hidden.shape))
    teacher = tuple(torch.from_numpy(rng.normal(size=(n, 3))) for n in (tokens, classes))
    found = everything(hidden, weight, labels, direction, teacher, temperature=0.8)
    wanted = reference.head_stats(
        hidden, weight, labels, want=EVERYTHING, renyi=(0.5, 1, 2), tsallis=(1, 1.5),
        direction=direction, teacher=teacher, temperature=0.8,
    )  # fmt: skip
    for name, a, b in zip(found._fields, found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=name)


OPTIONS = {
    "plain": {},
    "tau 0": {"tau": 0.0},
    "tau 1.7": {"tau": 1.7},
    "smoothing": {"label_smoothing": 0.2},
    "z-loss": {"z_loss": 0.1},
    "softcap": {"softcap": 1.5, "temperature": 0.6},
    "all": {"label_smoothing": 0.1, "z_loss": 0.2, "softcap": 2.0, "temperature": 1.4},
    "shift": {"shift": 1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_equal_the_reference(options, weighted):
    hidden, weight, labels, rng = head(3)
    labels[2] = -100
    extra = {"bias": torch.from_numpy(rng.normal(size=17))}
    if weighted:
        extra |= {name: torch.from_numpy(rng.random(n)) for name, n in
                  (("class_weight", 17), ("token_weight", 5))}  # fmt: skip
    wanted = reference.linear_cross_entropy(hidden, weight, labels, **options, **extra)
    found = ops.linear_cross_entropy(hidden, weight, labels, reduction="none", **options, **extra)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
    total = ops.linear_cross_entropy(hidden, weight, labels, reduction="sum", **options, **extra)
    assert float(total) == pytest.approx(wanted.sum(), rel=1e-11)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradcheck_of_every_option(options, reduction, monkeypatch):
    hidden, weight, labels, rng = head(4, tokens=4, width=3, classes=9)
    labels[1] = -100
    bias = torch.from_numpy(rng.normal(size=9))
    classes = torch.from_numpy(rng.random(9))
    monkeypatch.setattr("xent.ops.linear_chunks.CPU_TOKENS", 3)
    monkeypatch.setattr("xent.ops.linear_chunks.CHUNK_BYTES", 0)

    def loss(hidden, weight, bias):
        return ops.linear_cross_entropy(
            hidden, weight, labels, bias=bias, reduction=reduction, class_weight=classes, **options
        )

    variables = leaves(hidden, weight, bias)
    if reduction == "none":
        assert torch.autograd.gradcheck(loss, variables)
        return
    found = torch.autograd.grad(loss(*variables), variables)
    per_token = ops.linear_cross_entropy(
        *variables[:2], labels, bias=variables[2], reduction="none", class_weight=classes,
        **options,
    )  # fmt: skip
    total = per_token.sum()
    if reduction == "mean":
        y = torch.cat([labels[1:], labels.new_tensor([-100])]) if "shift" in options else labels
        total = total / classes[y[y >= 0]].sum()
    wanted = torch.autograd.grad(total, variables)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("field", [f for f in ops.HeadStats._fields if f != "argmax"])
def test_gradcheck_of_every_statistic(field):
    hidden, weight, labels, rng = head(5, tokens=3, width=3, classes=9)
    direction = torch.from_numpy(rng.normal(size=hidden.shape))
    teacher = tuple(torch.from_numpy(rng.normal(size=(n, 2))) for n in (3, 9))
    bias = torch.from_numpy(rng.normal(size=9))

    def statistic(hidden, weight, direction, bias):
        stats = everything(hidden, weight, labels, direction, teacher, bias=bias, temperature=0.7)
        return getattr(stats, field)

    variables = leaves(hidden, weight, direction, bias)
    assert torch.autograd.gradcheck(statistic, variables, atol=1e-6)


def test_gradcheck_of_a_random_mix_under_a_soft_cap():
    hidden, weight, labels, rng = head(6, tokens=3, width=3, classes=9)
    teacher = tuple(torch.from_numpy(rng.normal(size=(n, 2))) for n in (3, 9))

    def mix(hidden, weight):
        s = everything(hidden, weight, labels, None, teacher, softcap=1.5, temperature=0.7)
        parts = [s.nll, s.lse, s.entropy, *s.renyi.T, *s.tsallis.T, s.kl, s.reverse_kl, s.margin]
        return sum((k + 1) * part * torch.arange(1, 4) for k, part in enumerate(parts))

    assert torch.autograd.gradcheck(mix, leaves(hidden, weight))


def test_gradcheck_of_the_divergence_from_known_classes():
    hidden, weight, _, rng = head(7, tokens=3, width=3, classes=9)
    ids = torch.tensor([[0, 8, 4], [1, 2, 3], [7, 0, 5]])
    log_q = torch.from_numpy(np.log(0.9 * rng.dirichlet(np.ones(3), size=3)))

    def loss(hidden, weight):
        return ops.linear_topk_kl(hidden, weight, ids, log_q, reduction="none")

    np.testing.assert_allclose(
        loss(hidden, weight), reference.linear_topk_kl(hidden, weight, ids, log_q), rtol=1e-11
    )
    assert torch.autograd.gradcheck(loss, leaves(hidden, weight))
