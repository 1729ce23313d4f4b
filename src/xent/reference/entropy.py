r"""Entropy, cross-entropy, divergences and information metrics of discrete laws, in nats.

Every function takes probabilities (or logits where its name says so) along one axis and returns
one value per law in float64. The convention :math:`0 \log 0 = 0` holds throughout, and
:math:`p \log (p/0) = \infty` for :math:`p > 0`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr, log_softmax, logsumexp, rel_entr, xlogy

from xent.reference import arguments


def entropy(p, axis: int = -1) -> np.ndarray:
    r"""Return the Shannon entropy :math:`H(p) = -\sum_i p_i \log p_i` in nats.

    Args:
        p: probabilities ``(..., K)`` along ``axis``.
        axis: the axis of the outcomes.

    Returns:
        float64 array of the remaining axes, between 0 and :math:`\log K`.

    Raises:
        ValueError: if ``p`` is not a probability distribution along ``axis``.

    Source: Shannon (1948); chapter *Entropy, cross-entropy and divergence*.
    """
    p = arguments.distribution(p, "p", axis=axis)
    return entr(p).sum(axis=axis)


def cross_entropy(p, q, axis: int = -1) -> np.ndarray:
    r"""Return the cross-entropy :math:`H(p, q) = -\sum_i p_i \log q_i` in nats.

    Args:
        p: the true law ``(..., K)``.
        q: the model's law, of a shape that broadcasts with ``p``.
        axis: the axis of the outcomes.

    Returns:
        float64 array; infinite where ``q`` excludes an outcome that ``p`` allows.

    Raises:
        ValueError: if ``p`` or ``q`` is not a distribution or their outcomes do not match.

    Source: :math:`H(p, q) = H(p) + D(p \| q)`; chapter *Entropy, cross-entropy and divergence*.
    """
    p, q = _pair(p, q, axis)
    return -xlogy(p, q).sum(axis=axis)


def kl_divergence(p, q, axis: int = -1) -> np.ndarray:
    r"""Return the Kullback--Leibler divergence :math:`D(p \| q) = \sum_i p_i \log (p_i / q_i)`.

    Args:
        p: the true law ``(..., K)``.
        q: the model's law, of a shape that broadcasts with ``p``.
        axis: the axis of the outcomes.

    Returns:
        float64 array in nats; infinite where ``q`` excludes an outcome that ``p`` allows.

    Raises:
        ValueError: if ``p`` or ``q`` is not a distribution or their outcomes do not match.

    Source: Kullback and Leibler (1951); chapter *Entropy, cross-entropy and divergence*.
    """
    p, q = _pair(p, q, axis)
    return rel_entr(p, q).sum(axis=axis)


def js_divergence(p, q, axis: int = -1) -> np.ndarray:
    r"""Return the Jensen--Shannon divergence, at most :math:`\log 2` nats.

    .. math:: J(p, q) = \tfrac12 D(p \| m) + \tfrac12 D(q \| m), \qquad m = \tfrac12 (p + q)

    Args:
        p: probabilities ``(..., K)``.
        q: probabilities of a shape that broadcasts with ``p``.
        axis: the axis of the outcomes.

    Returns:
        float64 array in nats; its square root is a metric.

    Raises:
        ValueError: if ``p`` or ``q`` is not a distribution or their outcomes do not match.

    Source: Lin (1991); chapter *Entropy, cross-entropy and divergence*.
    """
    p, q = _pair(p, q, axis)
    m = (p + q) / 2
    return (rel_entr(p, m) + rel_entr(q, m)).sum(axis=axis) / 2


def total_variation(p, q, axis: int = -1) -> np.ndarray:
    r"""Return the total variation distance :math:`\tfrac12 \sum_i |p_i - q_i|`.

    Args:
        p: probabilities ``(..., K)``.
        q: probabilities of a shape that broadcasts with ``p``.
        axis: the axis of the outcomes.

    Returns:
        float64 array in :math:`[0, 1]`; Pinsker: at most :math:`\sqrt{D(p \| q) / 2}`.

    Raises:
        ValueError: if ``p`` or ``q`` is not a distribution or their outcomes do not match.

    Source: chapter *Entropy, cross-entropy and divergence*.
    """
    p, q = _pair(p, q, axis)
    return np.abs(p - q).sum(axis=axis) / 2


def entropy_from_logits(logits, axis: int = -1) -> np.ndarray:
    r"""Return the entropy of the softmax law, :math:`\operatorname{lse}(z) - \sum_i p_i z_i`.

    Args:
        logits: scores ``(..., K)``; ``-inf`` masks a class.
        axis: the axis of the classes.

    Returns:
        float64 array in nats.

    Raises:
        ValueError: if a row has no class, only masked classes, NaN or ``+inf``.

    Source: chapter *The log-partition function*.
    """
    log_p = log_softmax(arguments.logits(logits, axis=axis), axis=axis)
    p = np.exp(log_p)
    return -np.where(p > 0, p * np.where(p > 0, log_p, 0.0), 0.0).sum(axis=axis)


def kl_from_logits(p_logits, q_logits, axis: int = -1) -> np.ndarray:
    r"""Return :math:`D(p \| q)` of two softmax laws, without forming a ratio of probabilities.

    Args:
        p_logits: scores of the true law ``(..., K)``; ``-inf`` masks a class.
        q_logits: scores of the model, of the same shape.
        axis: the axis of the classes.

    Returns:
        float64 array in nats; infinite where ``q`` masks a class that ``p`` allows.

    Raises:
        ValueError: if the shapes differ or a row has no finite class.

    Source: chapter *Entropy, cross-entropy and divergence*.
    """
    log_p = log_softmax(arguments.logits(p_logits, "p_logits", axis=axis), axis=axis)
    log_q = log_softmax(arguments.logits(q_logits, "q_logits", axis=axis), axis=axis)
    if log_p.shape != log_q.shape:
        raise ValueError(
            f"q_logits must have the shape of p_logits {log_p.shape}, got {log_q.shape}"
        )
    p = np.exp(log_p)
    gap = np.subtract(log_p, log_q, out=np.zeros_like(p), where=p > 0)
    return (p * gap).sum(axis=axis)


def renyi_entropy(p, alpha: float, axis: int = -1) -> np.ndarray:
    r"""Return the Renyi entropy :math:`H_\alpha(p) = \frac{1}{1-\alpha} \log \sum_i p_i^\alpha`.

    Args:
        p: probabilities ``(..., K)``.
        alpha: order in :math:`[0, \infty]`; 0 counts the support, 1 is Shannon's entropy and
            infinity is :math:`-\log \max_i p_i`.
        axis: the axis of the outcomes.

    Returns:
        float64 array in nats, non-increasing in ``alpha``.

    Raises:
        ValueError: if ``p`` is not a distribution or ``alpha`` is negative.

    Source: Renyi (1961); chapter *Entropy, cross-entropy and divergence*.
    """
    p = arguments.distribution(p, "p", axis=axis)
    alpha = arguments.scalar(alpha, "alpha", low=0.0, high=np.inf)
    if alpha == 1.0:
        return entr(p).sum(axis=axis)
    if alpha == np.inf:
        return -np.log(p.max(axis=axis))
    log_p = np.log(np.where(p > 0, p, 1.0))
    return logsumexp(alpha * log_p, b=p > 0, axis=axis) / (1.0 - alpha)


def tsallis_entropy(p, q: float, axis: int = -1) -> np.ndarray:
    r"""Return the Tsallis entropy :math:`S_q(p) = \frac{1 - \sum_i p_i^q}{q - 1}`.

    Args:
        p: probabilities ``(..., K)``.
        q: order in :math:`[0, \infty)`; 1 is Shannon's entropy, 2 the Gini impurity.
        axis: the axis of the outcomes.

    Returns:
        float64 array, non-negative.

    Raises:
        ValueError: if ``p`` is not a distribution or ``q`` is negative or infinite.

    Source: Tsallis (1988); chapters *Maximum entropy* and *Sparse softmax and gating*.
    """
    p = arguments.distribution(p, "p", axis=axis)
    q = arguments.scalar(q, "q", low=0.0, high=np.inf, open_high=True)
    if q == 1.0:
        return entr(p).sum(axis=axis)
    log_p = np.log(np.where(p > 0, p, 1.0))
    return (p * np.expm1((q - 1.0) * log_p)).sum(axis=axis) / (1.0 - q)


def conditional_entropy(joint) -> float:
    r"""Return :math:`H(X \mid Y) = H(X, Y) - H(Y)` of a joint law with rows X and columns Y.

    Args:
        joint: probabilities ``(X, Y)`` that sum to one over both axes.

    Returns:
        float in nats, between 0 and :math:`H(X)`.

    Raises:
        ValueError: if ``joint`` is not a matrix of probabilities.

    Source: Shannon (1948); chapter *Entropy, cross-entropy and divergence*.
    """
    joint = _joint(joint)
    return float(-rel_entr(joint, joint.sum(axis=0)).sum())


def mutual_information(joint) -> float:
    r"""Return :math:`I(X; Y) = D(P_{XY} \| P_X \otimes P_Y)` of a joint law.

    Args:
        joint: probabilities ``(X, Y)`` that sum to one over both axes.

    Returns:
        float in nats, non-negative up to rounding.

    Raises:
        ValueError: if ``joint`` is not a matrix of probabilities.

    Source: Shannon (1948); chapter *Entropy, cross-entropy and divergence*.
    """
    joint = _joint(joint)
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    return float(rel_entr(joint, product).sum())


def shannon_distance(joint) -> float:
    r"""Return Shannon's distance :math:`D(X, Y) = H(X \mid Y) + H(Y \mid X)` of a joint law.

    Args:
        joint: probabilities ``(X, Y)`` that sum to one over both axes.

    Returns:
        float in nats; zero when each variable is a function of the other.

    Raises:
        ValueError: if ``joint`` is not a matrix of probabilities.

    Source: Shannon (1953), as read in *An information theoretic necessary condition for perfect
    reconstruction*; chapter *Entropy, cross-entropy and divergence*.
    """
    return conditional_entropy(joint) + conditional_entropy(_joint(joint).T)


def rajski_distance(joint) -> float:
    r"""Return Rajski's distance :math:`d(X, Y) = D(X, Y) / H(X, Y)` of a joint law.

    Args:
        joint: probabilities ``(X, Y)`` that sum to one over both axes.

    Returns:
        float in :math:`[0, 1]`: 1 when the variables are independent, 0 when each is a function of
        the other, and 0 by convention when both are constant.

    Raises:
        ValueError: if ``joint`` is not a matrix of probabilities.

    Source: Rajski (1961), as read in *An information theoretic necessary condition for perfect
    reconstruction*; chapter *Entropy, cross-entropy and divergence*.
    """
    total = float(entr(_joint(joint)).sum())
    return shannon_distance(joint) / total if total > 0 else 0.0


def stationary_distribution(transition) -> np.ndarray:
    r"""Return the law :math:`\pi` with :math:`\pi P = \pi` of an ergodic Markov chain.

    Args:
        transition: matrix ``(S, S)`` whose rows are the laws of the next state.

    Returns:
        float64 array ``(S,)`` of probabilities.

    Raises:
        ValueError: if ``transition`` is not square and stochastic, or if it has more than one
            stationary law.

    Source: chapter *Entropy, cross-entropy and divergence*.
    """
    transition = arguments.distribution(transition, "transition")
    if transition.ndim != 2 or transition.shape[0] != transition.shape[1]:
        raise ValueError(f"transition must be a square matrix, got shape {transition.shape}")
    states = len(transition)
    balance = np.vstack([transition.T - np.eye(states), np.ones(states)])
    target = np.append(np.zeros(states), 1.0)
    law, _, rank, _ = np.linalg.lstsq(balance, target, rcond=None)
    if rank < states:
        raise ValueError("transition has more than one stationary law; it must be irreducible")
    return np.where(np.abs(law) < 1e-14, 0.0, law)


def entropy_rate(transition) -> float:
    r"""Return the entropy rate :math:`\sum_s \pi_s H(P_{s \cdot})` of a stationary Markov chain.

    Args:
        transition: matrix ``(S, S)`` whose rows are the laws of the next state.

    Returns:
        float in nats per step: the least next-state cross-entropy any model can reach.

    Raises:
        ValueError: if ``transition`` is not square and stochastic, or not irreducible.

    Source: Shannon (1948); chapters *Entropy, cross-entropy and divergence* and *Entropy rate,
    tokenization and lossless coding*.
    """
    return float(stationary_distribution(transition) @ entropy(transition))


def _pair(p, q, axis):
    p = arguments.distribution(p, "p", axis=axis)
    q = arguments.distribution(q, "q", axis=axis)
    if p.shape[axis] != q.shape[axis]:
        raise ValueError(
            f"q must have as many outcomes as p ({p.shape[axis]}) along axis {axis}, "
            f"got {q.shape[axis]}"
        )
    if axis >= 0 and p.ndim != q.ndim:
        raise ValueError(
            f"axis must be negative where p and q differ in their number of axes, got {axis}"
        )
    arguments.broadcastable(p=p, q=q)
    return p, q


def _joint(joint):
    joint = arguments.finite(joint, "joint", ndim=2)
    return arguments.distribution(joint.reshape(-1), "joint").reshape(joint.shape)
