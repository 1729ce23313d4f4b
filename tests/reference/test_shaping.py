"""Entropy-shaped rewards against brute force and closed forms."""

import itertools

import numpy as np
import pytest
from scipy.special import entr

from xent.reference import shaping


def test_semantic_entropy_groups_responses():
    p = np.array([0.4, 0.1, 0.3, 0.2])
    assert shaping.semantic_entropy(p, [0, 0, 7, 7]) == pytest.approx(np.log(2))
    assert shaping.semantic_entropy(p, [0, 1, 2, 3]) == pytest.approx(entr(p).sum())
    assert shaping.semantic_entropy(p, [5] * 4) == 0
    assert shaping.uniform_surprise(p, [0, 0, 7, 7]) == pytest.approx(np.log(2))
    assert shaping.uniform_surprise(p, [0, 1, 2, 3]) > np.log(4)


def test_window_mean():
    found = shaping.window_mean([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]], 2)
    assert np.allclose(found, [[1.5, 4.0], [0.0, 1.5]])


def test_thinking_entropy_is_that_of_the_listed_law_and_peaks_where_said():
    law = np.r_[0.2, np.full(5, 0.16)]
    assert shaping.thinking_entropy(0.2, 5) == pytest.approx(entr(law).sum())
    q = np.linspace(0.01, 1, 991)
    assert q[shaping.thinking_entropy(q, 4).argmax()] == pytest.approx(0.2, abs=1e-3)


def test_majority_probability_by_enumeration():
    p, samples = np.array([0.5, 0.3, 0.2]), 4
    expected = np.zeros(3)
    for drawn in itertools.product(range(3), repeat=samples):
        counts = np.bincount(drawn, minlength=3)
        winners = counts == counts.max()
        expected += np.prod(p[list(drawn)]) * winners / winners.sum()
    assert np.allclose(shaping.majority_probability(p, samples), expected)


def test_frequency_flow_follows_its_equation_and_crowns_the_mode():
    p = np.array([0.3, 0.36, 0.34])
    flow = shaping.frequency_flow(p, np.array([0.0, 1e-4, 400.0]))
    velocity = (np.log(flow[1]) - np.log(flow[0])) / 1e-4
    assert np.allclose(velocity, p - (p**2).sum(), atol=1e-4)
    assert flow[2, 1] > 1 - 1e-9


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda: shaping.semantic_entropy([1.0], [0, 1]), ValueError),
        (lambda: shaping.semantic_entropy([1.0], [0.0]), TypeError),
        (lambda: shaping.window_mean([1.0, 2.0], 3), ValueError),
        (lambda: shaping.thinking_entropy(0.0, 2), ValueError),
        (lambda: shaping.thinking_entropy(0.5, 0), ValueError),
        (lambda: shaping.majority_probability([0.5, 0.5], 0), ValueError),
        (lambda: shaping.frequency_flow([1.0, 0.0], [1.0]), ValueError),
        (lambda: shaping.frequency_flow([0.5, 0.5], [1.0, 0.0]), ValueError),
    ],
)
def test_bad_input_is_named(call, error):
    with pytest.raises(error, match="must"):
        call()
