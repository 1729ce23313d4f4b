"""xent.reference.linear against mpmath, torch's own losses and known laws."""

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from xent.reference import linear as reference

CASES = settings(deadline=None, derandomize=True, max_examples=25)
SEEDS = st.integers(0, 10**6)


def head(seed, tokens=4, width=3, classes=5):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(tokens, width))
    weight = rng.normal(size=(classes, width))
    return hidden, weight, rng.integers(0, classes, size=tokens), rng


@CASES
@given(SEEDS, st.integers(1, 7))
def test_cross_entropy_agrees_with_mpmath(seed, classes):
    hidden, weight, labels, _ = head(seed, classes=classes)
    loss = reference.linear_cross_entropy(hidden, weight, labels)
    with mpmath.workdps(40):
        for i, y in enumerate(labels):
            z = [mpmath.fdot(map(float, hidden[i]), map(float, w)) for w in weight]
            expected = mpmath.log(mpmath.fsum(mpmath.exp(v) for v in z)) - z[y]
            assert loss[i] == pytest.approx(float(expected), rel=1e-12, abs=1e-14)


@CASES
@given(SEEDS, st.sampled_from([0.0, 0.3]), st.booleans())
def test_options_agree_with_torch(seed, smoothing, weighted):
    hidden, weight, labels, rng = head(seed)
    labels[0] = -100
    classes = rng.random(5) if weighted else None
    logits = torch.from_numpy(hidden @ weight.T)
    expected = F.cross_entropy(
        logits,
        torch.from_numpy(labels),
        weight=None if classes is None else torch.from_numpy(classes),
        label_smoothing=smoothing,
        reduction="none",
    )
    loss = reference.linear_cross_entropy(
        hidden, weight, labels, label_smoothing=smoothing, class_weight=classes
    )
    np.testing.assert_allclose(loss, expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("gap", [10, 30, 60, 300])
def test_small_losses_keep_their_digits(gap):
    loss = reference.linear_cross_entropy([[1.0]], [[float(gap)], [0.0]], [0])
    assert loss[0] == pytest.approx(float(mpmath.log1p(mpmath.exp(-gap))), rel=1e-14)


def test_comp_sum_members():
    hidden, weight, labels, _ = head(1)
    p = np.exp(log_softmax(hidden @ weight.T, axis=1))[np.arange(4), labels]
    for tau, expected in [(0.0, 1 / p - 1), (1.0, -np.log(p)), (2.0, 1 - p)]:
        loss = reference.linear_cross_entropy(hidden, weight, labels, tau=tau)
        np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_z_loss_token_weight_and_temperature():
    hidden, weight, labels, rng = head(2)
    bias, tokens = rng.normal(size=5), rng.random(4)
    z = reference.head_logits(hidden, weight, bias=bias, temperature=0.7, softcap=2.0)
    np.testing.assert_allclose(z, 2 * np.tanh((hidden @ weight.T + bias) / 2) / 0.7)
    loss = reference.linear_cross_entropy(
        hidden, weight, labels, bias=bias, temperature=0.7, softcap=2.0, z_loss=0.1,
        token_weight=tokens,
    )  # fmt: skip
    lse = np.log(np.exp(z).sum(axis=1))
    expected = tokens * (lse - z[np.arange(4), labels] + 0.1 * lse**2)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_shift_pairs_a_position_with_a_later_label():
    hidden, weight, labels, _ = head(3)
    shifted = reference.linear_cross_entropy(hidden, weight, labels, shift=1)
    direct = reference.linear_cross_entropy(hidden[:-1], weight, labels[1:])
    np.testing.assert_array_equal(shifted, [*direct, 0.0])


@CASES
@given(SEEDS)
def test_statistics_agree_with_brute_force(seed):
    hidden, weight, labels, rng = head(seed)
    delta = rng.normal(size=hidden.shape)
    teacher = rng.normal(size=(4, 2)), rng.normal(size=(5, 2))
    s = reference.head_stats(
        hidden, weight, labels, want=("nll", "lse", "entropy", "top2", "margin", "argmax"),
        renyi=(0.5, 1, 2), tsallis=(0.5, 1, 2), direction=delta, teacher=teacher,
    )  # fmt: skip
    for i in range(4):
        z, u, a = weight @ hidden[i], teacher[1] @ teacher[0][i], weight @ delta[i]
        p, q = np.exp(z) / np.exp(z).sum(), np.exp(u) / np.exp(u).sum()
        order = np.argsort(-z)
        others = np.delete(z, labels[i])
        h = -(p * np.log(p)).sum()
        renyi = [2 * np.log(np.sqrt(p).sum()), h, -np.log((p**2).sum())]
        tsallis = [2 * (np.sqrt(p).sum() - 1), h, 1 - (p**2).sum()]
        assert s.argmax[i] == order[0]
        np.testing.assert_allclose(s.top2[i], z[order[:2]])
        assert s.margin[i] == pytest.approx(z[labels[i]] - others.max())
        assert s.nll[i] == pytest.approx(-np.log(p[labels[i]]))
        assert s.entropy[i] == pytest.approx(h)
        np.testing.assert_allclose(s.renyi[i], renyi, rtol=1e-10)
        np.testing.assert_allclose(s.tsallis[i], tsallis, rtol=1e-10)
        assert s.slope_mean[i] == pytest.approx(p @ a)
        assert s.slope_variance[i] == pytest.approx(p @ a**2 - (p @ a) ** 2)
        assert s.slope_spread[i] == pytest.approx(a.max() - a.min())
        assert s.kl[i] == pytest.approx((q * np.log(q / p)).sum())
        assert s.reverse_kl[i] == pytest.approx((p * np.log(p / q)).sum())
        assert s.teacher_entropy[i] == pytest.approx(-(q * np.log(q)).sum())


def test_topk_kl_is_a_lower_bound_that_becomes_the_divergence():
    hidden, weight, _, rng = head(5)
    teacher = rng.normal(size=(4, 2)), rng.normal(size=(5, 2))
    log_q = log_softmax(teacher[0] @ teacher[1].T, axis=1)
    full = reference.linear_kl(hidden, weight, *teacher)
    previous = np.zeros(4)
    for k in range(1, 6):
        ids = np.argsort(-log_q, axis=1)[:, :k]
        part = reference.linear_topk_kl(hidden, weight, ids, np.take_along_axis(log_q, ids, axis=1))
        assert (part >= previous - 1e-12).all()
        previous = part
    np.testing.assert_allclose(previous, full, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"labels": [0, 1, 2, 5]}, IndexError, "labels must lie"),
        ({"labels": [0.0, 1.0, 2.0, 3.0]}, TypeError, "integers"),
        ({"weight": np.ones((5, 2))}, ValueError, "hidden must have 2"),
        ({"bias": np.ones(4)}, ValueError, "bias must have shape"),
        ({"tau": -1.0}, ValueError, "tau"),
        ({"label_smoothing": 0.1, "tau": 2.0}, ValueError, "tau=1 only"),
        ({"class_weight": np.full(5, -1.0)}, ValueError, "class_weight"),
        ({"token_weight": np.ones(3)}, ValueError, "token_weight"),
        ({"shift": 5}, ValueError, "shift"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"softcap": 0.0}, ValueError, "softcap"),
    ],
)
def test_bad_input_is_named(change, error, match):
    hidden, weight, labels, _ = head(6)
    arguments = {"hidden": hidden, "weight": weight, "labels": labels} | change
    with pytest.raises(error, match=match):
        reference.linear_cross_entropy(**arguments)


