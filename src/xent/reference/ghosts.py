r"""Complex singularities of softmax cross-entropy along a line in parameter space.

A step of length :math:`t` moves the logits to :math:`z_k + a_k t`; the loss is then
:math:`\ell(t) = \log F(t) - z_y - a_y t` with the partition function
:math:`F(t) = \sum_k e^{z_k + a_k t}`. Its zeros, all of them off the real axis, are the *ghosts*:
the nearest one is the radius of convergence of the loss's Taylor series.

A *line* is a pair of arrays ``logits`` (:math:`z_k`, nats) and ``slopes`` (:math:`a_k`, nats per
unit of :math:`t`) with the classes on the last axis. Its *spread* is
:math:`\Delta = \max_k a_k - \min_k a_k`; lengths are often measured in units of
:math:`\rho_a = \pi/\Delta`, as :math:`r = t/\rho_a`.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import lambertw, logsumexp

from xent.reference import arguments


def _line(logits, slopes) -> tuple[np.ndarray, np.ndarray]:
    """Return one line, sorted by slope, equal slopes merged into one class."""
    logits = arguments.finite(logits, "logits", ndim=1)
    slopes = arguments.finite(slopes, "slopes", ndim=1)
    if logits.size == 0 or logits.shape != slopes.shape:
        raise ValueError(
            f"logits and slopes must have the same length, at least 1, "
            f"got {logits.shape} and {slopes.shape}"
        )
    distinct, group = np.unique(slopes, return_inverse=True)
    if 0 < distinct[-1] - distinct[0] < 1 / arguments.LARGEST:
        raise ValueError(f"slopes must be equal or differ by at least {1 / arguments.LARGEST:g}")
    merged = np.full(distinct.size, -np.inf)
    np.logaddexp.at(merged, group, logits)
    return merged - logsumexp(logits), distinct


def _per_line(bound, logits, slopes) -> np.ndarray:
    """Apply ``bound(logits, slopes)`` to every line of a batch (classes on the last axis)."""
    logits, slopes = arguments.finite(logits, "logits"), arguments.finite(slopes, "slopes")
    if logits.ndim == 0 or logits.shape != slopes.shape:
        raise ValueError(
            f"logits and slopes must have the same shape (..., K), "
            f"got {logits.shape} and {slopes.shape}"
        )
    classes = logits.shape[-1]
    rows = zip(logits.reshape(-1, classes), slopes.reshape(-1, classes), strict=True)
    return np.array([bound(*_line(*row)) for row in rows]).reshape(logits.shape[:-1])


def _softmax_along(logits, slopes, steps) -> np.ndarray:
    """Return the real softmax p_k(u) at every real step u: shape (steps, classes)."""
    moved = logits + np.multiply.outer(steps, slopes)
    return np.exp(moved - logsumexp(moved, axis=-1, keepdims=True))


def characteristic(logits, slopes, t) -> np.ndarray:
    r"""Characteristic function of the slopes under the softmax at :math:`u = \mathrm{Re}\,t`.

    .. math:: \phi_u(y) = \sum_k p_k(u) e^{i a_k y}, \qquad F(u+iy) = F(u)\,\phi_u(y)

    Args:
        logits: One line's logits, shape (K,), nats.
        slopes: Their derivatives along the step, shape (K,).
        t: Complex steps :math:`u + iy`, any shape.

    Returns:
        Complex values of modulus at most one, shape of ``t``; zero exactly at the ghosts.

    Raises:
        ValueError: If the line is empty, an entry is not finite or shapes do not match.

    Source: Ghosts of Softmax, Proposition 4.2; chapter "ghosts-of-softmax".
    """
    logits, slopes = _line(logits, slopes)
    t = arguments.finite(t, "t", dtype=np.complex128)
    weights = _softmax_along(logits, slopes, t.real)
    return (weights * np.exp(1j * np.multiply.outer(t.imag, slopes))).sum(-1)


def slope_spread(slopes) -> np.ndarray:
    r"""Spread of the directional logit derivatives, :math:`\Delta = \max_k a_k - \min_k a_k`.

    Args:
        slopes: Shape (..., K).

    Returns:
        Spread per example, shape (...), nats per unit of step.

    Raises:
        ValueError: If an entry is not finite or there is no class.

    Source: Ghosts of Softmax; chapter "ghosts-of-softmax".
    """
    slopes = arguments.finite(slopes, "slopes")
    if slopes.ndim == 0 or slopes.shape[-1] == 0:
        raise ValueError(f"slopes must have at least one class, got shape {slopes.shape}")
    return slopes.max(-1) - slopes.min(-1)


def radius_lower_bound(slopes) -> np.ndarray:
    r"""Distance within which no ghost can lie, :math:`\rho_a = \pi/\Delta`.

    Args:
        slopes: Directional logit derivatives, shape (..., K).

    Returns:
        Bound per example, shape (...); ``inf`` where all slopes are equal.

    Raises:
        ValueError: If an entry is not finite or there is no class.

    Source: Ghosts of Softmax, Lemma 4.5 and Theorem 4.6; chapter "ghosts-of-softmax".
    """
    spread = slope_spread(slopes)
    return np.divide(np.pi, spread, out=np.full_like(spread, np.inf), where=spread > 0)


def binary_radius(delta, spread) -> np.ndarray:
    r"""Exact radius for two classes, :math:`\rho^* = \sqrt{\delta^2 + \pi^2}/\Delta`.

    Args:
        delta: Logit difference at the start of the step, nats.
        spread: Absolute difference of the two slopes, same shape, non-negative.

    Returns:
        Radius per example; ``inf`` where the spread is zero.

    Raises:
        ValueError: If an entry is not finite, a spread is negative or shapes do not match.

    Source: Ghosts of Softmax, Theorem 4.3; chapter "ghosts-of-softmax".
    """
    delta, spread = arguments.finite(delta, "delta"), arguments.finite(spread, "spread", low=0)
    arguments.broadcastable(delta=delta, spread=spread)
    modulus, spread = np.broadcast_arrays(np.hypot(delta, np.pi), spread)
    return np.divide(modulus, spread, out=np.full(modulus.shape, np.inf), where=spread > 0)


def count_zeros(logits, slopes, radius, *, center=0.0) -> int:
    r"""Number of ghosts, with multiplicity, in the disc :math:`|t - center| < radius`.

    The argument principle: the change of :math:`\arg(F e^{-ct})/2\pi` around the circle, with
    :math:`c` the mid-range slope. An arc of half-length :math:`\varepsilon` between two points is
    accepted once :math:`e^{\Delta\varepsilon/2} - 1 < |\phi|` at both ends, which proves that the
    phase moves by less than :math:`\pi` between them; otherwise it is cut in two.

    Args:
        logits: One line's logits, shape (K,).
        slopes: Their derivatives along the step, shape (K,).
        radius: Radius of the disc, positive.
        center: Its complex center.

    Returns:
        The count.

    Raises:
        ValueError: If the line is malformed or the circle passes through a ghost.

    Source: argument principle; chapter "ghosts-of-softmax".
    """
    logits, slopes = _line(logits, slopes)
    radius = arguments.positive(radius, "radius")
    center = arguments.finite(center, "center", ndim=0, dtype=np.complex128)
    spread = slopes[-1] - slopes[0]
    middle = (slopes[-1] + slopes[0]) / 2
    angles = np.linspace(0, 2 * np.pi, 65)
    for _ in range(20):
        points = center + radius * np.exp(1j * angles)
        value = characteristic(logits, slopes - middle, points)
        half_arc = radius * np.diff(angles) / 2
        smallest = np.minimum(np.abs(value[1:]), np.abs(value[:-1]))
        open_arc = np.expm1(np.minimum(spread * half_arc / 2, 1.0)) >= smallest
        if not open_arc.any():
            turns = np.angle(value[1:] / value[:-1]).sum() / (2 * np.pi)
            return round(float(turns))
        middles = (angles[1:] + angles[:-1])[open_arc] / 2
        angles = np.sort(np.concatenate([angles, middles]))
    raise ValueError(f"radius {radius} puts a zero on the circle; choose a slightly different one")


def partition_zeros(logits, slopes, radius) -> np.ndarray:
    r"""All zeros of :math:`F(t) = \sum_k e^{z_k + a_k t}` in a disc around the origin.

    Newton's method from a grid over the strips where a ghost can be, then a count by the
    argument principle; the grid is refined until every counted zero has been found.

    Args:
        logits: One line's logits, shape (K,).
        slopes: Their derivatives along the step, shape (K,).
        radius: Radius of the disc, positive.

    Returns:
        Complex zeros in conjugate pairs, by modulus, repeated by multiplicity (zeros closer than
        :math:`0.002/\Delta` count as one multiple zero).

    Raises:
        ValueError: If the line is malformed or the circle passes through a ghost.
        RuntimeError: If Newton's method does not reach every counted zero.

    Source: Ghosts of Softmax, Proposition 4.2; chapter "ghosts-of-softmax".
    """
    logits, slopes = _line(logits, slopes)
    count = count_zeros(logits, slopes, radius)
    spread = slopes[-1] - slopes[0]
    for refinement in range(1, 8) if count else ():
        starts = _starting_points(logits, slopes, radius, np.pi / (2 * spread * refinement))
        upper = _distinct(_newton(logits, slopes, starts), 2e-3 / spread)
        upper = upper[np.abs(upper) < radius]
        if 2 * upper.size < count:  # multiple zeros are found once
            apart = [min([1.0 / spread, *np.abs(z - upper[upper != z])]) for z in upper]
            pairs = zip(upper, apart, strict=True)
            copies = [count_zeros(logits, slopes, gap / 3, center=z) for z, gap in pairs]
            upper = np.repeat(upper, np.array(copies, dtype=int))
        if 2 * upper.size == count:
            return np.stack([upper, upper.conj()], axis=1).ravel()
    if count:
        raise RuntimeError(f"found {2 * upper.size} of {count} zeros in radius {radius}")
    return np.empty(0, dtype=np.complex128)


def _starting_points(logits, slopes, radius, spacing) -> np.ndarray:
    """Grid over the upper half-disc, only where no class can hold more than half the mass."""
    u = np.arange(-radius, radius + spacing, spacing)
    top = _softmax_along(logits, slopes, u).max(-1)
    spread = slopes[-1] - slopes[0]
    u = u[top <= 1 / (1 + np.exp(-spread * spacing))]
    y = np.arange(np.pi / spread, radius + spacing, spacing)
    return (u[:, None] + 1j * y).ravel()


def _newton(logits, slopes, t) -> np.ndarray:
    """Newton's method for F from many starting points; returns those that arrive."""
    spread = slopes[-1] - slopes[0]
    slopes = slopes - slopes.mean()
    moving = np.arange(t.size)
    for _ in range(60):
        moved = logits + np.multiply.outer(t[moving], slopes)
        terms = np.exp(moved - moved.real.max(-1, keepdims=True))
        value, derivative = terms.sum(-1), terms @ slopes
        step = value / np.where(derivative == 0, spread, derivative)
        step /= np.maximum(1.0, np.abs(step) * spread)
        t[moving] -= step
        t[moving] = t[moving].real + 1j * np.abs(t[moving].imag)
        moving = moving[np.abs(step) * spread > 1e-14]
        if moving.size == 0:
            break
    return t[np.abs(characteristic(logits, slopes, t)) < 1e-11]


