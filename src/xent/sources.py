"""Data for experiments: two small image-like sets, and sources whose entropy rate is known.

Nothing is downloaded and nothing is written.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np

from xent.reference import arguments, solvable


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


class ZipfContextSource:
    r"""Pairs (context, label): context c with probability :math:`\propto c^{-(1+a)}`, c = 1..K.

    The label is the context's own with probability :math:`1-\varepsilon`, else uniform over V. The
    conditional entropy of the label is exact, and so are the learning curves of counting learners:
    see ``xent.reference.solvable``.

    Args:
        a: exponent of the tail, above 0.
        num_contexts: K, at least 1.
        num_labels: V, at least 2.
        noise: :math:`\varepsilon` in [0, 1].
        seed: seed of the table of labels.
    """

    def __init__(self, a: float, *, num_contexts: int, num_labels=16, noise=0.2, seed=0):
        a = arguments.positive(a, "a")
        arguments.integer(num_contexts, "num_contexts", low=1)
        self.entropy, self.ignorance = solvable.label_entropy(num_labels, noise)
        self.contexts = ZipfSource(num_contexts, 1 + a).probabilities
        self.table = np.random.default_rng(seed).integers(num_labels, size=num_contexts)
        self.num_labels, self.noise = num_labels, noise

    def label_law(self) -> np.ndarray:
        """Probability of each label given each context, shape (K, V)."""
        law = np.full((len(self.table), self.num_labels), self.noise / self.num_labels)
        law[np.arange(len(self.table)), self.table] += 1 - self.noise
        return law

    def sample(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw ``size`` pairs: contexts (0 the most frequent) and labels, both int64."""
        arguments.integer(size, "size", low=1)
        contexts = rng.choice(len(self.contexts), size=size, p=self.contexts)
        blurred = rng.random(size) < self.noise
        return contexts, np.where(
            blurred, rng.integers(self.num_labels, size=size), self.table[contexts]
        )


class RunLengthSource:
    r"""Alternating runs of 0 and 1; a run has length r with probability :math:`\propto r^{-(1+a)}`.

    The memory is unbounded; the entropy rate is exact (``xent.reference.solvable``).

    Args:
        a: exponent, above 1.
    """

    def __init__(self, a: float):
        self.a = arguments.scalar(a, "a", low=1.0, open_low=True)

    @property
    def entropy_rate(self) -> float:
        """Entropy rate in nats per symbol."""
        return solvable.run_length_entropy(self.a)

    def sample(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Draw ``length`` symbols (int64), beginning with a new run."""
        arguments.integer(length, "length", low=1)
        runs = rng.zipf(1 + self.a, size=length)
        ends = np.cumsum(np.minimum(runs, length))
        return np.searchsorted(ends, np.arange(length), side="right") % 2


class HigherMarkovSource:
    r"""A stationary Markov chain of order k over V symbols.

    Args:
        law: probability of the next symbol given the last k, oldest first, shape (V,) * (k + 1).

    Raises:
        ValueError: if the axes differ in length or rows do not sum to 1.
    """

    def __init__(self, law):
        self.law = arguments.distribution(law, "law")
        if self.law.ndim < 2 or len(set(self.law.shape)) != 1:
            raise ValueError(f"law must have k + 1 >= 2 equal axes, got shape {self.law.shape}")
        size, order = self.law.shape[0], self.law.ndim - 1
        rows = self.law.reshape(-1, size)
        history = np.arange(size**order)
        chain = np.zeros((size**order, size**order))
        for symbol in range(size):
            chain[history, history * size % size**order + symbol] += rows[:, symbol]
        self.histories = MarkovSource(chain)

    @property
    def entropy_rate(self) -> float:
        """Entropy rate in nats per symbol."""
        return self.histories.entropy_rate

    def sample(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Draw ``length`` symbols (int64) of the stationary chain."""
        return self.histories.sample(rng, length) % self.law.shape[0]


class HiddenMarkovSource:
    r"""Symbols emitted by a hidden stationary Markov chain.

    The entropy rate has no closed form; ``solvable.hmm_entropy_bounds`` encloses it.

    Args:
        transition: (k, k) row-stochastic matrix with one recurrent class.
        emission: (k, V) row-stochastic matrix.
    """

    def __init__(self, transition, emission):
        self.states = MarkovSource(transition)
        self.emission = arguments.distribution(emission, "emission")
        if self.emission.ndim != 2 or len(self.emission) != len(self.states.stationary):
            raise ValueError(f"emission must have {len(self.states.stationary)} rows")

    def entropy_bounds(self, length: int) -> tuple[float, float]:
        """Lower and upper bound on the entropy rate from blocks of ``length`` symbols, nats."""
        return solvable.hmm_entropy_bounds(self.states.transition, self.emission, length)

    def sample(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Draw ``length`` symbols (int64)."""
        states = self.states.sample(rng, length)
        cumulative = np.cumsum(self.emission, axis=1)[states]
        symbols = (rng.random((length, 1)) >= cumulative).sum(axis=1)
        return np.minimum(symbols, self.emission.shape[1] - 1)


def _row_entropies(p: np.ndarray) -> np.ndarray:
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


def _stationary(transition: np.ndarray) -> np.ndarray:
    size = len(transition)
    system = np.vstack([transition.T - np.eye(size), np.ones(size)])
    law, _, rank, _ = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)
    if rank < size:
        raise ValueError("transition has several recurrent classes; one is needed")
    return np.maximum(law, 0.0) / np.maximum(law, 0.0).sum()
