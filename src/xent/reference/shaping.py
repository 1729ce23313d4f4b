r"""Entropy inside the reward: by meaning, by window, by vote and by length, in nats."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import entr, softmax
from scipy.stats import multinomial

from xent.reference import arguments


def semantic_entropy(p, clusters) -> float:
    r"""Return the entropy of the meanings of responses.

    .. math:: -\sum_k P_k \log P_k, \qquad P_k = \sum_{a \in k} p_a

    At most the entropy of the responses, with equality iff no two of positive mass share a meaning.

    Args:
        p: law of the responses ``(K,)``.
        clusters: integer label of each response's meaning ``(K,)``.

    Returns:
        the entropy in nats.

    Raises:
        ValueError: if shapes differ. TypeError: if the labels are no integers.

    Source: grouping property; chapter *Entropy-shaped rewards*.
    """
    return float(entr(_cluster_masses(p, clusters)).sum())


def uniform_surprise(p, clusters) -> float:
    r"""Return :math:`-\frac1C \sum_k \log P_k` over the meanings that occur.

    The cross-entropy of the uniform law and the meanings: at least :math:`\log C`, and not an
    entropy of ``p``. Implementations use it as an estimate of semantic entropy.

    Args:
        p: law of the responses ``(K,)``.
        clusters: integer label of each response's meaning ``(K,)``.

    Returns:
        the cross-entropy in nats.

    Raises:
        ValueError: if shapes differ. TypeError: if the labels are no integers.

    Source: *SEED-GRPO*; chapter *Entropy-shaped rewards*.
    """
    masses = _cluster_masses(p, clusters)
    return float(-np.log(masses[masses > 0]).mean())


def window_mean(values, width: int) -> np.ndarray:
    """Return means over sliding windows of the last axis.

    Args:
        values: token entropies ``(..., T)``.
        width: length of the window, in [1, T].

    Returns:
        float64 array ``(..., T - width + 1)``; entry ``t`` covers ``t .. t + width - 1``.

    Raises:
        ValueError: if the window does not fit.

    Source: *ARES*; chapter *Entropy-shaped rewards*.
    """
    values = arguments.finite(values, "values")
    width = arguments.integer(width, "width", low=1)
    if values.ndim == 0 or width > values.shape[-1]:
        raise ValueError(f"width must be at most the last axis of values, got {width}")
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=-1).mean(axis=-1)


def thinking_entropy(stop, num_tokens: int) -> np.ndarray:
    r"""Return the entropy of one step that stops with probability ``stop`` or writes a token.

    .. math:: h(q) + (1 - q) \log m

    for ``m`` equally likely tokens. The expected length is :math:`1/q`; the entropy is largest at
    :math:`q = 1/(1+m)`.

    Args:
        stop: probability :math:`q` of stopping, in (0, 1].
        num_tokens: :math:`m`, at least 1.

    Returns:
        float64 array in nats.

    Raises:
        ValueError: if ``stop`` leaves (0, 1] or ``num_tokens`` is below 1.
        TypeError: if ``num_tokens`` is no integer.

    Source: chapter *Entropy-shaped rewards*.
    """
    stop = arguments.finite(stop, "stop")
    if (stop <= 0).any() or (stop > 1).any():
        raise ValueError("stop must lie in (0, 1]")
    tokens = arguments.integer(num_tokens, "num_tokens", low=1)
    return entr(stop) + entr(1 - stop) + (1 - stop) * np.log(tokens)


def majority_probability(p, num_samples: int) -> np.ndarray:
    r"""Return the law of the plurality winner of independent samples, ties broken at random.

    Args:
        p: law of the answers ``(K,)``; all :math:`\binom{G+K-1}{K-1}` outcomes are enumerated.
        num_samples: :math:`G`, at least 1.

    Returns:
        float64 array ``(K,)``.

    Raises:
        ValueError: if ``p`` is no distribution or ``num_samples`` is below 1.

    Source: chapter *Entropy-shaped rewards*.
    """
    p = arguments.distribution(p, "p")
    samples = arguments.integer(num_samples, "num_samples", low=1)
    counts = _compositions(samples, p.size)
    wins = counts == counts.max(axis=1, keepdims=True)
    chance = multinomial.pmf(counts, samples, p)
    return chance @ (wins / wins.sum(axis=1, keepdims=True))


def frequency_flow(p, times) -> np.ndarray:
    r"""Return the natural-gradient flow whose reward is the answer's own probability.

    .. math:: \frac{d}{dt} \log \pi_a = \pi_a - \sum_b \pi_b^2

    Frequency as reward: the initially most probable answer takes all.

    Args:
        p: initial law ``(K,)`` without zeros.
        times: increasing times ``(T,)``, starting at or after 0.

    Returns:
        float64 array ``(T, K)``.

    Raises:
        ValueError: if ``p`` has a zero or the times do not increase.

    Source: replicator equation; chapter *Entropy-shaped rewards*.
    """
    p = arguments.distribution(p, "p")
    if (p == 0).any():
        raise ValueError("p must have every entry above 0")
    times = arguments.finite(times, "times", ndim=1)
    if p.ndim != 1:
        raise ValueError(f"p must have 1 axes, got shape {p.shape}")
    if times.size == 0 or times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError("times must increase and start at or after 0")

    def velocity(_, z):
        pi = softmax(z)
        return pi - (pi**2).sum()

    span = (0.0, max(times[-1], 1e-12))
    found = solve_ivp(velocity, span, np.log(p), t_eval=times, rtol=1e-10, atol=1e-12)
    return softmax(found.y, axis=0).T


def _compositions(total, parts):
    if parts == 1:
        return np.array([[total]])
    blocks = []
    for first in range(total + 1):
        rest = _compositions(total - first, parts - 1)
        blocks.append(np.c_[np.full(len(rest), first), rest])
    return np.concatenate(blocks)


def _cluster_masses(p, clusters):
    p = arguments.distribution(p, "p")
    clusters = arguments.integers(clusters, "clusters")
    if clusters.shape != p.shape or p.ndim != 1:
        raise ValueError(f"clusters must have shape {p.shape}, got {clusters.shape}")
    _, index = np.unique(clusters, return_inverse=True)
    return np.bincount(index, weights=p)
