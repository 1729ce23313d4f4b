"""Data sources: shapes, restored seeds, and entropy rates against independent computations."""

import random

import numpy as np
import pytest

from xent import sources


def test_digits_are_split_by_class_and_scaled():
    data = sources.digits()
    assert data.train_inputs.shape[1] == 64 and data.train_inputs.max() == 1.0
    assert len(data.train_labels) + len(data.test_labels) == 1797
    counts = np.bincount(data.test_labels) / len(data.test_labels)
    assert np.abs(counts - 0.1).max() < 0.005


def test_mnist1d_restores_the_global_random_states():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    data = sources.mnist1d(num_samples=100)
    assert (random.random(), np.random.rand()) == expected
    assert data.train_inputs.shape == (80, 40) and data.test_inputs.shape == (20, 40)
    again = sources.mnist1d(num_samples=100)
    assert np.array_equal(data.train_inputs, again.train_inputs)


def test_markov_entropy_rate_is_the_growth_of_block_entropy():
    transition = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.6, 0.0, 0.4]])
    source = sources.MarkovSource(transition)
    pi = np.linalg.matrix_power(transition, 200)[0]
    pairs = pi[:, None] * transition
    triples = pairs[:, :, None] * transition[None]

    def block_entropy(p):
        p = p[p > 0]
        return -(p * np.log(p)).sum()

    assert source.entropy_rate == pytest.approx(block_entropy(triples) - block_entropy(pairs))
    symbols = source.sample(np.random.default_rng(0), 20_000)
    assert np.abs(np.bincount(symbols) / 20_000 - pi).max() < 0.02
    assert not np.any((symbols[:-1] == 0) & (symbols[1:] == 2))


def test_zipf_entropy_of_equal_symbols_is_the_logarithm():
    assert sources.ZipfSource(50, 0.0).entropy_rate == pytest.approx(np.log(50))
    draws = sources.ZipfSource(5, 1.0).sample(np.random.default_rng(0), 50_000)
    law = np.array([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]) / (137 / 60)
    assert np.abs(np.bincount(draws) / 50_000 - law).max() < 0.01


@pytest.mark.parametrize(
    ("call", "error", "names"),
    [
        (lambda: sources.MarkovSource(np.ones((2, 2))), ValueError, "transition"),
        (lambda: sources.MarkovSource(np.eye(2)), ValueError, "recurrent"),
        (lambda: sources.MarkovSource([[0.5, 0.5]]), ValueError, "square"),
        (lambda: sources.ZipfSource(0), ValueError, "num_symbols"),
        (lambda: sources.ZipfSource(3, -1.0), ValueError, "exponent"),
        (lambda: sources.ZipfSource(3, float("inf")), ValueError, "exponent"),
        (lambda: sources.digits(test_fraction=1.0), ValueError, "test_fraction"),
        (lambda: sources.mnist1d(num_samples=2), ValueError, "num_samples"),
    ],
)
def test_bad_arguments_are_named(call, error, names):
    with pytest.raises(error, match=names):
        call()