def _distinct(points, tolerance) -> np.ndarray:
    """Keep one point of each cluster, by modulus."""
    kept: list[complex] = []
    for point in points[np.argsort(np.abs(points))]:
        if all(abs(point - other) > tolerance for other in kept):
            kept.append(point)
    return np.array(kept, dtype=np.complex128)


def convergence_radius(logits, slopes) -> np.ndarray:
    r"""Modulus of the nearest ghost: the Taylor radius :math:`\rho^*` of the loss along the line.

    Args:
        logits: Shape (..., K), nats.
        slopes: Directional logit derivatives, same shape.

    Returns:
        Radius per line, shape (...); ``inf`` where all slopes are equal. The radius of a mean of
        losses is the minimum over its lines.

    Raises:
        ValueError: If entries are not finite or shapes differ.

    Source: Ghosts of Softmax, Proposition 4.2; chapter "ghosts-of-softmax".
    """
    return _per_line(_nearest, logits, slopes)


def _nearest(logits, slopes) -> float:
    if slopes.size == 1:
        return np.inf
    radius = 1.001 * _majority(logits, slopes)
    while count_zeros(logits, slopes, radius) == 0:
        radius *= 1.237
    return float(np.abs(partition_zeros(logits, slopes, radius)).min())


def majority_radius_bound(logits, slopes) -> np.ndarray:
    r"""Lower bound :math:`\rho^* \ge \sqrt{u_0^2 + (\pi/\Delta)^2}` from the real softmax.

    :math:`u_0` is the length of the shortest real step, in either direction, after which no class
    holds more than half of the mass. Exact for two classes.

    Args:
        logits: Shape (..., K), nats.
        slopes: Directional logit derivatives, same shape.

    Returns:
        Bound per line, shape (...); ``inf`` where all slopes are equal.

    Raises:
        ValueError: If entries are not finite or shapes differ.

    Source: majority bound of chapter "ghosts-of-softmax" (sharpens Ghosts of Softmax, Theorem 4.6).
    """
    return _per_line(_majority, logits, slopes)


