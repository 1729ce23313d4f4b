"""Solvable sources: closed forms against direct sums, mpmath and simulation."""

import mpmath
import numpy as np
import pytest
from scipy import optimize, special

from xent import sources
from xent.reference import solvable


@pytest.mark.parametrize("a", [1.1, 1.3, 2.0, 4.0])
def test_run_length_entropy_against_mpmath(a):
    s = mpmath.mpf(1) + mpmath.mpf(a)
    zeta = mpmath.zeta
    nats = (mpmath.log(zeta(s)) - s * zeta(s, derivative=1) / zeta(s)) * zeta(s) / zeta(a)
    assert solvable.run_length_entropy(a) == pytest.approx(float(nats), rel=1e-12)


def test_label_entropy_of_the_extremes():
    assert solvable.label_entropy(8, 1.0) == pytest.approx((np.log(8), 0.0), abs=1e-14)
    assert solvable.label_entropy(8, 0.0) == pytest.approx((0.0, np.log(8)), abs=1e-14)


@pytest.mark.parametrize("contexts", [1000, np.inf])
def test_zipf_tail_is_the_sum_of_the_tail(contexts):
    c = np.arange(1, 1001) ** -1.7
    if np.isinf(contexts):
        c = np.append(c, special.zeta(1.7, 1001))
    direct = c[10:].sum() / c.sum()
    assert solvable.zipf_tail(10, 0.7, contexts=contexts) == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("a", [0.5, 1.0])
def test_memorizer_excess_against_the_sum_over_contexts(a):
    c = np.arange(1, 2_000_001, dtype=float)
    p = c ** -(1 + a) / special.zeta(1 + a, 1)
    for samples, close in ((100.0, 1e-5), (10_000.0, 1e-8)):
        direct = p @ np.exp(-samples * p) + special.zeta(1 + a, c[-1] + 1) / special.zeta(1 + a, 1)
        assert solvable.memorizer_excess(samples, a) == pytest.approx(direct, rel=close)
    direct = p[:200] @ np.exp(-1e4 * p[:200]) + p[200:].sum()
    direct += special.zeta(1 + a, c[-1] + 1) / special.zeta(1 + a, 1)
    assert solvable.memorizer_excess(1e4, a, room=200.0) == pytest.approx(direct, rel=5e-3)


@pytest.mark.parametrize("a", [0.3, 1.0, 2.0])
def test_times_seen_minimizes_the_excess_on_a_budget(a):
    compute = 1e12

    def excess(log_n):
        return float(solvable.memorizer_excess(compute / np.exp(log_n), a, room=np.exp(log_n)))

    found = optimize.minimize_scalar(
        excess, bounds=(2, 20), method="bounded", options={"xatol": 1e-10}
    )
    z = special.zeta(1 + a, 1)
    stated = np.log(compute / (z * solvable.times_seen(a))) / (2 + a)
    assert found.x == pytest.approx(stated, abs=1e-5)


def test_dirichlet_excess_against_simulation():
    rng = np.random.default_rng(0)
    law = np.full(4, 0.05)
    law[0] += 0.8
    exact = solvable.dirichlet_excess(30, 4, 0.2, 0.5)
    assert exact[0] == pytest.approx(solvable.label_entropy(4, 0.2)[1])
    for n in (1, 7, 30):
        counts = rng.multinomial(n, law, size=40_000)
        excess = (law * np.log(law / ((counts + 0.5) / (n + 2)))).sum(axis=1)
        assert exact[n] == pytest.approx(excess.mean(), abs=5 * excess.std() / 200)


def test_count_learner_constant_against_the_sum_over_contexts():
    a, samples, counts = 1.0, 20_000.0, 2000
    e = solvable.dirichlet_excess(counts, 16, 0.2, 1.0)
    constant = solvable.count_learner_constant(e, a, kappa=7.5)
    known = np.arange(counts + 1)
    c = np.arange(1, 200_001, dtype=float)
    p = c**-2 / special.zeta(2, 1)
    mean = samples * p
    # contexts seen more often than the table goes pay kappa / n; the others by Poisson sum
    rare = mean < 1000
    log_poisson = known * np.log(mean[rare, None][:3000]) - mean[rare, None][:3000]
    law = np.exp(log_poisson - special.gammaln(known + 1))
    g = np.where(rare, 0.0, 7.5 / mean)
    g[np.flatnonzero(rare)[:3000]] = law @ e
    far = np.flatnonzero(rare)[3000:]
    g[far] = e[0] + mean[far] * (e[1] - e[0])
    tail = e[0] * special.zeta(2, c[-1] + 1) / special.zeta(2, 1)
    direct = p @ g + tail
    assert direct == pytest.approx(constant * samples**-0.5 - 7.5 / (2 * samples), rel=2e-3)
    memorizer = solvable.count_learner_constant([1.0], a)
    assert memorizer == pytest.approx(float(solvable.memorizer_excess(1.0, a)), rel=1e-12)


