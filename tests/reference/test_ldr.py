"""LDR references against the variational problem, mpmath, brute force and other formulas."""

import mpmath
import numpy as np
import pytest

from xent.reference import ldr as ref
from xent.reference.softmax import cross_entropy_with_logits

EVERY_LAM = pytest.mark.parametrize("lam", (0.05, 0.5, 1.0, 7.0, 1e3))


def problem(seed=0, n=20, k=5, size=2.0):
    rng = np.random.default_rng(seed)
    return size * rng.normal(size=(n, k)), rng.integers(0, k, n)


@EVERY_LAM
def test_loss_matches_mpmath(lam):
    z, y = problem(n=8)
    for margin in (0.0, 1.3):
        got = ref.ldr_kl_loss(z, y, lam, margin)
        for row, label, value in zip(z, y, got, strict=True):
            with mpmath.workdps(50):
                delta = [
                    mpmath.mpf(v) - mpmath.mpf(row[label]) + (j != label) * mpmath.mpf(margin)
                    for j, v in enumerate(row)
                ]
                exact = lam * mpmath.log(sum(mpmath.exp(d / lam) for d in delta) / len(delta))
            assert abs(value - float(exact)) < 1e-12 * (1 + abs(float(exact)))


@EVERY_LAM
def test_no_law_gains_more_than_the_loss(lam):
    z, y = problem(1)
    delta = ref.label_margins(z, y, 0.4)
    laws = np.random.default_rng(2).dirichlet(np.full(5, 0.5), 4000)
    price = np.sum(laws * np.log(np.maximum(5 * laws, 1e-300)), axis=1)
    gains = delta @ laws.T - lam * price
    loss = ref.ldr_kl_loss(z, y, lam, 0.4)
    assert (gains.max(axis=1) <= loss + 1e-12 * (1 + lam)).all()
    worst = ref.worst_case_labels(z, y, lam, 0.4)
    own = np.sum(worst * np.log(np.maximum(5 * worst, 1e-300)), axis=1)
    reached = np.sum(worst * delta, axis=1) - lam * own
    assert np.allclose(reached, loss, atol=1e-11)


def test_members_and_limits():
    z, y = problem(3)
    ce = cross_entropy_with_logits(z, y)
    assert np.allclose(ref.ldr_kl_loss(z, y), ce - np.log(5), atol=1e-13)
    assert np.allclose(ref.ldr_kl_loss(z, y, 0.0, 1.0), ref.crammer_singer_loss(z, y, 1.0))
    assert np.allclose(ref.ldr_kl_loss(z, y, 1e-9, 1.0), ref.crammer_singer_loss(z, y), atol=1e-7)
    mean = z.mean(1) - z[np.arange(20), y]
    assert np.allclose(ref.ldr_kl_loss(z, y, np.inf), mean, atol=1e-14)
    assert np.allclose(ref.ldr_kl_loss(z, y, 1e10), mean, atol=1e-8)


def test_one_temperature_for_each_example():
    z, y = problem(4)
    lam = np.linspace(0, 3, 20)
    lam[-1] = np.inf
    together = ref.ldr_kl_loss(z, y, lam, 0.2)
    for i in range(20):
        assert together[i] == ref.ldr_kl_loss(z[i : i + 1], y[i : i + 1], lam[i], 0.2)[0]


def test_label_losses_have_a_column_for_each_label():
    z, y = problem(5)
    losses = ref.label_losses(z, 0.7, 0.3)
    assert np.array_equal(losses[np.arange(20), y], ref.ldr_kl_loss(z, y, 0.7, 0.3))


@pytest.mark.parametrize("lam0", (0.5, 10.0))
@pytest.mark.parametrize("alpha", (1.2, 2.0, 5.0))
def test_temperature_is_the_global_maximizer(lam0, alpha):
    z, y = problem(6, 6, 8, 3 * lam0)
    lam = ref.optimal_temperature(z, y, lam0, alpha, 0.1)
    weight = alpha * np.log(8) / lam0
    grid = np.linspace(1e-3 * lam0, 1.5 * lam0, 30_000)
    for i in range(6):
        rows = np.repeat(z[i : i + 1], len(grid), axis=0), np.repeat(y[i], len(grid))
        heights = ref.ldr_kl_loss(*rows, grid, 0.1) - weight / 2 * (grid - lam0) ** 2
        here = ref.ldr_kl_loss(z[i : i + 1], y[i : i + 1], lam[i], 0.1)[0]
        assert here - weight / 2 * (lam[i] - lam0) ** 2 >= heights.max() - 1e-12
        assert abs(lam[i] - grid[heights.argmax()]) < 1e-3 * lam0
    assert ((lam0 * (1 - 1 / alpha) <= lam) & (lam <= lam0)).all()
    assert np.allclose(
        ref.aldr_kl_loss(z, y, lam0, alpha, 0.1),
        ref.ldr_kl_loss(z, y, lam, 0.1) - weight / 2 * (lam - lam0) ** 2,
    )


