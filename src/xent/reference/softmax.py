r"""Log-sum-exp, softmax and cross-entropy from logits, without overflow or cancellation.

Logits are real numbers, or :math:`-\infty` for a class that is masked; losses are in nats.
Two kinds of state are merged here, each a commutative monoid over the reals: the pair
(maximum, scaled sum) of :func:`merge_logsumexp`, and its *leave-max-out* form
(maximum, scaled sum without the maximum) of :func:`merge_leave_max_out`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from xent.reference import arguments

LOG2E = 1.4426950408889634
LN2_HIGH = 0.6931471803691238  # 21 trailing zero bits: n * LN2_HIGH is exact for |n| < 2**20
LN2_LOW = 1.9082149292705877e-10


def logsumexp(logits, axis: int = -1) -> np.ndarray:
    r"""Return :math:`\operatorname{lse}(z) = \log \sum_j e^{z_j}`, in nats.

    Computed as :math:`m + \log \sum_j e^{z_j - m}` with :math:`m = \max_j z_j`: three passes.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        axis: the axis of the classes.

    Returns:
        float64 array of the remaining axes.

    Raises:
        ValueError: for NaN, :math:`+\infty`, no classes, or a row that is all :math:`-\infty`.

    Source: chapter *Online softmax*, equation (three-pass).
    """
    z = arguments.logits(logits, axis=axis)
    return _finish(*_state(z, axis))


def softmax(logits, axis: int = -1) -> np.ndarray:
    r"""Return :math:`p_j = e^{z_j} / \sum_k e^{z_k}`.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        axis: the axis of the classes.

    Returns:
        float64 array of the shape of ``logits``, summing to one along ``axis``.

    Raises:
        ValueError: as :func:`logsumexp`.

    Source: chapter *Online softmax*, equation (three-pass).
    """
    z = arguments.logits(logits, axis=axis)
    weights = np.exp(z - z.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


def log_softmax(logits, axis: int = -1) -> np.ndarray:
    r"""Return :math:`\log p_j = (z_j - m) - \operatorname{log1p}(r)`, in nats.

    With :math:`m = \max_k z_k` and :math:`r = \sum_k e^{z_k - m} - 1`, the sum without its largest
    term, both parts are :math:`\le 0`: nothing cancels, however close :math:`p_j` is to one.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        axis: the axis of the classes.

    Returns:
        float64 array of the shape of ``logits``.

    Raises:
        ValueError: as :func:`logsumexp`.

    Source: chapter *Online softmax*, theorem "one state for every target".
    """
    top, rest = leave_max_out(logits, axis=axis)
    top, rest = np.expand_dims(top, axis), np.expand_dims(rest, axis)
    return (np.asarray(logits, dtype=np.float64) - top) - np.log1p(rest)


def merge_logsumexp(a, b):
    r"""Return the state of two sets of logits from the states of the parts.

    .. math:: (m, s) \oplus (n, t) = (M,\; s e^{m - M} + t e^{n - M}), \qquad M = \max(m, n)

    The neutral element is :math:`(-\infty, 0)`, and :math:`\operatorname{lse} = m + \log s`.

    Args:
        a: pair (maximum, scaled sum) of floats or arrays.
        b: pair of shapes that broadcast with ``a``.

    Returns:
        The merged pair of float64 arrays.

    Raises:
        TypeError: if a state is no pair of numbers or arrays.
        ValueError: for NaN, +inf, or shapes that do not broadcast.

    Source: chapter *Online softmax*, theorem "the state is a monoid".
    """
    (m, s), (n, t) = _states(a, b)
    top = np.maximum(m, n)
    return top, s * _scale(m, top) + t * _scale(n, top)


def online_logsumexp(logits, block: int) -> np.ndarray:
    r"""Return log-sum-exp over the last axis, reading each logit once, ``block`` at a time.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        block: positive number of logits folded in at a time; the last block may be shorter.

    Returns:
        float64 array of the leading axes, in nats.

    Raises:
        ValueError: as :func:`logsumexp`, or if ``block`` is not positive.
        TypeError: if ``block`` is not an integer.

    Source: chapter *Online softmax*, equation (online).
    """
    z = arguments.logits(logits)
    block = arguments.integer(block, "block", low=1)
    state = -np.inf, 0.0
    for start in range(0, z.shape[-1], block):
        state = merge_logsumexp(state, _state(z[..., start : start + block], -1))
    return _finish(*state)


def leave_max_out(logits, axis: int = -1):
    r"""Return the state :math:`(m, r)`, where :math:`r = \sum_j e^{z_j - m} - 1 \ge 0`.

    The largest term, :math:`e^0 = 1`, is left out of the sum rather than subtracted from it, so
    small :math:`r` keep their digits: :math:`\operatorname{lse} = m + \operatorname{log1p}(r)`.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        axis: the axis of the classes.

    Returns:
        Two float64 arrays of the remaining axes.

    Raises:
        ValueError: as :func:`logsumexp`.

    Source: chapter *Online softmax*, theorem "one state for every target".
    """
    z = arguments.logits(logits, axis=axis)
    top = z.max(axis=axis, keepdims=True)
    below = z < top
    rest = np.exp(z - top).sum(axis=axis, where=below)
    ties = (~below).sum(axis=axis) - 1
    return np.squeeze(top, axis=axis), rest + ties


def merge_leave_max_out(a, b):
    r"""Return the leave-max-out state of two sets of logits from those of the parts.

    .. math:: (m, r) \oplus (n, q) = (m,\; r + (1 + q) e^{n - m}) \quad\text{if } m \ge n

    and the mirror image otherwise. The neutral element is :math:`(-\infty, -1)`.

    Args:
        a: pair (maximum, rest) of floats or arrays.
        b: pair of shapes that broadcast with ``a``.

    Returns:
        The merged pair of float64 arrays.

    Raises:
        TypeError: if a state is no pair of numbers or arrays.
        ValueError: for NaN, +inf, or shapes that do not broadcast.

    Source: chapter *Online softmax*, theorem "one state for every target".
    """
    (m, r), (n, q) = _states(a, b)
    first = np.greater_equal(m, n)
    top, rest = np.where(first, m, n), np.where(first, r, q)
    low, added = np.where(first, n, m), np.where(first, q, r)
    return top, rest + (1.0 + added) * _scale(low, top)


def extended_exp(x):
    r"""Return :math:`e^x` as a pair: :math:`e^x = \text{mantissa} \cdot 2^{\text{exponent}}`.

    The exponent is :math:`n = \operatorname{round}(x \log_2 e)`, an integer held as a float, and
    the mantissa :math:`e^{x - n \ln 2}` lies in :math:`[1/\sqrt 2, \sqrt 2]`. The reduction uses
    :math:`\ln 2` in two parts, the first short enough that its product with :math:`n` is exact.

    Args:
        x: array of any shape with entries of size at most ``7e5``, or :math:`-\infty`, for which
            the pair is ``(0, -inf)``.

    Returns:
        Two float64 arrays of the shape of ``x``.

    Raises:
        ValueError: for NaN, :math:`+\infty`, or an entry too large for the exact reduction.

    Source: Dukhan and Ablavatski (2020), arXiv 2001.04438; chapter *Online softmax*.
    """
    return _extended_exp(arguments.array(x, "x"), "x")


def _extended_exp(x, name):
    present = ~np.isneginf(x)
    finite = np.where(present, x, 0.0)
    if (np.abs(finite) > 7e5).any():
        raise ValueError(f"{name} must be -inf or at most 7e5 in size: the reduction is then exact")
    exponent = np.rint(finite * LOG2E)
    mantissa = np.exp((finite - exponent * LN2_HIGH) - exponent * LN2_LOW)
    return np.where(present, mantissa, 0.0), np.where(present, exponent, -np.inf)


def merge_extended(a, b):
    r"""Return the sum of two numbers held as (mantissa, exponent) pairs.

    .. math:: (\mu, n) \oplus (\nu, k) = (\mu\, 2^{n - N} + \nu\, 2^{k - N},\; N),
              \qquad N = \max(n, k)

    The factors are powers of two: scaling is exact, and only the addition rounds.

    Args:
        a: pair (mantissa, exponent) of floats or arrays.
        b: pair of shapes that broadcast with ``a``; the neutral element is ``(0, -inf)``.

    Returns:
        The merged pair of float64 arrays.

    Raises:
        TypeError: if a state is no pair of numbers or arrays.
        ValueError: for NaN, +inf, or shapes that do not broadcast.

    Source: Dukhan and Ablavatski (2020), arXiv 2001.04438; chapter *Online softmax*.
    """
    (mu, n), (nu, k) = _states(a, b)
    top = np.maximum(n, k)
    shift = np.where(np.isneginf(top), 0.0, top)
    return mu * np.exp2(n - shift) + nu * np.exp2(k - shift), top


def two_pass_softmax(logits) -> np.ndarray:
    r"""Return the softmax over the last axis without a pass for the maximum.

    Pass one sums the pairs of :func:`extended_exp` into :math:`(\Sigma, N)`; pass two recomputes
    each pair and returns :math:`p_j = (\text{mantissa}_j / \Sigma)\, 2^{\text{exponent}_j - N}`.

    Args:
        logits: array ``(..., V)`` with entries of size at most ``7e5``, or :math:`-\infty`.

    Returns:
        float64 array of the shape of ``logits``, summing to one along the last axis.

    Raises:
        ValueError: as :func:`logsumexp` and :func:`extended_exp`.

    Source: Dukhan and Ablavatski (2020), arXiv 2001.04438; chapter *Online softmax*.
    """
    mantissa, exponent = _extended_exp(arguments.logits(logits), "logits")
    scale = np.exp2(exponent - exponent.max(axis=-1, keepdims=True))
    total = (mantissa * scale).sum(axis=-1, keepdims=True)
    return mantissa / total * scale


def cross_entropy_with_logits(
    logits,
    labels,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> np.ndarray:
    r"""Return the cross-entropy of each example, accurate also where the target is near certain.

    .. math:: (1 - \varepsilon)\, \ell_y + \frac{\varepsilon}{V} \sum_j \ell_j
              + \zeta \operatorname{lse}(z)^2, \qquad
              \ell_j = \operatorname{lse}(z) - z_j

    The target is left out of the sum: :math:`\ell_y = \operatorname{softplus}((m - z_y) + \log s)`
    with the state :math:`(m, s)` of the other classes keeps its relative accuracy as
    :math:`p_y \to 1`, and, as :math:`m - z_y` comes first, under any common offset.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        labels: integers ``(...)`` in ``[0, V)`` or equal to ``ignore_index``.
        ignore_index: examples with this label cost zero.
        label_smoothing: :math:`\varepsilon` in ``[0, 1]``.
        z_loss: :math:`\zeta \ge 0`, the weight of the squared log-normalizer.

    Returns:
        float64 array of the shape of ``labels``, in nats. Infinite where the target, or with
        smoothing any class, has logit :math:`-\infty`.

    Raises:
        ValueError: for bad logits, shapes that do not match, or options out of range.
        TypeError: if the labels are not integers.
        IndexError: for a label that is no class.

    Source: chapter *Online softmax*; label smoothing as in Szegedy et al. (2016).
    """
    z = arguments.logits(logits)
    ignore_index = arguments.integer(ignore_index, "ignore_index")
    y = arguments.labels(labels, z.shape[:-1], z.shape[-1], ignore_index=ignore_index)
    smoothing = arguments.scalar(label_smoothing, "label_smoothing", low=0.0, high=1.0)
    weight = arguments.scalar(z_loss, "z_loss", low=0.0)
    counted = y != ignore_index
    target = np.where(counted, y, 0)[..., None]
    others = z.copy()
    np.put_along_axis(others, target, -np.inf, axis=-1)
    top, total = _state(others, -1)
    lead = _finish(top - np.take_along_axis(z, target, axis=-1)[..., 0], total)
    loss = (1.0 - smoothing) * np.logaddexp(0.0, lead) if smoothing < 1.0 else 0.0
    if smoothing:
        loss = loss - smoothing * log_softmax(z).mean(axis=-1)
    if weight:
        loss = loss + weight * logsumexp(z) ** 2
    return np.where(counted, loss, 0.0)


def logsumexp_gradient(logits, axis: int = -1) -> np.ndarray:
    r"""Return :math:`\nabla \operatorname{lse}(z) = p`, the softmax.

    The gradient of cross-entropy with target :math:`y` is this minus :math:`y`.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        axis: the axis of the classes.

    Returns:
        float64 array of the shape of ``logits``.

    Raises:
        ValueError: as :func:`logsumexp`.

    Source: chapter *The log-partition function*, theorem "gradient and Hessian".
    """
    return softmax(logits, axis=axis)


def logsumexp_hvp(logits, vector, axis: int = -1) -> np.ndarray:
    r"""Return :math:`\nabla^2 \operatorname{lse}(z)\,v = p \odot (v - \langle p, v \rangle)`.

    The Hessian :math:`\operatorname{diag}(p) - p p^\top` is the covariance matrix of the one-hot
    label under :math:`p`; it is never formed.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        vector: finite array of the same shape.
        axis: the axis of the classes.

    Returns:
        float64 array of the shape of ``logits``.

    Raises:
        ValueError: as :func:`logsumexp`, or if ``vector`` has another shape or is not finite.

    Source: chapter *The log-partition function*, theorem "gradient and Hessian".
    """
    p = softmax(logits, axis=axis)
    v = arguments.finite(vector, "vector")
    if v.shape != p.shape:
        raise ValueError(f"vector must have the shape of logits {p.shape}, got {v.shape}")
    return p * (v - (p * v).sum(axis=axis, keepdims=True))


def logsumexp_curvature_bound(logits, axis: int = -1) -> np.ndarray:
    r"""Return a bound on the spectral norm of :math:`\operatorname{diag}(p) - p p^\top`.

    .. math:: \|\nabla^2 \operatorname{lse}(z)\|_2 \le p_1 \min(1, 2 (1 - p_1)) \le \tfrac12,
        \qquad p_1 = \max_j p_j

    Equality holds for two classes and for the uniform law on any number of classes.

    Args:
        logits: array ``(..., V)``; entries may be :math:`-\infty`, but not a whole row.
        axis: the axis of the classes.

    Returns:
        float64 array of the remaining axes, in :math:`[0, 1/2]`.

    Raises:
        ValueError: as :func:`logsumexp`.

    Source: chapter *The log-partition function*, theorem "curvature".
    """
    top, rest = leave_max_out(logits, axis=axis)
    return np.minimum(1.0, 2.0 * rest / (1.0 + rest)) / (1.0 + rest)


def hl_gauss_targets(values, edges, sigma: float) -> np.ndarray:
    r"""Return the histogram of a Gaussian around each value: regression targets as class weights.

    .. math:: p_i(y) = \frac{\Phi((e_{i+1} - y)/\sigma) - \Phi((e_i - y)/\sigma)}
        {\Phi((e_m - y)/\sigma) - \Phi((e_0 - y)/\sigma)}

    Args:
        values: array ``(...)`` of numbers inside ``[edges[0], edges[-1]]``.
        edges: increasing array ``(m + 1,)`` of the borders of ``m`` bins.
        sigma: positive width of the Gaussian, in the unit of ``values``.

    Returns:
        float64 array ``(..., m)`` of probabilities.

    Raises:
        ValueError: if ``edges`` do not increase, a value lies outside them, or ``sigma <= 0``.

    Source: *Stop Regressing* (HL-Gauss); chapter *The log-partition function*, section on
    regression as classification.
    """
    y = arguments.finite(values, "values")
    edges = arguments.finite(edges, "edges", ndim=1)
    sigma = arguments.positive(sigma, "sigma")
    if len(edges) < 2 or (np.diff(edges) <= 0).any():
        raise ValueError("edges must be at least two increasing numbers")
    if (y < edges[0]).any() or (y > edges[-1]).any():
        raise ValueError(f"values must lie in [{edges[0]}, {edges[-1]}], the range of edges")
    x = (edges - y[..., None]) / sigma
    # above the value the complement is differenced, which is small there: nothing cancels
    mass = np.where(x[..., :-1] > 0, -np.diff(ndtr(-x), axis=-1), np.diff(ndtr(x), axis=-1))
    total = mass.sum(axis=-1, keepdims=True)
    if (total == 0).any():
        raise ValueError(f"sigma must not dwarf the range of edges, got {sigma}")
    return mass / total


def _states(a, b):
    """Two pairs of arrays without NaN or +inf, of shapes that broadcast."""
    parts = {}
    for name, state in (("a", a), ("b", b)):
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise TypeError(f"{name} must be a pair of numbers or arrays, got {state!r}")
        for part, label in zip(state, (f"{name}[0]", f"{name}[1]"), strict=True):
            parts[label] = arguments.array(part, label)
            if np.isposinf(parts[label]).any():
                raise ValueError(f"{label} contains +inf, which no sum of exponentials has")
    arguments.broadcastable(**parts)
    m, s, n, t = parts.values()
    return (m, s), (n, t)


def _state(z, axis):
    """The pair (maximum, scaled sum) of a set of logits, which may be empty or all masked."""
    top = z.max(axis=axis, initial=-np.inf)
    return top, _scale(z, np.expand_dims(top, axis)).sum(axis=axis)


def _scale(m, top):
    """``exp(m - top)``, and zero where the set with maximum ``m`` is empty."""
    return np.exp(m - np.where(np.isneginf(top), 0.0, top))


def _finish(top, total):
    """Log-sum-exp of a state; minus infinity for the empty set."""
    return top + np.log(np.where(np.isneginf(top), 1.0, total))
