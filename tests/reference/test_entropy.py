"""xent.reference.entropy against mpmath, brute force and known laws."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from xent.reference import entropy as reference

SEEDS = st.integers(0, 10**6)
CASES = settings(deadline=None, derandomize=True, max_examples=25)


def laws(seed, *shape):
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.5), size=shape[:-1])


def mp_sum(terms):
    return mpmath.fsum(terms)


@CASES
@given(SEEDS, st.integers(1, 9))
def test_entropy_cross_entropy_and_kl_agree_with_mpmath(seed, classes):
    p, q = laws(seed, 2, classes)
    with mpmath.workdps(40):
        pairs = [(mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in zip(p, q, strict=True)]
        positive = [(a, b) for a, b in pairs if a > 0]
        h = -mp_sum(a * mpmath.log(a) for a, _ in positive)
        cross = -mp_sum(a * mpmath.log(b) for a, b in positive)
        kl = mp_sum(a * mpmath.log(a / b) for a, b in positive)
    assert reference.entropy(p) == pytest.approx(float(h), rel=1e-12, abs=1e-14)
    assert reference.cross_entropy(p, q) == pytest.approx(float(cross), rel=1e-12, abs=1e-14)
    assert reference.kl_divergence(p, q) == pytest.approx(float(kl), rel=1e-11, abs=1e-14)


def test_zero_conventions():
    p, q = [0.5, 0.5, 0.0], [0.5, 0.25, 0.25]
    assert reference.kl_divergence(p, q) == pytest.approx(0.5 * np.log(2))
    assert reference.kl_divergence(q, p) == np.inf
    assert reference.cross_entropy(q, p) == np.inf
    assert reference.cross_entropy(p, p) == pytest.approx(np.log(2))
    assert reference.entropy([1.0, 0.0]) == 0.0


def test_axis_and_broadcasting():
    p, q = laws(3, 4, 5), laws(4, 5)
    expected = [reference.kl_divergence(row, q) for row in p]
    assert reference.kl_divergence(p, q) == pytest.approx(expected)
    assert reference.entropy(p.T, axis=0) == pytest.approx(reference.entropy(p))
    assert reference.entropy(p).dtype == np.float64


@CASES
@given(SEEDS)
def test_jensen_shannon_is_the_information_about_the_coin(seed):
    p, q = laws(seed, 2, 6)
    joint = np.stack([p, q]) / 2
    assert reference.js_divergence(p, q) == pytest.approx(
        reference.mutual_information(joint), abs=1e-12
    )
    assert reference.js_divergence(p, q) <= np.log(2)
    assert reference.js_divergence([1.0, 0.0], [0.0, 1.0]) == pytest.approx(np.log(2))


@CASES
@given(SEEDS)
def test_from_logits_agrees_with_probabilities(seed):
    z, w = np.random.default_rng(seed).normal(scale=3, size=(2, 4, 7))
    p, q = softmax(z, axis=-1), softmax(w, axis=-1)
    assert reference.entropy_from_logits(z) == pytest.approx(reference.entropy(p))
    assert reference.kl_from_logits(z, w) == pytest.approx(reference.kl_divergence(p, q))


def test_from_logits_with_masks_and_extreme_gaps():
    z = [0.0, -np.inf, 1.0]
    expected = reference.entropy(softmax([0.0, 1.0]))
    assert reference.entropy_from_logits(z) == pytest.approx(expected)
    assert reference.kl_from_logits(z, [0.0, 5.0, 1.0]) > 0
    assert reference.kl_from_logits([0.0, 5.0, 1.0], z) == np.inf
    assert reference.kl_from_logits([800.0, 0.0], [0.0, 800.0]) == pytest.approx(800.0)
    assert reference.entropy_from_logits([1e4, 0.0]) == 0.0


@CASES
@given(SEEDS)
def test_renyi_and_tsallis_families(seed):
    p = laws(seed, 5)
    orders = [0.0, 0.3, 0.999999, 1.0, 2.0, 7.0, np.inf]
    values = [float(reference.renyi_entropy(p, a)) for a in orders]
    assert all(a >= b - 1e-9 for a, b in zip(values, values[1:], strict=False))
    assert values[2] == pytest.approx(values[3], abs=1e-4)
    assert values[4] == pytest.approx(-np.log((p**2).sum()))
    assert reference.tsallis_entropy(p, 2.0) == pytest.approx(1 - (p**2).sum())
    assert reference.tsallis_entropy(p, 1 + 1e-9) == pytest.approx(reference.entropy(p), abs=1e-6)
    sparse = np.array([0.25, 0.75, 0.0])
    assert reference.renyi_entropy(sparse, 0.0) == pytest.approx(np.log(2))
    assert reference.tsallis_entropy(sparse, 0.0) == pytest.approx(1.0)


@CASES
@given(SEEDS)
def test_information_identities(seed):
    joint = laws(seed, 12).reshape(3, 4)
    h_xy = reference.entropy(joint.ravel())
    h_x, h_y = reference.entropy(joint.sum(axis=1)), reference.entropy(joint.sum(axis=0))
    assert reference.conditional_entropy(joint) == pytest.approx(h_xy - h_y, abs=1e-12)
    assert reference.mutual_information(joint) == pytest.approx(h_x + h_y - h_xy, abs=1e-12)
    assert reference.shannon_distance(joint) == pytest.approx(2 * h_xy - h_x - h_y, abs=1e-12)
    assert reference.rajski_distance(joint) == pytest.approx(2 - (h_x + h_y) / h_xy, abs=1e-12)


def test_rajski_extremes():
    assert reference.rajski_distance(np.full((2, 3), 1 / 6)) == pytest.approx(1.0)
    assert reference.rajski_distance(np.eye(3) / 3) == pytest.approx(0.0)
    assert reference.rajski_distance([[1.0]]) == 0.0


def test_entropy_rate_of_a_two_state_chain_and_of_a_cycle():
    a, b = 0.1, 0.4
    chain = np.array([[1 - a, a], [b, 1 - b]])
    law = np.array([b, a]) / (a + b)
    assert reference.stationary_distribution(chain) == pytest.approx(law)
    expected = law @ [reference.entropy([1 - a, a]), reference.entropy([1 - b, b])]
    assert reference.entropy_rate(chain) == pytest.approx(expected)
    assert reference.entropy_rate(np.roll(np.eye(4), 1, axis=1)) == pytest.approx(0.0)


def test_total_variation_and_pinsker():
    p, q = laws(9, 500, 6), laws(10, 500, 6)
    tv = reference.total_variation(p, q)
    assert (tv <= np.sqrt(reference.kl_divergence(p, q) / 2) + 1e-12).all()
    assert reference.total_variation([1.0, 0.0], [0.0, 1.0]) == 1.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: reference.entropy([0.5, 0.6]), ValueError, "p must sum to 1"),
        (lambda: reference.entropy([1.5, -0.5]), ValueError, "negative"),
        (lambda: reference.entropy([np.nan, 1.0]), ValueError, "NaN"),
        (lambda: reference.entropy("abc"), TypeError, "real numbers"),
        (lambda: reference.kl_divergence([1.0], [0.5, 0.5]), ValueError, "as many outcomes"),
        (lambda: reference.renyi_entropy([1.0], -1), ValueError, "alpha"),
        (lambda: reference.tsallis_entropy([1.0], np.inf), ValueError, "q must lie"),
        (lambda: reference.mutual_information([0.5, 0.5]), ValueError, "joint must have 2 axes"),
        (lambda: reference.entropy_rate(np.eye(2)), ValueError, "irreducible"),
        (lambda: reference.entropy_rate([[0.5, 0.5]]), ValueError, "square"),
        (lambda: reference.kl_from_logits([0.0, 1.0], [0.0]), ValueError, "shape"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
