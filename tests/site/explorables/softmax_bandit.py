"""A hundred updates of a softmax bandit by the references of ``xent.reference.policy``."""

import numpy as np
from scipy.special import entr, softmax

from xent.reference import policy

METHODS = ("policy gradient", "natural gradient", "gradient + bonus", "half dropped", "all dropped")
STARTS = {
    "one likely": [2.0, 0.5, 0.0, 0.0],
    "uniform": [0.0, 0.0, 0.0, 0.0],
    "right answer rare": [1.0, 1.0, 1.0, -4.0],
}
KEPT = {"half dropped": 0.5, "all dropped": 0.0}
RTOL = 1e-7
ATOL = 1e-9


def parameters(rng) -> dict:
    rewards = {f"r{a}": round(rng.random(), 2) for a in range(4)}
    setting = {"method": str(rng.choice(METHODS)), "start": str(rng.choice(list(STARTS)))}
    return {**setting, "eta": rng.uniform(0.01, 2), "step": int(rng.integers(101)), **rewards}


def delta(z, method, eta, rewards):
    if method == "natural gradient":
        return policy.natural_policy_gradient_delta(z, rewards, eta)
    pi = softmax(z)
    advantages = rewards - pi @ rewards
    covariances = (np.log(pi) + entr(pi).sum()) * advantages
    kept = np.where(covariances > 0.05, KEPT.get(method, 1.0), 1.0) * advantages
    change = policy.policy_gradient_delta(z, kept, eta)
    if method == "gradient + bonus":
        change = change + policy.entropy_bonus_delta(z, 0.3 * eta)
    return change


def expected(method, start, eta, step, **rewards) -> dict:
    z, rewards = np.array(STARTS[start]), np.array([rewards[f"r{a}"] for a in range(4)])
    entropy, predicted, reward = [], [], []
    law = entr(softmax(z)).sum()
    for n in range(101):
        pi = softmax(z)
        entropy.append(entr(pi).sum())
        predicted.append(law)
        reward.append(pi @ rewards)
        if n == step:
            now = pi
        change = delta(z, method, eta, rewards)
        law = law + policy.entropy_change(z, change)
        z = z + change
    return {"entropy": entropy, "predicted": predicted, "reward": reward, "now": now}
