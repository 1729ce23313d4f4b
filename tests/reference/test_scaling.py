"""Scaling laws: the laws against their definitions, the fits against known optima."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from xent.reference import scaling

deterministic = settings(deadline=None, derandomize=True, max_examples=25)


def noisy_power_law(seed=0, sigma=0.003, decades=3, n=12):
    x = np.geomspace(1e3, 1e3 * 10**decades, n)
    noise = np.random.default_rng(seed).normal(size=n)
    return x, scaling.power_law(x, 2.0, 1e4, 0.3) + sigma * noise


def test_power_law_is_one_nat_above_the_constant_at_x0():
    assert scaling.power_law(1e4, 2.0, 1e4, 0.3) == pytest.approx(3.0, abs=1e-15)
    assert scaling.power_law(np.array([1e4 * 2**10]), 2.0, 1e4, 0.3)[0] == pytest.approx(2.125)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("huber", [None, 1e-3])
def test_fit_power_law_recovers_exact_data(log, huber):
    x, loss = noisy_power_law(sigma=0.0)
    fit = scaling.fit_power_law(x, loss, huber=huber, log=log, bootstrap=0)
    assert fit[:3] == pytest.approx((2.0, 1e4, 0.3), rel=1e-5)
    assert fit.identifiable and fit.objective < 1e-12


def test_fit_power_law_agrees_with_a_brute_force_profile():
    x, loss = noisy_power_law(seed=1)
    fit = scaling.fit_power_law(x, loss, bootstrap=0)

    def profile(alpha):
        design = np.stack([np.ones_like(x), x**-alpha], axis=1)
        coefficients, *_ = np.linalg.lstsq(design, loss, rcond=None)
        return 0.5 * np.sum((design @ coefficients - loss) ** 2)

    best = optimize.minimize_scalar(profile, bounds=(0.05, 1.0), method="bounded")
    assert fit.objective == pytest.approx(best.fun, rel=1e-8)
    assert fit.alpha == pytest.approx(best.x, abs=1e-4)


def test_fit_power_law_covariance_and_bootstrap_match_repeated_experiments():
    fits = [scaling.fit_power_law(*noisy_power_law(seed=s), bootstrap=0) for s in range(150)]
    simulated = np.std([f.l_inf for f in fits])
    stated = np.sqrt(np.mean([f.covariance[0, 0] for f in fits]))
    assert stated == pytest.approx(simulated, rel=0.2)
    fit = scaling.fit_power_law(*noisy_power_law(seed=3), bootstrap=100)
    low, high = fit.intervals[0]
    assert low < fit.l_inf < high
    assert (high - low) / (3.92 * np.sqrt(fit.covariance[0, 0])) == pytest.approx(1, abs=0.35)


def test_weights_remove_a_bad_point():
    x, loss = noisy_power_law(sigma=0.0)
    loss[3] += 0.1
    weights = np.ones_like(x)
    weights[3] = 1e-12
    fit = scaling.fit_power_law(x, loss, weights=weights, bootstrap=0)
    assert fit.l_inf == pytest.approx(2.0, abs=1e-6)
    robust = scaling.fit_power_law(x, loss, huber=1e-4, bootstrap=0)
    plain = scaling.fit_power_law(x, loss, bootstrap=0)
    assert abs(robust.l_inf - 2.0) < 0.1 * abs(plain.l_inf - 2.0)


def test_a_short_range_warns_and_a_long_one_does_not():
    with pytest.warns(UserWarning, match="not identifiable"):
        short = scaling.fit_power_law(
            *noisy_power_law(seed=2, sigma=0.03, decades=0.5), bootstrap=0
        )
    assert not short.identifiable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scaling.fit_power_law(*noisy_power_law(decades=4), bootstrap=0).identifiable


def test_fit_is_deterministic():
    first = scaling.fit_power_law(*noisy_power_law(), bootstrap=10)
    again = scaling.fit_power_law(*noisy_power_law(), bootstrap=10)
    assert np.array_equal(first.intervals, again.intervals) and first.l_inf == again.l_inf


def test_identifiability_limits():
    small = scaling.identifiability(0.05)
    assert small.l_inf == pytest.approx(12 * 5**0.5 / 0.05**2, rel=1e-4)
    assert small.alpha == pytest.approx(12 * 5**0.5 / 0.05**2 * np.exp(0.025), rel=1e-4)
    assert small.correlation == pytest.approx(1.0, abs=1e-3)
    assert scaling.identifiability(200.0).l_inf == pytest.approx(1.0, abs=0.05)
    n = 8
    factor = (n**2 - 1) ** 0.5 * (n**2 - 4) ** 0.5 / (n - 1) ** 2
    ratio = scaling.identifiability(0.05).l_inf / scaling.identifiability(0.05, points=n).l_inf
    assert ratio == pytest.approx(factor, rel=1e-3)


def test_identifiability_predicts_the_spread_of_fits():
    x, _ = noisy_power_law()
    rho, sigma = 0.3 * np.log(x[-1] / x[0]), 0.003
    bound = scaling.identifiability(rho, points=x.size).l_inf * sigma / np.sqrt(x.size)
    fits = [scaling.fit_power_law(*noisy_power_law(seed=s), bootstrap=0).l_inf for s in range(200)]
    assert np.std(fits) == pytest.approx(bound, rel=0.15)


def test_chinchilla_fit_recovers_exact_data_and_beats_neighbors():
    rng = np.random.default_rng(0)
    params, tokens = 10 ** rng.uniform(7, 10, 80), 10 ** rng.uniform(9, 11, 80)
    truth = (1.8, 480.0, 2100.0, 0.35, 0.37)
    loss = scaling.chinchilla_law(params, tokens, *truth)
    fit = scaling.fit_chinchilla(params, tokens, loss)
    assert fit[:5] == pytest.approx(truth, rel=1e-4)
    noisy = loss * np.exp(0.005 * rng.normal(size=80))
    fit = scaling.fit_chinchilla(params, tokens, noisy)
    for index in range(5):
        for factor in (0.999, 1.001):
            moved = list(fit[:5])
            moved[index] *= factor
            assert scaling.chinchilla_objective(params, tokens, noisy, moved) > fit.objective
    assert scaling.chinchilla_objective(params, tokens, noisy, fit) == pytest.approx(fit.objective)


@deterministic
@given(st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(1, 1e4), st.floats(1, 1e4))
def test_compute_optimal_is_the_minimum_along_the_budget(alpha, beta, a, b):
    compute = 1e21
    params, tokens = scaling.compute_optimal(compute, a, b, alpha, beta)
    assert 6 * params * tokens == pytest.approx(compute)

    def loss(log_n):
        return a * np.exp(-alpha * log_n) + b * (compute / 6) ** -beta * np.exp(beta * log_n)

    found = optimize.minimize_scalar(loss, bounds=(-60, 120), method="bounded")
    assert loss(np.log(params)) <= found.fun * (1 + 1e-9)


def test_bivariate_fits_tell_product_from_sum():
    e, d = (g.ravel() for g in np.meshgrid(np.geomspace(1, 32, 6), np.geomspace(1, 32, 6)))
    product = scaling.bivariate_law(e, d, 1.2, 0.36, 0.2, 0.3)
    fit = scaling.fit_bivariate(e, d, product)
    assert (fit.l_inf, fit.scale[0], fit.p_encoder, fit.p_decoder) == pytest.approx(
        (1.2, 0.36, 0.2, 0.3), rel=1e-6
    )
    assert fit.r_squared == pytest.approx(1.0)
    total = 1.2 + 0.6 * e**-0.2 + 0.6 * d**-0.3
    added = scaling.fit_bivariate(e, d, total, form="sum")
    assert (added.l_inf, *added.scale, added.p_encoder, added.p_decoder) == pytest.approx(
        (1.2, 0.6, 0.6, 0.2, 0.3), rel=1e-5
    )
    assert scaling.fit_bivariate(e, d, total).r_squared < added.r_squared - 0.01


@deterministic
@given(st.floats(0.05, 2), st.floats(0.05, 2), st.floats(1, 1e6))
def test_optimal_split_beats_every_other_split(p, q, total):
    encoder, decoder = scaling.optimal_split(total, p, q)
    assert encoder + decoder == pytest.approx(total)
    shares = np.linspace(0.001, 0.999, 999)
    others = -p * np.log(total * shares) - q * np.log(total * (1 - shares))
    assert -p * np.log(encoder) - q * np.log(decoder) <= others.min() + 1e-12


def test_annealing_areas_equal_the_double_sum():
    lr = np.random.default_rng(0).uniform(0, 1, 40)
    s1, s2 = scaling.annealing_areas(lr, 0.9, warmup_area=0.3)
    for s in range(40):
        double = sum(
            (lr[k - 1] - lr[k]) * 0.9 ** (i - k) for i in range(1, s + 1) for k in range(1, i + 1)
        )
        assert s2[s] == pytest.approx(double, abs=1e-12)
    assert s1[-1] == pytest.approx(0.3 + lr.sum())


@deterministic
@given(st.integers(0, 10**6), st.floats(0.5, 0.9999))
def test_annealing_area_is_a_moving_average(seed, decay):
    lr = np.random.default_rng(seed).uniform(0, 1, 200)
    average = scaling.annealing_average(lr, -np.log(decay))
    _, s2 = scaling.annealing_areas(lr, decay)
    assert np.abs((1 - decay) * s2 - (lr[0] - average)).max() < 1e-12


def test_annealing_average_in_area_ignores_zero_rates():
    lr = np.linspace(1, 0.2, 30)
    padded = np.concatenate([lr, np.zeros(50)])
    average = scaling.annealing_average(padded, 0.1, clock=0.5)
    assert average[-1] == average[29]


def test_a_clock_leaves_the_area_unchanged_while_the_rate_is_zero():
    lr = np.r_[np.full(50, 2e-3), np.linspace(2e-3, 0, 50), np.zeros(40)]
    _, plain = scaling.annealing_areas(lr, 0.99)
    _, clocked = scaling.annealing_areas(lr, 0.99, clock=1.0)
    assert plain[-1] > plain[99] and clocked[-1] == clocked[99]
    steady = lr[:50]
    assert np.abs(scaling.annealing_areas(steady, 0.99, clock=0.5)[1]).max() < 1e-12


def test_fit_annealing_recovers_exact_curves():
    steps = np.arange(200, 3000, 40)
    decline = 0.5 * (1 + np.cos(np.pi * np.arange(3000) / 3000))
    schedules = [np.full(3000, 1e-3), 1e-3 * (0.1 + 0.9 * decline)]
    curves = []
    for lr in schedules:
        s1, s2 = scaling.annealing_areas(lr, 0.995)
        loss = scaling.annealing_law(s1[steps], s2[steps], 2.5, 0.5, 0.5, 0.4)
        curves.append((lr, steps, loss))
    fit = scaling.fit_annealing(curves)
    assert fit[:5] == pytest.approx((2.5, 0.5, 0.5, 0.4, 0.995), rel=1e-4)


def test_critical_batch_is_a_hyperbola():
    batch = np.geomspace(1, 1e5, 20)
    steps, samples = scaling.critical_batch_law(batch, 40.0, 70.0)
    product = (steps / 40.0 - 1) * (samples / (40.0 * 70.0) - 1)
    assert np.abs(product - 1).max() < 1e-10


def test_trajectory_law_solves_its_equation_and_falls_with_batch():
    constants = dict(n_c=8.8e13, alpha_n=0.076, s_c=2.1e3, alpha_s=0.76, b_star=2e8, alpha_b=0.21)
    batch = np.array([1e5, 1e6, 1e7])
    loss = scaling.trajectory_law(1e9, 1e4, batch, **constants)
    critical = 2e8 / loss ** (1 / 0.21)
    right = (8.8e13 / 1e9) ** 0.076 + (2.1e3 * (1 + critical / batch) / 1e4) ** 0.76
    assert right == pytest.approx(loss, rel=1e-10)
    assert (np.diff(loss) < 0).all()


@deterministic
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_optimal_mixture_against_a_general_optimizer(seed, k):
    rng = np.random.default_rng(seed)
    weights, base = rng.uniform(0.2, 3, k), rng.uniform(0.2, 3, k)
    gamma = rng.uniform(0.05, 0.9, k)
    best = scaling.optimal_mixture(weights, base, gamma)
    assert best.sum() == pytest.approx(1.0)
    value = weights @ scaling.mixture_law(best, base, gamma)

    def objective(z):
        p = np.exp(z - z.max())
        return weights @ (base * (p / p.sum()) ** -gamma)

    found = optimize.minimize(objective, np.zeros(k), method="BFGS", options={"gtol": 1e-9})
    assert value <= found.fun * (1 + 1e-9)
    assert value == pytest.approx(found.fun, rel=1e-7)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: scaling.power_law(-1.0, 1, 1, 1), "x"),
        (lambda: scaling.power_law(1.0, 1, 0, 1), "x0"),
        (lambda: scaling.fit_power_law([1, 2, 3], [3, 2, 1]), "x"),
        (lambda: scaling.fit_power_law([1, 2, 3, 4], [3, 2, 1]), "loss"),
        (lambda: scaling.fit_power_law([1, 2, 3, 4], [1, 2, 3, 4]), "loss"),
        (lambda: scaling.fit_power_law([1, 2, 3, 4], [4, 3, 2, 1], weights=[1, 1]), "weights"),
        (lambda: scaling.fit_power_law([1, 2, 3, 4], [4, 3, 2, 1.5], huber=0.0), "huber"),
        (lambda: scaling.identifiability(0.0), "rho"),
        (lambda: scaling.huber_loss(1.0, 0.0), "delta"),
        (lambda: scaling.fit_chinchilla(np.ones(6), np.ones(5), np.ones(6)), "tokens"),
        (lambda: scaling.compute_optimal(0.0, 1, 1, 1, 1), "compute"),
        (lambda: scaling.fit_bivariate(np.ones(6), np.ones(6), np.ones(6), form="x"), "form"),
        (lambda: scaling.optimal_split(1.0, 0.0, 1.0), "p_encoder"),
        (lambda: scaling.annealing_areas([], 0.9), "lr"),
        (lambda: scaling.annealing_areas([1.0], 1.0), "decay"),
        (lambda: scaling.annealing_law([1.0], [0.0, 1.0], 1, 1, 1, 1), "s2"),
        (lambda: scaling.annealing_average([-1.0], 0.1), "lr"),
        (lambda: scaling.fit_annealing([]), "curves"),
        (lambda: scaling.critical_batch_law(1.0, 0.0, 1.0), "s_min"),
        (lambda: scaling.mixture_law([0.5, 0.6], [1, 1], [1, 1]), "ratios"),
        (lambda: scaling.optimal_mixture([1, 1], [1, 1], [1]), "gamma"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()


def test_a_step_outside_its_schedule_is_an_index_error():
    with pytest.raises(IndexError):
        scaling.fit_annealing([(np.ones(5), np.array([7]), np.array([2.0]))])
