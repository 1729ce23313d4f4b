"""Worst cases against brute force: corners, permutations, optimizers, enumerated documents."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from xent.reference import adversarial, comp_sum


def test_linear_worst_margins_equal_the_worst_corner():
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(4, 5)), rng.normal(size=4)
    x, y = rng.random((30, 5)), rng.integers(0, 4, 30)
    found = np.full(30, np.inf)
    for signs in itertools.product((-1, 1), repeat=5):
        moved = np.clip(x + 0.2 * np.array(signs), 0, 1)
        z = moved @ w.T + b
        own = z[np.arange(30), y]
        z[np.arange(30), y] = -np.inf
        found = np.minimum(found, own - z.max(axis=1))
    result = adversarial.linear_worst_margins(w, b, x, y, 0.2)
    np.testing.assert_allclose(result, found, atol=1e-12)


def test_linear_worst_margins_at_radius_zero_are_the_margins():
    x = np.array([[0.2, 0.9]])
    result = adversarial.linear_worst_margins(np.eye(2), np.zeros(2), x, [1], 0.0)
    np.testing.assert_allclose(result, [0.7])


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 1.7, 2.0, 3.0])
def test_best_margin_risk_is_the_best_permutation_and_a_lower_bound(tau):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(4))
    best = np.inf
    for order in itertools.permutations(range(4)):
        z = 2.0 * np.array(order)
        best = min(best, p @ comp_sum.margin_comp_sum(np.tile(z, (4, 1)), np.arange(4), tau))
    result = adversarial.best_margin_risk(p, tau)
    np.testing.assert_allclose(result, best, atol=1e-12)
    for z in rng.normal(scale=1.5, size=(2000, 4)):
        risk = p @ comp_sum.margin_comp_sum(np.tile(z, (4, 1)), np.arange(4), tau)
        assert risk >= result - 1e-12


@pytest.mark.parametrize("strength", [0.1, 1.0, 20.0])
def test_instance_weights_maximize(strength):
    losses = np.random.default_rng(2).exponential(size=7)

    def gain(p):
        return p @ losses - strength * np.sum(p * np.log(7 * p))

    weights = adversarial.instance_weights(losses, strength)
    value = adversarial.instance_reweighted_risk(losses, strength)
    np.testing.assert_allclose(gain(weights), value, atol=1e-12)

    def negative(v):
        p = np.exp(v - v.max()) + 1e-300
        return -gain(p / p.sum())

    assert -minimize(negative, np.zeros(7)).fun == pytest.approx(value, abs=1e-5)
    assert losses.mean() <= value <= losses.max()


def test_crossmax_by_hand_and_its_symmetries():
    z = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 4.0]])
    # minus row maxima: [0,-2,-3], [-2,0,-1], [-3,-4,0]; every column has its maximum 0
    np.testing.assert_array_equal(adversarial.crossmax(z, 2), [-2.0, -2.0, -1.0])
    np.testing.assert_array_equal(adversarial.crossmax(z, 1), np.zeros(3))
    shifted = z + np.array([5.0, -7.0, 1.0])[:, None]
    np.testing.assert_array_equal(adversarial.crossmax(shifted, 2), adversarial.crossmax(z, 2))
    assert not adversarial.crossmax(np.tile(z[0], (4, 1)), 3).any()


def test_substitution_bound_holds_for_every_document():
    rng = np.random.default_rng(3)
    scores = rng.random((6, 6, 6))  # of every document of three words
    sets = [frozenset({0, 1, 2}), frozenset({0, 1, 2}), frozenset({1, 2, 3})]
    sets += [frozenset({2, 3, 4}), frozenset({3, 4, 5}), frozenset({3, 4, 5})]
    allowed = [sorted(s) for s in sets]
    overlap = np.array([min(len(sets[i] & sets[j]) / 3 for j in allowed[i]) for i in range(6)])

    def smooth(d):
        return scores[np.ix_(*(allowed[w] for w in d))].mean()

    for d in itertools.product(range(6), repeat=3):
        for changes in (0, 1, 2, 3):
            bound = adversarial.substitution_bound(smooth(d), overlap[list(d)], changes)
            for moved in itertools.product(*(allowed[w] for w in d)):
                if sum(a != b for a, b in zip(d, moved, strict=True)) <= changes:
                    assert smooth(moved) <= bound + 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adversarial.linear_worst_margins(np.eye(2), [0.0], [[0, 0]], [0], 1), "bias"),
        (lambda: adversarial.linear_worst_margins(np.eye(2), [0, 0], [[0]], [0], 1), "inputs"),
        (lambda: adversarial.linear_worst_margins(np.eye(2), [0, 0], [[2, 0]], [0], 1), "inputs"),
        (lambda: adversarial.linear_worst_margins(np.eye(2), [0, 0], [[0, 0]], [0], -1), "radius"),
        (lambda: adversarial.best_margin_risk([0.5, 0.6]), "p"),
        (lambda: adversarial.instance_weights([1.0, 2.0], 0.0), "strength"),
        (lambda: adversarial.crossmax([1.0, 2.0]), "logits"),
        (lambda: adversarial.crossmax(np.eye(2), 3), "rank"),
        (lambda: adversarial.substitution_bound(1.5, [0.5], 1), "score"),
        (lambda: adversarial.substitution_bound(0.5, [-0.5], 1), "overlaps"),
        (lambda: adversarial.substitution_bound(0.5, [0.5], -1), "changes"),
    ],
)
def test_bad_input_names_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
