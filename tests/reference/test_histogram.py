"""Histogram losses against quadrature, brute force and their own definitions."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from xent.reference import histogram

EDGES = np.array([-2.0, -1.0, -0.25, 0.5, 2.0, 2.5])


def problem():
    rng = np.random.default_rng(0)
    return 2 * rng.normal(size=(4, 5)), np.array([-2.0, -0.3, 1.9, 2.5])


def test_the_loss_is_the_cross_entropy_of_integrated_gaussians():
    z, values = problem()
    found = histogram.hl_gauss_loss(z, values, EDGES, 0.4)
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    for row, value, law in zip(found, values, p, strict=True):
        density = norm(value, 0.4).pdf
        mass = np.array([quad(density, *bin)[0] for bin in zip(EDGES, EDGES[1:], strict=False)])
        assert row == pytest.approx(-np.sum(mass / mass.sum() * np.log(law)), rel=1e-9)


def test_the_least_loss_is_the_entropy_of_the_target():
    _, values = problem()
    target = histogram.hl_gauss_targets(values, EDGES, 0.4)
    best = histogram.hl_gauss_loss(np.log(target), values, EDGES, 0.4)
    assert best == pytest.approx(-np.sum(target * np.log(target), axis=-1))
    moved = np.log(target) + np.random.default_rng(1).normal(size=target.shape)
    assert (histogram.hl_gauss_loss(moved, values, EDGES, 0.4) > best).all()


def test_both_tails_of_a_target_keep_their_digits():
    edges = np.linspace(-2, 2, 9)
    up, down = histogram.hl_gauss_targets([-1.9, 1.9], edges, 0.2)
    assert up == pytest.approx(down[::-1], rel=1e-12) and (up > 0).all()


def test_a_common_offset_changes_neither_loss_nor_mean():
    z, values = problem()
    loss, mean = histogram.hl_gauss_loss(z, values, EDGES, 0.4), histogram.histogram_mean(z, EDGES)
    assert histogram.hl_gauss_loss(z + 1e4, values, EDGES, 0.4) == pytest.approx(loss, rel=1e-10)
    assert histogram.histogram_mean(z + 1e4, EDGES) == pytest.approx(mean, rel=1e-10)


def test_a_masked_bin_costs_infinity_only_where_it_has_mass():
    z = np.where(np.arange(5) == 0, -np.inf, 0.0)
    narrow = histogram.hl_gauss_loss([z, z], [2.4, -1.5], EDGES, 1e-3)
    assert np.isfinite(narrow[0]) and narrow[1] == np.inf


def test_the_mean_reads_a_target_back():
    edges, values = np.linspace(-5, 5, 41), np.array([-1.3, 0.0, 2.2])
    target = histogram.hl_gauss_targets(values, edges, 0.1875)
    with np.errstate(divide="ignore"):
        assert histogram.histogram_mean(np.log(target), edges) == pytest.approx(values, abs=1e-5)
    assert histogram.histogram_mean([0.0], [1.0, 2.0]) == 1.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z, y: histogram.hl_gauss_loss(z, y, EDGES[:-1], 0.4), "values|logits must have"),
        (lambda z, y: histogram.hl_gauss_loss(z[:, :4], y, EDGES, 0.4), "logits must have shape"),
        (lambda z, y: histogram.hl_gauss_loss(z, y + 3, EDGES, 0.4), "values must lie in"),
        (lambda z, y: histogram.hl_gauss_loss(z, y, EDGES, 0.0), "sigma must"),
        (lambda z, y: histogram.histogram_mean(z, EDGES[::-1]), "edges must increase"),
        (lambda z, y: histogram.histogram_mean(z, EDGES[1:]), "edges must have 6 entries"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*problem())
