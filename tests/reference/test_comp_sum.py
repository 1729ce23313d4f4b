"""Comp-sum references against mpmath, brute force, linear programs and optimizers."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from xent.reference import comp_sum as ref

TAUS = (0.0, 0.4, 1.0, 1.3, 1.7, 2.0, 2.6)
BETAS = np.array([0.0, 1e-3, 0.1, 0.3, 0.5, 0.8, 1.0])
EVERY_TAU = pytest.mark.parametrize("tau", TAUS)


def simplex(rng, n, size=None):
    return rng.dirichlet(np.full(n, 0.7), size)


def exact_loss(z, y, tau):
    with mpmath.workdps(400):
        weights = [mpmath.exp(mpmath.mpf(float(v))) if np.isfinite(v) else mpmath.mpf(0) for v in z]
        s = weights[y] / mpmath.fsum(weights)
        q = mpmath.mpf(tau) - 1
        return -mpmath.log(s) if q == 0 else (1 - s**q) / q


@EVERY_TAU
@pytest.mark.parametrize(
    "z", ([0.0, 40.0, 1.0], [3.0, 3.0], [-300.0, 200.0, 0.0], [5.0], [1e4, 1e4 + 1, 0.0])
)
def test_loss_matches_mpmath_from_certain_to_impossible(z, tau):
    for y in range(len(z)):
        expected = exact_loss(z, y, tau)
        if expected > 1e300:
            continue
        got = ref.comp_sum_loss([z], [y], tau)[0]
        assert abs(mpmath.mpf(got) - expected) <= 1e-12 * abs(expected)


def test_loss_of_a_masked_label():
    z = [[0.0, -np.inf]]
    assert ref.comp_sum_loss(z, [1], 1.0)[0] == np.inf
    assert ref.comp_sum_loss(z, [1], 0.0)[0] == np.inf
    assert ref.comp_sum_loss(z, [1], 1.5)[0] == 2.0
    assert ref.comp_sum_loss(z, [0], 0.5)[0] == 0.0


def test_named_members():
    s = np.array([0.1, 0.5, 0.9])
    assert np.allclose(ref.probability_loss(s, 0), 1 / s - 1, rtol=1e-14)
    assert np.allclose(ref.probability_loss(s, 1), -np.log(s), rtol=1e-15)
    assert np.allclose(ref.probability_loss(s, 1.7), (1 - s**0.7) / 0.7, rtol=1e-13)
    assert np.allclose(ref.probability_loss(s, 2), 1 - s, rtol=1e-14)


@EVERY_TAU
def test_infimum_is_attained_and_never_passed(tau):
    rng = np.random.default_rng(1)
    for n in (2, 3, 7):
        p = simplex(rng, n, 40)
        best = ref.conditional_risk(p, ref.optimal_softmax(p, tau), tau)
        assert np.allclose(best, ref.conditional_infimum(p, tau), atol=1e-13)
        for s in simplex(rng, n, 300):
            risk = ref.conditional_risk(p, s, tau)
            assert (risk >= ref.conditional_infimum(p, tau) - 1e-12).all()


@EVERY_TAU
def test_regret_from_logits_is_risk_minus_infimum(tau):
    rng = np.random.default_rng(2)
    p, z = simplex(rng, 4, 30), 3 * rng.normal(size=(30, 4))
    s = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    expected = ref.conditional_risk(p, s, tau) - ref.conditional_infimum(p, tau)
    assert np.allclose(ref.conditional_regret(p, z, tau), expected, atol=1e-12)


def test_masked_class_without_mass_costs_nothing():
    regret = ref.conditional_regret([0.5, 0.5, 0.0], [0.0, 0.0, -np.inf], 0.0)
    assert abs(regret) < 1e-15


@EVERY_TAU
@pytest.mark.parametrize("n", (2, 5))
def test_published_transform_matches_mpmath(tau, n):
    for b, got in zip(BETAS, ref.h_consistency_transform(BETAS, tau, n), strict=True):
        with mpmath.workdps(40):
            x, t = mpmath.mpf(float(b)), mpmath.mpf(tau)
            if tau == 1:
                expected = sum(
                    (1 + e * x) / 2 * mpmath.log(1 + e * x) if 1 + e * x else 0 for e in (-1, 1)
                )
            elif tau >= 2:
                expected = x / ((t - 1) * n ** (t - 1))
            else:
                a = 1 / (2 - t)
                m = (((1 + x) ** a + (1 - x) ** a) / 2) ** (1 / a)
                expected = (
                    2 ** (1 - t) * (1 - m) / (1 - t)
                    if tau < 1
                    else (m - 1) / ((t - 1) * n ** (t - 1))
                )
        assert abs(got - float(expected)) < 2e-15


@EVERY_TAU
def test_bounds_invert_and_order(tau):
    betas = np.linspace(0, 1, 21)
    excess = ref.h_consistency_transform(betas, tau, 4)
    assert np.allclose(ref.h_consistency_bound(excess, tau, 4), betas, atol=2e-7)
    simple = ref.h_consistency_bound(excess, tau, 4, form="simple")
    assert (simple >= betas - 1e-7).all()
    assert ref.h_consistency_bound(50.0, tau, 4) == 1.0


def test_two_class_transform_is_the_regret_of_a_tie():
    p = np.array([0.85, 0.15])
    for tau in (0, 0.6, 1, 1.4, 1.99, 2):
        regret = ref.conditional_regret(p, [0.0, 0.0], tau)
        assert abs(ref.two_class_transform(0.7, tau) - regret) < 1e-13


@pytest.mark.parametrize("tau", (0.0, 0.5, 1.0, 1.2, 1.5, 1.7, 1.8, 1.9, 2.0, 2.6))
def test_exact_transform_is_never_beaten(tau):
    rng = np.random.default_rng(3)
    for n in (2, 3, 4):
        p = simplex(rng, n, 300)
        s = ref.optimal_softmax(simplex(rng, n, 300), tau if tau < 2 else 1.5)
        tied = np.where(s >= np.sort(s, axis=1)[:, [-2]], s.max(axis=1, keepdims=True), s)
        s = np.where(rng.random((300, 1)) < 0.5, tied / tied.sum(axis=1, keepdims=True), s)
        beta = p.max(axis=1) - np.where(s >= s.max(axis=1, keepdims=True) - 1e-15, p, 2).min(axis=1)
        regret = ref.conditional_risk(p, s, tau) - ref.conditional_infimum(p, tau)
        lower = ref.exact_transform(np.clip(beta, 0, 1), tau, n)
        assert (regret >= lower - 1e-9).all()
        assert (lower >= ref.class_free_transform(np.clip(beta, 0, 1), tau) - 1e-10).all()


@pytest.mark.parametrize("tau", (1.7, 1.8, 1.9))
def test_exact_transform_between_is_reached_by_search_over_label_laws(tau):
    rng = np.random.default_rng(4)
    for beta in (0.3, 0.6, 0.675):
        target = float(ref.exact_transform(beta, tau, 4))

        def regret(x, beta=beta):
            p = np.abs(x) / np.abs(x).sum()
            p = np.append(p[0], p) * (1 - beta) / (1 + p[0])
            p[0] += beta  # class 0 leads class 1 by beta
            return ref.pooled_regret(p, 1, tau) if p.argmax() == 0 else 1.0

        starts = [rng.dirichlet(np.ones(3)) for _ in range(25)]
        options = {"maxiter": 1500, "fatol": 1e-12, "xatol": 1e-9}
        found = min(minimize(regret, x, method="Nelder-Mead", options=options).fun for x in starts)
        assert target - 1e-9 <= found <= target + 2e-4


@pytest.mark.parametrize("tau", (2.0, 2.3, 3.0))
def test_exact_transform_from_two_on_is_a_linear_program(tau):
    """Uniform softmax on k classes: for each k the best p solves a linear program."""
    q = tau - 1
    for n in (2, 3, 5):
        for beta in (0.15, 0.5, 0.7, 1.0):
            best = beta / q
            for k in range(2, n + 1):
                # variables p_1..p_n; class 2 predicted; S = first k classes
                cost = np.zeros(n)
                cost[0] += 1
                cost[:k] -= k**-q
                equal = np.zeros((2, n))
                equal[0], equal[1, :2] = 1, (1, -1)
                smaller = np.eye(n)[1:] - np.eye(n)[0]
                found = linprog(cost, smaller, np.zeros(n - 1), equal, [1, beta])
                best = min(best, found.fun / q) if found.success else best
            assert abs(best - float(ref.exact_transform(beta, tau, n))) < 1e-9


def test_mae_transform_and_its_class_free_minorant():
    betas = np.linspace(0.01, 1, 100)
    for n in (2, 3, 10):
        k = np.arange(2, n + 1)
        expected = np.maximum(betas[:, None] / k, betas[:, None] - 1 / k).min(axis=1)
        assert np.allclose(ref.exact_transform(betas, 2, n), expected, atol=1e-15)
    assert np.allclose(ref.exact_transform(1 / 4, 2, 10), 0.25**2 / 1.25, atol=1e-15)


def test_quadratic_constant_is_the_infimum():
    betas = np.linspace(0.01, 1, 400)
    for tau in (0.0, 1.0, 1.2, 1.37, 1.45, 1.6, 1.9, 2.0):
        smallest = np.min(ref.two_class_transform(betas, tau) / betas**2)
        assert smallest >= ref.quadratic_constant(tau) - 1e-9
        assert smallest <= ref.quadratic_constant(tau) + 1e-3


def test_pooled_softmax_is_optimal_among_those_that_predict_the_class():
    rng = np.random.default_rng(5)
    for tau in (1.1, 1.5, 1.9):
        for p in simplex(rng, 5, 20):
            s = ref.pooled_softmax(p, 2, tau)
            assert s[2] >= s.max() - 1e-15
            regret = ref.conditional_risk(p, s, tau) - ref.conditional_infimum(p, tau)
            assert abs(regret - ref.pooled_regret(p, 2, tau)) < 1e-13
            t = simplex(rng, 5, 400)
            t = np.take_along_axis(t, np.argsort(t, axis=1), axis=1)[:, [0, 1, 4, 2, 3]]
            assert (ref.conditional_risk(p, t, tau) >= ref.conditional_risk(p, s, tau)).all()


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(TAUS), st.floats(0.1, 3.0), st.integers(2, 5))
def test_bounded_infimum_matches_an_optimizer(seed, tau, bound, n):
    rng = np.random.default_rng(seed)
    p = simplex(rng, n)

    def risk(z):
        return float(ref.conditional_regret(p, z, tau))

    starts = [bound * np.sign(np.eye(n)[i] - 0.5) for i in range(n)] + [np.zeros(n), bound * p]
    found = min(
        minimize(risk, z, method="L-BFGS-B", bounds=[(-bound, bound)] * n).fun for z in starts
    )
    expected = ref.bounded_conditional_infimum(p, tau, bound) - ref.conditional_infimum(p, tau)
    assert expected <= found + 1e-9
    assert expected >= found - (1e-6 if tau < 2 else 5e-2)


def test_bounded_infimum_of_a_certain_label():
    for tau in TAUS:
        worst = -np.log(1 / (1 + 3 * np.exp(-2 * 0.7)))
        expected = ref.from_cross_entropy(worst, tau)
        assert abs(ref.bounded_conditional_infimum([0, 1.0, 0, 0], tau, 0.7) - expected) < 1e-13
    gap = ref.bounded_minimizability_gap(0.9, np.eye(3), 1.0, 2.0)
    assert abs(gap - (0.9 - np.log(1 + 2 * np.exp(-4)))) < 1e-13


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 10**6), st.floats(0, 2), st.integers(2, 6), st.floats(0.3, 3))
def test_smooth_loss_dominates_the_margin_loss_with_the_sharp_weight(seed, tau, n, rho):
    rng = np.random.default_rng(seed)
    clean, moved = rng.normal(size=(2, 200, n)) * rng.exponential(1.0, (1, 200, 1))
    labels = rng.integers(0, n, 200)
    nu = ref.sharp_smoothing(tau, n, rho)
    smooth = ref.smooth_adversarial_comp_sum(clean, moved, labels, tau, rho, nu)
    assert (smooth >= ref.margin_comp_sum(moved, labels, tau, rho) - 1e-12).all()


def test_sharp_smoothing_is_sharp_and_known_at_one():
    assert ref.sharp_smoothing(1.0, 50) == 0.5
    assert ref.sharp_smoothing(0.0, 10) == 3.0
    labels, step = [0], 1e-5
    for tau, j in ((0.0, 9), (1.0, 1)):
        moved = np.full((1, 10), -60.0)
        moved[0, : j + 1] = 0.0
        clean = moved.copy()
        clean[0, 1 : j + 1] = -step
        nu = 0.99 * ref.sharp_smoothing(tau, 10)
        smooth = ref.smooth_adversarial_comp_sum(clean, moved, labels, tau, 1.0, nu)
        assert smooth[0] < ref.margin_comp_sum(moved, labels, tau)[0]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ref.comp_sum_loss([[0.0, 1.0]], [0], -0.1), ValueError, "tau"),
        (lambda: ref.comp_sum_loss([0.0, 1.0], [0]), ValueError, "logits must have 2 axes"),
        (lambda: ref.comp_sum_loss([[0.0, 1.0]], [2]), IndexError, "labels"),
        (lambda: ref.comp_sum_loss([[0.0, 1.0]], [0.5]), TypeError, "labels"),
        (lambda: ref.from_cross_entropy(-1.0, 1), ValueError, "cross_entropy"),
        (lambda: ref.probability_loss(1.2, 1), ValueError, "s must lie"),
        (lambda: ref.conditional_infimum([0.5, 0.6], 1), ValueError, "p must sum"),
        (lambda: ref.h_consistency_transform(1.5, 1, 3), ValueError, "beta"),
        (lambda: ref.h_consistency_transform(0.5, 1, 1), ValueError, "num_classes"),
        (lambda: ref.h_consistency_bound(-1.0, 1, 3), ValueError, "excess"),
        (lambda: ref.h_consistency_bound(1.0, 1, 3, form="nice"), ValueError, "form"),
        (lambda: ref.two_class_transform(0.5, 2.5), ValueError, "tau"),
        (lambda: ref.pooled_softmax([0.5, 0.5], 0, 1.0), ValueError, "tau"),
        (lambda: ref.pooled_softmax([0.5, 0.5], 2, 1.5), IndexError, "predicted"),
        (lambda: ref.bounded_softmax([0.5, 0.5], 1, 0.0), ValueError, "bound"),
        (lambda: ref.margin_comp_sum([[0.0, 1.0]], [0], 1, 0), ValueError, "rho"),
        (
            lambda: ref.smooth_adversarial_comp_sum([[0.0, 1.0]], [[0.0]], [0]),
            ValueError,
            "perturbed_logits",
        ),
        (lambda: ref.sharp_smoothing(2.5, 3), ValueError, "tau"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
