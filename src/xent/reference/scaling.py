r"""Scaling laws of the cross-entropy loss: the laws, their fits and what they recommend.

Losses are in nats. A fit is deterministic: it starts from a fixed grid, works in coordinates in
which the parameters are least correlated, and returns the objective at its optimum. Chapters:
``power-law-and-entropy``, ``compute-optimal``, ``annealing-and-batch-size``,
``bivariate-and-mixtures``.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy import optimize, signal, special

from xent.reference import arguments


def _observations(loss, shape: tuple[int, ...], weights) -> tuple[np.ndarray, np.ndarray]:
    loss = arguments.positives(loss, "loss", ndim=1)
    if loss.shape != shape:
        raise ValueError(f"loss must have shape {shape}, got {loss.shape}")
    if weights is None:
        return loss, np.ones(shape)
    weights = arguments.positives(weights, "weights", ndim=1)
    if weights.shape != shape:
        raise ValueError(f"weights must have shape {shape}, got {weights.shape}")
    return loss, weights


def huber_loss(residual: np.ndarray, delta: float = np.inf) -> np.ndarray:
    r"""Huber's function, a parabola that continues as its tangents.

    .. math:: \rho(r) = r^2/2 \ (|r| \le \delta), \qquad \delta|r| - \delta^2/2 \ (|r| > \delta)

    Args:
        residual: any shape.
        delta: half-width of the quadratic zone, above 0; ``inf`` gives squares.

    Returns:
        Array of the shape of ``residual``.

    Raises:
        ValueError: if ``residual`` is not finite or ``delta`` not above 0.

    Source: Huber (1964); chapter ``compute-optimal``.
    """
    residual = arguments.finite(residual, "residual")
    return _huber(residual, arguments.scalar(delta, "delta", low=0, high=np.inf, open_low=True))


def _huber(residual, delta):
    size = np.abs(residual)
    inner = np.minimum(size, delta)
    return inner * (size - inner / 2)


def _entries(value, name, count, *, exact=True):
    """The entries of a sequence: so many, or at least so many."""
    try:
        entries = list(value)
    except TypeError:
        raise TypeError(f"{name} must be a sequence, got {type(value).__name__}") from None
    if len(entries) < count or (exact and len(entries) > count):
        raise ValueError(f"{name} must hold {'' if exact else 'at least '}{count} entries")
    return entries


def _minimize(residual, starts, huber: float | None):
    """Best of the local minima of the sum of Huber losses; ``residual`` gives (r, Jacobian)."""
    delta = np.inf if huber is None else arguments.positive(huber, "huber")
    unit = 1.0 if huber is None else delta**2

    def objective(theta):
        r, jacobian = residual(theta)
        value = _huber(r, delta).sum() / unit
        return value, np.clip(r, -delta, delta) @ jacobian / unit

    best = None
    for start in starts:
        if huber is None:
            found = optimize.least_squares(
                lambda t: residual(t)[0],
                start,
                jac=lambda t: residual(t)[1],
                xtol=1e-15,
                ftol=1e-15,
            )
            theta, value = found.x, found.cost
        else:
            found = optimize.minimize(
                objective, start, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 2000}
            )
            theta, value = found.x, found.fun * unit
        if best is None or value < best[1]:
            best = (theta, value)
    return best


# --- L(x) = L_inf + (x0 / x)^alpha -------------------------------------------------------------


@np.errstate(over="ignore")
def power_law(x, l_inf: float, x0: float, alpha: float) -> np.ndarray:
    r"""Power law with a constant, :math:`L(x) = L_\infty + (x_0/x)^\alpha`, in nats.

    Args:
        x: sizes, samples or compute, positive, any shape.
        l_inf: irreducible loss, nats.
        x0: the ``x`` at which the reducible loss is 1 nat, positive.
        alpha: exponent, positive.

    Returns:
        Loss, shape of ``x``; infinite where it exceeds float64.

    Raises:
        ValueError: if ``x``, ``x0`` or ``alpha`` is not above 0.

    Source: Henighan et al. 2020; chapter ``power-law-and-entropy``.
    """
    x = arguments.positives(x, "x")
    l_inf = arguments.scalar(l_inf, "l_inf")
    x0, alpha = arguments.positive(x0, "x0"), arguments.positive(alpha, "alpha")
    return l_inf + np.exp(alpha * (np.log(x0) - np.log(x)))


class PowerLawFit(NamedTuple):
    """What `fit_power_law` returns.

    ``covariance`` belongs to (l_inf, log x0, alpha); ``intervals`` holds the 95 % bootstrap
    intervals of (l_inf, x0, alpha), one row each; ``identifiable`` says whether the 95 % profile
    interval of ``l_inf`` is bounded below.
    """

    l_inf: float
    x0: float
    alpha: float
    covariance: np.ndarray
    intervals: np.ndarray
    objective: float
    identifiable: bool


def _power_law_residual(t, loss, root_weights, log):
    """Residual and Jacobian in (l_inf, log of the reducible loss at t = 0, log alpha)."""

    def residual(theta):
        reducible = np.exp(theta[1] - np.exp(theta[2]) * t)
        model = theta[0] + reducible
        jacobian = np.stack([np.ones_like(t), reducible, -reducible * t * np.exp(theta[2])], axis=1)
        if not log:
            return root_weights * (model - loss), root_weights[:, None] * jacobian
        safe = np.maximum(model, 1e-12)
        return (
            root_weights * (np.log(safe) - np.log(loss)),
            (root_weights / safe)[:, None] * jacobian,
        )

    return residual


def _power_law_starts(t, loss, weights):
    """Best constant and amplitude for each exponent of a grid; the two best of these."""
    root, starts = np.sqrt(weights), []
    for alpha in np.geomspace(0.05, 20, 24) / np.ptp(t):
        design = root[:, None] * np.stack([np.ones_like(t), np.exp(-alpha * t)], axis=1)
        (l_inf, amplitude), *_ = np.linalg.lstsq(design, root * loss, rcond=None)
        if amplitude > 0:
            error = np.sum((design @ [l_inf, amplitude] - root * loss) ** 2)
            starts.append((error, [l_inf, np.log(amplitude), np.log(alpha)]))
    return [np.array(start) for _, start in sorted(starts)[:2]]


def fit_power_law(
    x, loss, *, weights=None, huber=None, log=False, bootstrap=200, seed=0
) -> PowerLawFit:
    r"""Fit :math:`L_\infty + (x_0/x)^\alpha` to measured losses and say whether it is determined.

    Minimizes :math:`\sum_i \rho(\sqrt{w_i}\, r_i)`, where :math:`\rho` is half the square or
    Huber's function and :math:`r` the residual of the loss (or of its logarithm), from a grid of
    exponents, with :math:`\ln x` centered. The straight line in :math:`\ln x` is the limit
    :math:`\alpha \to 0,\ L_\infty \to -\infty` of the law: where it is not rejected at 95 %, no
    lower bound on :math:`L_\infty` exists and the function warns.

    Args:
        x: positive, shape (n,), n >= 4, at least three different values.
        loss: nats, positive, shape (n,).
        weights: inverse variances up to a factor, positive, shape (n,).
        huber: half-width of Huber's quadratic zone, in units of the residual; None for squares.
        log: fit the logarithm of the loss (True or False).
        bootstrap: number of residual resamples behind ``intervals``; 0 leaves them NaN.
        seed: seed of the resampling.

    Returns:
        `PowerLawFit`.

    Raises:
        ValueError: if shapes disagree, there are too few points, the loss does not fall with x, or
            an option is out of range.
        TypeError: if ``bootstrap`` or ``seed`` is no integer, or ``log`` not True or False.

    Warns:
        UserWarning: if ``l_inf`` is not identifiable.

    Source: the law, Henighan et al. 2020; the criterion, chapter ``power-law-and-entropy``.
    """
    x = arguments.positives(x, "x", ndim=1)
    loss, weights = _observations(loss, x.shape, weights)
    if x.size < 4 or np.unique(x).size < 3:
        raise ValueError(f"x must hold at least 4 points at 3 different values, got {x.size}")
    resamples = arguments.integer(bootstrap, "bootstrap", low=0)
    rng = np.random.default_rng(arguments.integer(seed, "seed", low=0))
    log = arguments.flag(log, "log")
    center = np.log(x).mean()
    t, root = np.log(x) - center, np.sqrt(weights)
    starts = _power_law_starts(t, loss, weights)
    if len(starts) == 0:
        raise ValueError("loss must fall with x: no decreasing power law fits better than none")
    theta, objective = _minimize(_power_law_residual(t, loss, root, log), starts, huber)

    residual, jacobian = _power_law_residual(t, loss, root, log)(theta)
    delta = np.inf if huber is None else huber
    curvature = max(np.mean(np.abs(residual) <= delta), 1 / x.size)
    spread = np.sum(np.clip(residual, -delta, delta) ** 2) / (x.size - 3)
    variance = spread / curvature**2
    information = np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-15, hermitian=True)
    alpha = np.exp(theta[2])
    to_named = np.array([[1.0, 0.0, 0.0], [0.0, 1 / alpha, -theta[1] / alpha], [0.0, 0.0, alpha]])
    covariance = variance * to_named @ information @ to_named.T

    straight = _line_objective(t, loss, root, log, huber)
    gain = 2 * (straight - objective) * curvature / spread if spread > 0 else np.inf
    identifiable = bool(gain > special.chdtri(1, 0.05))
    if not identifiable:
        warnings.warn(
            "l_inf is not identifiable: a straight line in log x fits as well, so the data set no "
            "lower bound on it; extend the range of x or reduce the noise",
            UserWarning,
            stacklevel=2,
        )

    def named(theta):
        with np.errstate(over="ignore"):  # x0 is inf where the data ask for alpha -> 0
            return theta[0], np.exp(center + theta[1] / np.exp(theta[2])), np.exp(theta[2])

    intervals = np.full((3, 2), np.nan)
    if resamples:
        fitted = theta[0] + np.exp(theta[1] - alpha * t)
        raw = (np.log(loss / fitted) if log else loss - fitted) * root
        raw = (raw - raw.mean()) * np.sqrt(x.size / (x.size - 3))
        draws = []
        for _ in range(resamples):
            noise = rng.choice(raw, x.size) / root
            again = fitted * np.exp(noise) if log else fitted + noise
            draw, _ = _minimize(_power_law_residual(t, again, root, log), [theta], huber)
            draws.append(named(draw))
        intervals = np.quantile(draws, [0.025, 0.975], axis=0).T
    return PowerLawFit(
        *map(float, named(theta)), covariance, intervals, float(objective), identifiable
    )


def _line_objective(t, loss, root, log, huber):
    """Objective of the best straight line in log x, the limit of the law at alpha = 0."""
    slope, middle = np.polyfit(t, loss, 1, w=root)
    if huber is None and not log:
        return np.sum((root * (middle + slope * t - loss)) ** 2) / 2

    def residual(theta):
        model, design = theta[0] - theta[1] * t, np.stack([np.ones_like(t), -t], axis=1)
        if not log:
            return root * (model - loss), root[:, None] * design
        safe = np.maximum(model, 1e-12)
        return root * (np.log(safe) - np.log(loss)), (root / safe)[:, None] * design

    return _minimize(residual, [np.array([middle, -slope])], huber)[1]


class Identifiability(NamedTuple):
    """Smallest standard deviations, in units that `identifiability` explains."""

    l_inf: float
    alpha: float
    correlation: float


def identifiability(rho: float, *, points: int | None = None) -> Identifiability:
    r"""How well a range of ``x`` can determine :math:`L_\infty` and :math:`\alpha`.

    With n losses of equal error :math:`\sigma` equally spaced in :math:`\ln x` and
    :math:`\rho = \alpha\ln(x_{\max}/x_{\min})`, the Cramér–Rao bounds are

    .. math:: \mathrm{sd}(L_\infty) = c_0(\rho)\,\sigma/\sqrt n, \qquad
              \mathrm{sd}(\alpha)/\alpha = c_1(\rho)\,\sigma/(B\sqrt n),

    with B the reducible loss at the smallest x.

    Args:
        rho: logarithm of the factor by which the reducible loss falls over the range, in
            [0.001, 300]: beyond, float64 cannot resolve the three gradients.
        points: n >= 3; None for the dense limit.

    Returns:
        `Identifiability` with :math:`c_0`, :math:`c_1` and the correlation of the two estimates.

    Raises:
        ValueError: if ``rho`` is out of range or ``points`` is below 3.
        TypeError: if ``points`` is no integer.

    Source: chapter ``power-law-and-entropy``.
    """
    rho = arguments.scalar(rho, "rho", low=0.001, high=300)
    if points is None:
        nodes, weights = np.polynomial.legendre.leggauss(64)
        z, weights = rho * (nodes + 1) / 2, weights / 2
    else:
        points = arguments.integer(points, "points", low=3)
        z, weights = np.linspace(0, rho, points), np.full(points, 1 / points)
    gradients = np.stack([np.ones_like(z), np.exp(-z), z * np.exp(-z)], axis=1)
    orthogonal = np.linalg.qr(np.sqrt(weights)[:, None] * gradients, mode="r")
    inverse = np.linalg.inv(orthogonal)
    covariance = inverse @ inverse.T
    c0, c1 = np.sqrt(covariance[0, 0]), np.sqrt(covariance[2, 2])
    # the third gradient is minus B/alpha times z exp(-z), hence the sign
    return Identifiability(float(c0), float(c1), float(-covariance[0, 2] / (c0 * c1)))


# --- L(N, D) = E + A / N^alpha + B / D^beta ----------------------------------------------------


@np.errstate(over="ignore")
def chinchilla_law(params, tokens, e, a, b, alpha, beta) -> np.ndarray:
    r"""Additive law of size and data, :math:`L = E + A N^{-\alpha} + B D^{-\beta}`, in nats.

    Args:
        params: N, positive, broadcasts against ``tokens``.
        tokens: D, positive.
        e: irreducible loss E, nats, positive.
        a: amplitude A, positive.
        b: amplitude B, positive.
        alpha: exponent of N, positive.
        beta: exponent of D, positive.

    Returns:
        Loss, broadcast shape; infinite where it exceeds float64.

    Raises:
        ValueError: if an argument is not above 0 or shapes do not match.

    Source: Hoffmann et al. 2022, approach 3; chapter ``compute-optimal``.
    """
    params, tokens = arguments.positives(params, "params"), arguments.positives(tokens, "tokens")
    e, a, b = (arguments.positive(v, n) for v, n in ((e, "e"), (a, "a"), (b, "b")))
    alpha, beta = arguments.positive(alpha, "alpha"), arguments.positive(beta, "beta")
    arguments.broadcastable(params=params, tokens=tokens)
    return e + a * params**-alpha + b * tokens**-beta


class ChinchillaFit(NamedTuple):
    """Parameters of `chinchilla_law` in its order, and the objective at the optimum."""

    e: float
    a: float
    b: float
    alpha: float
    beta: float
    objective: float


def chinchilla_objective(params, tokens, loss, fit, *, huber=1e-3) -> float:
    r"""Sum over runs of Huber's function of the residual of the log loss.

    Args:
        params: N, shape (n,).
        tokens: D, shape (n,).
        loss: nats, shape (n,).
        fit: (e, a, b, alpha, beta), further entries ignored.
        huber: half-width of the quadratic zone, above 0; ``inf`` gives squares.

    Returns:
        The objective that `fit_chinchilla` minimizes.

    Raises:
        ValueError: if an argument is not above 0, shapes do not match, or ``fit`` is too short.

    Source: Hoffmann et al. 2022; the sum, Besiroglu et al. 2024; chapter ``compute-optimal``.
    """
    loss = arguments.positives(loss, "loss", ndim=1)
    e, a, b, alpha, beta = arguments.positives(_entries(fit, "fit", 5, exact=False)[:5], "fit")
    huber = arguments.scalar(huber, "huber", low=0, high=np.inf, open_low=True)
    law = chinchilla_law(params, tokens, e, a, b, alpha, beta)
    arguments.broadcastable(loss=loss, params=law)
    return float(huber_loss(np.log(law) - np.log(loss), huber).sum())


def fit_chinchilla(params, tokens, loss, *, huber=1e-3, starts=None) -> ChinchillaFit:
    r"""Fit :math:`E + A N^{-\alpha} + B D^{-\beta}` to the log loss with Huber's function.

    The unknowns are the logarithms of the three terms at the geometric mean of the data (centering
    removes most of the ill-conditioning) and the two exponents.

    Args:
        params: N, positive, shape (n,), n >= 6.
        tokens: D, positive, shape (n,).
        loss: nats, positive, shape (n,).
        huber: half-width of the quadratic zone of the log residual; None for squares.
        starts: optional array (k, 5), k >= 1, of starting points (e, a, b, alpha, beta), positive;
            a grid if None.

    Returns:
        `ChinchillaFit`.

    Raises:
        ValueError: if shapes disagree, entries are not positive, or n < 6.

    Source: Hoffmann et al. 2022, approach 3; chapter ``compute-optimal``.
    """
    params = arguments.positives(params, "params", ndim=1)
    tokens = arguments.positives(tokens, "tokens")
    loss, _ = _observations(loss, params.shape, None)
    if tokens.shape != params.shape:
        raise ValueError(f"tokens must have shape {params.shape}, got {tokens.shape}")
    if loss.size < 6:
        raise ValueError(f"loss must hold at least 6 points for 5 parameters, got {loss.size}")
    n, d, target = np.log(params), np.log(tokens), np.log(loss)
    n_mid, d_mid = n.mean(), d.mean()
    n, d = n - n_mid, d - d_mid

    def residual(theta):
        e, a, b, alpha, beta = theta
        terms = np.stack([np.full_like(n, e), a - alpha * n, b - beta * d], axis=1)
        log_law = special.logsumexp(terms, axis=1)
        share = np.exp(terms - log_law[:, None])
        slopes = np.stack([-share[:, 1] * n, -share[:, 2] * d], axis=1)
        return log_law - target, np.concatenate([share, slopes], axis=1)

    if starts is None:
        low = loss.min()
        starts = [
            np.log([part * low, (1 - part) * low / 2, (1 - part) * low / 2]).tolist() + [p, q]
            for part in (0.3, 0.6, 0.85)
            for p in (0.2, 0.4, 0.8)
            for q in (0.2, 0.4, 0.8)
        ]
    else:
        starts = arguments.positives(starts, "starts", ndim=2)
        if len(starts) == 0 or starts.shape[1] != 5:
            raise ValueError(f"starts must have shape (k, 5), k >= 1, got {starts.shape}")
        e, a, b, alpha, beta = starts.T
        centered = (np.log(e), np.log(a) - alpha * n_mid, np.log(b) - beta * d_mid, alpha, beta)
        starts = np.stack(centered, axis=1)
    theta, objective = _minimize(residual, starts, huber)
    e, a, b, alpha, beta = theta
    amplitudes = np.exp([e, a + alpha * n_mid, b + beta * d_mid])
    return ChinchillaFit(*map(float, amplitudes), float(alpha), float(beta), float(objective))


def compute_optimal(compute, a, b, alpha, beta) -> tuple[np.ndarray, np.ndarray]:
    r"""Size and data that minimize `chinchilla_law` at a budget of :math:`C = 6ND` operations.

    .. math:: N = G\,(C/6)^{\beta/(\alpha+\beta)}, \quad D = C/(6N), \quad
              G = (\alpha A/(\beta B))^{1/(\alpha+\beta)}

    Args:
        compute: C in floating-point operations, positive, any shape.
        a: amplitude A, positive.
        b: amplitude B, positive.
        alpha: exponent of N, positive.
        beta: exponent of D, positive.

    Returns:
        (params, tokens), each of the shape of ``compute``.

    Raises:
        ValueError: if an argument is not above 0.

    Source: Hoffmann et al. 2022; chapter ``compute-optimal``.
    """
    compute = arguments.positives(compute, "compute")
    a, b = arguments.positive(a, "a"), arguments.positive(b, "b")
    alpha, beta = arguments.positive(alpha, "alpha"), arguments.positive(beta, "beta")
    g = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    params = g * (compute / 6) ** (beta / (alpha + beta))
    return params, compute / (6 * params)


# --- L(Ne, Nd) = L_inf + A (Ne0/Ne)^pe (Nd0/Nd)^pd ---------------------------------------------


@np.errstate(over="ignore")
def bivariate_law(encoder, decoder, l_inf, scale, p_encoder, p_decoder, *, reference=(1.0, 1.0)):
    r"""Product law of two capacities, in nats.

    .. math:: L = L_\infty + A\,(\bar N_e/N_e)^{p_e}(\bar N_d/N_d)^{p_d}

    Args:
        encoder: encoder parameters, positive, broadcasts against ``decoder``.
        decoder: decoder parameters, positive.
        l_inf: irreducible loss, nats.
        scale: reducible loss A of the reference model, positive.
        p_encoder: exponent of the encoder, positive.
        p_decoder: exponent of the decoder, positive.
        reference: sizes of the reference model.

    Returns:
        Loss in nats, broadcast shape; infinite where it exceeds float64.

    Raises:
        ValueError: if a size, ``scale`` or an exponent is not above 0, or shapes do not match.

    Source: Ghorbani et al. 2021; chapter ``bivariate-and-mixtures``.
    """
    encoder = arguments.positives(encoder, "encoder")
    decoder = arguments.positives(decoder, "decoder")
    l_inf, scale = arguments.scalar(l_inf, "l_inf"), arguments.positive(scale, "scale")
    p_encoder = arguments.positive(p_encoder, "p_encoder")
    p_decoder = arguments.positive(p_decoder, "p_decoder")
    e0, d0 = arguments.positives(_entries(reference, "reference", 2), "reference")
    arguments.broadcastable(encoder=encoder, decoder=decoder)
    return l_inf + scale * (e0 / encoder) ** p_encoder * (d0 / decoder) ** p_decoder


class BivariateFit(NamedTuple):
    """Parameters of `bivariate_law` (or of the sum of two power laws) and the objective.

    For ``form="product"`` the entries of ``scale`` coincide; for ``form="sum"`` they are the two
    amplitudes, both at the reference size.
    """

    l_inf: float
    scale: tuple[float, float]
    p_encoder: float
    p_decoder: float
    objective: float
    r_squared: float


def fit_bivariate(encoder, decoder, loss, *, form="product", reference=(1.0, 1.0)) -> BivariateFit:
    r"""Least-squares fit of the product law, or of the sum of two power laws, plus a constant.

    The sum is :math:`L_\infty + A(\bar N_e/N_e)^{p_e} + B(\bar N_d/N_d)^{p_d}`.

    Args:
        encoder: positive, shape (n,), n >= 6.
        decoder: positive, shape (n,).
        loss: nats, positive, shape (n,).
        form: "product" or "sum".
        reference: sizes at which the amplitudes are stated.

    Returns:
        `BivariateFit`.

    Raises:
        ValueError: if shapes disagree, entries are not positive or all equal, n < 6 or ``form`` is
            unknown.

    Source: Ghorbani et al. 2021; chapter ``bivariate-and-mixtures``.
    """
    form = arguments.choice(form, "form", ("product", "sum"))
    encoder = arguments.positives(encoder, "encoder", ndim=1)
    decoder = arguments.positives(decoder, "decoder")
    loss, _ = _observations(loss, encoder.shape, None)
    if decoder.shape != encoder.shape:
        raise ValueError(f"decoder must have shape {encoder.shape}, got {decoder.shape}")
    if loss.size < 6:
        raise ValueError(f"loss must hold at least 6 points, got {loss.size}")
    e0, d0 = arguments.positives(_entries(reference, "reference", 2), "reference")
    u, v = np.log(encoder / e0), np.log(decoder / d0)
    if min(np.ptp(u), np.ptp(v)) < 1e-6 or np.ptp(loss) == 0:
        raise ValueError("encoder, decoder and loss must each hold clearly different values")
    mid = np.array([u.mean(), v.mean()])

    def features(p, q):
        left, right = np.exp(-p * (u - mid[0])), np.exp(-q * (v - mid[1]))
        return (left * right,) if form == "product" else (left, right)

    def linear(exponents):
        """Given the exponents the law is linear: constant and amplitudes by least squares."""
        design = np.stack([np.ones_like(u), *features(*np.exp(exponents))], axis=1)
        coefficients = np.linalg.lstsq(design, loss, rcond=None)[0]
        return coefficients, design @ coefficients - loss

    found = min(
        (
            optimize.least_squares(
                lambda t: linear(t)[1], np.log([p, q]), xtol=1e-14, ftol=1e-14, gtol=1e-14
            )
            for p in (0.05, 0.3, 1.0)
            for q in (0.05, 0.3, 1.0)
        ),
        key=lambda result: result.cost,
    )
    p, q = np.exp(found.x)
    coefficients, residual = linear(found.x)
    shift = np.exp(p * mid[0]), np.exp(q * mid[1])
    if form == "product":
        scale = (float(coefficients[1] * shift[0] * shift[1]),) * 2
    else:
        scale = (float(coefficients[1] * shift[0]), float(coefficients[2] * shift[1]))
    r_squared = 1 - residual @ residual / ((loss - loss.mean()) @ (loss - loss.mean()))
    return BivariateFit(
        float(coefficients[0]), scale, float(p), float(q), float(found.cost), float(r_squared)
    )


def optimal_split(total, p_encoder: float, p_decoder: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Encoder and decoder sizes that minimize `bivariate_law` at a given sum.

    :math:`N_e = M p_e/(p_e+p_d)` and :math:`N_d = M p_d/(p_e+p_d)`: the shares do not depend on M.

    Args:
        total: M, positive, any shape.
        p_encoder: exponent of the encoder, positive.
        p_decoder: exponent of the decoder, positive.

    Returns:
        (encoder, decoder), each of the shape of ``total``.

    Raises:
        ValueError: if an argument is not above 0.

    Source: Ghorbani et al. 2021; chapter ``bivariate-and-mixtures``.
    """
    total = arguments.positives(total, "total")
    p_encoder = arguments.positive(p_encoder, "p_encoder")
    p_decoder = arguments.positive(p_decoder, "p_decoder")
    share = p_encoder / (p_encoder + p_decoder)
    return total * share, total * (1 - share)