def test_bad_statistics_are_named():
    hidden, weight, labels, _ = head(7)
    with pytest.raises(ValueError, match="needs labels"):
        reference.head_stats(hidden, weight)
    with pytest.raises(ValueError, match="want must be one of"):
        reference.head_stats(hidden, weight, labels, want=("perplexity",))
    with pytest.raises(ValueError, match="softcap must be None"):
        reference.head_stats(hidden, weight, labels, direction=hidden, softcap=1.0)
    with pytest.raises(ValueError, match="teacher"):
        reference.head_stats(hidden, weight, labels, teacher=(hidden,))
    with pytest.raises(ValueError, match="distinct"):
        reference.linear_topk_kl(hidden, weight, np.zeros((4, 2), int), np.full((4, 2), -1.0))
    with pytest.raises(ValueError, match="total mass"):
        reference.linear_topk_kl(hidden, weight, np.tile([0, 1], (4, 1)), np.zeros((4, 2)))


def test_divergences_are_finite_where_probabilities_underflow():
    hidden, weight = np.array([[1000.0, 0.0]]), np.eye(2)
    assert reference.linear_kl(hidden, weight, 1.5 * hidden, weight) == 0.0
    stats = reference.head_stats(hidden, weight, want=(), teacher=(1.5 * hidden, weight))
    assert stats.kl == 0.0 and stats.reverse_kl == 0.0
    assert reference.linear_kl(hidden, weight, -hidden, weight) == 2000.0 / 2
