"""Softmax references against mpmath, on inputs that break the textbook formulas."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.reference import softmax as ref

DIGITS = 60
HARD = {
    "one class": [3.5],
    "ties": [2.0, 2.0, 2.0, -1.0],
    "common offset up": [1e4, 1e4 + 1.0, 1e4 - 3.0],
    "common offset down": [-1e4, -1e4 + 1.0, -1e4 - 3.0],
    "extreme gap": [0.0, -700.0, -745.0],
    "beyond exp": [1000.0, -1000.0, 0.0],
    "masked": [-np.inf, 0.5, -np.inf, 0.25],
    "first masked": [-np.inf, -np.inf, -2.0],
    "nearly certain": [0.0, 40.0, 1.0],
    "zeros": [0.0, 0.0],
    "subnormal": [5e-324, 0.0, -5e-324],
}
HARD_CASES = pytest.mark.parametrize("z", HARD.values(), ids=HARD.keys())


def exact(z):
    """Log-sum-exp, log-probabilities and 1 - p in 60 digits, by their definitions."""
    with mpmath.workdps(DIGITS * 20):
        weights = [mpmath.exp(mpmath.mpf(float(v))) if np.isfinite(v) else mpmath.mpf(0) for v in z]
        total = mpmath.fsum(weights)
        logs = [mpmath.log(w / total) if w else -mpmath.inf for w in weights]
        return mpmath.log(total), logs, [w / total for w in weights]


def close(actual, expected, tolerance):
    expected = mpmath.mpf(expected)
    if mpmath.isinf(expected):
        return float(actual) == float(expected)
    return abs(mpmath.mpf(float(actual)) - expected) <= tolerance * (abs(expected) + 1e-300)


@HARD_CASES
def test_logsumexp_and_its_online_form_match_mpmath(z):
    lse, _, _ = exact(z)
    tolerance = 4e-16 * (1 + max(abs(v) for v in z if np.isfinite(v)))
    assert abs(float(ref.logsumexp(z) - lse)) <= tolerance
    for block in (1, 2, len(z), len(z) + 1):
        assert abs(float(ref.online_logsumexp(z, block) - lse)) <= 2 * tolerance


@HARD_CASES
def test_probabilities_and_their_logarithms_match_mpmath(z):
    _, logs, p = exact(z)
    for j in range(len(z)):
        assert close(ref.log_softmax(z)[j], logs[j], 1e-15 * 4)
        for function in (ref.softmax, ref.two_pass_softmax):
            assert abs(function(z)[j] - float(p[j])) <= 1e-13 * float(p[j]) + 1e-300


@HARD_CASES
def test_cross_entropy_keeps_its_relative_accuracy(z):
    _, logs, _ = exact(z)
    for label in range(len(z)):
        assert close(ref.cross_entropy_with_logits(z, label), -logs[label], 1e-13)


@pytest.mark.parametrize("gap", [1.0, 10.0, 36.0, 60.0, 300.0, 700.0])
def test_loss_of_a_nearly_certain_target_has_all_its_digits(gap):
    z = np.array([gap, 0.0, -0.5, -1.0])
    _, logs, _ = exact(z)
    assert close(ref.cross_entropy_with_logits(z, 0), -logs[0], 1e-13)
    assert close(ref.log_softmax(z)[0], logs[0], 1e-13)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=12), st.integers(1, 13))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_online_equals_three_passes(z, block):
    assert np.isclose(ref.online_logsumexp(z, block), ref.logsumexp(z), rtol=1e-14, atol=1e-13)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=10), st.integers(1, 9), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=50)
def test_states_of_parts_merge_to_the_state_of_the_whole(z, cut, swap):
    z, cut = np.array(z), min(cut, len(z) - 1)
    parts = [z[:cut], z[cut:]][:: -1 if swap else 1]
    top, rest = ref.merge_leave_max_out(*map(ref.leave_max_out, parts))
    whole_top, whole_rest = ref.leave_max_out(z)
    assert top == whole_top
    assert np.isclose(rest, whole_rest, rtol=1e-13, atol=0)
    sums = [(p.max(), np.exp(p - p.max()).sum()) for p in parts]
    assert np.isclose(ref.merge_logsumexp(*sums)[1], 1 + whole_rest, rtol=1e-13)


def test_neutral_elements():
    for merge, neutral, state in (
        (ref.merge_logsumexp, (-np.inf, 0.0), (3.0, 1.5)),
        (ref.merge_leave_max_out, (-np.inf, -1.0), (3.0, 0.5)),
        (ref.merge_extended, (0.0, -np.inf), (1.2, 7.0)),
    ):
        assert merge(neutral, state) == state == merge(state, neutral)
        assert merge(neutral, neutral) == neutral


def test_extended_exp_is_exact_far_outside_the_range_of_float64():
    x = np.concatenate([np.linspace(-1e4, 1e4, 401), [0.0, 6.9e5, -6.9e5]])
    mantissa, exponent = ref.extended_exp(x)
    assert ((mantissa >= np.sqrt(0.5) - 1e-10) & (mantissa <= np.sqrt(2) + 1e-10)).all()
    with mpmath.workdps(DIGITS):
        for xi, m, n in zip(x, mantissa, exponent, strict=True):
            true = mpmath.exp(mpmath.mpf(float(xi)) - int(n) * mpmath.log(2))
            assert abs(mpmath.mpf(float(m)) / true - 1) < 3e-16
    with pytest.raises(ValueError, match="7e5"):
        ref.extended_exp([1e6])


def test_two_pass_softmax_streams_by_merging_pairs():
    z = np.random.default_rng(0).normal(size=50) * 1e3
    state = 0.0, -np.inf
    for pair in zip(*ref.extended_exp(z), strict=True):
        state = ref.merge_extended(state, pair)
    mantissa, exponent = ref.extended_exp(z)
    streamed = mantissa / state[0] * np.exp2(exponent - state[1])
    assert np.allclose(streamed, ref.two_pass_softmax(z), rtol=1e-14, atol=0)


def test_options_follow_their_definitions():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(6, 5)), np.array([0, 4, 2, -7, 1, -7])
    logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
    nll = np.array([-logs[i, j] if j >= 0 else 0.0 for i, j in enumerate(y)])
    kept = y >= 0
    got = ref.cross_entropy_with_logits(z, y, ignore_index=-7, label_smoothing=0.3, z_loss=0.1)
    want = 0.7 * nll - 0.3 * logs.mean(-1) + 0.1 * np.log(np.exp(z).sum(-1)) ** 2
    assert np.allclose(got, np.where(kept, want, 0.0), rtol=1e-13)
    assert (got[~kept] == 0).all()


def test_masked_targets_cost_infinity_and_full_smoothing_does_not_need_one():
    z = [[0.0, -np.inf], [0.0, 1.0]]
    assert ref.cross_entropy_with_logits(z, [1, 0])[0] == np.inf
    full = ref.cross_entropy_with_logits(z, [0, 0], label_smoothing=1.0)
    assert full[0] == np.inf and np.isfinite(full[1])


def test_empty_batches_and_other_axes():
    assert ref.logsumexp(np.zeros((0, 4))).shape == (0,)
    assert ref.cross_entropy_with_logits(np.zeros((0, 4)), np.zeros(0, int)).shape == (0,)
    z = np.random.default_rng(2).normal(size=(3, 4, 5))
    for function in (ref.softmax, ref.log_softmax):
        assert np.allclose(function(z, axis=1), np.moveaxis(function(np.moveaxis(z, 1, -1)), -1, 1))
    assert np.allclose(ref.logsumexp(z, axis=0), ref.logsumexp(np.moveaxis(z, 0, -1)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ref.logsumexp([np.nan, 1.0]), ValueError, "NaN"),
        (lambda: ref.softmax([np.inf, 1.0]), ValueError, r"\+inf"),
        (lambda: ref.logsumexp([-np.inf, -np.inf]), ValueError, "every class"),
        (lambda: ref.logsumexp(np.zeros((2, 0))), ValueError, "no classes"),
        (lambda: ref.logsumexp([1.0], axis=1), ValueError, "axis"),
        (lambda: ref.online_logsumexp([1.0], 0), ValueError, "block"),
        (lambda: ref.online_logsumexp([1.0], 1.5), TypeError, "block"),
        (lambda: ref.cross_entropy_with_logits([[0.0, 1.0]], [2]), IndexError, "labels"),
        (lambda: ref.cross_entropy_with_logits([[0.0, 1.0]], [-1]), IndexError, "ignore_index"),
        (lambda: ref.cross_entropy_with_logits([[0.0, 1.0]], [0.0]), TypeError, "labels"),
        (lambda: ref.cross_entropy_with_logits([[0.0, 1.0]], [0, 1]), ValueError, "shape"),
        (
            lambda: ref.cross_entropy_with_logits([0.0], 0, label_smoothing=1.1),
            ValueError,
            "label_smoothing",
        ),
        (lambda: ref.cross_entropy_with_logits([0.0], 0, z_loss=-1.0), ValueError, "z_loss"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
