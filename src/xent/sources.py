"""Data for experiments: two small image-like sets, and sources whose entropy rate is known.

Nothing is downloaded and nothing is written.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np

from xent.reference import arguments


class Split(NamedTuple):
    """A classification problem: float64 inputs (N, D) and int64 labels (N,), train and test."""

    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray


def digits(*, test_fraction: float = 0.3, seed: int = 0) -> Split:
    """Scikit-learn's 1797 handwritten digits, 8 x 8 pixels scaled to [0, 1], 10 classes.

    Args:
        test_fraction: share of the test set, in (0, 1); the split is stratified by class.
        seed: seed of the split.

    Raises:
        ValueError: if ``test_fraction`` is not inside (0, 1).
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    arguments.scalar(test_fraction, "test_fraction", low=0, high=1, open_low=True, open_high=True)
    inputs, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        inputs / 16.0, labels, test_size=test_fraction, random_state=seed, stratify=labels
    )
    return Split(train_x, train_y.astype(np.int64), test_x, test_y.astype(np.int64))


def mnist1d(*, num_samples: int = 5000, seed: int = 42) -> Split:
    """The MNIST-1D problem, generated: 40 points per signal, 10 classes, 80 % for training.

    The generator of the package seeds ``random`` and ``np.random``; both states are restored.

    Args:
        num_samples: examples in train and test together, at least 10.
        seed: seed of the generator.
    """
    from mnist1d.data import get_dataset_args, make_dataset

    settings = get_dataset_args()
    settings.num_samples = arguments.integer(num_samples, "num_samples", low=10)
    settings.seed = arguments.integer(seed, "seed", low=0)
    states = random.getstate(), np.random.get_state()
    try:
        data = make_dataset(settings)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    return Split(
        np.asarray(data["x"], dtype=np.float64),
        np.asarray(data["y"], dtype=np.int64),
        np.asarray(data["x_test"], dtype=np.float64),
        np.asarray(data["y_test"], dtype=np.int64),
    )


class MarkovSource:
    r"""A stationary Markov chain of order one over V symbols.

    Its entropy rate is :math:`-\sum_i \pi_i \sum_j P_{ij} \ln P_{ij}` nats per symbol, with
    :math:`\pi` the stationary law of the transition matrix :math:`P`.

    Args:
        transition: (V, V) row-stochastic matrix with one recurrent class.

    Raises:
        ValueError: if the matrix is not square and row-stochastic, or has several stationary laws.
    """

    def __init__(self, transition):
        self.transition = arguments.distribution(transition, "transition")
        if self.transition.ndim != 2 or self.transition.shape[0] != self.transition.shape[1]:
            raise ValueError(f"transition must be square, got shape {self.transition.shape}")
        self.stationary = _stationary(self.transition)

    @property
    def entropy_rate(self) -> float:
        """Entropy rate in nats per symbol."""
        return float(self.stationary @ _row_entropies(self.transition))

    def sample(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Draw ``length`` symbols (int64) of the stationary chain."""
        arguments.integer(length, "length", low=1)
        cumulative = np.cumsum(self.transition, axis=1)
        uniforms = rng.random(length)
        symbols = np.empty(length, dtype=np.int64)
        symbols[0] = np.searchsorted(np.cumsum(self.stationary), uniforms[0])
        last = len(self.stationary) - 1
        for t in range(1, length):
            row = cumulative[symbols[t - 1]]
            symbols[t] = min(np.searchsorted(row, uniforms[t], side="right"), last)
        symbols[0] = min(symbols[0], last)
        return symbols


class ZipfSource:
    r"""Independent symbols with :math:`p_k \propto k^{-s}`, k = 1..V.

    Its entropy rate is the entropy of one symbol, a finite sum.

    Args:
        num_symbols: V, at least 1.
        exponent: s >= 0.
    """

    def __init__(self, num_symbols: int, exponent: float = 1.0):
        arguments.integer(num_symbols, "num_symbols", low=1)
        arguments.scalar(exponent, "exponent", low=0)
        weights = np.arange(1, num_symbols + 1, dtype=np.float64) ** -exponent
        self.probabilities = weights / weights.sum()

    @property
    def entropy_rate(self) -> float:
        """Entropy rate in nats per symbol."""
        return float(_row_entropies(self.probabilities))

    def sample(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Draw ``length`` symbols (int64), 0 the most frequent."""
        arguments.integer(length, "length", low=1)
        return rng.choice(len(self.probabilities), size=length, p=self.probabilities)


def _row_entropies(p: np.ndarray) -> np.ndarray:
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


def _stationary(transition: np.ndarray) -> np.ndarray:
    size = len(transition)
    system = np.vstack([transition.T - np.eye(size), np.ones(size)])
    law, _, rank, _ = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)
    if rank < size:
        raise ValueError("transition has several recurrent classes; one is needed")
    return np.maximum(law, 0.0) / np.maximum(law, 0.0).sum()
