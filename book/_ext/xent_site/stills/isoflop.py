"""Loss against model size at a fixed budget of operations."""

import numpy as np
from scipy.optimize import brentq

from xent import figures
from xent.reference import scaling
from xent_site.stills.drawing import key, nats, number, panel

FITS = {  # constant, amplitudes, exponents
    "replication": (1.8172, 482.01, 2085.43, 0.3478, 0.3658),
    "as first published": (*np.exp([0.5267228, 6.0073404, 6.0179186]), 0.33917084, 0.2849083),
}
SIZES = np.geomspace(1e7, 1e13, 121)
BUDGETS = np.geomspace(1e18, 1e26, 33)


def best_loss(compute, fit):
    """The loss of the best size at a budget."""
    return scaling.chinchilla_law(*scaling.compute_optimal(compute, *fit[1:]), *fit)


def compute(fit, compute, size) -> dict:
    fit = FITS[fit]
    tokens = compute / (6 * size)
    loss = scaling.chinchilla_law(size, tokens, *fit)
    best, best_tokens = scaling.compute_optimal(compute, *fit[1:])
    ratios = []
    for one in FITS.values():
        sizes, data = scaling.compute_optimal(BUDGETS, *one[1:])
        ratios.append(data / sizes)
    log_share = brentq(
        lambda t: best_loss(compute * np.exp(t), fit) - loss, -60, 1e-6, xtol=1e-13, rtol=1e-13
    )
    return {
        "tokens": tokens,
        "loss": loss,
        "best": best,
        "bestLoss": best_loss(compute, fit),
        "perParameter": tokens / size,
        "bestRatio": best_tokens / best,
        "share": np.exp(log_share),
        "curve": scaling.chinchilla_law(SIZES, compute / (6 * SIZES), *fit),
        "ratios": ratios,
    }


def settings(p) -> list:
    return [
        ("law", p["fit"]),
        ("budget (operations)", number(p["compute"])),
        ("model size (parameters)", number(p["size"])),
    ]


def values(p, found) -> list:
    return [
        ("tokens", number(found["tokens"])),
        ("tokens per parameter", number(found["perParameter"])),
        ("loss", nats(found["loss"], 4)),
        ("best size", number(found["best"])),
        ("its tokens per parameter", number(found["bestRatio"])),
        ("lost by the wrong size", nats(found["loss"] - found["bestLoss"])),
        (
            "a best-sized run has this loss with",
            f"{number(100 * found['share'])} % of the budget",
        ),
    ]


def panels(p, found):
    low, top = FITS[p["fit"]][0], found["bestLoss"] + 0.8
    figure, axes = panel(xlabel="model size N", ylabel="loss (nats)")
    axes.axhline(low, **figures.line("paper"), label="constant")
    axes.axvline(found["best"], **figures.line("ours"), label="best size")
    axes.semilogx(SIZES, found["curve"], **figures.line("measured"), label="loss")
    axes.plot(p["size"], min(found["loss"], top), "o", color=figures.INK, mfc=figures.CARD)
    axes.set(xlim=(1e7, 1e13), ylim=(low - 0.05, top))
    key(axes, ncols=3, handlelength=1.6, columnspacing=1)
    yield (
        figure,
        f"Loss against model size for {number(p['compute'])} operations: a valley with its lowest "
        f"point, {nats(found['bestLoss'], 4)}, at {number(found['best'])} parameters. A circle at "
        f"{number(p['size'])} parameters lies at {number(found['loss'], 4)}.",
    )

    figure, axes = panel(xlabel="budget (operations)", ylabel="tokens per parameter")
    axes.axhline(20, **figures.line("bound"), label="rule of 20")
    for (name, role), ratios in zip(
        (("replication", "measured"), ("first published", "paper")), found["ratios"], strict=True
    ):
        axes.loglog(BUDGETS, ratios, **figures.line(role), label=name)
    axes.plot(p["compute"], found["perParameter"], "o", color=figures.INK)
    axes.set(xlim=(1e18, 1e26), ylim=(1, 1000), xticks=[1e18, 1e22, 1e26])
    axes.minorticks_off()
    key(axes, ncols=3, handlelength=1.6, columnspacing=1)
    (first, last), (other, far) = (series[[0, -1]] for series in found["ratios"])
    yield (
        figure,
        f"The best number of tokens per parameter against the budget: by the replication it goes "
        f"from {number(first)} to {number(last)}, by the fit first published from {number(other)} "
        f"to {number(far)}.",
    )
