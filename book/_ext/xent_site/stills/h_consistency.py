"""Published and exact transforms of the comp-sum losses."""

import numpy as np

from xent import figures
from xent.reference import comp_sum
from xent_site.stills.drawing import key, number, panel

BETAS = np.linspace(0, 1, 101)
EXCESS = np.geomspace(0.001, 1, 60)


def compute(tau, n, t) -> dict:
    old = comp_sum.h_consistency_transform(BETAS, tau, n)
    new = comp_sum.exact_transform(BETAS, tau, n)
    return {
        "old": old,
        "now": new,
        "oldBound": np.interp(EXCESS, old, BETAS),
        "nowBound": np.interp(EXCESS, new, BETAS),
        "before": np.interp(t, old, BETAS),
        "after": np.interp(t, new, BETAS),
    }


def settings(p) -> list:
    return [
        ("loss τ (1: cross-entropy)", number(p["tau"])),
        ("classes n", number(p["n"])),
        ("excess loss in nats", number(p["t"])),
    ]


def values(p, found) -> list:
    return [
        ("excess error at most, published", number(found["before"])),
        ("exact", number(found["after"])),
        ("exact / published transform at β = 1", number(found["now"][100] / found["old"][100])),
    ]


def panels(p, found):
    figure, axes = panel(xlabel="zero-one regret β", ylabel="least excess loss", xlim=(0, 1))
    axes.plot(BETAS, found["old"], **figures.line("paper"), label="published")
    axes.plot(BETAS, found["now"], **figures.line("ours"), label="exact")
    axes.axhline(p["t"], **figures.line("bound"))
    axes.set_ylim(0, 1.05 * max(found["now"][100], 0.05))
    key(axes, ncols=2)
    loss = f"τ = {number(p['tau'])} and {number(p['n'])} classes"
    yield (
        figure,
        f"The least excess loss against the zero-one regret for {loss}: the exact transform "
        f"rises to {number(found['now'][100])}, the published one to {number(found['old'][100])}.",
    )

    figure, axes = panel(xlabel="excess loss (nats)", ylabel="largest excess error")
    axes.semilogx(EXCESS, found["oldBound"], **figures.line("paper"))
    axes.semilogx(EXCESS, found["nowBound"], **figures.line("ours"))
    axes.axvline(p["t"], **figures.line("bound"), label="excess loss")
    axes.set(xlim=(0.001, 1), ylim=(0, 1.02))
    key(axes)
    yield (
        figure,
        f"The largest excess error that an excess loss allows: at {number(p['t'])} nats the "
        f"published bound says {number(found['before'])}, the exact one {number(found['after'])}.",
    )
