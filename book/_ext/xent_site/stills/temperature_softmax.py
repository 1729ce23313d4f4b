"""Three logits and a temperature."""

import numpy as np

from xent import figures
from xent.reference import entropy
from xent.reference.softmax import logsumexp, softmax
from xent_site.stills.drawing import number, panel


def compute(tau, z0, z1, z2) -> dict:
    scaled = np.array([z0, z1, z2]) / tau
    probs = softmax(scaled)
    return {"probs": probs, "lse": logsumexp(scaled), "entropy": entropy.entropy(probs)}


def settings(p) -> list:
    return [("temperature τ", number(p["tau"]))]


def values(p, found) -> list:
    return [
        ("entropy", f"{number(found['entropy'])} of {number(np.log(3))} nats"),
        ("log-sum-exp of z / τ", number(found["lse"])),
        ("largest probability", number(max(found["probs"]))),
    ]


def panels(p, found):
    logits = [p["z0"], p["z1"], p["z2"]]
    figure, axes = panel(xlabel="class", ylabel="logit z", xticks=[1, 2, 3], ylim=(-3.2, 3.2))
    axes.bar([1, 2, 3], logits, width=0.7, color=figures.PAPER)
    listed = ", ".join(map(number, logits))
    yield figure, f"Bars of the logits of three classes: {listed}."

    figure, axes = panel(xlabel="class", ylabel="softmax(z / τ)", xticks=[1, 2, 3], ylim=(0, 1.1))
    listed = list(map(number, found["probs"]))
    bars = axes.bar([1, 2, 3], found["probs"], width=0.7, color=figures.MEASURED)
    axes.bar_label(bars, listed, padding=2)
    yield (
        figure,
        f"Bars of their probabilities at temperature {number(p['tau'])}: {', '.join(listed)}.",
    )
