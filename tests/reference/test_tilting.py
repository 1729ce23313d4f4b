"""Tilts, best-of-N and divergences against enumeration, optimization and closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import rel_entr, softmax

from xent.reference import tilting

QUICK = settings(deadline=None, derandomize=True, max_examples=25)
GENERATORS = {
    "reverse": lambda u: u * np.log(u),
    "forward": lambda u: -np.log(u),
    "jensen-shannon": lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
    "hellinger": lambda u: 2 * (1 - np.sqrt(u)),
}


@pytest.mark.parametrize("divergence", tilting.DIVERGENCES)
def test_regularized_policy_maximizes_its_objective(divergence):
    rng = np.random.default_rng(0)
    p, rewards, beta = rng.dirichlet(np.ones(5)), rng.normal(size=5), 0.4
    f = GENERATORS[divergence]

    def loss(z):
        pi = softmax(z)
        return -(pi @ rewards) + beta * (p * f(pi / p)).sum()

    best = minimize(loss, np.log(p), method="BFGS", options={"gtol": 1e-9})
    found = tilting.regularized_policy(p, rewards, beta, divergence=divergence)
    assert np.allclose(found, softmax(best.x), atol=1e-5)
    assert loss(np.log(found)) <= best.fun + 1e-12


def test_tilt_with_reward_hits_its_target_from_both_sides():
    rng = np.random.default_rng(1)
    p, rewards = rng.dirichlet(np.ones(6)), rng.normal(size=6)
    for target in (rewards.min() + 0.1, p @ rewards, rewards.max() - 0.01):
        law, slope = tilting.tilt_with_reward(p, rewards, target)
        assert law @ rewards == pytest.approx(target, abs=1e-9)
        assert np.sign(round(slope, 6)) == np.sign(round(target - p @ rewards, 9))


@given(seed=st.integers(0, 10**6), n=st.integers(1, 4))
@QUICK
def test_best_of_n_by_enumeration(seed, n):
    rng = np.random.default_rng(seed)
    p, rewards = rng.dirichlet(np.ones(4)), rng.integers(0, 3, size=4) * 1.0
    expected = np.zeros(4)
    for drawn in itertools.product(range(4), repeat=n):
        best = [a for a in drawn if rewards[a] == max(rewards[list(drawn)])]
        for a in best:
            expected[a] += np.prod(p[list(drawn)]) / len(best)
    found = tilting.best_of_n(p, rewards, n)
    assert np.allclose(found, expected, atol=1e-14)
    assert rel_entr(found, p).sum() <= tilting.best_of_n_bound(n) + 1e-12


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60))
@QUICK
def test_bound_given_the_mass_of_the_best_reward(seed, n):
    rng = np.random.default_rng(seed)
    p, rewards = rng.dirichlet(np.full(9, 0.5)), rng.integers(0, 6, size=9) * 1.0
    q = p[rewards == rewards.max()].sum()
    paid = rel_entr(tilting.best_of_n(p, rewards, n), p).sum()
    bound = tilting.best_of_n_bound(n, best_mass=min(q, 1.0))
    assert paid <= bound + 1e-12
    assert bound <= min(tilting.best_of_n_bound(n), -np.log(q)) + 1e-12


def test_bound_is_approached_and_has_its_limits():
    q, n, levels = 0.1, 5, 4000
    p = np.r_[np.full(levels, (1 - q) / levels), q]
    paid = rel_entr(tilting.best_of_n(p, np.arange(levels + 1.0), n), p).sum()
    assert paid == pytest.approx(tilting.best_of_n_bound(n, best_mass=q), abs=1e-5)
    assert tilting.best_of_n_bound(1, best_mass=0.3) == pytest.approx(0.0, abs=1e-15)
    assert tilting.best_of_n_bound(7, best_mass=1.0) == 0.0
    assert tilting.best_of_n_bound(7, best_mass=1e-12) == pytest.approx(
        tilting.best_of_n_bound(7), abs=1e-9
    )


def test_a_response_without_mass_is_never_returned():
    law = tilting.best_of_n([0.5, 0.0, 0.5], [0.0, 2.0, 1.0], 3)
    assert np.allclose(law, [0.125, 0.0, 0.875])
    assert tilting.exponential_tilt([0.5, 0.0, 0.5], [0.0, 2.0, 1.0], 1.0)[1] == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: tilting.exponential_tilt([0.5, 0.5], [0.0], 1.0),
        lambda: tilting.exponential_tilt([[0.5, 0.5]], [0.0], 1.0),
        lambda: tilting.exponential_tilt([0.5, 0.5], [0.0, 1.0], 0.0),
        lambda: tilting.tilt_with_reward([0.5, 0.5], [0.0, 1.0], 1.0),
        lambda: tilting.best_of_n([0.5, 0.5], [0.0, 1.0], 0),
        lambda: tilting.best_of_n_bound(0),
        lambda: tilting.best_of_n_bound(3, best_mass=1.5),
        lambda: tilting.regularized_policy([1.0, 0.0], [0.0, 1.0], 1.0),
        lambda: tilting.regularized_policy([0.5, 0.5], [0.0, 1.0], 1.0, divergence="chi"),
    ],
)
def test_bad_input_is_named(call):
    with pytest.raises(ValueError, match="must"):
        call()
