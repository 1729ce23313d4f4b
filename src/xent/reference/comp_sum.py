r"""Comp-sum losses: one family from the sum-exponential loss to the mean absolute error.

For :math:`s = \operatorname{softmax}(z)_y` and :math:`q = \tau - 1` the loss is
:math:`\ell_\tau = (1 - s^q)/q`, and :math:`-\log s` at :math:`\tau = 1`: the sum-exponential loss
at 0, cross-entropy at 1, the generalized cross-entropy between 1 and 2, the mean absolute error
at 2. The module has their conditional risks, the transforms that turn a surrogate regret into a
zero-one regret, and the smooth adversarial variant. Everything is in nats (exact at
:math:`\tau = 1`; the other members are measured on the same scale).

``beta`` is a zero-one regret :math:`\max_y p_y - p_{\hat y}`, ``p`` a vector of conditional label
probabilities on the last axis.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from xent.reference import arguments
from xent.reference.softmax import log_softmax

BISECTIONS = 80


def comp_sum_loss(logits, labels, tau: float = 1.0) -> np.ndarray:
    r"""Return :math:`\ell_\tau(z, y) = (1 - s^{\tau-1})/(\tau-1)`, :math:`s` the softmax at y.

    Computed as :math:`-\operatorname{expm1}(-(\tau-1)\,\ell_1)/(\tau-1)` from the cross-entropy
    :math:`\ell_1 = -\log s`, which keeps its digits as :math:`s \to 1` and :math:`s \to 0`.

    Args:
        logits: array ``(N, V)``; :math:`-\infty` masks a class.
        labels: integers ``(N,)`` in ``[0, V)``.
        tau: index of the family, at least 0.

    Returns:
        float64 array ``(N,)``, nats; :math:`+\infty` where the loss exceeds float64.

    Raises:
        ValueError: for bad logits, shapes that do not match, or ``tau`` below 0.
        TypeError: for labels that are not integers.
        IndexError: for labels out of range.

    Source: Mao, Mohri and Zhong, *Cross-Entropy Loss Functions* (definition of the family);
    chapter *H-consistency*, equation (family).
    """
    z = arguments.logits(logits)
    if z.ndim != 2:
        raise ValueError(f"logits must have 2 axes, got shape {z.shape}")
    y = arguments.labels(labels, z.shape[:1], z.shape[1])
    cross_entropy = -np.take_along_axis(log_softmax(z), y[:, None], axis=-1)[:, 0]
    return from_cross_entropy(cross_entropy, tau)


def from_cross_entropy(cross_entropy, tau: float) -> np.ndarray:
    r"""Return :math:`\ell_\tau` as a function of :math:`\ell_1 = -\log s`.

    Args:
        cross_entropy: array of numbers >= 0, nats; :math:`+\infty` is allowed.
        tau: index of the family, at least 0.

    Returns:
        float64 array of the same shape.

    Raises:
        ValueError: for a negative entry or ``tau`` below 0.

    Source: chapter *H-consistency*, equation (family).
    """
    value = arguments.array(cross_entropy, "cross_entropy")
    if (value < 0).any():
        raise ValueError("cross_entropy must be >= 0 everywhere; it is minus a log-probability")
    q = _index(tau) - 1
    if q == 0:
        return value + 0.0
    with np.errstate(over="ignore"):  # tau < 1: the loss of a tiny probability passes float64
        return -np.expm1(-q * value) / q


def probability_loss(s, tau: float) -> np.ndarray:
    r"""Return :math:`\ell_\tau` as a function of the probability :math:`s` of the label.

    Args:
        s: array of probabilities in [0, 1].
        tau: index of the family, at least 0.

    Returns:
        float64 array of the same shape; :math:`+\infty` at :math:`s = 0` if ``tau`` <= 1.

    Raises:
        ValueError: for entries outside [0, 1] or ``tau`` below 0.

    Source: chapter *H-consistency*, equation (family).
    """
    s = _unit(s, "s")
    with np.errstate(divide="ignore"):  # -log 0 = inf is the value meant
        return from_cross_entropy(np.maximum(-np.log(s), 0.0), tau)


def conditional_risk(p, s, tau: float) -> np.ndarray:
    r"""Return :math:`C_\tau(p, s) = \sum_y p_y\,\ell_\tau(s_y)`, with :math:`0 \cdot \infty = 0`.

    Args:
        p: label probabilities ``(..., n)``.
        s: predicted probabilities, of a shape that broadcasts with ``p``.
        tau: index of the family, at least 0.

    Returns:
        float64 array of the leading axes.

    Raises:
        ValueError: if ``p`` or ``s`` is no distribution, or ``tau`` is below 0.

    Source: chapter *H-consistency*, section on conditional regrets.
    """
    p = arguments.distribution(p, "p")
    s = arguments.distribution(s, "s")
    arguments.broadcastable(p=p, s=s)
    losses = np.broadcast_to(probability_loss(s, tau), np.broadcast_shapes(p.shape, s.shape))
    return np.sum(p * np.where(p > 0, losses, 0.0), axis=-1)


def conditional_infimum(p, tau: float) -> np.ndarray:
    r"""Return :math:`C^*_\tau(p) = \inf_s C_\tau(p, s)` over all scores.

    :math:`(1 - \|p\|_a)/(\tau - 1)` with :math:`a = 1/(2-\tau)` for :math:`\tau < 2`, the Shannon
    entropy at :math:`\tau = 1`, and :math:`(1 - \max_y p_y)/(\tau - 1)` from 2 on.

    Args:
        p: label probabilities ``(..., n)``.
        tau: index of the family, at least 0.

    Returns:
        float64 array of the leading axes.

    Raises:
        ValueError: if ``p`` is no distribution or ``tau`` is below 0.

    Source: chapter *H-consistency*, equation (conditional-infimum).
    """
    p = arguments.distribution(p, "p")
    q = _index(tau) - 1
    if q == 0:
        return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)
    top = p.max(axis=-1)
    if q >= 1:
        return (1 - top) / q
    norm = top * np.sum((p / top[..., None]) ** (1 / (1 - q)), axis=-1) ** (1 - q)
    return (1 - norm) / q


def optimal_softmax(p, tau: float) -> np.ndarray:
    r"""Return the minimizer of :math:`C_\tau(p, \cdot)`: :math:`s_y \propto p_y^{1/(2-\tau)}`.

    From :math:`\tau = 2` on it is one-hot on the most likely class (the first of them).

    Args:
        p: label probabilities ``(..., n)``.
        tau: index of the family, at least 0.

    Returns:
        float64 array of the shape of ``p``.

    Raises:
        ValueError: if ``p`` is no distribution or ``tau`` is below 0.

    Source: chapter *H-consistency*, equation (conditional-infimum).
    """
    p = arguments.distribution(p, "p")
    if _index(tau) >= 2:
        return np.eye(p.shape[-1])[p.argmax(axis=-1)]
    weights = (p / p.max(axis=-1, keepdims=True)) ** (1 / (2 - tau))
    return weights / weights.sum(axis=-1, keepdims=True)


def conditional_regret(p, logits, tau: float) -> np.ndarray:
    r"""Return :math:`C_\tau(p, \operatorname{softmax}(z)) - C^*_\tau(p) \ge 0`.

    Args:
        p: label probabilities ``(..., n)``.
        logits: scores ``(..., n)``; :math:`-\infty` masks a class.
        tau: index of the family, at least 0.

    Returns:
        float64 array of the leading axes.

    Raises:
        ValueError: if ``p`` is no distribution, for bad logits, or ``tau`` below 0.

    Source: chapter *H-consistency*, section on conditional regrets.
    """
    p = arguments.distribution(p, "p")
    logits = arguments.logits(logits)
    arguments.broadcastable(p=p, logits=logits)
    losses = from_cross_entropy(-log_softmax(logits), tau)
    risk = np.sum(p * np.where(p > 0, losses, 0.0), axis=-1)
    return risk - conditional_infimum(p, tau)


def pooled_softmax(p, predicted: int, tau: float) -> np.ndarray:
    r"""Return the best softmax among those whose largest entry is at ``predicted``.

    Pool and average: :math:`c` is the largest mean of ``p`` over a set S that contains the
    predicted class, :math:`w = c` on S and :math:`p` off it, :math:`s \propto w^{1/(2-\tau)}`.

    Args:
        p: label probabilities ``(n,)``.
        predicted: index of the class that must come out on top.
        tau: in (1, 2).

    Returns:
        float64 array ``(n,)``.

    Raises:
        ValueError: if ``p`` is no distribution or ``tau`` lies outside (1, 2).
        IndexError: if ``predicted`` is no class.

    Source: chapter *H-consistency*, theorem "pool and average" (ours).
    """
    return optimal_softmax(_pooled(p, predicted, tau), tau)


def pooled_regret(p, predicted: int, tau: float) -> float:
    r"""Return the least surrogate regret of predicting a class: :math:`(\|p\|_a-\|w\|_a)/(\tau-1)`.

    Args:
        p: label probabilities ``(n,)``.
        predicted: index of the predicted class.
        tau: in (1, 2).

    Returns:
        float, nats.

    Raises:
        ValueError: if ``p`` is no distribution or ``tau`` lies outside (1, 2).
        IndexError: if ``predicted`` is no class.

    Source: chapter *H-consistency*, theorem "pool and average" (ours).
    """
    w = _pooled(p, predicted, tau)
    return float(conditional_infimum(w, tau) - conditional_infimum(p, tau))


def h_consistency_transform(beta, tau: float, num_classes: int) -> np.ndarray:
    r"""Return the published transform :math:`\mathcal{T}_\tau(\beta)`.

    With :math:`a = 1/(2-\tau)` and :math:`m = [((1+\beta)^a + (1-\beta)^a)/2]^{1/a}`:
    :math:`2^{1-\tau}(1-m)/(1-\tau)` on [0, 1), the binary relative entropy to 1/2 at 1,
    :math:`(m-1)/((\tau-1) n^{\tau-1})` on (1, 2), :math:`\beta/((\tau-1) n^{\tau-1})` from 2 on.

    Args:
        beta: zero-one regrets in [0, 1], any shape.
        tau: index of the family, at least 0.
        num_classes: n, at least 2.

    Returns:
        float64 array of the shape of ``beta``, nats.

    Raises:
        ValueError: for ``beta`` outside [0, 1], ``tau`` below 0 or fewer than 2 classes.
        TypeError: if ``num_classes`` is not an integer.

    Source: Mao, Mohri and Zhong, Theorem 3.1; chapter *H-consistency*, equation (transform).
    """
    b, q, n = _unit(beta, "beta"), _index(tau) - 1, _classes(num_classes)
    if q >= 1:
        return b / q * float(n) ** -q
    return _pair_gain(b, q) / (2.0**q if q <= 0 else float(n) ** q)


def h_consistency_bound(excess, tau: float, num_classes: int, *, form: str = "exact") -> np.ndarray:
    r"""Return the largest zero-one regret that a surrogate regret allows, as published.

    ``"exact"`` inverts :math:`\mathcal{T}_\tau` (1 where ``excess`` is above
    :math:`\mathcal{T}_\tau(1)`); ``"simple"`` is :math:`\sqrt{2^\tau(2-\tau)t}` on [0, 1),
    :math:`\sqrt{2 n^{\tau-1} t}` on [1, 2) and :math:`(\tau-1)n^{\tau-1}t` from 2 on.

    Args:
        excess: surrogate regrets >= 0, any shape, nats.
        tau: index of the family, at least 0.
        num_classes: n, at least 2.
        form: "exact" or "simple".

    Returns:
        float64 array of the shape of ``excess``.

    Raises:
        ValueError: for a negative ``excess``, ``tau`` below 0, fewer than 2 classes, another form.
        TypeError: if ``num_classes`` is not an integer.

    Source: Mao, Mohri and Zhong, Theorem 3.1; chapter *H-consistency*, equation (transform).
    """
    t, q, n = _excess(excess), _index(tau) - 1, _classes(num_classes)
    if arguments.choice(form, "form", ("exact", "simple")) == "simple":
        if q >= 1:
            return q * n**q * t
        return np.sqrt(2.0 ** (q + 1) * (1 - q) * t) if q < 0 else np.sqrt(2 * float(n) ** q * t)
    return _inverse(lambda beta: h_consistency_transform(beta, tau, n), t)


def two_class_transform(beta, tau: float) -> np.ndarray:
    r"""Return :math:`U_\tau(\beta) = 2^{1-\tau}(m-1)/(\tau-1)`, the transform of two tied classes.

    It is the surrogate regret of :math:`s = (1/2, 1/2)` at
    :math:`p = ((1+\beta)/2, (1-\beta)/2)`: convex, increasing, free of the number of classes.

    Args:
        beta: zero-one regrets in [0, 1], any shape.
        tau: in [0, 2].

    Returns:
        float64 array of the shape of ``beta``, nats.

    Raises:
        ValueError: for ``beta`` outside [0, 1] or ``tau`` outside [0, 2].

    Source: chapter *H-consistency*, equation (two-class).
    """
    q = arguments.scalar(tau, "tau", low=0, high=2) - 1
    return _pair_gain(_unit(beta, "beta"), q) / 2.0**q


def exact_transform(beta, tau: float, num_classes: int) -> np.ndarray:
    r"""Return :math:`\mathcal{T}^*_{\tau,n}(\beta)`, the least surrogate regret at regret ``beta``.

    The infimum over all ``p`` and all scores with :math:`\max_y p_y - p_{\hat y} = \beta`.
    Closed forms: :math:`U_\tau` for :math:`\tau \le 1`, and above 1 wherever
    :math:`U_\tau(\beta) \le \beta^\tau \ell_\tau(1/2)`, in particular up to
    :math:`\tau = 1.558`; minima over an integer from 2 on. In between the two-parameter
    minimum of the chapter is computed, to about 1e-10.

    Args:
        beta: zero-one regrets in [0, 1], any shape.
        tau: index of the family, at least 0.
        num_classes: n, at least 2.

    Returns:
        float64 array of the shape of ``beta``, nats.

    Raises:
        ValueError: for ``beta`` outside [0, 1], ``tau`` below 0 or fewer than 2 classes.
        TypeError: if ``num_classes`` is not an integer.

    Source: chapter *H-consistency* (ours).
    """
    b, n = _unit(beta, "beta"), _classes(num_classes)
    if _index(tau) >= 2:
        return _linear_minimum(b, tau, n)
    pair = two_class_transform(b, tau)
    if tau <= 1 or n == 2:
        return pair
    undecided = pair > b**tau * probability_loss(0.5, tau)
    result = np.array(pair)
    result[undecided] = [_pooled_minimum(x, tau, n) for x in b[undecided]]
    return result


def class_free_transform(beta, tau: float) -> np.ndarray:
    r"""Return a lower bound of :math:`\mathcal{T}^*_{\tau,n}(\beta)` that holds for every n.

    :math:`U_\tau` on [0, 1], :math:`\min(U_\tau(\beta), \beta^\tau \ell_\tau(1/2))` on (1, 2),
    :math:`\beta^2/(1+\beta)` at 2, :math:`\beta(1 - \max_k (k-1)k^{1-\tau})/(\tau-1)` above.

    Args:
        beta: zero-one regrets in [0, 1], any shape.
        tau: index of the family, at least 0.

    Returns:
        float64 array of the shape of ``beta``, nats.

    Raises:
        ValueError: for ``beta`` outside [0, 1] or ``tau`` below 0.

    Source: chapter *H-consistency*, theorems "no class number" (ours).
    """
    b, q = _unit(beta, "beta"), _index(tau) - 1
    if q > 1:
        peak = q / (q - 1)  # of (k-1) k^-q over real k
        k = np.array([2.0, max(2, np.floor(peak)), np.ceil(peak)])
        return b * (1 - np.max((k - 1) * k**-q)) / q
    if q == 1:
        return b**2 / (1 + b)
    pair = two_class_transform(b, tau)
    return pair if q <= 0 else np.minimum(pair, b**tau * probability_loss(0.5, tau))


def quadratic_constant(tau: float) -> float:
    r"""Return :math:`c_\tau = \inf_n \inf_\beta \mathcal{T}^*_{\tau,n}(\beta)/\beta^2`.

    Hence zero-one excess :math:`\le \sqrt{\text{surrogate excess}/c_\tau}` for every number of
    classes, with the best constant. :math:`1/(2^\tau(2-\tau))` up to 4/3,
    :math:`(1-2^{1-\tau})/(\tau-1)` from :math:`\log_2(8/3)` on, computed in between.

    Args:
        tau: in [0, 2].

    Returns:
        float, nats.

    Raises:
        ValueError: for ``tau`` outside [0, 2].

    Source: chapter *H-consistency*, theorem "the best square-root bound" (ours).
    """
    tau = arguments.scalar(tau, "tau", low=0, high=2)
    if tau <= 4 / 3:
        return 1 / (2**tau * (2 - tau))
    if tau >= np.log2(8 / 3):
        return (1 - 2 ** (1 - tau)) / (tau - 1)
    found = minimize_scalar(
        lambda b: two_class_transform(b, tau) / b**2, bounds=(1e-3, 1), method="bounded"
    )
    return float(found.fun)


def bounded_softmax(p, tau: float, bound: float) -> np.ndarray:
    r"""Return the best softmax of scores in :math:`[-\Lambda, \Lambda]^n`.

    Those are the vectors with :math:`\max s \le B \min s`, :math:`B = e^{2\Lambda}`. For
    :math:`\tau < 2` the best is :math:`p^{a}` clipped to :math:`[A, BA]` and normalized, A the root
    of a decreasing function; from 2 on it has two levels.

    Args:
        p: label probabilities ``(n,)``.
        tau: index of the family, at least 0.
        bound: :math:`\Lambda` in (0, 300].

    Returns:
        float64 array ``(n,)``.

    Raises:
        ValueError: if ``p`` is no distribution, ``tau`` is below 0 or ``bound`` outside (0, 300].

    Source: chapter *Minimizability gaps*, theorem "clip" (ours).
    """
    p = arguments.distribution(arguments.finite(p, "p", ndim=1), "p")
    q = _index(tau) - 1
    ratio = np.exp(2 * arguments.scalar(bound, "bound", low=0, open_low=True, high=300))
    levels = _two_levels(p, q, ratio) if q >= 1 else _clipped(p, q, ratio)
    return levels / levels.sum()


def bounded_conditional_infimum(p, tau: float, bound: float) -> np.ndarray:
    r"""Return :math:`\inf C_\tau(p, s)` over scores in :math:`[-\Lambda, \Lambda]^n`.

    Args:
        p: label probabilities ``(..., n)``.
        tau: index of the family, at least 0.
        bound: :math:`\Lambda` in (0, 300].

    Returns:
        float64 array of the leading axes.

    Raises:
        ValueError: if ``p`` is no distribution, ``tau`` is below 0 or ``bound`` outside (0, 300].

    Source: chapter *Minimizability gaps*, theorem "clip" (ours).
    """
    p = arguments.distribution(p, "p")
    rows = p.reshape(-1, p.shape[-1])
    best = [conditional_risk(row, bounded_softmax(row, tau, bound), tau) for row in rows]
    return np.reshape(best, p.shape[:-1])


def bounded_minimizability_gap(best_risk: float, p, tau: float, bound: float) -> float:
    r"""Return :math:`M_\tau(H) = R^*_\tau(H) - E_x\,C^*_\tau(H, x)` for scores bounded by Λ.

    Args:
        best_risk: :math:`R^*_\tau(H)`, the smallest risk in the hypothesis set.
        p: label probabilities ``(N, n)``, one row per equally likely point.
        tau: index of the family, at least 0.
        bound: :math:`\Lambda` in (0, 300]; at each point the scores of H fill
            :math:`[-\Lambda, \Lambda]^n`.

    Returns:
        float, nats; at least 0 if ``best_risk`` is what it is said to be.

    Raises:
        ValueError: as :func:`bounded_conditional_infimum`, for no point, or if ``best_risk`` is
            not finite.

    Source: chapter *Minimizability gaps*, equation (gap).
    """
    best_risk = arguments.scalar(best_risk, "best_risk")
    infima = bounded_conditional_infimum(p, tau, bound)
    if infima.size == 0:
        raise ValueError("p must hold at least one point")
    return float(best_risk - infima.mean())


def margin_comp_sum(logits, labels, tau: float = 1.0, rho: float = 1.0) -> np.ndarray:
    r"""Return :math:`\Phi^\tau(\sum_{j \ne y} \Phi_\rho(z_y - z_j))`, the rho-margin comp-sum loss.

    :math:`\Phi_\rho(u) = \min(\max(0, 1 - u/\rho), 1)` and
    :math:`\Phi^\tau(u) = ((1+u)^{1-\tau} - 1)/(1-\tau)`.

    Args:
        logits: array ``(N, V)`` of finite scores.
        labels: integers ``(N,)``.
        tau: index of the family, at least 0.
        rho: margin, above 0.

    Returns:
        float64 array ``(N,)``.

    Raises:
        ValueError: for bad logits or shapes, ``tau`` below 0 or ``rho`` not positive.
        TypeError: for labels that are not integers.
        IndexError: for labels out of range.

    Source: Mao, Mohri and Zhong, section on adversarial comp-sum losses; chapter
    *Adversarial robustness*, equation (margin).
    """
    rho = arguments.positive(rho, "rho")
    ramps = np.clip(1 - _differences(logits, labels) / rho, 0, 1)
    return from_cross_entropy(np.log1p(ramps.sum(axis=-1)), tau)


def smooth_adversarial_comp_sum(
    logits, perturbed_logits, labels, tau: float = 1.0, rho: float = 1.0, nu: float = 1.0
) -> np.ndarray:
    r"""Return :math:`\Phi^\tau(\sum_{j\ne y} e^{-\Delta_j/\rho}) + \nu\,\|\Delta' - \Delta\|_2`.

    :math:`\Delta_j = z_y - z_j` at the clean input and :math:`\Delta'` at a perturbed one; the loss
    of the paper takes the worst perturbed input in the ball.

    Args:
        logits: array ``(N, V)`` of finite scores at the clean inputs.
        perturbed_logits: the same at the perturbed inputs.
        labels: integers ``(N,)``.
        tau: index of the family, at least 0.
        rho: margin, above 0.
        nu: weight of the smooth term, at least 0.

    Returns:
        float64 array ``(N,)``.

    Raises:
        ValueError: for bad logits or shapes, ``tau`` or ``nu`` below 0, ``rho`` not positive.
        TypeError: for labels that are not integers.
        IndexError: for labels out of range.

    Source: Mao, Mohri and Zhong, smooth adversarial comp-sum losses; chapter
    *Adversarial robustness*, equation (smooth).
    """
    rho, nu = arguments.positive(rho, "rho"), arguments.scalar(nu, "nu", low=0)
    z = arguments.finite(logits, "logits", ndim=2)
    clean, moved = _differences(z, labels), _differences(perturbed_logits, labels)
    if clean.shape != moved.shape:
        raise ValueError(f"perturbed_logits must have the shape {z.shape} of logits")
    return comp_sum_loss(z / rho, labels, tau) + nu * np.linalg.norm(moved - clean, axis=-1)


def sharp_smoothing(tau: float, num_classes: int, rho: float = 1.0) -> float:
    r"""Return the least :math:`\nu` with which the smooth loss dominates the rho-margin loss.

    :math:`\nu^* = \max_{1 \le j < n} \sqrt{j}\,(1+j)^{-\tau}/\rho`.

    Args:
        tau: in [0, 2].
        num_classes: n, at least 2.
        rho: margin, above 0.

    Returns:
        float, in the unit of 1 / ``rho``.

    Raises:
        ValueError: for ``tau`` outside [0, 2], fewer than 2 classes, ``rho`` not positive.
        TypeError: if ``num_classes`` is not an integer.

    Source: chapter *Adversarial robustness*, theorem "sharp smoothing" (ours).
    """
    tau = arguments.scalar(tau, "tau", low=0, high=2)
    j = np.arange(1, _classes(num_classes))
    return float(np.max(np.sqrt(j) * (1.0 + j) ** -tau)) / arguments.positive(rho, "rho")


def _index(tau) -> float:
    return arguments.scalar(tau, "tau", low=0, high=np.inf, open_high=True)


def _classes(num_classes) -> int:
    return arguments.integer(num_classes, "num_classes", low=2)


def _unit(value, name: str) -> np.ndarray:
    result = arguments.array(value, name)
    if ((result < 0) | (result > 1)).any():
        raise ValueError(f"{name} must lie in [0, 1]")
    return result


def _excess(value) -> np.ndarray:
    result = arguments.array(value, "excess")
    if (result < 0).any():
        raise ValueError("excess must be >= 0; it is a regret")
    return result


def _differences(logits, labels) -> np.ndarray:
    """The differences z_y - z_j over j != y, shape (N, V - 1)."""
    z = arguments.finite(logits, "logits", ndim=2)
    y = arguments.labels(labels, z.shape[:1], z.shape[1])
    others = np.arange(z.shape[1]) != y[:, None]
    gaps = np.take_along_axis(z, y[:, None], axis=-1) - z
    return gaps[others].reshape(len(z), z.shape[1] - 1)


def _pair_gain(b: np.ndarray, q: float) -> np.ndarray:
    """kappa_q(b): the best first-order gain of separating two tied classes, (m - 1)/q."""
    if q == 1:
        return b + 0.0
    if q == 0:
        return (_xlogx(1 + b) + _xlogx(1 - b)) / 2
    a = 1 / (1 - q)
    ratio = (1 - b) / (1 + b)
    return np.expm1(np.log1p(b) + np.log1p((ratio**a - 1) / 2) / a) / q


def _xlogx(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.where(x > 0, x, 1.0))


def _inverse(increasing, values: np.ndarray) -> np.ndarray:
    """The point of [0, 1] where an increasing function takes each value; 1 above its range."""
    low, high = np.zeros_like(values), np.ones_like(values)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = increasing(middle) < values
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


def _pooled(p, predicted: int, tau: float) -> np.ndarray:
    """The masses w: the largest mean of p over sets that contain ``predicted``, on that set."""
    arguments.scalar(tau, "tau", low=1, high=2, open_low=True, open_high=True)
    p = arguments.distribution(arguments.finite(p, "p", ndim=1), "p")
    if not 0 <= arguments.integer(predicted, "predicted") < len(p):
        raise IndexError(f"predicted must lie in [0, {len(p)}), got {predicted}")
    others = np.sort(np.delete(p, predicted))[::-1]
    sizes = np.arange(1, len(p) + 1)
    mean = np.max((p[predicted] + np.append(0.0, np.cumsum(others))) / sizes)
    w = np.minimum(p, mean)
    w[predicted] = mean
    return w


def _pooled_minimum(beta: float, tau: float, n: int) -> float:
    """T* for 1 < tau < 2: over k tied classes and one further mass r."""
    q = tau - 1
    best = q * float(two_class_transform(beta, tau))
    for k in range(2, n + 1):
        if beta - k**-q >= best:  # the objective is at least beta - k^-q from here on
            break
        largest = 0.0 if k == n else min(1 / (k + 1), 1 - beta)
        grid = np.linspace(0.0, largest, 129)
        values = _tied_objective(beta, k, grid, q)
        i = int(values.argmin())
        best = min(best, float(values[i]))
        if 0 < i < 128:
            near = minimize_scalar(
                lambda r, k=k: float(_tied_objective(beta, k, np.array([r]), q)[0]),
                bounds=(grid[i - 1], grid[i + 1]),
                method="bounded",
                options={"xatol": 1e-9},
            )
            best = min(best, near.fun)
    return best / q


def _tied_objective(beta: float, k: int, r: np.ndarray, q: float) -> np.ndarray:
    """|p|_a - |w|_a with masses x + beta, x, k - 2 times v, and r, minimized over x."""
    a = 1 / (1 - q)
    rest, others = np.maximum(0.0, 1 - beta - r), max(k - 2, 1)
    low, high = np.maximum(0.0, (rest - (k - 2) * beta) / k), rest / 2
    if k == 2:
        low = high
    for _ in range(BISECTIONS):  # stationary in x: the objective is convex in it
        x = (low + high) / 2
        v = (rest - 2 * x) / others
        rising = (x + beta) ** (a - 1) + x ** (a - 1) > 2 * v ** (a - 1)
        low, high = np.where(rising, low, x), np.where(rising, x, high)
    x = (low + high) / 2
    v = (rest - 2 * x) / others
    free = (x + beta) ** a + x**a + (k - 2) * v**a + r**a
    tied = k * ((1 - r) / k) ** a + r**a
    return free ** (1 / a) - tied ** (1 / a)


def _linear_minimum(b: np.ndarray, tau: float, n: int) -> np.ndarray:
    """T* for tau >= 2: uniform softmax on k classes, the largest mass as small as it can be."""
    q = float(tau) - 1
    z = np.maximum(b, (1 + b) / n)[..., None]
    k = np.arange(1.0, n + 1)
    values = z - k**-q * np.minimum(1.0, k * z - b[..., None])
    return np.where(b > 0, values.min(axis=-1), 0.0) / q


def _clipped(p: np.ndarray, q: float, ratio: float) -> np.ndarray:
    """p^a clipped to [A, ratio A], with A the root of the stationarity condition in the minimum."""
    a = 1 / (1 - q)

    def slope(level):
        above = p * (ratio * level) ** (q - 1) - 1
        below = 1 - p * level ** (q - 1)
        return ratio * np.maximum(above, 0).sum() - np.maximum(below, 0).sum()

    low = (p.max() * ratio / (len(p) + ratio)) ** a / ratio
    high = p.max() ** a / ratio
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return np.clip(p**a, high, ratio * high)


def _two_levels(p: np.ndarray, q: float, ratio: float) -> np.ndarray:
    """The best vertex of the cone max <= ratio * min: the u likeliest classes on top."""
    order = np.argsort(-p, kind="stable")
    u = np.arange(1, len(p) + 1)
    upper = np.cumsum(p[order])
    log_gains = np.log(upper + (1 - upper) * ratio**-q) - q * np.log(u + (len(p) - u) / ratio)
    levels = np.ones(len(p))
    levels[order[: u[log_gains.argmax()]]] = ratio
    return levels
