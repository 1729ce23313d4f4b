"""A hundred updates of a softmax bandit by the references of ``xent.reference.policy``."""

import numpy as np

from xent import figures
from xent.reference import entropy, policy
from xent.reference.softmax import softmax
from xent_site.stills.drawing import key, nats, number, panel

STARTS = {
    "one likely": [2.0, 0.5, 0.0, 0.0],
    "uniform": [0.0, 0.0, 0.0, 0.0],
    "right answer rare": [1.0, 1.0, 1.0, -4.0],
}
KEPT = {"half dropped": 0.5, "all dropped": 0.0}


def delta(z, method, eta, rewards):
    """The update of the logits."""
    if method == "natural gradient":
        return policy.natural_policy_gradient_delta(z, rewards, eta)
    pi = softmax(z)
    advantages = rewards - pi @ rewards
    covariances = (np.log(pi) + entropy.entropy(pi)) * advantages
    kept = np.where(covariances > 0.05, KEPT.get(method, 1.0), 1.0) * advantages
    change = policy.policy_gradient_delta(z, kept, eta)
    if method == "gradient + bonus":
        change = change + policy.entropy_bonus_delta(z, 0.3 * eta)
    return change


def compute(method, start, eta, step, **rewards) -> dict:
    z, rewards = np.array(STARTS[start]), np.array([rewards[f"r{a}"] for a in range(4)])
    entropies, predicted, reward = [], [], []
    law = entropy.entropy(softmax(z))
    for n in range(101):
        pi = softmax(z)
        entropies.append(entropy.entropy(pi))
        predicted.append(law)
        reward.append(pi @ rewards)
        if n == step:
            now = pi
        change = delta(z, method, eta, rewards)
        law = law + policy.entropy_change(z, change)
        z = z + change
    return {"entropy": entropies, "predicted": predicted, "reward": reward, "now": now}


def settings(p) -> list:
    return [
        ("method", p["method"]),
        ("start", p["start"]),
        ("learning rate η", number(p["eta"])),
        ("update", number(p["step"])),
    ]


def values(p, found) -> list:
    at = {name: found[name][p["step"]] for name in ("entropy", "predicted", "reward")}
    return [
        ("entropy", f"{number(at['entropy'])} of {nats(np.log(4))}"),
        ("covariance law says", nats(at["predicted"])),
        ("expected reward", number(at["reward"])),
        ("change of entropy so far", nats(at["entropy"] - found["entropy"][0])),
    ]


def panels(p, found):
    actions, rewards = [1, 2, 3, 4], [p[f"r{a}"] for a in range(4)]
    figure, axes = panel(xlabel="action", ylabel="probability, reward", xticks=actions)
    axes.set_ylim(-0.06, 1.08)
    axes.bar(actions, found["now"], width=0.55, color=figures.MEASURED, label="probability")
    axes.plot(actions, rewards, "o", color=figures.INK, mfc=figures.CARD, label="reward")
    key(axes, ncols=2)
    yield (
        figure,
        f"Bars of the probabilities of four actions after {p['step']} updates: "
        f"{', '.join(map(number, found['now']))}. Circles are their rewards: "
        f"{', '.join(map(number, rewards))}.",
    )

    figure, axes = panel(xlabel="update", ylabel="entropy (nats), reward", xlim=(0, 100))
    axes.plot(found["entropy"], **figures.line("measured"), label="entropy")
    axes.plot(found["predicted"], **figures.line("bound"), label="covariances")
    axes.plot(found["reward"], **figures.line("ours"), label="reward")
    axes.axvline(p["step"], color=figures.INK, lw=1.2)
    axes.set_ylim(0, 1.75)
    key(axes, ncols=3, handlelength=1.6, columnspacing=1)
    yield (
        figure,
        f"Over a hundred updates the entropy starts at {number(found['entropy'][0])} nats, has its "
        f"maximum at {number(max(found['entropy']))} and ends at {number(found['entropy'][-1])}; "
        f"the sum of the covariances ends at {number(found['predicted'][-1])}; the reward goes "
        f"from {number(found['reward'][0])} to {number(found['reward'][-1])}.",
    )
