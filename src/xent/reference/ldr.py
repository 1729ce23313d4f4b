r"""Label-distributionally robust losses: cross-entropy and the multiclass SVM as two temperatures.

With :math:`\delta_k = z_k - z_y + c` for :math:`k \ne y` and :math:`\delta_y = 0`, the loss is the
gain of an adversary who may move the label at a price :math:`\lambda` per nat:
:math:`\psi_\lambda = \max_p \langle p, \delta\rangle - \lambda D_{\mathrm{KL}}(p \| u)`, with
:math:`u` uniform. The module has this loss and its limits, the variant that adapts
:math:`\lambda` to each example, and the checks of top-k consistency. Everything is in nats.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from xent.reference import arguments
from xent.reference.softmax import softmax

TEMPERATURES = 513
BISECTIONS = 60


def label_margins(logits, labels, margin: float = 0.0) -> np.ndarray:
    r"""Return :math:`\delta_k = z_k - z_y + c\,[k \ne y]`.

    Args:
        logits: finite array ``(N, K)``.
        labels: integers ``(N,)`` in ``[0, K)``.
        margin: :math:`c \ge 0`.

    Returns:
        float64 array ``(N, K)``, zero at the label.

    Raises:
        ValueError: for logits that are not finite, shapes that do not match, a negative margin.
        TypeError: for labels that are not integers.
        IndexError: for labels out of range.

    Source: chapter *Label-distributionally robust losses*, equation (margins).
    """
    z = arguments.finite(logits, "logits", ndim=2)
    y = arguments.labels(labels, z.shape[:1], z.shape[1])
    c = arguments.scalar(margin, "margin", low=0.0)
    others = np.arange(z.shape[1]) != y[:, None]
    return z - np.take_along_axis(z, y[:, None], axis=-1) + c * others


def ldr_kl_loss(logits, labels, lam=1.0, margin: float = 0.0) -> np.ndarray:
    r"""Return :math:`\psi_\lambda = \lambda \log \frac1K \sum_k e^{\delta_k/\lambda}`.

    The limits are included: :math:`\max_k \delta_k` at 0 (Crammer and Singer's hinge) and the mean
    of :math:`\delta` at infinity (symmetric in the labels). At ``lam=1``, ``margin=0`` it is the
    cross-entropy minus :math:`\log K`.

    Args:
        logits: finite array ``(N, K)``.
        labels: integers ``(N,)`` in ``[0, K)``.
        lam: :math:`\lambda \in [0, \infty]`, one for all examples or one for each, ``(N,)``.
        margin: :math:`c \ge 0`.

    Returns:
        float64 array ``(N,)``, nats.

    Raises:
        ValueError, TypeError, IndexError: as :func:`label_margins`; ValueError for ``lam`` below 0.

    Source: Zhu, Ying and Yang, *Label Distributionally Robust Losses* (LDR-KL); chapter
    *Label-distributionally robust losses*, equation (loss).
    """
    delta = label_margins(logits, labels, margin)
    return _gain(delta, _temperatures(lam, len(delta)))


def worst_case_labels(logits, labels, lam=1.0, margin: float = 0.0) -> np.ndarray:
    r"""Return the adversary's choice :math:`p = \operatorname{softmax}(\delta/\lambda)`.

    Args:
        logits: finite array ``(N, K)``.
        labels: integers ``(N,)`` in ``[0, K)``.
        lam: :math:`\lambda \in (0, \infty)`, one for all examples or one for each.
        margin: :math:`c \ge 0`.

    Returns:
        float64 array ``(N, K)``; the gradient of the loss is this minus one at the label.

    Raises:
        ValueError, TypeError, IndexError: as :func:`ldr_kl_loss`; ValueError for ``lam`` 0 or
            infinite.

    Source: chapter *Label-distributionally robust losses*, theorem "variational formula".
    """
    delta = label_margins(logits, labels, margin)
    lam = _temperatures(lam, len(delta))
    if (lam == 0).any() or np.isinf(lam).any():
        raise ValueError("lam must be > 0 and finite; at the ends the adversary has no formula")
    return softmax(delta / lam[:, None])


def crammer_singer_loss(logits, labels, margin: float = 1.0) -> np.ndarray:
    r"""Return :math:`\max(0,\, c + \max_{k \ne y} z_k - z_y)`, the multiclass hinge.

    Args:
        logits: finite array ``(N, K)``, at least two classes.
        labels: integers ``(N,)`` in ``[0, K)``.
        margin: :math:`c \ge 0`.

    Returns:
        float64 array ``(N,)``.

    Raises:
        ValueError, TypeError, IndexError: as :func:`label_margins`; ValueError for one class.

    Source: Crammer and Singer's multiclass support vector machine; chapter
    *Label-distributionally robust losses*, section on limits.
    """
    z = arguments.finite(logits, "logits", ndim=2)
    if z.shape[1] < 2:
        raise ValueError(f"logits must have at least 2 classes, got shape {z.shape}")
    y = arguments.labels(labels, z.shape[:1], z.shape[1])[:, None]
    c = arguments.scalar(margin, "margin", low=0.0)
    rival = np.where(np.arange(z.shape[1]) == y, -np.inf, z).max(axis=-1)
    return np.maximum(0.0, c + rival - np.take_along_axis(z, y, axis=-1)[:, 0])


def bounded_symmetric_loss(logits, labels) -> np.ndarray:
    r"""Return :math:`1 - g_y/\sqrt{1 + \|g\|^2}`, with :math:`g = z - \operatorname{mean}(z)`.

    Smooth, bounded in (0, 2), and symmetric: summed over the labels it is the number of classes.
    It is consistent for top-k for every k all the same.

    Args:
        logits: finite array ``(N, K)``.
        labels: integers ``(N,)`` in ``[0, K)``.

    Returns:
        float64 array ``(N,)``.

    Raises:
        ValueError, TypeError, IndexError: as :func:`label_margins`.

    Source: chapter *Label-distributionally robust losses*, theorem "impossibility" (ours).
    """
    z = arguments.finite(logits, "logits", ndim=2)
    y = arguments.labels(labels, z.shape[:1], z.shape[1])
    g = z - z.mean(axis=-1, keepdims=True)
    at_label = np.take_along_axis(g, y[:, None], axis=-1)[:, 0]
    return 1 - at_label / np.sqrt(1 + np.sum(g**2, axis=-1))


def optimal_temperature(
    logits, labels, lam0: float = 1.0, alpha: float = 2.0, margin: float = 0.0
) -> np.ndarray:
    r"""Return the maximizer of :math:`\psi_\lambda - \frac A2 (\lambda - \lambda_0)^2`.

    :math:`A = \alpha \log K/\lambda_0`. It solves
    :math:`\lambda = \lambda_0\,(1 - D_{\mathrm{KL}}(p_\lambda \| u)/(\alpha \log K))` with
    :math:`p_\lambda` the worst-case labels, and lies in
    :math:`[\lambda_0 (1 - 1/\alpha), \lambda_0]`. Several maxima are possible when ``alpha`` is
    below :func:`unique_temperature_alpha`; a grid finds the highest.

    Args:
        logits: finite array ``(N, K)``, at least two classes.
        labels: integers ``(N,)`` in ``[0, K)``.
        lam0: :math:`\lambda_0 > 0`, the temperature of an example without preferred class.
        alpha: above 1, which keeps the temperature positive.
        margin: :math:`c \ge 0`.

    Returns:
        float64 array ``(N,)``.

    Raises:
        ValueError, TypeError, IndexError: as :func:`label_margins`; ValueError for one class,
            ``lam0`` not positive, ``alpha`` not above 1.

    Source: Zhu, Ying and Yang, *Label Distributionally Robust Losses* (ALDR-KL); chapter
    *Label-distributionally robust losses*, equation (optimal-temperature).
    """
    delta, lam0, alpha = _adaptive(logits, labels, lam0, alpha, margin)
    grid = lam0 * np.linspace(1 - 1 / alpha, 1, TEMPERATURES)[1:]
    heights = np.stack([_adaptive_gain(delta, lam, lam0, alpha) for lam in grid], axis=-1)
    best = heights.argmax(axis=-1)
    step = grid[1] - grid[0]
    low, high = grid[best] - step, np.minimum(grid[best] + step, lam0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        rising = middle < lam0 * (1 - _divergence(delta, middle) / (alpha * np.log(delta.shape[1])))
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return (low + high) / 2


def aldr_kl_loss(
    logits, labels, lam0: float = 1.0, alpha: float = 2.0, margin: float = 0.0
) -> np.ndarray:
    r"""Return :math:`\max_\lambda \psi_\lambda - \frac A2 (\lambda - \lambda_0)^2`.

    :math:`A = \alpha \log K/\lambda_0`; the temperature is each example's own, by
    :func:`optimal_temperature`.

    Args:
        logits: finite array ``(N, K)``, at least two classes.
        labels: integers ``(N,)`` in ``[0, K)``.
        lam0: :math:`\lambda_0 > 0`.
        alpha: above 1.
        margin: :math:`c \ge 0`.

    Returns:
        float64 array ``(N,)``, nats.

    Raises:
        ValueError, TypeError, IndexError: as :func:`optimal_temperature`.

    Source: Zhu, Ying and Yang, *Label Distributionally Robust Losses* (ALDR-KL); chapter
    *Label-distributionally robust losses*, equation (adaptive).
    """
    lam = optimal_temperature(logits, labels, lam0, alpha, margin)
    delta, lam0, alpha = _adaptive(logits, labels, lam0, alpha, margin)
    return _adaptive_gain(delta, lam, lam0, alpha)


def unique_temperature_alpha(num_classes: int) -> float:
    r"""Return the least :math:`\alpha` at which every example has one adaptive temperature.

    :math:`\alpha_K = 1 + \max(0, \Phi_K)/\log K`, where :math:`\Phi_K` is the largest excess of the
    varentropy over the entropy of a law on K classes,
    :math:`\max_s\,(1-s)\,x\,(s x - 1) + \log s` with :math:`x = \log((K-1)s/(1-s))`.

    Args:
        num_classes: K, at least 2.

    Returns:
        float, at least 1.

    Raises:
        ValueError, TypeError: for ``num_classes`` below 2 or no integer.

    Source: chapter *Label-distributionally robust losses*, theorem "one temperature" (ours).
    """
    classes = arguments.integer(num_classes, "num_classes", low=2)

    def shortfall(s):
        x = np.log((classes - 1) * s / (1 - s))
        return -((1 - s) * x * (s * x - 1) + np.log(s))

    grid = np.linspace(0, 1, 2001)[1:-1]
    i = int(np.clip(shortfall(grid).argmin(), 1, len(grid) - 2))
    near = minimize_scalar(shortfall, bounds=(grid[i - 1], grid[i + 1]), method="bounded")
    return float(1 + max(0.0, -near.fun) / np.log(classes))


def label_losses(logits, lam: float = 1.0, margin: float = 0.0) -> np.ndarray:
    r"""Return :math:`\psi_\lambda` for every label, so that ``p @ result.T`` is a risk.

    Args:
        logits: finite array ``(N, K)``.
        lam: :math:`\lambda \in [0, \infty]`.
        margin: :math:`c \ge 0`.

    Returns:
        float64 array ``(N, K)``, one column for each label.

    Raises:
        ValueError: as :func:`ldr_kl_loss`.

    Source: chapter *Label-distributionally robust losses*, section on top-k consistency.
    """
    z = arguments.logits(arguments.finite(logits, "logits", ndim=2))
    every = [np.full(len(z), y) for y in range(z.shape[1])]
    return np.stack([ldr_kl_loss(z, y, lam, margin) for y in every], axis=-1)


def top_k_preserving(p, scores, k: int) -> np.ndarray:
    r"""Return whether the k best scores are k likeliest classes, without undecided ties.

    :math:`p_l > p_{[k+1]}` must imply :math:`z_l > z_{[k+1]}`, and :math:`p_l < p_{[k]}` must imply
    :math:`z_l < z_{[k]}`, where :math:`[k]` is the k-th largest.

    Args:
        p: label probabilities ``(..., K)``.
        scores: array of a shape that broadcasts with ``p``.
        k: in ``[1, K)``.

    Returns:
        Array of truth values of the leading axes.

    Raises:
        ValueError: if ``p`` is no distribution, for scores with NaN, or ``k`` out of range.
        TypeError: for ``k`` that is no integer.

    Source: chapter *Label-distributionally robust losses*, definition of top-k consistency.
    """
    p, scores, k = _ranking(p, scores, k)
    mass, rank = -np.sort(-p, axis=-1), -np.sort(-scores, axis=-1)
    kept = (p <= mass[..., [k]]) | (scores > rank[..., [k]])
    dropped = (p >= mass[..., [k - 1]]) | (scores < rank[..., [k - 1]])
    return (kept & dropped).all(axis=-1)


def top_k_regret(p, scores, k: int) -> np.ndarray:
    r"""Return the mass of the k likeliest classes minus that of the k best scores.

    Ties are resolved against the scores.

    Args:
        p: label probabilities ``(..., K)``.
        scores: array of a shape that broadcasts with ``p``.
        k: in ``[1, K)``.

    Returns:
        float64 array of the leading axes, in [0, 1].

    Raises:
        ValueError, TypeError: as :func:`top_k_preserving`.

    Source: chapter *Label-distributionally robust losses*, theorem "top-k regret".
    """
    p, scores, k = _ranking(p, scores, k)
    p, scores = np.broadcast_arrays(p, scores)
    chosen = np.lexsort((p, -scores), axis=-1)[..., :k]
    best = -np.sort(-p, axis=-1)[..., :k]
    lost = best.sum(axis=-1) - np.take_along_axis(p, chosen, axis=-1).sum(axis=-1)
    return np.clip(lost, 0.0, 1.0)


def _ranking(p, scores, k):
    p = arguments.distribution(p, "p")
    scores = arguments.array(scores, "scores")
    if arguments.integer(k, "k", low=1) >= p.shape[-1]:
        raise ValueError(f"k must lie below the number of classes {p.shape[-1]}, got {k}")
    if scores.ndim == 0 or scores.shape[-1] != p.shape[-1]:
        raise ValueError(f"scores must have {p.shape[-1]} classes, got shape {scores.shape}")
    arguments.broadcastable(p=p, scores=scores)
    return p, scores, k


def _temperatures(lam, size: int) -> np.ndarray:
    lam = arguments.array(lam, "lam")
    if ((lam < 1 / arguments.LARGEST) & (lam != 0)).any():
        raise ValueError(f"lam must be 0 or at least {1 / arguments.LARGEST:g}: the price of a nat")
    if lam.shape not in ((), (size,)):
        raise ValueError(f"lam must be one number or have shape ({size},), got {lam.shape}")
    return np.broadcast_to(lam, (size,))


def _gain(delta: np.ndarray, lam: np.ndarray) -> np.ndarray:
    """psi_lam, through expm1 and log1p, which keep the digits of a large lam."""
    top = delta.max(axis=-1)
    inner = (lam > 0) & np.isfinite(lam)
    price = np.where(inner, lam, 1.0)
    below = np.expm1((delta - top[:, None]) / price[:, None]).mean(axis=-1)
    smooth = top + price * np.log1p(below)
    return np.where(inner, smooth, np.where(lam == 0, top, delta.mean(axis=-1)))


def _divergence(delta: np.ndarray, lam) -> np.ndarray:
    """KL of the worst-case labels from the uniform law at finite lam > 0."""
    x = (delta - delta.max(axis=-1, keepdims=True)) / np.reshape(lam, (-1, 1))
    kl = np.sum(softmax(x) * x, axis=-1) - np.log1p(np.expm1(x).mean(axis=-1))
    return np.maximum(kl, 0.0)


def _adaptive(logits, labels, lam0, alpha, margin):
    delta = label_margins(logits, labels, margin)
    if delta.shape[1] < 2:
        raise ValueError(f"logits must have at least 2 classes, got shape {delta.shape}")
    alpha = arguments.scalar(alpha, "alpha", low=1.0, open_low=True)
    return delta, arguments.positive(lam0, "lam0"), alpha


def _adaptive_gain(delta: np.ndarray, lam, lam0: float, alpha: float) -> np.ndarray:
    lam = np.broadcast_to(lam, (len(delta),))
    weight = alpha * np.log(delta.shape[1]) / lam0
    return _gain(delta, lam) - weight / 2 * (lam - lam0) ** 2