# --- learning-rate annealing -------------------------------------------------------------------


def annealing_areas(lr, decay: float, *, clock: float = 0.0, warmup_area: float = 0.0):
    r"""Forward area and annealing area of a learning-rate schedule.

    .. math:: S_1(s) = \sum_{i \le s} \eta_i, \qquad S_2(s) = \sum_{i \le s} m_i, \qquad
              m_i = \lambda m_{i-1} + (\eta_{i-1} - \eta_i), \quad m_0 = 0

    Equivalently :math:`S_2 = (\eta_0 - E_s)/(1-\lambda)` with `annealing_average`; with a ``clock``
    above 0 this second form, in which zero rates change nothing, defines :math:`S_2`.

    Args:
        lr: learning rate of every step after warm-up, ``lr[0]`` the peak; >= 0, shape (steps,).
        decay: :math:`\lambda` in [0, 1), above 0 if there is a clock.
        clock: p in [0, 1], see `annealing_average`.
        warmup_area: area under the warm-up, added to :math:`S_1`.

    Returns:
        (s1, s2), each of shape (steps,).

    Raises:
        ValueError: if ``lr`` is empty or negative, or ``decay`` or ``clock`` is out of range.

    Source: Tissue et al. 2024; chapter ``annealing-and-batch-size``.
    """
    lr = arguments.finite(lr, "lr", ndim=1)
    if lr.size == 0 or (lr < 0).any():
        raise ValueError("lr must hold at least one rate, none below 0")
    decay = arguments.scalar(decay, "decay", low=0.0, high=1.0, open_high=True)
    warmup_area = arguments.scalar(warmup_area, "warmup_area", low=0.0)
    if arguments.scalar(clock, "clock", low=0.0, high=1.0):
        decay = arguments.positive(decay, "decay")
        average = annealing_average(lr, -np.log(decay), clock=clock)
        return warmup_area + np.cumsum(lr), (lr[0] - average) / (1 - decay)
    drops = -np.diff(lr, prepend=lr[0])
    momentum = signal.lfilter([1.0], [1.0, -decay], drops)
    return warmup_area + np.cumsum(lr), np.cumsum(momentum)


