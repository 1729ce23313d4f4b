"""Policies: identities against finite differences, mpmath, brute force and the ODE itself."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import entr, expit, logit, softmax

from xent.reference import policy

QUICK = settings(deadline=None, derandomize=True, max_examples=25)


def entropy(z):
    return entr(softmax(z, axis=-1)).sum(axis=-1)


def mp_entropy(z):
    weights = [mpmath.exp(mpmath.mpf(x)) for x in z]
    total = sum(weights)
    return -sum(w / total * mpmath.log(w / total) for w in weights)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_entropy_change_is_the_taylor_polynomial(order):
    rng = np.random.default_rng(order)
    z, d = rng.normal(size=(2, 7))
    with mpmath.workdps(40):
        coefficients = mpmath.taylor(
            lambda t: mp_entropy([a + t * b for a, b in zip(z, d, strict=True)]), 0, 3
        )
        expected = float(sum(coefficients[1 : order + 1]))
    assert policy.entropy_change(z, d, order=order) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_entropy_change_stays_inside_its_bound(order):
    rng = np.random.default_rng(order)
    for scale in (0.3, 1.0, 4.0):
        z = scale * rng.normal(size=(500, 6))
        d = rng.normal(size=(500, 6)) * rng.uniform(0.1, 1.0, size=(500, 1))
        error = entropy(z + d) - entropy(z) - policy.entropy_change(z, d, order=order)
        assert (np.abs(error) <= policy.entropy_change_bound(z, d, order=order) + 1e-13).all()


def test_masked_actions_do_not_count():
    z, d = np.array([0.2, -np.inf, 1.0, 0.0]), np.array([0.1, 5.0, -0.2, 0.3])
    keep = [0, 2, 3]
    for order in (1, 2, 3):
        assert policy.entropy_change(z, d, order=order) == pytest.approx(
            policy.entropy_change(z[keep], d[keep], order=order), abs=1e-15
        )


@given(seed=st.integers(0, 10**6), k=st.integers(2, 20))
@QUICK
def test_policy_gradient_delta_is_the_gradient_of_the_reward(seed, k):
    rng = np.random.default_rng(seed)
    z, reward = rng.normal(size=(2, k))
    step = 1e-6
    numeric = [(softmax(z + e) - softmax(z - e)) @ reward / (2 * step) for e in step * np.eye(k)]
    assert np.allclose(policy.policy_gradient_delta(z, reward), numeric, atol=1e-8)


def test_natural_gradient_solves_the_fisher_system():
    rng = np.random.default_rng(0)
    z, reward = rng.normal(size=(2, 9))
    pi = softmax(z)
    fisher = np.diag(pi) - np.outer(pi, pi)
    natural = policy.natural_policy_gradient_delta(z, reward, 0.5)
    assert np.allclose(fisher @ natural, policy.policy_gradient_delta(z, reward, 0.5), atol=1e-15)


@given(seed=st.integers(0, 10**6))
@QUICK
def test_binary_reward_identity(seed):
    rng = np.random.default_rng(seed)
    z, correct = 2 * rng.normal(size=12), rng.permutation(12) < 4
    pi = softmax(z)
    p = pi[correct].sum()
    inside, outside = pi[correct] / p, pi[~correct] / (1 - p)
    expected = -policy.entropy_change(z, correct - p)
    found = policy.binary_reward_covariance(p, entr(inside).sum(), entr(outside).sum())
    assert found == pytest.approx(expected, abs=1e-13)


def test_natural_gradient_path_solves_its_equation_and_lies_on_the_curve():
    rng = np.random.default_rng(1)
    pi = softmax(rng.normal(size=8))
    correct = np.arange(8) < 3
    path = policy.natural_gradient_path(pi, correct * 1.0, np.linspace(0, 6, 7))
    p = pi[correct].sum()
    assert np.allclose(path.reward, expit(logit(p) + np.linspace(0, 6, 7)), atol=1e-14)
    classes = [entr(pi[c] / pi[c].sum()).sum() for c in (correct, ~correct)]
    assert np.allclose(path.entropy, policy.reward_entropy_curve(path.reward, *classes), atol=1e-13)
    assert np.allclose(path.entropy, entr(path.policy).sum(axis=-1))


def test_policy_gradient_path_solves_its_equation():
    z0 = np.array([0.3, 0.5, -1.0, 0.0, 1.0, 0.2])
    correct = np.array([True, True, False, False, False, True])
    path = policy.policy_gradient_path(z0, correct, np.array([1.0, 0.5, 0.1]))
    assert np.allclose(path.policy[0], softmax(z0))

    def flow(_, z):
        pi = softmax(z)
        return pi * (correct - pi[correct].sum())

    ode = solve_ivp(flow, (0, 90), z0, rtol=1e-11, atol=1e-12, dense_output=True)
    times = np.linspace(0, 90, 20001)
    rewards = softmax(ode.sol(times), axis=0)[correct].sum(axis=0)
    for reward, pi in zip(path.reward[1:], path.policy[1:], strict=True):
        time = np.interp(reward, rewards, times)
        assert np.allclose(softmax(ode.sol(time)), pi, atol=1e-5)


def test_policy_gradient_path_ends_at_the_leader():
    z0 = np.array([0.1, 0.0, 2.0])
    path = policy.policy_gradient_path(z0, np.array([True, True, False]), np.array([1e-9]))
    assert path.policy[0, 0] > 1 - 1e-6


@pytest.mark.parametrize("p_low,p_high,gap", [(0.3, 0.95, 1.0), (0.1, 0.9, 3.0), (0.5, 0.99, 6.0)])
def test_line_fit_error_is_the_minimax_error(p_low, p_high, gap):
    p = np.linspace(p_low, p_high, 4001)
    h = policy.reward_entropy_curve(p, 0.0, gap)
    slopes = np.linspace(0, 2, 20001) / gap
    best = min(np.ptp(p + slope * h) / 2 for slope in slopes)
    assert policy.line_fit_error(p_low, p_high, 0.0, gap) == pytest.approx(best, rel=2e-3)


@pytest.mark.parametrize("law", ["exponential", "line"])
def test_fit_recovers_its_own_law(law):
    h = np.linspace(0.1, 2.0, 30)
    x = np.exp(h) if law == "exponential" else h
    a, b, r_squared = policy.fit_reward_entropy(h, 0.9 - 0.1 * x, law=law)
    assert (a, b, r_squared) == pytest.approx((0.1, 0.9, 1.0))
    other = {"exponential": "line", "line": "exponential"}[law]
    assert policy.fit_reward_entropy(h, 0.9 - 0.1 * x, law=other).r_squared < 0.99


def test_noise_drift_by_enumeration_of_all_groups():
    z, eta, size = np.array([0.4, -0.3, 1.1]), 1e-2, 3
    pi = softmax(z)
    drift = 0.0
    for actions in itertools.product(range(3), repeat=size):
        for rewards in itertools.product((0.0, 1.0), repeat=size):
            a = policy.group_relative_advantages(rewards)
            for sign in (1, -1):
                d = np.zeros(3)
                np.add.at(d, list(actions), sign * eta / size * a)
                weight = math.prod(pi[list(actions)]) * 0.5**size / 2
                drift += weight * (entropy(z + d) - entropy(z))
    c = 1 - 2 * 0.5**size
    assert drift == pytest.approx(-(eta**2) * c / (2 * size) * policy.noise_drift(z), rel=1e-3)


def test_noise_drift_changes_sign_for_two_actions():
    x = logit(0.82396)
    assert abs(policy.noise_drift([x, 0.0])) < 1e-6
    assert policy.noise_drift([x - 0.1, 0.0]) > 0 > policy.noise_drift([x + 0.1, 0.0])


def random_tree(rng, widths):
    nodes, levels = 1, []
    for k in widths:
        levels.append(rng.normal(size=(nodes, k)))
        nodes *= k
    return levels


def test_tree_terms_are_the_derivative_of_the_response_entropy():
    rng = np.random.default_rng(3)
    z, d = random_tree(rng, (3, 2, 4)), random_tree(rng, (3, 2, 4))
    step = 1e-5
    up, down = (policy.tree_entropy([a + s * b for a, b in zip(z, d, strict=True)])
                for s in (step, -step))  # fmt: skip
    total = policy.tree_covariance_term(z, d) + policy.visitation_term(z, d)
    assert total == pytest.approx((up - down) / (2 * step), abs=1e-9)


def test_tree_advantages_sum_to_the_centered_reward_of_a_leaf():
    rng = np.random.default_rng(4)
    z = random_tree(rng, (3, 2))
    rewards = rng.normal(size=6)
    root, below = policy.tree_advantages(z, rewards)
    value = policy.tree_reach(z)[-1] @ rewards
    along = root.ravel()[:, None] + below
    assert np.allclose(along.ravel(), rewards - value)
    assert np.allclose((softmax(z[1], axis=-1) * below).sum(axis=-1), 0)


def test_minimal_sign_reversal():
    q, m = 0.6, 2
    z = [np.log([[q, 1 - q]]), np.array([[0.0, 0.0], [0.0, -np.inf]])]
    d = [np.array([[-(1 - q), q]]), np.zeros((2, 2))]
    assert policy.tree_covariance_term(z, d) == pytest.approx(q * (1 - q) * logit(q))
    assert policy.visitation_term(z, d) == pytest.approx(-q * (1 - q) * math.log(m))
    assert np.allclose(policy.tree_reach(z)[-1], [0.3, 0.3, 0.4, 0.0])


def test_group_relative_advantages():
    rewards = np.array([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert np.array_equal(policy.group_relative_advantages(rewards)[0], [1, -1, -1, 1])
    assert np.array_equal(policy.group_relative_advantages(rewards)[1], [0, 0, 0, 0])
    loo = policy.group_relative_advantages(rewards[0], baseline="leave-one-out", standardize=False)
    assert np.allclose(loo, [1 - 1 / 3, -2 / 3, -2 / 3, 1 - 1 / 3])
    same = policy.group_relative_advantages(rewards, baseline="none", standardize=False)
    assert np.array_equal(same, rewards)


def test_token_logprob_entropy():
    z = np.array([[0.0, math.log(3.0)], [-np.inf, 2.0]])
    logprob, entropies = policy.token_logprob_entropy(z, np.array([1, 0]))
    assert logprob[0] == pytest.approx(math.log(0.75))
    assert np.isneginf(logprob[1]) and entropies[1] == 0


def test_losses_of_a_clipped_and_an_unclipped_ratio():
    old, new = np.zeros((1, 2, 1)) - 1.0, np.array([[[-0.5], [-1.5]]])
    rewards = np.array([[1.0, 0.0]])
    up, down = math.exp(0.5), math.exp(-0.5)
    assert np.allclose(policy.reinforce_loss(new, old, rewards), [[[-up], [0.0]]])
    assert np.allclose(policy.rloo_loss(new, old, rewards), [[[-up], [down]]])
    assert np.allclose(policy.grpo_loss(new, old, rewards), [[[-1.2], [0.8]]])
    free = policy.grpo_loss(new, old, rewards, clip_low=None, clip_high=None)
    assert np.allclose(free, [[[-up], [down]]])


def test_clip_cov_drops_the_quota_inside_the_window():
    covariance = np.array([0.5, 1.5, 2.0, 4.0, 6.0])
    priority = np.array([0.0, 0.9, 0.1, 0.5, 0.0])
    keep = policy.clip_cov_mask(covariance, priority, fraction=0.4)
    assert np.array_equal(keep, [True, True, False, False, True])
    assert policy.clip_cov_mask(covariance, priority).sum() == 4


def test_kl_cov_takes_the_top():
    selected = policy.kl_cov_mask(np.array([3.0, -1.0, 5.0, 0.0]), fraction=0.5)
    assert np.array_equal(selected, [True, False, True, False])
    penalty = policy.kl_cov_penalty([-1.0, -2.0, 0.0, 0.0], [0.0] * 4, selected, beta=2.0)
    assert np.array_equal(penalty, [2.0, 0.0, 0.0, 0.0])


@given(seed=st.integers(0, 10**6), k=st.integers(2, 30))
@QUICK
def test_token_entropy_change_is_the_directional_derivative(seed, k):
    rng = np.random.default_rng(seed)
    z, advantage = 2 * rng.normal(size=k), rng.normal()
    token = rng.integers(k)
    d = advantage * (np.eye(k)[token] - softmax(z))
    step = 1e-5
    numeric = (entropy(z + step * d) - entropy(z - step * d)) / (2 * step)
    found = policy.token_entropy_change(z, token, np.float64(advantage))
    assert found == pytest.approx(numeric, abs=1e-8)


def test_steer_keeps_only_the_sampled_logit():
    rng = np.random.default_rng(5)
    z, token, a = rng.normal(size=6), 2, 0.7
    logprob, h = policy.token_logprob_entropy(z, token)
    d = np.zeros(6)
    d[token] = a * (1 - np.exp(logprob))
    estimate = policy.steer_entropy_change(logprob, h, np.float64(a))
    assert -np.exp(logprob) * estimate == pytest.approx(float(policy.entropy_change(z, d)))


def test_steer_weights_span_their_range():
    weights = policy.steer_weights(np.array([0.0, 1.0, -2.0]))
    assert np.allclose(weights, [1.0, 0.8**0.5, 0.8])
    assert policy.steer_weights(np.array([0.001])).item() == pytest.approx(0.8**0.05)


def test_masks_of_entropies_and_nuclei():
    assert np.array_equal(
        policy.high_entropy_mask(np.array([0.1, 2.0, 0.0, 0.5, 0.3]), fraction=0.4),
        [False, True, False, True, False],
    )
    z = np.log(np.array([0.5, 0.2, 0.2, 0.1]))
    assert np.array_equal(policy.nucleus_mask(z, top_p=0.75), [True, True, False, False])
    assert policy.nucleus_mask(z, top_p=0.1).sum() == 1
    assert policy.nucleus_entropy(z, top_p=0.75) == pytest.approx(entr([5 / 7, 2 / 7]).sum())
    found = policy.anchored_penalty(np.array([1.0, 3.0]), np.array([False, True]), 2.5)
    assert found == 0.25


def test_entropy_bonus():
    rng = np.random.default_rng(2)
    z, reward, tau = rng.normal(size=5), rng.normal(size=5), 0.3
    step = 1e-6
    numeric = [(entropy(z + e) - entropy(z - e)) / (2 * step) for e in step * np.eye(5)]
    assert np.allclose(policy.entropy_bonus_delta(z), numeric, atol=1e-8)
    best = policy.entropy_bonus_policy(reward, tau)
    value = best @ reward + tau * entr(best).sum()
    others = rng.dirichlet(np.ones(5), size=2000)
    assert value >= (others @ reward + tau * entr(others).sum(axis=-1)).max()
    assert reward.max() - best @ reward <= tau * entr(best).sum()


def test_pass_at_k_is_the_mean_over_all_subsets():
    n, c, k = 6, 2, 3
    solved = np.arange(n) < c
    subsets = list(itertools.combinations(range(n), k))
    expected = np.mean([solved[list(s)].any() for s in subsets])
    assert policy.pass_at_k(n, c, k) == pytest.approx(expected)
    assert np.array_equal(policy.pass_at_k(4, np.array([0, 4]), 2), [0.0, 1.0])


@pytest.mark.parametrize("beta", [-0.4, 0.0, 0.5, 3.0])
def test_shaped_likelihood_policy_is_stationary(beta):
    p = np.array([0.6, 0.25, 0.1, 0.05])
    pi = policy.shaped_likelihood_policy(p, beta)
    assert pi.sum() == pytest.approx(1.0)
    weighted = p * (1 - pi) ** beta
    assert np.allclose(weighted - pi * weighted.sum(), 0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 4, 64])
def test_coverage_weight_is_the_ratio_of_gradients(n):
    logp, step = np.log(np.array([1e-6, 0.1, 0.9])), 1e-6
    slope = policy.coverage_loss(logp + step, n) - policy.coverage_loss(logp - step, n)
    assert np.allclose(policy.coverage_weight(logp, n), -slope / (2 * step), atol=1e-8)
    assert policy.coverage_weight([-1e-12], n) < 1.01 / n**0.01
    assert policy.coverage_loss([0.0], n) == 0


def test_pacs_loss_by_hand():
    ratios, rewards = np.array([0.3, -0.1, 0.0]), np.array([1.0, 0.0, 1.0])
    scores = 2 * (ratios - (ratios.sum() - ratios) / 2)
    expected = -np.where(rewards > 0, np.log(expit(scores)), np.log(expit(-scores)))
    assert np.allclose(policy.pacs_loss(ratios, rewards, beta=2.0), expected)


def test_soft_values_solve_the_bellman_equation_and_are_optimal():
    rng, beta = np.random.default_rng(6), 0.3
    reference = random_tree(rng, (3, 2))
    rewards = rng.random(6)
    values, logits = policy.soft_values(reference, rewards, beta)
    base, best = (policy.tree_reach(z)[-1] for z in (reference, logits))
    tilted = base * np.exp(rewards / beta)
    assert np.allclose(best, tilted / tilted.sum())
    assert values[0][0] == pytest.approx(beta * np.log(tilted.sum()))
    assert np.array_equal(values[-1], rewards)


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda: policy.entropy_change([0.0, 1.0], [0.0]), ValueError),
        (lambda: policy.entropy_change([0.0, 1.0], [0.0, 1.0], order=4), ValueError),
        (lambda: policy.entropy_change_bound([0.0, 1.0], [0.0, 1.0], order=3), ValueError),
        (lambda: policy.binary_reward_covariance(1.0, 0.0, 0.0), ValueError),
        (lambda: policy.reward_entropy_curve(0.5, -1.0, 0.0), ValueError),
        (lambda: policy.natural_gradient_path([1.0, 0.0], [1.0, 0.0], [0.0]), ValueError),
        (lambda: policy.policy_gradient_path([0.0, 1.0], [True, True], [1.0]), ValueError),
        (lambda: policy.policy_gradient_path([0.0, 1.0], [1, 0], [1.0]), ValueError),
        (lambda: policy.policy_gradient_path([0.0, 1.0], [True, False], [0.0]), ValueError),
        (lambda: policy.line_fit_error(0.1, 0.9, 0.0, 0.0), ValueError),
        (lambda: policy.fit_reward_entropy([1.0] * 3, [0.0, 1.0, 2.0]), ValueError),
        (lambda: policy.fit_reward_entropy([0.0, 1.0], [0.0, 1.0], law="cubic"), ValueError),
        (lambda: policy.tree_reach([np.zeros((2, 2))]), ValueError),
        (lambda: policy.tree_reach([]), ValueError),
        (lambda: policy.tree_advantages([np.zeros((1, 2))], [1.0]), ValueError),
        (lambda: policy.visitation_term([np.zeros((1, 2))], []), ValueError),
        (lambda: policy.group_relative_advantages([1.0], baseline="leave-one-out"), ValueError),
        (lambda: policy.group_relative_advantages([1.0], baseline="mode"), ValueError),
        (lambda: policy.group_relative_advantages(1.0), ValueError),
        (lambda: policy.token_logprob_entropy([0.0, 1.0], 2), IndexError),
        (lambda: policy.policy_loss([0.0], [0.0], [0.0], clip_low=None), ValueError),
        (lambda: policy.grpo_loss(np.zeros((2, 3)), np.zeros((2, 3)), [0.0]), ValueError),
        (lambda: policy.token_covariance([], []), ValueError),
        (lambda: policy.clip_cov_mask([0.0], [0.0], low=5.0, high=1.0), ValueError),
        (lambda: policy.kl_cov_mask([]), ValueError),
        (lambda: policy.kl_cov_penalty([0.0], [0.0], [1]), ValueError),
        (lambda: policy.steer_entropy_change([0.1], [0.0], [0.0]), ValueError),
        (lambda: policy.steer_weights([]), ValueError),
        (lambda: policy.high_entropy_mask([0.0], fraction=0.0), ValueError),
        (lambda: policy.nucleus_mask([0.0], top_p=1.5), ValueError),
        (lambda: policy.anchored_penalty([0.0], np.array([False]), 0.0), ValueError),
        (lambda: policy.entropy_bonus_policy([0.0], 0.0), ValueError),
        (lambda: policy.shaped_likelihood_policy([1.0], 0.0), ValueError),
        (lambda: policy.shaped_likelihood_policy([0.5, 0.5], -1.0), ValueError),
        (lambda: policy.coverage_loss([0.1], 2), ValueError),
        (lambda: policy.coverage_weight([0.0], 2), ValueError),
        (lambda: policy.pacs_loss([0.0, 0.0], [0.0, 2.0]), ValueError),
        (lambda: policy.soft_values([np.zeros((1, 2))], [0.0, 1.0], 0.0), ValueError),
        (lambda: policy.pass_at_k(3, 4, 1), ValueError),
        (lambda: policy.pass_at_k(3, 1, 4), ValueError),
        (lambda: policy.pass_at_k(3, 1.0, 1), TypeError),
    ],
)
def test_bad_input_is_named(call, error):
    with pytest.raises(error, match="must|got"):
        call()


def test_the_coverage_weight_of_a_label_that_underflows_is_its_limit():
    assert np.allclose(policy.coverage_weight([-1e4, -745.0, -700.0], 4), 1.0, rtol=1e-12)
