"""Gradient, curvature and histogram targets of xent.reference.softmax against other routes."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.reference import softmax as reference

CASES = settings(deadline=None, derandomize=True, max_examples=25)


def hessian(z):
    p = reference.softmax(z)
    return np.diag(p) - np.outer(p, p)


@CASES
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_gradient_and_hvp_match_central_differences(seed, classes):
    z, v = np.random.default_rng(seed).normal(scale=2, size=(2, classes))
    h = 1e-5
    steps = h * np.eye(classes)
    slope = (reference.logsumexp(z + steps) - reference.logsumexp(z - steps)) / (2 * h)
    assert reference.logsumexp_gradient(z) == pytest.approx(slope, abs=1e-9)
    curve = (reference.softmax(z + h * v) - reference.softmax(z - h * v)) / (2 * h)
    assert reference.logsumexp_hvp(z, v) == pytest.approx(curve, abs=1e-8)
    assert reference.logsumexp_hvp(z, v) == pytest.approx(hessian(z) @ v, abs=1e-14)


@CASES
@given(st.integers(0, 10**6), st.integers(1, 8), st.floats(0.01, 30))
def test_curvature_bound_dominates_the_spectral_norm(seed, classes, scale):
    z = np.random.default_rng(seed).normal(scale=scale, size=classes)
    norm = np.linalg.eigvalsh(hessian(z))[-1]
    bound = reference.logsumexp_curvature_bound(z)
    assert norm <= bound + 1e-14
    assert bound <= 0.5


def test_curvature_bound_is_attained():
    for z in ([0.3, -1.2], [40.0, 0.0], np.zeros(7), [1.0, -np.inf, 1.0]):
        norm = np.linalg.eigvalsh(hessian(z))[-1]
        assert reference.logsumexp_curvature_bound(z) == pytest.approx(norm, rel=1e-9)
    assert reference.logsumexp_curvature_bound([50.0, 0.0]) == pytest.approx(2 * np.exp(-50))


def test_axis():
    z, v = np.random.default_rng(1).normal(size=(2, 3, 4))
    by_rows = np.stack([reference.logsumexp_hvp(a, b) for a, b in zip(z.T, v.T, strict=True)]).T
    assert reference.logsumexp_hvp(z, v, axis=0) == pytest.approx(by_rows)
    assert reference.logsumexp_curvature_bound(z, axis=0).shape == (4,)


def test_hl_gauss_targets_against_mpmath():
    edges, sigma = np.linspace(-2.0, 2.0, 9), 0.4
    for y in (-2.0, -0.3, 0.0, 1.77):
        cdf = [mpmath.ncdf((e - y) / sigma) for e in edges]
        total = cdf[-1] - cdf[0]
        expected = [float((b - a) / total) for a, b in zip(cdf, cdf[1:], strict=False)]
        assert reference.hl_gauss_targets(y, edges, sigma) == pytest.approx(expected, abs=1e-14)


def test_hl_gauss_targets_shape_mass_and_symmetry():
    edges = np.linspace(-1.0, 1.0, 11)
    targets = reference.hl_gauss_targets(np.array([[0.0, 0.5], [-0.5, 1.0]]), edges, 0.15)
    assert targets.shape == (2, 2, 10)
    assert targets.sum(axis=-1) == pytest.approx(1.0)
    assert targets[0, 0] == pytest.approx(targets[0, 0][::-1])
    assert targets[0, 1] == pytest.approx(targets[1, 0][::-1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: reference.logsumexp_hvp([0.0, 1.0], [1.0]), "vector must have the shape"),
        (lambda: reference.logsumexp_hvp([0.0], [np.inf]), "vector contains an infinity"),
        (lambda: reference.logsumexp_curvature_bound([np.nan]), "NaN"),
        (lambda: reference.hl_gauss_targets(3.0, [0.0, 1.0], 0.1), "values must lie"),
        (lambda: reference.hl_gauss_targets(0.5, [1.0, 0.0], 0.1), "edges"),
        (lambda: reference.hl_gauss_targets(0.5, [0.0, 1.0], 0.0), "sigma"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