@np.errstate(over="ignore")
def annealing_law(s1, s2, l0, a, alpha, c) -> np.ndarray:
    r"""Loss along a schedule, :math:`L = L_0 + A S_1^{-\alpha} - C S_2`, in nats.

    Args:
        s1: forward area, positive, any shape.
        s2: annealing area, shape of ``s1``.
        l0: constant, nats.
        a: amplitude A, positive.
        alpha: exponent, positive.
        c: gain C per annealing area.

    Returns:
        Loss, shape of ``s1``; infinite where it exceeds float64.

    Raises:
        ValueError: if ``s1``, ``a`` or ``alpha`` is not above 0, or ``s2`` has another shape.

    Source: Tissue et al. 2024; chapter ``annealing-and-batch-size``.
    """
    s1, s2 = arguments.positives(s1, "s1"), arguments.finite(s2, "s2")
    if s1.shape != s2.shape:
        raise ValueError(f"s2 must have the shape of s1, {s1.shape}, got {s2.shape}")
    l0, c = arguments.scalar(l0, "l0"), arguments.scalar(c, "c")
    a, alpha = arguments.positive(a, "a"), arguments.positive(alpha, "alpha")
    return l0 + a * s1**-alpha - c * s2


def annealing_average(lr, rate: float, *, clock: float = 0.0, peak: float | None = None):
    r"""Moving average of the learning rate in a clock that runs with the rate's power.

    .. math:: E_s = E_{s-1} + (1 - e^{-k (\eta_s/\eta_0)^p})(\eta_s - E_{s-1}), \qquad E_0 = \eta_0

    At ``clock`` p = 0 the average runs in steps and :math:`S_2 = (\eta_0 - E_s)/(1-\lambda)` with
    :math:`\lambda = e^{-k}`; at p = 1 it runs in learning-rate area and stands still at rate zero.

    Args:
        lr: learning rate of every step after warm-up, >= 0, shape (steps,).
        rate: k, positive.
        clock: p in [0, 1].
        peak: the rate :math:`\eta_0` that fixes the clock's unit; ``lr[0]`` if None.

    Returns:
        E, shape (steps,).

    Raises:
        ValueError: if ``lr`` is empty or negative, ``rate`` not above 0, ``clock`` outside [0, 1].

    Source: chapter ``annealing-and-batch-size``.
    """
    lr = arguments.finite(lr, "lr", ndim=1)
    if lr.size == 0 or (lr < 0).any():
        raise ValueError("lr must hold at least one rate, none below 0")
    rate = arguments.positive(rate, "rate")
    clock = arguments.scalar(clock, "clock", low=0.0, high=1.0)
    peak = arguments.positive(lr[0] if peak is None else peak, "peak")
    gain = -np.expm1(-rate * (lr / peak) ** clock)
    average = np.empty_like(lr)
    level = lr[0]
    for step, (now, weight) in enumerate(zip(lr, gain, strict=True)):
        level += weight * (now - level)
        average[step] = level
    return average