def _majority(logits, slopes) -> float:
    if slopes.size == 1:
        return np.inf
    spread = slopes[-1] - slopes[0]
    top = int(np.argmax(logits))
    others = np.arange(slopes.size) != top

    def log_odds(u):
        return logits[top] + slopes[top] * u - logsumexp(logits[others] + slopes[others] * u)

    lead = log_odds(0.0)
    if lead <= 0:
        return float(np.pi / spread)
    nearest = np.inf
    for sign, extreme in ((1.0, slopes[-1]), (-1.0, slopes[0])):
        if slopes[top] == extreme:
            continue  # this class only gains in this direction
        end = lead / spread
        while log_odds(sign * end) > 0:
            end *= 2
        nearest = min(nearest, brentq(lambda u, s=sign: log_odds(s * u), 0.0, end))
    return float(np.hypot(nearest, np.pi / spread))


def curvature_radius_bound(logits, slopes, *, cells: int = 2000) -> np.ndarray:
    r"""Lower bound :math:`\rho^* \ge \min_u \sqrt{u^2 + \pi^2/(4V(u))}` from the real curvature.

    :math:`V(u) = \ell''(u)` is the variance of the slopes under the softmax at the real step
    :math:`u`, which runs over the steps at which no class holds more than half of the mass. The
    minimum is taken over cells in each of which :math:`V` is bounded by its value at the middle
    times :math:`e^{\Delta d/2}` (``d`` the cell's width), so the result is a bound, not an
    estimate.

    Args:
        logits: Shape (..., K), nats.
        slopes: Directional logit derivatives, same shape.
        cells: Number of cells per search interval.

    Returns:
        Bound per line, shape (...); ``inf`` where all slopes are equal.

    Raises:
        ValueError: If entries are not finite, shapes differ or ``cells`` is not positive.

    Source: curvature bound of chapter "ghosts-of-softmax".
    """

    def height(logits, slopes, u, width):
        spread = slopes[-1] - slopes[0]
        p = _softmax_along(logits, slopes, u)
        centered = slopes - (p @ slopes)[:, None]
        deviation = np.sqrt((p * centered**2).sum(-1)) * np.exp(spread * width / 4)
        lowest = np.pi / (2 * np.maximum(deviation, 1e-12 * spread))
        return np.where(p.max(-1) > 1 / (1 + np.exp(-spread * width / 2)), np.inf, lowest)

    return _per_line(_minimize_modulus(height, cells), logits, slopes)


