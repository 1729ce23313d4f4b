"""xent.reference.maxent against direct maximization, closed forms and mpmath."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from scipy.special import entr

from xent.reference import maxent as reference

CASES = settings(deadline=None, derandomize=True, max_examples=25)
DIE = np.arange(1.0, 7.0)[:, None]


def test_two_levels_have_a_closed_form():
    law = reference.maximum_entropy([[0.0], [2.0]], [0.5])
    assert law.probabilities == pytest.approx([0.75, 0.25])
    assert law.multipliers == pytest.approx([np.log(1 / 3) / 2])


def test_die_against_a_scalar_root():
    def mean(t):
        weights = np.exp(t * DIE[:, 0])
        return weights @ DIE[:, 0] / weights.sum() - 4.5

    law = reference.maximum_entropy(DIE, [4.5])
    assert law.multipliers[0] == pytest.approx(brentq(mean, -3, 3, xtol=1e-13), abs=1e-10)
    assert law.probabilities @ DIE == pytest.approx([4.5])


@CASES
@given(st.integers(0, 10**6))
def test_dual_solution_is_the_constrained_maximum(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(5, 2))
    moments = rng.dirichlet(np.ones(5)) @ features
    law = reference.maximum_entropy(features, moments)
    primal = minimize(
        lambda p: -entr(np.maximum(p, 0)).sum(),
        np.full(5, 0.2),
        bounds=[(0, 1)] * 5,
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "eq", "fun": lambda p: p @ features - moments},
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert law.probabilities @ features == pytest.approx(moments, abs=1e-10)
    assert entr(law.probabilities).sum() >= -primal.fun - 1e-9
    assert law.probabilities == pytest.approx(primal.x, abs=1e-4)
    assert reference.gibbs_law(features, law.multipliers) == pytest.approx(law.probabilities)


def test_redundant_and_constant_features_and_extreme_scales():
    features = np.hstack([DIE, 2 * DIE, np.ones_like(DIE), 1e8 * DIE**2])
    target = reference.gibbs_law(DIE, [0.3]) @ features
    law = reference.maximum_entropy(features, target, tolerance=1e-10)
    assert law.probabilities @ features == pytest.approx(target, rel=1e-8)
    assert law.probabilities == pytest.approx(reference.gibbs_law(DIE, [0.3]), abs=1e-7)


def test_nearly_certain_law():
    law = reference.maximum_entropy(DIE, [5.9999])
    assert law.probabilities[-1] > 0.9998
    assert law.probabilities @ DIE == pytest.approx([5.9999], abs=1e-10)


@CASES
@given(st.floats(-2, 4), st.floats(-5, 5))
def test_q_exponential_against_mpmath(q, x):
    base = 1 + (1 - q) * x
    if abs(q - 1) < 1e-6 or abs(base) < 1e-6:
        return
    if base < 0:
        expected = 0.0 if q < 1 else np.inf
    else:
        expected = float(mpmath.mpf(base) ** (1 / mpmath.mpf(1 - q)))
    if expected < 1e290 or expected == np.inf:
        assert reference.q_exponential(x, q) == pytest.approx(expected, rel=1e-9)


def test_q_functions_invert_each_other_and_meet_the_ordinary_ones():
    x = np.array([0.2, 1.0, 3.0])
    for q in (-1.0, 0.5, 1.0, 1.7):
        assert reference.q_exponential(reference.q_logarithm(x, q), q) == pytest.approx(x)
    assert reference.q_logarithm(x, 1 + 1e-9) == pytest.approx(np.log(x), abs=1e-8)
    assert reference.q_exponential(x, 1 + 1e-9) == pytest.approx(np.exp(x), rel=1e-7)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: reference.maximum_entropy(DIE, [6.5]), "not the expectations"),
        (lambda: reference.maximum_entropy(DIE, [1.0, 2.0]), "one entry per feature"),
        (lambda: reference.maximum_entropy(np.zeros((0, 1)), [1.0]), "at least one row"),
        (lambda: reference.maximum_entropy(DIE, [3.0], tolerance=0), "tolerance"),
        (lambda: reference.gibbs_law(DIE, [np.inf]), "multipliers contains an infinity"),
        (lambda: reference.q_logarithm([0.0], 2.0), "x must be > 0"),
        (lambda: reference.q_exponential([0.0], np.inf), "q must lie in"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