class AnnealingFit(NamedTuple):
    """Parameters of `annealing_law`, the decay that minimized the objective, and the objective."""

    l0: float
    a: float
    alpha: float
    c: float
    decay: float
    objective: float


def fit_annealing(
    curves,
    *,
    decay=(0.99, 0.995, 0.998, 0.999, 0.9995),
    clock=0.0,
    huber=1e-3,
    warmup_area=0.0,
):
    r"""Fit the annealing law to whole loss curves, by Huber's function of the log residual.

    Args:
        curves: sequence of (lr, steps, loss): rates of every step after warm-up, shape (T,); the
            indices at which the loss was read, integers in [0, T), shape (n,); losses in nats.
        decay: one or more candidates for :math:`\lambda` in [0, 1); each is fitted and the best one
            returned.
        clock: p in [0, 1] of `annealing_areas`.
        huber: half-width of the quadratic zone of the log residual; None for squares.
        warmup_area: area under the warm-up, added to :math:`S_1`.

    Returns:
        `AnnealingFit`.

    Raises:
        ValueError: if there is no curve or no candidate, steps and loss of a curve disagree in
            shape, or an option is out of range.
        TypeError: if ``curves`` is no sequence of triples.
        IndexError: if a step lies outside its schedule.

    Source: Tissue et al. 2024; chapter ``annealing-and-batch-size``.
    """
    curves = [_entries(curve, "curves", 3) for curve in _entries(curves, "curves", 1, exact=False)]
    best = None
    for candidate in _entries(np.atleast_1d(decay), "decay", 1, exact=False):
        s1, s2, target = [], [], []
        for lr, steps, loss in curves:
            loss = arguments.positives(loss, "curves", ndim=1)
            index = arguments.labels(steps, loss.shape, len(lr), "curves")
            areas = annealing_areas(lr, candidate, clock=clock, warmup_area=warmup_area)
            s1.append(areas[0][index])
            s2.append(areas[1][index])
            target.append(loss)
        fit = _fit_areas(*map(np.concatenate, (s1, s2, target)), huber)
        if best is None or fit[-1] < best.objective:
            best = AnnealingFit(*fit[:-1], float(candidate), fit[-1])
    return best