def subset_radius_bound(logits, slopes, *, cells: int = 2000) -> np.ndarray:
    r"""Lower bound on :math:`\rho^*` from the best group of classes at every real step.

    A group :math:`G` of classes with mass :math:`P > 1/2` and conditional slope deviation
    :math:`\sigma_G` at the real step :math:`u` allows no ghost :math:`u + iy` with
    :math:`|y| < \arccos((1-P)/P)/\sigma_G`. Groups are windows of consecutive slopes. Contains
    :func:`majority_radius_bound` (one class) and :func:`curvature_radius_bound` (all classes).

    Args:
        logits: Shape (..., K), nats.
        slopes: Directional logit derivatives, same shape.
        cells: Number of cells per search interval; memory grows as cells times K squared.

    Returns:
        Bound per line, shape (...); ``inf`` where all slopes are equal.

    Raises:
        ValueError: If entries are not finite, shapes differ or ``cells`` is not positive.

    Source: group bound of chapter "ghosts-of-softmax".
    """

    return _per_line(_minimize_modulus(_group_height, cells), logits, slopes)


def _group_height(logits, slopes, u, width) -> np.ndarray:
    """Lowest height of a ghost above the cells of the given width around the real steps u."""
    spread = slopes[-1] - slopes[0]
    centered = slopes - slopes.mean()
    p = _softmax_along(logits, slopes, u)
    moments = np.stack([p, p * centered, p * centered**2])
    sums = np.concatenate([np.zeros((3, u.size, 1)), moments.cumsum(-1)], axis=-1)
    first, last = np.triu_indices(slopes.size + 1, k=1)
    mass, mean, square = sums[..., last] - sums[..., first]
    heavy = mass > 0.5
    mass = np.where(heavy, mass, 1.0)
    variance = np.maximum(square / mass - (mean / mass) ** 2, 0.0) + 1e-14 * spread**2
    deviation = np.sqrt(variance) * np.exp(spread * width / 4)
    odds_against = (1 / mass - 1) * np.exp(spread * width / 2)
    lowest = np.arccos(np.clip(odds_against, 0.0, 1.0)) / deviation
    return np.where(heavy, lowest, 0.0).max(-1)


