"""Two examples with opposite labels on one line of logits, and the rules for the step."""

import numpy as np

from xent import figures
from xent.reference import ghosts
from xent.reference.softmax import cross_entropy_with_logits, softmax
from xent_site.stills.drawing import key, nats, number, panel

SHARES = np.linspace(0, 1, 161)
LABELS = np.array([0, 1])
SPREAD = 1.0  # of the slopes


def loss(t, distance):
    """Mean loss of the two examples at steps ``t``."""
    logits = np.stack([np.asarray(t) - distance, np.zeros(np.shape(t))], axis=-1)
    pair = np.stack([logits, logits], axis=-2)
    labels = np.broadcast_to(LABELS, pair.shape[:-1])
    return cross_entropy_with_logits(pair, labels).mean(axis=-1)


def compute(distance, step) -> dict:
    p = softmax(np.array([-distance, 0.0]))
    g, kappa = 0.5 - p[0], p[0] * p[1]
    steps = SHARES * max(4, 2.6 * distance)

    def promise(t):
        return np.minimum(-g * t + kappa * (np.expm1(t) - t), 10)

    return {
        "g": g,
        "kappa": kappa,
        "steps": steps,
        "returns": 2 * distance,
        "newton": 2 * g / kappa,
        "safe": ghosts.descent_step(g, kappa, SPREAD),
        "best": ghosts.best_step(g, kappa, SPREAD),
        "simple": 1 / (kappa / (2 * g) + SPREAD / 2),
        "change": loss(steps, distance) - loss(0.0, distance),
        "promise": promise(steps),
        "now": loss(step, distance) - loss(0.0, distance),
        "promised": promise(step),
    }


def settings(p) -> list:
    return [
        ("distance d to the minimum", number(p["distance"])),
        ("your step t", number(p["step"])),
    ]


def values(p, found) -> list:
    promised = nats(found["promised"]) if found["promised"] < 10 else "nothing"
    return [
        ("loss is back at its start at", number(found["returns"])),
        ("r = 1 is at", number(np.pi)),
        ("2g/κ", number(found["newton"])),
        ("safe step", number(found["safe"])),
        ("reciprocal rule", number(found["simple"])),
        ("your step changes the loss by", nats(found["now"])),
        ("guaranteed: at most", promised),
    ]


def panels(p, found):
    low = found["change"].min()
    figure, axes = panel(width=4.6, height=2.9, xlabel="step t", ylabel="change of the loss (nats)")
    axes.axhline(0, color=figures.INK, lw=0.8)
    axes.axvline(np.pi, **figures.line("paper"), label="r = 1")
    axes.axvline(found["newton"], **figures.line("failure"), label="2g/κ")
    axes.axvline(found["safe"], **figures.line("ours"), label="safe")
    axes.plot(found["steps"], found["promise"], **figures.line("bound"), label="guarantee")
    axes.plot(found["steps"], found["change"], **figures.line("measured"), label="loss")
    axes.plot(p["step"], found["now"], "o", color=figures.INK, mfc=figures.CARD)
    axes.set(xlim=(0, found["steps"][-1]), ylim=(1.25 * low, -1.1 * low))
    key(axes, ncols=5, handlelength=1.6, columnspacing=1)
    yield (
        figure,
        f"The loss falls by {number(-low)} nats until t = {number(p['distance'])} and is back at "
        f"its start at {number(found['returns'])}. The safe step, {number(found['safe'])}, lies "
        f"before that; 2g/κ = {number(found['newton'])} and r = 1 at {number(np.pi)} lie after it.",
    )
