"""Policies over three responses, and the sign of the entropy change of a gradient step."""

import numpy as np

from xent import figures
from xent.reference import entropy, policy
from xent.reference.softmax import softmax
from xent_site.stills.drawing import key, nats, number, panel
from xent_site.stills.simplex import TOP, law, place

METHODS = {  # the step in the logits, and its learning rate
    "policy gradient": (policy.policy_gradient_delta, 0.5),
    "natural gradient": (policy.natural_policy_gradient_delta, 0.1),
}
STEPS = 80
LATTICE = np.array([(i, j, 20 - i - j) for i in range(1, 19) for j in range(1, 20 - i)]) / 20


def rate(laws, rewards, method):
    """The change of entropy per unit step."""
    logits = np.log(laws)
    delta, _ = METHODS[method]
    return policy.entropy_change(logits, delta(logits, np.broadcast_to(rewards, logits.shape)))


def compute(method, r0, r1, r2, x, y) -> dict:
    rewards, start = np.array([r0, r1, r2], dtype=float), law(x, y)
    path, z = [start], np.log(start)
    delta, learning_rate = METHODS[method]
    for _ in range(STEPS):
        z = z + delta(z, rewards, learning_rate)
        path.append(softmax(z))
    return {
        "policy": start,
        "path": path,
        "entropy": entropy.entropy(start),
        "rate": rate(start, rewards, method),
        "reward": start @ rewards,
        "rates": rate(LATTICE, rewards, method),
        "highest": max(map(entropy.entropy, path)),
        "last": entropy.entropy(path[-1]),
    }


def settings(p) -> list:
    rewards = [(f"reward of {name}", number(p[f"r{i}"])) for i, name in enumerate("ABC")]
    return [("method", p["method"]), *rewards]


def values(p, found) -> list:
    return [
        ("policy (A, B, C)", ", ".join(f"{a:.2f}" for a in found["policy"])),
        ("expected reward", number(found["reward"])),
        ("entropy", nats(found["entropy"])),
        ("its change per unit step", nats(found["rate"])),
        ("highest on the path", nats(found["highest"])),
        ("after 80 steps", nats(found["last"])),
    ]


def panels(p, found):
    figure, axes = panel(width=4.6, height=3.5, aspect="equal", xlim=(-0.05, 1.05))
    axes.set_axis_off()
    axes.plot([0, 1, 0.5, 0], [0, 0, TOP, 0], color=figures.INK, lw=1.2)
    rises = found["rates"] > 0
    for keep, role, size, label in (
        (rises, "bound", 4, "entropy rises"),
        (~rises, "measured", 2.5, "entropy falls"),
    ):
        style = figures.line(role, marker=True) | {"linestyle": "", "markersize": size}
        axes.plot(*place(LATTICE[keep].T), **style, label=label)
    way = place(np.array(found["path"]).T)
    axes.plot(*way, color=figures.INK, lw=2, label="80 steps")
    axes.plot(way[0][0], way[1][0], "o", color=figures.INK, mfc=figures.CARD)
    for name, corner in zip("ABC", ((0, -0.06), (1, -0.06), (0.5, TOP + 0.03)), strict=True):
        axes.text(*corner, name, ha="center")
    key(axes, ncols=3)
    listed = ", ".join(f"{a:.2f}" for a in found["policy"])
    yield (
        figure,
        f"A triangle of policies over A, B and C. At {rises.sum()} of {rises.size} policies a step "
        f"raises the entropy. The path from ({listed}) has an entropy of "
        f"{nats(found['entropy'])} at first, at most {number(found['highest'])}, and "
        f"{number(found['last'])} after 80 steps.",
    )