def ghost_height_bound(logits, slopes, steps) -> np.ndarray:
    r"""Height below which no ghost lies above each real step: the best group of classes.

    .. math:: |y| \ge \max_G \frac{\arccos((1 - P_G)/P_G)}{\sigma_G}

    over windows :math:`G` of consecutive slopes with mass :math:`P_G > 1/2` at the real step.

    Args:
        logits: One line's logits, shape (K,), nats.
        slopes: Their derivatives along the step, shape (K,), not all equal.
        steps: Real steps :math:`u`, shape (N,).

    Returns:
        Heights, shape (N,); beyond :math:`10^7/\Delta` they stand for "no ghost".

    Raises:
        ValueError: If the line is malformed or all slopes are equal.

    Source: group bound of chapter "ghosts-of-softmax".
    """
    logits, slopes = _line(logits, slopes)
    if slopes.size == 1:
        raise ValueError("slopes are all equal: the line has no ghost")
    return _group_height(logits, slopes, arguments.finite(steps, "steps", ndim=1), 0.0)


def _minimize_modulus(height, cells):
    """Turn a lower bound on the height of ghosts above each real step into one on the modulus."""
    cells = arguments.integer(cells, "cells", low=1)

    def bound(logits, slopes) -> float:
        if slopes.size == 1:
            return np.inf
        reach = 4 * np.pi / (slopes[-1] - slopes[0])
        while True:
            edges = np.linspace(-reach, reach, cells + 1)
            u, width = (edges[1:] + edges[:-1]) / 2, 2 * reach / cells
            nearest = np.maximum(np.abs(u) - width / 2, 0.0)
            least = np.hypot(nearest, height(logits, slopes, u, width)).min()
            if least <= reach:
                return float(least)
            reach *= 2

    return bound