def _fit_areas(s1, s2, loss, huber):
    """Fit (l0, a, alpha, c) at fixed areas; the amplitude is stated at the mean log area."""
    center, unit = np.log(s1).mean(), max(np.ptp(s2), 1e-300)
    t, drop, target = np.log(s1) - center, s2 / unit, np.log(loss)

    def residual(theta):
        power = np.exp(theta[1] - np.exp(theta[2]) * t)
        model = np.maximum(theta[0] + power - theta[3] * drop, 1e-12)
        columns = [np.ones_like(t), power, -power * t * np.exp(theta[2]), -drop]
        return np.log(model) - target, np.stack(columns, axis=1) / model[:, None]

    starts = []
    for alpha in (0.2, 0.5, 1.0):
        design = np.stack([np.ones_like(t), np.exp(-alpha * t), -drop], axis=1)
        l0, amplitude, c = np.linalg.lstsq(design, loss, rcond=None)[0]
        starts.append(np.array([l0, np.log(max(amplitude, 1e-3)), np.log(alpha), c]))
    theta, objective = _minimize(residual, starts, huber)
    alpha = np.exp(theta[2])
    amplitude = np.exp(theta[1] + alpha * center)
    return float(theta[0]), float(amplitude), float(alpha), float(theta[3] / unit), float(objective)