def test_temperature_of_an_undecided_example_is_lam0():
    assert np.isclose(ref.optimal_temperature([[1.0, 1.0, 1.0]], [0], 4.0)[0], 4.0)


def test_unique_temperature_alpha_against_every_two_level_law():
    s = np.linspace(1e-4, 1 - 1e-4, 5001)[:, None]
    for k in (2, 3, 6, 12):
        largest = 0.0
        for n in range(2, k + 1):
            for j in range(1, n):
                p = np.concatenate(
                    [np.repeat(s / j, j, 1), np.repeat((1 - s) / (n - j), n - j, 1)], 1
                )
                logs = np.log(p)
                mean = (p * logs).sum(1)
                largest = max(largest, np.max((p * logs**2).sum(1) - mean**2 + mean))
        assert np.isclose(ref.unique_temperature_alpha(k), 1 + largest / np.log(k), atol=1e-6)
    rng = np.random.default_rng(7)
    p = rng.dirichlet(np.full(6, 0.4), 20_000) + 1e-12
    logs = np.log(p)
    mean = (p * logs).sum(1)
    excess = np.max((p * logs**2).sum(1) - mean**2 + mean)
    assert excess <= (ref.unique_temperature_alpha(6) - 1) * np.log(6) + 1e-9


def test_top_k_preserving_by_hand():
    p = np.array([0.5, 0.3, 0.2])
    cases = (
        ([3.0, 2.0, 1.0], True, True),
        ([3.0, 1.0, 2.0], True, False),
        ([2.0, 3.0, 1.0], False, True),
        ([1.0, 1.0, 1.0], False, False),
        ([2.0, 1.0, 1.0], True, False),
        ([2.0, 2.0, 1.0], False, True),
    )
    for scores, first, second in cases:
        assert ref.top_k_preserving(p, scores, 1) == first
        assert ref.top_k_preserving(p, scores, 2) == second
    assert ref.top_k_preserving(np.full(3, 1 / 3), [3.0, 3.0, 3.0], 2)
    assert ref.top_k_preserving([0.4, 0.4, 0.2], [2.0, 1.0, 0.0], 1)


def test_top_k_regret_resolves_ties_against_the_scores():
    p = np.array([0.5, 0.3, 0.2])
    assert np.isclose(ref.top_k_regret(p, [0.0, 0.0, 0.0], 1), 0.3)
    assert np.isclose(ref.top_k_regret(p, [0.0, 0.0, 0.0], 2), 0.3)
    assert np.isclose(ref.top_k_regret(p, [3.0, 2.0, 1.0], 2), 0.0)
    z = np.random.default_rng(8).normal(size=(50, 3))
    for k in (1, 2):
        zero = ref.top_k_regret(p, z, k) < 1e-12
        assert np.array_equal(zero, ref.top_k_preserving(p, z, k))


def test_bounded_symmetric_loss():
    z, y = problem(9, size=30.0)
    loss = ref.bounded_symmetric_loss(z, y)
    assert ((loss > 0) & (loss < 2)).all()
    total = sum(ref.bounded_symmetric_loss(z, np.full(20, label)) for label in range(5))
    assert np.allclose(total, 5)
    assert np.allclose(ref.bounded_symmetric_loss(z + 7, y), loss)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda z, y: ref.ldr_kl_loss(z, y, -1.0), ValueError, "lam"),
        (lambda z, y: ref.ldr_kl_loss(z, y, np.ones(3)), ValueError, "lam"),
        (lambda z, y: ref.ldr_kl_loss(z, y, 1.0, -0.1), ValueError, "margin"),
        (lambda z, y: ref.ldr_kl_loss(z, y + 0.5), TypeError, "labels"),
        (lambda z, y: ref.ldr_kl_loss(z, y + 5), IndexError, "labels"),
        (lambda z, y: ref.ldr_kl_loss(z - np.inf, y), ValueError, "logits"),
        (lambda z, y: ref.worst_case_labels(z, y, 0.0), ValueError, "lam"),
        (lambda z, y: ref.aldr_kl_loss(z, y, 0.0), ValueError, "lam0"),
        (lambda z, y: ref.aldr_kl_loss(z, y, 1.0, 1.0), ValueError, "alpha"),
        (lambda z, y: ref.aldr_kl_loss(z[:, :1], 0 * y), ValueError, "classes"),
        (lambda z, y: ref.crammer_singer_loss(z[:, :1], 0 * y), ValueError, "classes"),
        (lambda z, y: ref.unique_temperature_alpha(1), ValueError, "num_classes"),
        (lambda z, y: ref.top_k_preserving([0.5, 0.5], z[0, :2], 2), ValueError, "k"),
        (lambda z, y: ref.top_k_regret([0.5, 0.6], z[0, :2], 1), ValueError, "p"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(*problem())