def equivalent_margin(logits, slopes) -> np.ndarray:
    r"""Margin :math:`h = 2\,\mathrm{arcosh}(\Delta/2\sqrt{V})` of the equally curved binary line.

    :math:`V = \ell''(0)` is the variance of the slopes under the softmax. For two classes
    :math:`h` is the absolute logit difference.

    Args:
        logits: Shape (..., K), nats.
        slopes: Directional logit derivatives, same shape, not all equal.

    Returns:
        Margin per line, shape (...), nats.

    Raises:
        ValueError: If entries are not finite, shapes differ or all slopes of a line are equal.

    Source: extremality of the binary softmax, chapter "ghosts-of-softmax".
    """

    def margin(logits, slopes) -> float:
        if slopes.size == 1:
            raise ValueError("slopes of a line are all equal; its curvature vanishes")
        p = np.exp(logits)
        deviation = np.sqrt(p @ (slopes - p @ slopes) ** 2)
        if deviation == 0.0:
            raise ValueError("logits are so confident that the curvature underflows to zero")
        return float(2 * np.arccosh(max((slopes[-1] - slopes[0]) / (2 * deviation), 1.0)))

    return _per_line(margin, logits, slopes)


def margin_radius_bound(logits, slopes) -> np.ndarray:
    r"""Lower bound on :math:`\rho^*` from spread and curvature at the starting point alone.

    .. math:: (\Delta\rho^*)^2 \ge \min_{0\le x\le h} x^2 + \pi^2\cosh^2\frac{h-x}{2}
              \ge \pi^2 + \frac{\pi^2}{4+\pi^2} h^2

    with :math:`h` the equivalent margin; the first form is returned.

    Args:
        logits: Shape (..., K), nats.
        slopes: Directional logit derivatives, same shape, not all equal.

    Returns:
        Bound per line, shape (...).

    Raises:
        ValueError: If entries are not finite, shapes differ or all slopes of a line are equal.

    Source: extremality of the binary softmax, chapter "ghosts-of-softmax".
    """
    margins, spread = equivalent_margin(logits, slopes), slope_spread(slopes)

    def smallest(h: float) -> float:
        def derivative(x):
            return 2 * x - np.pi**2 / 2 * np.sinh(h - x)

        x = brentq(derivative, 0.0, h) if h > 0 else 0.0
        return x**2 + np.pi**2 * np.cosh((h - x) / 2) ** 2

    squared = np.array([smallest(h) for h in np.ravel(margins)]).reshape(np.shape(margins))
    return np.sqrt(squared) / spread


def loss_interval(loss, normalized_step) -> tuple[np.ndarray, np.ndarray]:
    r"""Smallest and largest cross-entropy after a step of normalized length :math:`r`.

    Every odds :math:`(1-p_y)/p_y = e^\ell - 1` changes by a factor within
    :math:`e^{\pm\pi r}`, so :math:`\ell` moves to
    :math:`\log(1 + (e^\ell - 1)e^{\pm\pi r})` at most. No complex number is involved.

    Args:
        loss: Cross-entropy before the step, non-negative, nats.
        normalized_step: :math:`r = t\Delta/\pi`, non-negative, broadcast against ``loss``.

    Returns:
        Pair (lowest, highest) of arrays.

    Raises:
        ValueError: If an entry is negative or not finite, or shapes do not match.

    Source: odds theorem of chapter "safe-steps".
    """
    loss = arguments.finite(loss, "loss", low=0)
    step = arguments.finite(normalized_step, "normalized_step", low=0)
    arguments.broadcastable(loss=loss, normalized_step=step)
    shift = np.pi * step
    log_odds = np.full(loss.shape, -np.inf)
    np.log(np.expm1(np.minimum(loss, 50.0)), out=log_odds, where=loss > 0)
    log_odds = np.where(loss > 50.0, loss, log_odds)
    return np.logaddexp(0.0, log_odds - shift), np.logaddexp(0.0, log_odds + shift)


def _excess_ratio(descent, curvature, spread) -> tuple[np.ndarray, np.ndarray]:
    """Return c = g Delta / kappa of the descent lemma, and Delta."""
    descent = arguments.finite(descent, "descent", low=0)
    curvature = arguments.positives(curvature, "curvature")
    spread = arguments.positives(spread, "spread")
    arguments.broadcastable(descent=descent, curvature=curvature, spread=spread)
    return descent * spread / curvature, spread


