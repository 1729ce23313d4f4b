r"""Sources whose entropy is known and whose learning curves can be computed exactly.

The Zipf source draws a context c = 1, 2, ... with probability :math:`p_c = c^{-(1+a)}/Z` and a
label whose law given c has entropy S; a learner that knows nothing of c pays :math:`g_0` nats more.
The run-length source writes alternating runs of 0 and 1 of length r with probability
:math:`r^{-(1+a)}/\zeta(1+a)`. Everything is in nats. Chapter ``power-law-and-entropy``.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from xent.reference import arguments


def _exponent(a: float, *, low: float = 0.0) -> float:
    return arguments.scalar(a, "a", low=low, high=20.0, open_low=True)


def label_entropy(num_labels: int, noise: float) -> tuple[float, float]:
    r"""Entropy S of a noisy label, and the excess :math:`g_0` of a uniform guess.

    One label has probability :math:`1-\varepsilon+\varepsilon/V`, the others
    :math:`\varepsilon/V`.

    Args:
        num_labels: V >= 2.
        noise: :math:`\varepsilon` in [0, 1].

    Returns:
        Two floats: S and ln V - S, nats.

    Raises:
        ValueError: if an argument is outside its range.

    Source: chapter ``power-law-and-entropy``.
    """
    num_labels = arguments.integer(num_labels, "num_labels", low=2)
    noise = arguments.scalar(noise, "noise", low=0.0, high=1.0)
    law = np.full(num_labels, noise / num_labels)
    law[0] += 1 - noise
    entropy = float(special.entr(law).sum())
    return entropy, float(np.log(num_labels) - entropy)


def zipf_tail(known, a: float, *, contexts: float = np.inf) -> np.ndarray:
    r"""Probability of a context outside the N most frequent ones.

    .. math:: T(N) = \frac{\zeta(1+a, N+1) - \zeta(1+a, K+1)}{\zeta(1+a) - \zeta(1+a, K+1)}

    Args:
        known: N >= 0, any shape.
        a: exponent, above 0.
        contexts: number K of contexts; ``inf`` drops the terms with K.

    Returns:
        T(N), shape of ``known``.

    Raises:
        ValueError: if ``known`` is negative or above K.

    Source: chapter ``power-law-and-entropy``.
    """
    known, a = arguments.finite(known, "known"), _exponent(a)
    if (known < 0).any() or (known > contexts).any():
        raise ValueError(f"known must lie in [0, contexts={contexts}]")
    beyond = 0.0 if np.isinf(contexts) else special.zeta(1 + a, contexts + 1)
    return (special.zeta(1 + a, known + 1) - beyond) / (special.zeta(1 + a, 1) - beyond)


def memorizer_excess(samples, a: float, *, room=np.inf) -> np.ndarray:
    r"""Excess of a learner that knows a context once seen, per nat of :math:`g_0`.

    With D samples (Poisson) and room for the N most frequent contexts, up to O(1/N),

    .. math:: \frac{N^{-a}}{aZ} + \frac{Z^{-1/(1+a)}}{1+a}\,\Gamma(b, t)\,D^{-b}, \qquad
              b = \frac{a}{1+a}, \quad t = \frac{D N^{-(1+a)}}{Z}

    Args:
        samples: D, above 0, broadcasts against ``room``.
        a: exponent, above 0.
        room: N, at least 1; ``inf`` for unlimited room.

    Returns:
        Excess divided by :math:`g_0`, broadcast shape.

    Raises:
        ValueError: if an argument is outside its range.

    Source: chapter ``power-law-and-entropy``.
    """
    samples, room = arguments.finite(samples, "samples"), arguments.array(room, "room")
    a = _exponent(a)
    if (samples <= 0).any() or (room < 1).any():
        raise ValueError("samples must be > 0 and room >= 1")
    b, z = a / (1 + a), special.zeta(1 + a, 1)
    seen = samples * room ** -(1 + a) / z
    missed = special.gammaincc(b, seen) * special.gamma(b)
    return room**-a / (a * z) + z ** (-1 / (1 + a)) / (1 + a) * missed * samples**-b


def times_seen(a: float) -> float:
    r"""How often the compute-optimal memorizer has seen its rarest stored context.

    The root t of :math:`(1+a)\,t^b(1-e^{-t}) = \Gamma(1+b, t)`; then :math:`N = (C/(Zt))^{1/(2+a)}`
    minimizes `memorizer_excess` at :math:`ND = C`.

    Args:
        a: exponent, above 0.

    Returns:
        float: t, between 0 and 1.

    Raises:
        ValueError: if ``a`` is not above 0.

    Source: chapter ``power-law-and-entropy``.
    """
    a = _exponent(a)
    b = a / (1 + a)

    def imbalance(t):
        tail = special.gammaincc(1 + b, t) * special.gamma(1 + b)
        return -(1 + a) * t**b * np.expm1(-t) - tail

    return float(optimize.brentq(imbalance, 1e-9, 10.0, xtol=1e-14))


def count_learner_constant(excess, a: float, *, kappa: float | None = None) -> float:
    r"""Constant of the data law of a learner that counts, :math:`L - S \sim C_e D^{-b}`.

    .. math:: C_e = \frac{Z^{-1/(1+a)}}{1+a}\sum_{n\ge0} e_n\,\frac{\Gamma(n+b)}{n!}

    The sum beyond the given entries is taken with :math:`e_n = \kappa/n + c_2/n^2`, where
    :math:`c_2` makes the last entry exact.

    Args:
        excess: :math:`e_n`, the excess on a context seen n times, n = 0, 1, ..., shape (m,).
        a: exponent, above 0.
        kappa: limit of :math:`n e_n`; taken from the last entry if None.

    Returns:
        :math:`C_e`, nats.

    Raises:
        ValueError: if ``excess`` is empty or ``a`` is not above 0.

    Source: chapter ``power-law-and-entropy``.
    """
    excess, a = arguments.finite(excess, "excess", ndim=1), _exponent(a)
    if excess.size == 0:
        raise ValueError("excess must hold at least the entry n = 0")
    b, n = a / (1 + a), np.arange(excess.size)
    ratio = np.exp(special.gammaln(n + b) - special.gammaln(n + 1))
    last = excess.size - 1
    first = last * excess[-1] if kappa is None else arguments.scalar(kappa, "kappa", low=0.0)
    second = last * (last * excess[-1] - first)
    tail = first * (last + 0.5) ** (b - 1) / (1 - b) + second * (last + 0.5) ** (b - 2) / (2 - b)
    z = special.zeta(1 + a, 1)
    return float(z ** (-1 / (1 + a)) / (1 + a) * (excess @ ratio + tail))


def dirichlet_excess(counts: int, num_labels: int, noise: float, beta: float) -> np.ndarray:
    r"""Excess :math:`e_n` of the estimate :math:`(n_y+\beta)/(n+\beta V)` after n labels.

    Args:
        counts: largest n, at least 0.
        num_labels: V >= 2.
        noise: :math:`\varepsilon` in [0, 1], see `label_entropy`.
        beta: pseudo-count, above 0.

    Returns:
        :math:`e_0, \dots, e_{counts}` in nats, shape (counts + 1,).

    Raises:
        ValueError: if an argument is outside its range.

    Source: chapter ``power-law-and-entropy``.
    """
    counts = arguments.integer(counts, "counts", low=0)
    beta = arguments.positive(beta, "beta")
    entropy, _ = label_entropy(num_labels, noise)
    rare = noise / num_labels
    n = np.arange(counts + 1)
    codes = np.log(n + beta * num_labels) - entropy
    for probability, multiplicity in ((1 - noise + rare, 1), (rare, num_labels - 1)):
        if probability > 0:
            k, size = np.arange(counts + 1)[None, :], n[:, None]
            inside = k <= size
            log_binomial = special.gammaln(size + 1) - special.gammaln(k + 1)
            log_binomial = log_binomial - special.gammaln(np.where(inside, size - k, 0) + 1)
            log_law = log_binomial + special.xlogy(k, probability)
            log_law = log_law + special.xlog1py(np.where(inside, size - k, 0), -probability)
            law = np.where(inside, np.exp(np.minimum(log_law, 0.0)), 0.0)
            codes = codes - multiplicity * probability * (
                law @ np.log(np.arange(counts + 1) + beta)
            )
    return codes


def run_length_entropy(a: float) -> float:
    r"""Entropy rate of the run-length source, in nats per symbol.

    .. math:: S = \left[\ln\zeta(s) - s\,\frac{\zeta'(s)}{\zeta(s)}\right]\frac{\zeta(s)}{\zeta(a)},
              \qquad s = 1 + a

    Args:
        a: exponent, above 1 (a finite mean run length).

    Returns:
        float: S, nats per symbol.

    Raises:
        ValueError: if ``a`` is not above 1.

    Source: chapter ``power-law-and-entropy``.
    """
    a = _exponent(a, low=1.0)
    s = 1 + a
    log_moment = -_zeta_derivative(s) / special.zeta(s, 1)
    return float(
        (np.log(special.zeta(s, 1)) + s * log_moment) * special.zeta(s, 1) / special.zeta(a, 1)
    )


def _zeta_derivative(s: float) -> float:
    """Derivative of zeta at s > 1: a sum and its Euler-Maclaurin tail."""
    n = np.arange(1, 1001.0)
    log, last = np.log(n), n[-1]
    tail = last ** (1 - s) * (np.log(last) / (s - 1) + 1 / (s - 1) ** 2)
    half = log[-1] * last**-s / 2
    slope = (1 - s * log[-1]) * last ** (-s - 1) / 12
    return float(-(np.sum(log * n**-s) + tail - half - slope))


def merged_ages_excess(states: int, a: float, *, horizon: int = 1_000_000) -> float:
    r"""Excess of a model of the run-length source that merges the ages n, n+1, ... of a run.

    Each age r has hazard :math:`h_r = P(r)/P(\ge r)`; merged ages share the mean hazard. The sum
    runs to ``horizon`` and continues as its integral.

    Args:
        states: n >= 1, the number of ages kept apart plus one.
        a: exponent, above 1.
        horizon: where the exact sum stops.

    Returns:
        Excess in nats per symbol, :math:`\sim n^{-a}[\ln\frac{a}{a-1}-\frac1a]/(a\zeta(a))`.

    Raises:
        ValueError: if an argument is outside its range.

    Source: chapter ``power-law-and-entropy``.
    """
    states, a = arguments.integer(states, "states", low=1), _exponent(a, low=1.0)
    horizon = arguments.integer(horizon, "horizon", low=states + 1)
    age = np.arange(states, horizon, dtype=np.float64)
    survival = special.zeta(1 + a, age)
    hazard = age ** -(1 + a) / survival
    # sum over r >= n of P(>= r) is sum over r >= n of (r - n + 1) P(r)
    reach = special.zeta(a, states) - (states - 1) * special.zeta(1 + a, states)
    merged = special.zeta(1 + a, states) / reach
    excess = np.sum(
        survival * (special.rel_entr(hazard, merged) + special.rel_entr(1 - hazard, 1 - merged))
    )
    # beyond the horizon h = a/r and P(>= r) = r^-a/a: the integral of the divergence
    last, stay = horizon - 1.0, np.log1p(-merged)
    beyond = last**-a / a * (np.log(a / (merged * last)) - 1 / a - 1 + stay)
    beyond -= stay * last ** (1 - a) / (a * (a - 1))
    return float((excess + beyond) / special.zeta(a, 1))


def _stationary(transition: np.ndarray) -> np.ndarray:
    """The distribution that the chain leaves unchanged."""
    size = transition.shape[0]
    system = np.concatenate([transition.T - np.eye(size), np.ones((1, size))])
    if np.linalg.matrix_rank(system[:-1], tol=1e-10) < size - 1:
        raise ValueError("transition must have exactly one stationary distribution")
    return np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0]


def hmm_entropy_bounds(transition, emission, length: int) -> tuple[float, float]:
    r"""Bounds on the entropy rate of a hidden Markov model, by enumeration of its outputs.

    :math:`H(Y_n \mid Y_1^{n-1}, X_1) \le S \le H(Y_n \mid Y_1^{n-1})`; both sides converge to S.

    Args:
        transition: rows sum to 1, shape (k, k).
        emission: rows sum to 1, shape (k, V).
        length: n >= 2; the cost grows as :math:`V^n`.

    Returns:
        (lower, upper), nats per symbol.

    Raises:
        ValueError: if shapes disagree or the chain has several stationary distributions.

    Source: Cover and Thomas, *Elements of Information Theory*, functions of Markov
    chains; chapter ``power-law-and-entropy``.
    """
    transition = arguments.distribution(transition, "transition")
    if transition.ndim != 2 or transition.shape[0] != transition.shape[1]:
        raise ValueError(f"transition must be square, got shape {transition.shape}")
    start = _stationary(transition)
    emission = arguments.distribution(emission, "emission")
    length = arguments.integer(length, "length", low=2)
    if emission.ndim != 2 or emission.shape[0] != transition.shape[0]:
        raise ValueError(f"emission must have {transition.shape[0]} rows, got {emission.shape}")
    # joint[x1, y, x]: first state, outputs so far, current state
    joint = np.diag(start)[:, None, :]
    entropies = []
    for _ in range(length):
        emitted = joint[:, :, None, :] * emission.T[None, None]
        emitted = emitted.reshape(joint.shape[0], -1, joint.shape[2])
        given_start = special.entr(emitted.sum(axis=2)).sum() - special.entr(start).sum()
        entropies.append((given_start, special.entr(emitted.sum(axis=(0, 2))).sum()))
        joint = emitted @ transition
    (low_before, up_before), (low, up) = entropies[-2:]
    return float(low - low_before), float(up - up_before)