@pytest.mark.parametrize("a", [1.3, 2.0])
def test_merged_ages_excess_follows_its_asymptote(a):
    constant = (np.log(a / (a - 1)) - 1 / a) / (a * special.zeta(a, 1))
    ratio = solvable.merged_ages_excess(400, a) / (constant * 399.5**-a)
    assert ratio == pytest.approx(1.0, abs=1e-4)
    near = solvable.merged_ages_excess(20, a, horizon=2000)
    assert near == pytest.approx(solvable.merged_ages_excess(20, a), rel=1e-5)


def test_merged_ages_excess_of_one_state_is_the_gap_to_independence():
    a = 2.0
    stop = special.zeta(3, 1) / special.zeta(2, 1)
    independent = special.entr(stop) + special.entr(1 - stop)
    gap = independent - solvable.run_length_entropy(a)
    assert solvable.merged_ages_excess(1, a) == pytest.approx(gap, rel=1e-6)


def test_hmm_bounds_close_and_meet_at_a_visible_chain():
    transition = np.array([[0.9, 0.1], [0.3, 0.7]])
    visible = solvable.hmm_entropy_bounds(transition, np.eye(2), 4)
    rate = sources.MarkovSource(transition).entropy_rate
    assert visible == pytest.approx((rate, rate), abs=1e-12)
    emission = np.array([[0.9, 0.1], [0.2, 0.8]])
    loose = solvable.hmm_entropy_bounds(transition, emission, 3)
    tight = solvable.hmm_entropy_bounds(transition, emission, 10)
    assert loose[0] <= tight[0] <= tight[1] <= loose[1]
    assert tight[1] - tight[0] < 1e-6


def test_samplers_match_their_laws():
    rng = np.random.default_rng(0)
    source = sources.ZipfContextSource(1.0, num_contexts=50)
    contexts, labels = source.sample(rng, 20_000)
    assert np.mean(contexts == 0) == pytest.approx(source.contexts[0], abs=0.02)
    assert np.mean(labels == source.table[contexts]) == pytest.approx(0.8 + 0.2 / 16, abs=0.02)
    assert source.label_law().sum(axis=1) == pytest.approx(np.ones(50))
    runs = sources.RunLengthSource(2.0).sample(rng, 200_000)
    flips = np.mean(runs[1:] != runs[:-1])
    assert flips == pytest.approx(special.zeta(3, 1) / special.zeta(2, 1), abs=0.02)


def test_a_chain_of_order_two_and_a_hidden_chain():
    rng = np.random.default_rng(1)
    law = rng.dirichlet(np.ones(3), size=(3, 3))
    source = sources.HigherMarkovSource(law)
    symbols = source.sample(rng, 60_000)
    after = symbols[2:][(symbols[:-2] == 1) & (symbols[1:-1] == 2)]
    assert np.bincount(after, minlength=3) / after.size == pytest.approx(law[1, 2], abs=0.03)
    first_order = sources.HigherMarkovSource(law[0])
    assert first_order.entropy_rate == pytest.approx(sources.MarkovSource(law[0]).entropy_rate)
    hidden = sources.HiddenMarkovSource([[0.9, 0.1], [0.3, 0.7]], [[0.9, 0.1], [0.2, 0.8]])
    outputs = hidden.sample(rng, 40_000)
    share = hidden.states.stationary @ hidden.emission
    assert np.mean(outputs == 1) == pytest.approx(share[1], abs=0.03)
    low, high = hidden.entropy_bounds(8)
    assert 0 < low <= high < np.log(2)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: solvable.run_length_entropy(1.0), "a"),
        (lambda: solvable.zipf_tail(-1, 1.0), "known"),
        (lambda: solvable.memorizer_excess(0.0, 1.0), "samples"),
        (lambda: solvable.times_seen(0.0), "a"),
        (lambda: solvable.count_learner_constant([], 1.0), "excess"),
        (lambda: solvable.merged_ages_excess(10, 2.0, horizon=5), "horizon"),
        (lambda: solvable.hmm_entropy_bounds(np.eye(2), np.eye(2), 3), "transition"),
        (lambda: solvable.label_entropy(4, 1.5), "noise"),
        (lambda: sources.HigherMarkovSource(np.ones((2, 3)) / 3), "law"),
        (lambda: sources.HiddenMarkovSource(np.full((2, 2), 0.5), np.eye(3)), "emission"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
