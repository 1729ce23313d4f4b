r"""Maximum entropy under moment constraints: the Gibbs law by its convex dual, and q-exponentials.

Features are a matrix ``(K, d)``: row *i* holds what the constraints measure on outcome *i*.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax

from xent.reference import arguments

UNREACHABLE = "moments are not the expectations of any law with full support"


class GibbsLaw(NamedTuple):
    """A maximum-entropy law: probabilities ``(K,)`` and multipliers ``(d,)``."""

    probabilities: np.ndarray
    multipliers: np.ndarray


def gibbs_law(features, multipliers) -> np.ndarray:
    r"""Return the law :math:`p_i \propto \exp(\langle \lambda, \phi_i \rangle)`.

    Args:
        features: matrix ``(K, d)`` of :math:`\phi`.
        multipliers: vector ``(d,)`` of :math:`\lambda`; for an energy, minus inverse temperature.

    Returns:
        float64 probabilities ``(K,)``.

    Raises:
        ValueError: if the shapes do not match or an entry is not finite.

    Source: chapter *Maximum entropy*, theorem "the Gibbs law".
    """
    features, multipliers = _matched(features, multipliers, "multipliers")
    return softmax(features @ multipliers)


def maximum_entropy(features, moments, *, tolerance: float = 1e-12) -> GibbsLaw:
    r"""Return the law of largest entropy with :math:`\mathbb{E}\,\phi = m`.

    Newton's method with step halving on the convex dual

    .. math:: \min_\lambda \; \log \sum_i e^{\langle \lambda, \phi_i \rangle}
        - \langle \lambda, m \rangle,

    whose gradient is :math:`\mathbb{E}_\lambda \phi - m` and whose Hessian is the covariance of the
    features. Redundant features are allowed; the multipliers are then the shortest ones.

    Args:
        features: matrix ``(K, d)``.
        moments: vector ``(d,)`` of required expectations, inside the convex hull of the features.
        tolerance: largest allowed difference between reached and required moments, relative to
            the spread of the features.

    Returns:
        :class:`GibbsLaw` with probabilities ``(K,)`` and multipliers ``(d,)``.

    Raises:
        ValueError: if no law with full support has these moments, or the shapes do not match.

    Source: Jaynes (1957); chapter *Maximum entropy*, theorem "the Gibbs law".
    """
    features, moments = _matched(features, moments, "moments")
    tolerance = arguments.positive(tolerance, "tolerance")
    if ((moments < features.min(axis=0)) | (moments > features.max(axis=0))).any():
        raise ValueError(UNREACHABLE)
    center, spread = features.mean(axis=0), np.ptp(features, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled, target = (features - center) / spread, (moments - center) / spread

    def dual(multipliers):
        return float(logsumexp(scaled @ multipliers) - multipliers @ target)

    multipliers = np.zeros(len(target))
    for _ in range(200):
        p = softmax(scaled @ multipliers)
        gradient = p @ scaled - target
        if np.abs(gradient).max(initial=0.0) <= tolerance:
            return GibbsLaw(p, multipliers / spread)
        centered = scaled - p @ scaled
        step = -np.linalg.lstsq(centered.T @ (p[:, None] * centered), gradient, rcond=1e-14)[0]
        size, before = 1.0, dual(multipliers)
        while size > 1e-10 and dual(multipliers + size * step) > before + 1e-15 * abs(before):
            size /= 2
        multipliers = multipliers + size * step
    raise ValueError(UNREACHABLE)


def q_logarithm(x, q: float) -> np.ndarray:
    r"""Return :math:`\ln_q x = (x^{1-q} - 1) / (1 - q)`, the logarithm at :math:`q = 1`.

    Args:
        x: array of positive numbers.
        q: any real order.

    Returns:
        float64 array of the shape of ``x``; infinite where it exceeds float64.

    Raises:
        ValueError: if ``x`` is not positive or ``q`` is not finite.

    Source: Tsallis (1988); chapter *Maximum entropy*.
    """
    x, q = arguments.positives(x, "x"), arguments.scalar(q, "q")
    if q == 1.0:
        return np.log(x)
    with np.errstate(over="ignore"):
        return np.expm1((1.0 - q) * np.log(x)) / (1.0 - q)


def q_exponential(x, q: float) -> np.ndarray:
    r"""Return :math:`e_q(x) = [1 + (1-q)x]_+^{1/(1-q)}`, the exponential at :math:`q = 1`.

    For :math:`q < 1` it is zero below :math:`-1/(1-q)`; for :math:`q > 1` it decays like a power
    and is infinite from :math:`1/(q-1)` on.

    Args:
        x: array of real numbers.
        q: any real order.

    Returns:
        float64 array of the shape of ``x``; infinite where it exceeds float64.

    Raises:
        ValueError: if ``x`` or ``q`` is not finite.

    Source: Tsallis (1988); chapter *Maximum entropy*.
    """
    x, q = arguments.finite(x, "x"), arguments.scalar(q, "q")
    with np.errstate(over="ignore"):
        if q == 1.0:
            return np.exp(x)
        inside = (1.0 - q) * x > -1.0
        power = np.log1p((1.0 - q) * np.where(inside, x, 0.0)) / (1.0 - q)
        return np.where(inside, np.exp(power), 0.0 if q < 1.0 else np.inf)


def _matched(features, vector, name):
    features = arguments.finite(features, "features", ndim=2)
    vector = arguments.finite(vector, name, ndim=1)
    if len(features) == 0:
        raise ValueError("features must have at least one row (outcome)")
    if features.shape[1] != len(vector):
        raise ValueError(
            f"{name} must have one entry per feature ({features.shape[1]}), got {len(vector)}"
        )
    return features, vector
