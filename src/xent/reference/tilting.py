r"""Laws that trade reward for divergence: exponential tilts, best-of-N, and other divergences.

``p`` is the reference law over ``K`` responses, ``r`` their rewards; divergences are in nats.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_softmax, xlogy

from xent.reference import arguments

DIVERGENCES = ("reverse", "forward", "jensen-shannon", "hellinger")


def exponential_tilt(p, rewards, beta: float) -> np.ndarray:
    r"""Return the maximizer of :math:`\mathbb E_\pi r - \beta D(\pi \| p)`.

    .. math:: \pi_a \propto p_a\, e^{r_a/\beta}

    Args:
        p: the reference ``(K,)``; zeros stay zeros.
        rewards: ``(K,)``, finite.
        beta: positive.

    Returns:
        float64 array ``(K,)``.

    Raises:
        ValueError: if shapes differ, ``p`` is no distribution or ``beta`` is not positive.

    Source: Gibbs variational principle; *Asymptotics of Language Model Alignment*.
    """
    p, rewards = _problem(p, rewards)
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    return np.exp(log_softmax(log_p + rewards / arguments.positive(beta, "beta")))


def tilt_with_reward(p, rewards, target: float) -> tuple[np.ndarray, float]:
    r"""Return the tilt whose expected reward is ``target``, and its inverse temperature.

    Among all laws of that expected reward it is the nearest to ``p`` in :math:`D(\cdot \| p)`.

    Args:
        p: the reference ``(K,)``.
        rewards: ``(K,)``, finite.
        target: strictly between the smallest and the largest reward that ``p`` allows.

    Returns:
        the law ``(K,)`` and :math:`1/\beta`, negative for a target below the mean of ``p``.

    Raises:
        ValueError: if the target cannot be reached.

    Source: chapter *Exponential tilting and best-of-N*.
    """
    p, rewards = _problem(p, rewards)
    low, high = rewards[p > 0].min(), rewards[p > 0].max()
    target = arguments.scalar(target, "target", low=low, high=high, open_low=True, open_high=True)
    with np.errstate(divide="ignore"):
        log_p = np.log(p)

    def law(slope):
        return np.exp(log_softmax(log_p + slope * (rewards - target)))

    reach = 1.0
    while law(reach) @ rewards < target or law(-reach) @ rewards > target:
        reach *= 2
    slope = brentq(lambda s: law(s) @ rewards - target, -reach, reach, xtol=1e-13)
    return law(slope), slope


def best_of_n(p, rewards, n: int) -> np.ndarray:
    r"""Return the law of the best of ``n`` independent draws, ties broken at random.

    A reward level of mass :math:`q_j` and cumulative mass :math:`F_j` gets
    :math:`F_j^n - F_{j-1}^n`, shared inside the level as under ``p``.

    Args:
        p: the reference ``(K,)``.
        rewards: ``(K,)``, finite.
        n: number of draws, at least 1.

    Returns:
        float64 array ``(K,)``.

    Raises:
        ValueError: if shapes differ or ``n`` is below 1.

    Source: chapter *Exponential tilting and best-of-N*.
    """
    p, rewards = _problem(p, rewards)
    n = arguments.integer(n, "n", low=1)
    _, level = np.unique(rewards, return_inverse=True)
    mass = np.bincount(level, weights=p)
    above = np.r_[0.0, np.cumsum(mass)].clip(max=1.0)
    above[-1] = 1.0
    share = np.diff(above**n) / np.where(mass > 0, mass, 1.0)
    return p * share[level]


def best_of_n_bound(n: int, *, best_mass: float = 0.0) -> float:
    r"""Return the supremum of :math:`D(\text{best-of-}n \| p)`, given the mass of the best reward.

    With :math:`a = 1 - q`,

    .. math:: a^n \left[\log n - \tfrac{n-1}{n} + (n-1)\log a\right]
              + (1 - a^n) \log\frac{1 - a^n}{q},

    which is :math:`\log n - (n-1)/n` at :math:`q = 0` and tends to :math:`\log(1/q)`. For ``n > 1``
    it is attained only if no two draws below the best reward can tie.

    Args:
        n: number of draws, at least 1.
        best_mass: :math:`q`, in [0, 1].

    Returns:
        the bound in nats.

    Raises:
        ValueError: if ``n`` is below 1 or ``best_mass`` leaves [0, 1].

    Source: chapter *Exponential tilting and best-of-N*.
    """
    n = arguments.integer(n, "n", low=1)
    q = arguments.scalar(best_mass, "best_mass", low=0, high=1)
    tie_free = math.log(n) - (n - 1) / n
    if q == 0:
        return tie_free
    below = (1 - q) ** n
    top = 1.0 if q == 1 else -math.expm1(n * math.log1p(-q))
    return below * tie_free + (n - 1) * float(xlogy(below, 1 - q)) + top * math.log(top / q)


def regularized_policy(p, rewards, beta: float, *, divergence: str = "reverse") -> np.ndarray:
    r"""Return the maximizer of :math:`\mathbb E_\pi r - \beta \sum_a p_a f(\pi_a/p_a)`.

    At the optimum :math:`r_a - \beta f'(u_a) = \lambda`, :math:`u = \pi/p`, so :math:`u` depends
    on the answer only through its reward. ``reverse``: :math:`f = u\log u`; ``forward``:
    :math:`-\log u`; ``jensen-shannon``: :math:`u\log u - (u+1)\log\frac{u+1}{2}`; ``hellinger``:
    :math:`2(1 - \sqrt u)`.

    Args:
        p: the reference ``(K,)``, without zeros.
        rewards: ``(K,)``, finite.
        beta: positive.
        divergence: one of ``DIVERGENCES``.

    Returns:
        float64 array ``(K,)``.

    Raises:
        ValueError: if ``p`` has a zero, ``beta`` is not positive or the divergence is unknown.

    Source: chapter *Exponential tilting and best-of-N*.
    """
    p, rewards = _problem(p, rewards)
    beta = arguments.positive(beta, "beta")
    arguments.choice(divergence, "divergence", DIVERGENCES)
    if (p == 0).any():
        raise ValueError("p must have every entry above 0")
    if divergence == "reverse":
        return exponential_tilt(p, rewards, beta)

    def ratio(shift):  # u where f'(u) = slope, up to a constant for jensen-shannon
        slope = (rewards - rewards.max()) / beta - math.exp(shift)
        if divergence == "forward":
            return -1 / slope
        if divergence == "hellinger":
            return slope**-2.0
        return np.exp(slope) / -np.expm1(slope)

    law = p * ratio(brentq(lambda s: p @ ratio(s) - 1, -60.0, 8.0, xtol=1e-14))
    return law / law.sum()


def _problem(p, rewards):
    p = arguments.distribution(p, "p")
    if p.ndim != 1:
        raise ValueError(f"p must be one distribution (K,), got shape {p.shape}")
    rewards = arguments.finite(rewards, "rewards", ndim=1)
    if rewards.shape != p.shape:
        raise ValueError(f"rewards must have shape {p.shape}, got {rewards.shape}")
    return p, rewards
