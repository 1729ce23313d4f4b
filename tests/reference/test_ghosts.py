"""References of the complex singularities against mpmath, brute force and quadrature."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from xent.reference import ghosts


def random_line(rng, classes, scale=1.0):
    return scale * rng.normal(size=classes), rng.normal(size=classes)


def integer_line_zeros(logits, slopes, radius):
    """Oracle: for integer slopes the zeros are logarithms of the roots of a polynomial."""
    slopes = np.asarray(slopes, dtype=int) - min(slopes)
    coefficients = np.zeros(slopes.max() + 1)
    np.add.at(coefficients, slopes, np.exp(logits))
    roots = mpmath.polyroots(
        [mpmath.mpf(c) for c in coefficients[::-1]], maxsteps=200, extraprec=200
    )
    turns = range(-int(radius) - 2, int(radius) + 3)
    zeros = [complex(mpmath.log(z)) + 2j * np.pi * k for z in roots for k in turns]
    return np.array(sorted((z for z in zeros if abs(z) < radius), key=abs))


@pytest.mark.parametrize("seed", range(8))
def test_zeros_are_the_logarithms_of_polynomial_roots(seed):
    rng = np.random.default_rng(seed)
    slopes = rng.permutation(8)[: rng.integers(2, 7)]
    logits = 2 * rng.normal(size=slopes.size)
    expected = integer_line_zeros(logits, slopes, 9.0)
    found = ghosts.partition_zeros(logits, slopes, 9.0)
    assert found.size == expected.size == ghosts.count_zeros(logits, slopes, 9.0)
    distance = np.abs(found[:, None] - expected)
    assert distance.min(0).max() < 1e-9 and distance.min(1).max() < 1e-9


def test_multiple_zeros_are_repeated():
    logits = np.log([1.0, 3.0, 3.0, 1.0])  # (1 + e^t)^3
    zeros = ghosts.partition_zeros(logits, [0, 1, 2, 3], 4.0)
    assert zeros.size == 6
    np.testing.assert_allclose(np.abs(zeros), np.pi, atol=1e-4)


def test_count_agrees_with_brute_force_winding():
    rng = np.random.default_rng(1)
    for _ in range(20):
        logits, slopes = random_line(rng, 6)
        center = complex(rng.normal(), rng.normal())
        circle = center + 5.0 * np.exp(2j * np.pi * np.arange(40001) / 40000)
        value = np.exp(logits + circle[:, None] * slopes).sum(-1)
        winding = np.angle(value[1:] / value[:-1]).sum() / (2 * np.pi)
        assert ghosts.count_zeros(logits, slopes, 5.0, center=center) == round(winding)


def test_a_circle_through_a_zero_is_refused():
    with pytest.raises(ValueError, match="zero on the circle"):
        ghosts.count_zeros([0.0, 0.0], [0.0, 1.0], np.pi)


def test_no_zero_is_missed_in_a_grid_search():
    rng = np.random.default_rng(2)
    for classes in (3, 5, 10):
        logits, slopes = random_line(rng, classes)
        radius = float(ghosts.convergence_radius(logits, slopes))
        grid = np.linspace(-radius, radius, 400)
        t = grid[:, None] + 1j * grid[grid >= 0]
        inside = t[np.abs(t) < 0.98 * radius]
        assert np.abs(ghosts.characteristic(logits, slopes, inside)).min() > 1e-3
        nearest = ghosts.partition_zeros(logits, slopes, 1.01 * radius)[0]
        assert abs(ghosts.characteristic(logits, slopes, nearest)) < 1e-10


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.floats(-8, 8), st.floats(0.1, 5), st.floats(-3, 3))
def test_binary_radius_is_the_nearest_zero(delta, spread, offset):
    radius = ghosts.convergence_radius([delta, 0.0], [offset + spread, offset])
    np.testing.assert_allclose(radius, ghosts.binary_radius(delta, spread), rtol=1e-9)


def test_equal_slopes_have_no_ghost():
    assert ghosts.convergence_radius([1.0, 2.0], [3.0, 3.0]) == np.inf
    assert ghosts.radius_lower_bound([3.0, 3.0]) == np.inf
    assert ghosts.majority_radius_bound([1.0, 2.0], [3.0, 3.0]) == np.inf
    assert ghosts.curvature_radius_bound([1.0, 2.0], [3.0, 3.0]) == np.inf
    assert ghosts.binary_radius(1.0, 0.0) == np.inf
    assert ghosts.partition_zeros([1.0, 2.0], [3.0, 3.0], 5.0).size == 0


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_lower_bounds_are_ordered_and_hold(classes, scale):
    rng = np.random.default_rng(classes)
    for _ in range(3):
        logits, slopes = random_line(rng, classes, scale)
        radius = ghosts.convergence_radius(logits, slopes)
        subset = ghosts.subset_radius_bound(logits, slopes, cells=1000)
        curvature = ghosts.curvature_radius_bound(logits, slopes, cells=1000)
        majority = ghosts.majority_radius_bound(logits, slopes)
        lowest = ghosts.radius_lower_bound(slopes)
        point = ghosts.margin_radius_bound(logits, slopes)
        assert max(subset, curvature, majority, point) <= radius * (1 + 1e-9)
        assert lowest <= majority * (1 + 1e-12)
        assert max(curvature, majority) <= subset * 1.02  # up to the width of the cells
        assert lowest <= point * (1 + 1e-9)


def test_curvature_bound_is_sharp_for_two_balanced_slopes():
    bound = ghosts.curvature_radius_bound([0.0, 0.0], [0.0, 2.0], cells=4001)
    np.testing.assert_allclose(bound, np.pi / 2, rtol=1e-2)


def test_equivalent_margin_of_two_classes_is_the_logit_difference():
    np.testing.assert_allclose(ghosts.equivalent_margin([3.0, 0.5], [1.0, 4.0]), 2.5, rtol=1e-12)


def test_every_zero_floats_above_the_height_bound():
    rng = np.random.default_rng(5)
    for classes in (2, 4, 9):
        logits, slopes = random_line(rng, classes, 2.0)
        zeros = ghosts.partition_zeros(logits, slopes, 12.0)
        heights = ghosts.ghost_height_bound(logits, slopes, zeros.real)
        assert zeros.size and (heights <= np.abs(zeros.imag) * (1 + 1e-6)).all()


def test_batches_are_lines():
    rng = np.random.default_rng(3)
    logits, slopes = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    radius = ghosts.convergence_radius(logits, slopes)
    assert radius.shape == (2, 3)
    assert radius[1, 2] == ghosts.convergence_radius(logits[1, 2], slopes[1, 2])


@pytest.mark.parametrize("seed", range(4))
def test_taylor_coefficients_against_sixty_digits(seed):
    logits, slopes = random_line(np.random.default_rng(seed), 4)
    with mpmath.workdps(60):
        expected = mpmath.taylor(
            lambda t: mpmath.log(
                sum(mpmath.exp(z + a * t) for z, a in zip(logits, slopes, strict=True))
            ),
            0,
            20,
        )
    expected = np.array([float(c) for c in expected])
    found = ghosts.taylor_coefficients(logits, slopes, 20)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * abs(expected).max())


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_series_radius_is_the_nearest_ghost(seed, classes):
    logits, slopes = random_line(np.random.default_rng(seed), classes)
    zeros = np.abs(
        ghosts.partition_zeros(logits, slopes, 2 * ghosts.convergence_radius(logits, slopes))
    )
    if zeros.size > 2 and zeros[2] < 1.2 * zeros[0]:
        return  # two ghosts at nearly the same distance: the recurrence needs more terms
    coefficients = ghosts.taylor_coefficients(logits, slopes, 200)
    np.testing.assert_allclose(ghosts.series_radius(coefficients), zeros[0], rtol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.floats(1e-5, 1e6), st.floats(0.01, 100), st.floats(0.01, 100))
def test_descent_step_is_the_root_found_by_bisection(ratio, curvature, spread):
    descent = ratio * curvature / spread
    root = brentq(lambda x: np.expm1(x) - (1 + ratio) * x, 1.9 * ratio / (1 + ratio), 40.0)
    step = ghosts.descent_step(descent, curvature, spread)
    np.testing.assert_allclose(step * spread, root, rtol=1e-6)
    assert 2 * descent / (curvature + descent * spread) <= step * (1 + 1e-9)
    assert step <= 2 * descent / curvature * (1 + 1e-9)
    assert ghosts.best_step(descent, curvature, spread) <= step * (1 + 1e-9)


def test_no_descent_allows_no_step():
    np.testing.assert_array_equal(ghosts.descent_step(np.zeros(2), 1.0, 1.0), 0.0)
    np.testing.assert_allclose(ghosts.descent_step(1e-9, 1.0, 1.0), 2e-9, rtol=1e-8)
    below, above = ghosts.descent_step(np.array([0.99999e-4, 1.00001e-4]), 1.0, 1.0)
    np.testing.assert_allclose(above / below, 1.00002, rtol=1e-8)


def test_no_ascent_before_the_descent_step():
    rng = np.random.default_rng(4)
    for _ in range(200):
        logits, slopes = 3 * rng.normal(size=(6, 5)), rng.normal(size=(6, 5))
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        mean = (p * slopes).sum(-1, keepdims=True)
        descent = float((slopes[:, 0] - mean[:, 0]).mean())
        if descent <= 0:
            continue
        curvature = float((p * (slopes - mean) ** 2).sum(-1).mean())
        step = ghosts.descent_step(descent, curvature, ghosts.slope_spread(slopes).max())
        for t in step * np.linspace(0.01, 1, 12):
            change = np.log((p * np.exp(slopes * t)).sum(-1)) - slopes[:, 0] * t
            assert change.mean() < 1e-12


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 10**6), st.floats(0, 8))
def test_the_change_of_the_loss_stays_below_bennett(seed, t):
    rng = np.random.default_rng(seed)
    logits, slopes = 3 * rng.normal(size=(50, 4)), rng.normal(size=(50, 4))
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
    mean = (p * slopes).sum(-1)
    variance = (p * (slopes - mean[:, None]) ** 2).sum(-1)
    change = np.log((p * np.exp(t * slopes)).sum(-1)) - t * slopes[:, 0]
    reach = slopes.max(-1) - mean
    bound = ghosts.loss_change_bound(slopes[:, 0] - mean, variance, reach, t)
    assert (change <= bound + 1e-9).all()


def test_bennett_is_exact_for_two_classes_with_the_larger_slope_rare():
    p = np.array([0.9, 0.1])
    change = np.log(p @ np.exp(np.array([0.0, 2.0])))
    bound = ghosts.loss_change_bound(-0.2, 0.36, 1.8, 1.0)
    np.testing.assert_allclose(bound, change, rtol=1e-12)
    assert ghosts.loss_change_bound(1.0, 0.0, 1.0, 2.0) == -2.0


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 10**6), st.floats(0, 4))
def test_losses_stay_inside_the_odds_interval(seed, r):
    rng = np.random.default_rng(seed)
    logits, slopes = 4 * rng.normal(size=(50, 4)), rng.normal(size=(50, 4))
    t = r * ghosts.radius_lower_bound(slopes)
    loss = np.logaddexp.reduce(logits, axis=-1) - logits[:, 0]
    moved = logits + t[:, None] * slopes
    after = np.logaddexp.reduce(moved, axis=-1) - moved[:, 0]
    lowest, highest = ghosts.loss_interval(np.maximum(loss, 0), r)
    assert (lowest <= after + 1e-9).all() and (after <= highest + 1e-9).all()


def test_loss_interval_is_attained_by_two_classes():
    lowest, highest = ghosts.loss_interval(np.log1p(np.exp(-1.0)), 1.0)
    np.testing.assert_allclose(lowest, np.log1p(np.exp(-1.0 - np.pi)), rtol=1e-12)
    np.testing.assert_allclose(highest, np.log1p(np.exp(-1.0 + np.pi)), rtol=1e-12)
    assert ghosts.loss_interval(0.0, 1.0) == (0.0, 0.0)
    np.testing.assert_allclose(ghosts.loss_interval(800.0, 1.0)[1], 800 + np.pi)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.05, 3), st.integers(1, 12))
def test_taylor_error_stays_below_its_bound(seed, r, order):
    logits, slopes = random_line(np.random.default_rng(seed), 4, 2.0)
    c = ghosts.taylor_coefficients(logits, slopes, order)
    for sign in (1, -1):
        t = sign * r * ghosts.radius_lower_bound(slopes)
        exact = np.logaddexp.reduce(logits + t * slopes)
        error = abs(exact - np.polynomial.polynomial.polyval(t, c))
        assert error <= ghosts.truncation_bound(order, r) + 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ghosts.partition_zeros([0.0], [0.0, 1.0], 1.0), "same length"),
        (lambda: ghosts.partition_zeros([0.0, 1.0], [0.0, 1.0], -1.0), "radius"),
        (lambda: ghosts.convergence_radius([0.0, np.inf], [0.0, 1.0]), "infinity"),
        (lambda: ghosts.convergence_radius([[0.0, 1.0]], [0.0, 1.0]), "same shape"),
        (lambda: ghosts.slope_spread(1.0), "at least one class"),
        (lambda: ghosts.binary_radius(0.0, -1.0), "spread"),
        (lambda: ghosts.curvature_radius_bound([0.0, 1.0], [0.0, 1.0], cells=0), "cells"),
        (lambda: ghosts.equivalent_margin([0.0, 1.0], [1.0, 1.0]), "all equal"),
        (lambda: ghosts.equivalent_margin([0.0, 4000.0], [0.0, 1.0]), "underflows"),
        (lambda: ghosts.ghost_height_bound([0.0, 1.0], [1.0, 1.0], [0.0]), "all equal"),
        (lambda: ghosts.loss_interval(-1.0, 1.0), ">= 0"),
        (lambda: ghosts.descent_step(-1.0, 1.0, 1.0), "descent"),
        (lambda: ghosts.loss_change_bound(1.0, 1.0, 0.0, 1.0), "reach"),
        (lambda: ghosts.truncation_bound(0, 1.0), "order"),
        (lambda: ghosts.truncation_bound(1, -1.0), "normalized_step"),
        (lambda: ghosts.taylor_coefficients([0.0, 1.0], [0.0, 1.0], 0), "order"),
        (lambda: ghosts.series_radius(np.ones(5)), "24"),
        (lambda: ghosts.series_radius(np.zeros(30)), "vanish"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_geometric_series_has_no_complex_pair():
    assert np.isnan(ghosts.series_radius(np.r_[0.0, 0.5 ** np.arange(1, 40) / np.arange(1, 40)]))