def descent_step(descent, curvature, spread) -> np.ndarray:
    r"""Longest step before which a linear-logit loss is certain to stay below its start.

    :math:`t = x/\Delta` with :math:`x` the positive root of :math:`e^x - 1 - x = cx`,
    :math:`c = g\Delta/\kappa`. Between :math:`2g/(\kappa + g\Delta)` and the quadratic limit
    :math:`2g/\kappa`.

    Args:
        descent: Rate of descent :math:`g = -\ell'(0) \ge 0` (mean over the batch).
        curvature: :math:`\kappa = \ell''(0) > 0` (mean over the batch).
        spread: :math:`\Delta > 0` (largest of the batch).

    Returns:
        Step length, broadcast shape.

    Raises:
        ValueError: If a value is not finite or has the wrong sign, or shapes do not match.

    Source: descent lemma of chapter "safe-steps".
    """
    c, spread = _excess_ratio(descent, curvature, spread)
    small = 1 / (1 + c)
    x = np.fmax(-lambertw(-np.exp(-small) * small, -1).real - small, 2 * c / (1 + c))
    for _ in range(3):  # polish: W has few correct digits near its branch point, c -> 0
        slope = np.expm1(x) - c
        x = np.where(slope > 0, x - (np.expm1(x) - (1 + c) * x) / np.where(slope > 0, slope, 1), x)
    near = np.minimum(c, 1e-4)
    x = np.where(c < 1e-4, 2 * near - 4 * near**2 / 3 + 10 * near**3 / 9, x)
    return x / spread


def best_step(descent, curvature, spread) -> np.ndarray:
    r"""Step with the largest guaranteed decrease, :math:`t = \log(1+c)/\Delta`.

    With :math:`c = g\Delta/\kappa` the loss falls by at least
    :math:`(\kappa/\Delta^2)[(1+c)\log(1+c) - c]`.

    Args:
        descent: Rate of descent :math:`g = -\ell'(0) \ge 0` (mean over the batch).
        curvature: :math:`\kappa = \ell''(0) > 0` (mean over the batch).
        spread: :math:`\Delta > 0` (largest of the batch).

    Returns:
        Step length, broadcast shape.

    Raises:
        ValueError: If a value is not finite or has the wrong sign, or shapes do not match.

    Source: descent lemma of chapter "safe-steps".
    """
    c, spread = _excess_ratio(descent, curvature, spread)
    return np.log1p(c) / spread


def loss_change_bound(descent, curvature, reach, step) -> np.ndarray:
    r"""Bennett's upper bound on the change of one example's loss after a step, linear logits.

    .. math:: \ell(t) - \ell(0) \le -gt + \log\frac{b^2 e^{-tV/b} + V e^{tb}}{b^2 + V}

    Args:
        descent: :math:`g = -\ell'(0)`, any sign.
        curvature: :math:`V = \ell''(0) \ge 0`.
        reach: :math:`b = \max_k a_k - \mu > 0`, the largest slope above the mean slope.
        step: :math:`t \ge 0`; all four are broadcast.

    Returns:
        Bound in nats, broadcast shape.

    Raises:
        ValueError: If a value is not finite or has the wrong sign, or shapes do not match.

    Source: descent lemma of chapter "safe-steps".
    """
    g, v = arguments.finite(descent, "descent"), arguments.finite(curvature, "curvature", low=0)
    b, t = arguments.positives(reach, "reach"), arguments.finite(step, "step", low=0)
    arguments.broadcastable(descent=g, curvature=v, reach=b, step=t)
    share = v / (b**2 + v)  # mass of the upper point of the extremal two-point law
    with np.errstate(divide="ignore"):  # no curvature: the upper point has no mass
        return -g * t + np.logaddexp(np.log1p(-share) - t * v / b, np.log(share) + t * b)