# --- batch size --------------------------------------------------------------------------------


def critical_batch_law(batch, s_min: float, b_crit: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Steps and samples needed to reach a loss at a constant batch size.

    :math:`S = S_{\min}(1 + B_{crit}/B)` and :math:`E = BS = S_{\min}(B + B_{crit})`, the hyperbola
    :math:`(S/S_{\min}-1)(E/E_{\min}-1) = 1` with :math:`E_{\min} = B_{crit}S_{\min}`.

    Args:
        batch: B, positive, any shape.
        s_min: steps at infinite batch, positive.
        b_crit: critical batch, positive.

    Returns:
        (steps, samples), each of the shape of ``batch``.

    Raises:
        ValueError: if an argument is not above 0.

    Source: Kaplan et al. 2020 after McCandlish et al. 2018; chapter ``annealing-and-batch-size``.
    """
    batch = arguments.positives(batch, "batch")
    s_min, b_crit = arguments.positive(s_min, "s_min"), arguments.positive(b_crit, "b_crit")
    steps = s_min * (1 + b_crit / batch)
    return steps, batch * steps


def trajectory_law(
    params, steps, batch, *, n_c, alpha_n, s_c, alpha_s, b_star, alpha_b
) -> np.ndarray:
    r"""Loss after a number of steps at a batch size, the implicit law of Kaplan et al.

    Solves :math:`L = (N_c/N)^{\alpha_N} + [S_c(1 + B_{crit}(L)/B)/S]^{\alpha_S}` with
    :math:`B_{crit}(L) = B_*/L^{1/\alpha_B}`; the right side falls with L, so L is unique.

    Args:
        params: N, positive; broadcasts with ``steps`` and ``batch``.
        steps: S, positive.
        batch: B, positive, in the unit of ``b_star``.
        n_c: constant of the size term, positive.
        alpha_n: its exponent, positive.
        s_c: constant of the step term, positive.
        alpha_s: its exponent, positive.
        b_star: constant of the critical batch, positive.
        alpha_b: its exponent, positive.

    Returns:
        Loss in nats, broadcast shape.

    Raises:
        ValueError: if an argument is not above 0, shapes do not match, or the loss leaves
            float64.

    Source: Kaplan et al. 2020; Su et al. 2024; chapter ``annealing-and-batch-size``.
    """
    params, steps = arguments.positives(params, "params"), arguments.positives(steps, "steps")
    batch = arguments.positives(batch, "batch")
    constants = dict(
        n_c=n_c, alpha_n=alpha_n, s_c=s_c, alpha_s=alpha_s, b_star=b_star, alpha_b=alpha_b
    )
    for name, value in constants.items():
        arguments.positive(value, name)
    arguments.broadcastable(params=params, steps=steps, batch=batch)

    def solve(n, s, b):
        log_floor = alpha_n * np.log(n_c / n)

        def shortfall(log_loss):  # log of the right side over the left
            log_critical = np.log(b_star / b) - log_loss / alpha_b
            log_time = np.log(s_c / s) + np.logaddexp(0.0, log_critical)
            return np.logaddexp(log_floor, alpha_s * log_time) - log_loss

        low, high = log_floor - 1e-6, log_floor + 1.0
        while shortfall(high) > 0:
            high += high - low
        if not -700 < low < high < 700:
            raise ValueError("params, steps and batch give a loss that float64 cannot hold")
        return np.exp(optimize.brentq(shortfall, low, high, xtol=1e-14))

    return np.vectorize(solve, otypes=[np.float64])(params, steps, batch)


# --- mixtures ----------------------------------------------------------------------------------


@np.errstate(over="ignore")
def mixture_law(ratios, base, gamma) -> np.ndarray:
    r"""Own-ratio law of a mixture, :math:`L_i = c_i p_i^{-\gamma_i}`, in nats.

    Args:
        ratios: sampling ratios p, positive, summing to 1 along the last axis, shape (..., k).
        base: loss :math:`c_i` of each family trained alone, positive, shape (k,).
        gamma: exponents, positive, shape (k,).

    Returns:
        Loss of each family, shape (..., k); infinite where it exceeds float64.

    Raises:
        ValueError: if ratios are not a positive distribution or a constant is not above 0.

    Source: He et al. 2024; chapter ``bivariate-and-mixtures``.
    """
    ratios = arguments.distribution(ratios, "ratios")
    arguments.positives(ratios, "ratios")
    base = arguments.positives(base, "base", ndim=1)
    gamma = arguments.positives(gamma, "gamma", ndim=1)
    if not base.shape == gamma.shape == ratios.shape[-1:]:
        raise ValueError(f"base and gamma must have shape {ratios.shape[-1:]}")
    return base * ratios**-gamma


def optimal_mixture(weights, base, gamma) -> np.ndarray:
    r"""Sampling ratios with the least weighted loss :math:`\sum_i w_i c_i p_i^{-\gamma_i}`.

    The minimizer is unique, :math:`p_i = (w_i c_i\gamma_i/\mu)^{1/(1+\gamma_i)}` with the one
    :math:`\mu` for which the ratios sum to 1.

    Args:
        weights: importance :math:`w_i` of each family, positive, shape (k,).
        base: :math:`c_i`, positive, shape (k,).
        gamma: exponents, positive, shape (k,).

    Returns:
        Ratios, shape (k,), summing to 1.

    Raises:
        ValueError: if shapes disagree or an entry is not above 0.

    Source: He et al. 2024; chapter ``bivariate-and-mixtures``.
    """
    weights = arguments.positives(weights, "weights", ndim=1)
    base = arguments.positives(base, "base", ndim=1)
    gamma = arguments.positives(gamma, "gamma", ndim=1)
    if not weights.shape == base.shape == gamma.shape or weights.size == 0:
        raise ValueError("weights, base and gamma must have one common shape (k,), k >= 1")
    log_b = np.log(weights * base * gamma)

    def excess(log_mu):
        return special.logsumexp((log_b - log_mu) / (1 + gamma))

    # at low the largest ratio alone is 1; at high each ratio is at most 1/k
    low = log_b.max()
    high = (log_b + (1 + gamma) * np.log(weights.size)).max()
    log_mu = low if weights.size == 1 else optimize.brentq(excess, low - 1, high + 1, xtol=1e-14)
    ratios = np.exp((log_b - log_mu) / (1 + gamma))
    return ratios / ratios.sum()