def truncation_bound(order: int, normalized_step) -> np.ndarray:
    r"""Bound on the error of the Taylor polynomial of degree n of the loss, for every real step.

    .. math:: |\ell(t) - P_n(t)| \le \frac{\pi^2}{4}\, r^{n+1}, \qquad r = |t|\Delta/\pi

    Args:
        order: Degree :math:`n \ge 1` of the polynomial.
        normalized_step: :math:`r \ge 0`, any shape.

    Returns:
        Bound in nats, shape of ``normalized_step``; ``inf`` where it exceeds float64.

    Raises:
        ValueError: If ``order`` is below one or a step is negative or not finite.

    Source: Taylor error theorem of chapter "ghosts-of-softmax".
    """
    order = arguments.integer(order, "order", low=1)
    step = arguments.finite(normalized_step, "normalized_step", low=0)
    with np.errstate(over="ignore"):  # far outside the radius the bound passes float64
        return np.pi**2 / 4 * step ** (order + 1)


def taylor_coefficients(logits, slopes, order: int) -> np.ndarray:
    r"""Coefficients of :math:`\log F(t) = c_0 + c_1 t + c_2 t^2 + \dots` at the origin.

    From :math:`F' = F (\log F)'`: with :math:`f_n = \sum_k p_k a_k^n/n!`,
    :math:`n c_n = n f_n - \sum_{0<k<n} k c_k f_{n-k}`. The rounding errors grow like the
    coefficients themselves, so their relative size stays small.

    Args:
        logits: One line's logits, shape (K,), nats.
        slopes: Their derivatives along the step, shape (K,).
        order: Degree of the last coefficient, at least one.

    Returns:
        Array of ``order + 1`` coefficients.

    Raises:
        ValueError: If the line is malformed or ``order`` is below one.

    Source: Ghosts of Softmax; chapter "ghosts-of-softmax".
    """
    order = arguments.integer(order, "order", low=1)
    total = logsumexp(arguments.finite(logits, "logits", ndim=1))
    logits, slopes = _line(logits, slopes)
    p = np.exp(logits)
    mean = p @ slopes
    powers = np.cumprod(np.divide.outer(slopes - mean, np.arange(1, order + 1)), axis=-1)
    f = np.concatenate([[1.0], p @ powers])
    scaled = np.zeros(order + 1)  # n c_n
    for n in range(1, order + 1):
        scaled[n] = n * f[n] - scaled[1:n] @ f[n - 1 : 0 : -1]
    scaled[1] = mean
    scaled[1:] /= np.arange(1, order + 1)
    scaled[0] = total
    return scaled


def series_radius(coefficients) -> float:
    r"""Radius of convergence of a power series whose nearest singularity is one complex pair.

    :math:`u_n = n c_n` then satisfies :math:`u_{n+1} = A u_n + B u_{n-1}` in the limit, with
    :math:`B = -1/\rho^2`; the recurrence is fitted to the last coefficients. The root test is
    still off by percents where this has converged.

    Args:
        coefficients: :math:`c_0 \dots c_n`, at least 24 of them, not all zero.

    Returns:
        The radius; ``nan`` when the fitted recurrence has no complex pair of roots.

    Raises:
        ValueError: If there are fewer than 24 coefficients or all late ones vanish.

    Source: chapter "ghosts-of-softmax".
    """
    c = arguments.finite(coefficients, "coefficients", ndim=1)
    if c.size < 24:
        raise ValueError(f"coefficients must have at least 24 entries, got {c.size}")
    tail = (np.arange(c.size) * c)[-20:]
    if not tail.any():
        raise ValueError("coefficients vanish at the end; the series has no finite radius to fit")
    nonzero = np.flatnonzero(tail)
    growth = np.abs(tail[nonzero[-1]] / tail[nonzero[0]])
    rate = growth ** (1 / max(nonzero[-1] - nonzero[0], 1))
    tail = tail / rate ** np.arange(tail.size)
    system = np.stack([tail[1:-1], tail[:-2]], axis=1)
    (first, second), *_ = np.linalg.lstsq(system, tail[2:], rcond=None)
    if first**2 / 4 + second > 0:
        return float("nan")
    return float(1 / (rate * np.sqrt(-second)))
