"""A power law with a constant, fitted to eight losses, and the interval of the constant."""

import numpy as np

from xent import figures
from xent.reference import scaling
from xent_site.stills.drawing import key, nats, number, panel

INDEX = np.arange(8)
TRUTH = 2.0
CHI_SQUARE = 3.841  # one degree of freedom, 95 %


def noise(sample: int) -> np.ndarray:
    """Eight standard normal numbers that depend on the number of the sample alone."""
    word, state = 2**32 - 1, sample * 2654435761 % 2**32

    def uniform() -> float:
        nonlocal state
        state = ((state ^ state >> 15) * 2246822519 + 374761393) & word
        mixed = (state ^ state >> 13) * 3266489917 & word
        return (mixed ^ mixed >> 16) / 2**32 + 1e-10

    return np.array(
        [np.sqrt(-2 * np.log(uniform())) * np.cos(2 * np.pi * uniform()) for _ in INDEX]
    )


def constants(logx, loss, fit) -> tuple[float, float]:
    """The interval of constants whose best law is not rejected at 95 %."""
    rho = np.append(np.geomspace(0.01, 40, 400), fit.alpha * np.ptp(logx))
    decay = np.exp(-np.multiply.outer(rho, logx - logx[0]) / np.ptp(logx))
    mean = decay.mean(axis=1, keepdims=True)
    variation = ((decay - mean) ** 2).sum(axis=1)
    slope = (decay - mean) @ loss / variation
    constant = loss.mean() - slope * mean[:, 0]
    error = ((loss - constant[:, None] - slope[:, None] * decay) ** 2).sum(axis=1)
    threshold = error[-1] * (1 + CHI_SQUARE / (len(loss) - 3))
    inside = error < threshold
    spread = 1 / len(loss) + mean[inside, 0] ** 2 / variation[inside]
    reach = np.sqrt((threshold - error[inside]) * spread)
    low = min(constant[inside] - reach) if fit.identifiable else -np.inf
    return low, max(constant[inside] + reach)


def compute(decades, drag, alpha=0.3, sample=1, **rest) -> dict:
    logx = decades * np.log(10) * INDEX / 7
    if drag:
        loss = np.array([rest[f"y{i}"] for i in INDEX])
    else:
        loss = TRUTH + np.exp(-alpha * logx) + rest["noise"] * noise(sample)
    fit = scaling.fit_power_law(np.exp(logx), loss, bootstrap=0)
    low, high = constants(logx, loss, fit)
    return {
        "logx": logx,
        "loss": loss,
        "lInf": fit.l_inf,
        "alpha": fit.alpha,
        "amplitude": fit.x0**fit.alpha,
        "low": low,
        "high": high,
    }


def settings(p) -> list:
    return [
        ("range of x in decades", number(p["decades"])),
        ("true exponent", number(p["alpha"])),
        ("noise of one run (nats)", number(p["noise"])),
        ("sample", number(p["sample"])),
        ("drag the points instead", "yes" if p["drag"] else "no"),
    ]


def values(p, found) -> list:
    falls = np.exp(found["alpha"] * np.ptp(found["logx"]))
    return [
        ("fitted constant", nats(found["lInf"])),
        ("95 % interval", f"{number(found['low'])} to {nats(found['high'])}"),
        ("fitted exponent", number(found["alpha"])),
        ("reducible loss falls", f"{number(falls)} times"),
    ]


def panels(p, found):
    end = 1.35 * p["decades"]
    figure, axes = panel(width=4.6, height=3.2, xlabel="decades of x", ylabel="loss (nats)")
    axes.fill_between(
        [1.03 * p["decades"], end],
        *([found[side]] * 2 for side in ("low", "high")),
        color=figures.FAILURE,
        alpha=0.3,
        label="95 % interval of the constant",
    )
    axes.axhline(TRUTH, **figures.line("paper"), label="true constant")
    decades = np.linspace(0, end, 120)
    fitted = found["lInf"] + found["amplitude"] * 10 ** (-found["alpha"] * decades)
    axes.plot(decades, fitted, **figures.line("measured"), label="fit")
    axes.plot(found["logx"] / np.log(10), found["loss"], "o", color=figures.MEASURED)
    axes.set(xlim=(-0.03 * end, end), ylim=(1.5, 3.2))
    key(axes, ncols=3)
    interval = f"{number(found['low'])} to {number(found['high'])}"
    yield (
        figure,
        f"Eight losses over {number(p['decades'])} decades fall from {number(found['loss'][0])} to "
        f"{number(found['loss'][-1])} nats. The fitted curve goes on to a constant of "
        f"{number(found['lInf'])} with the interval {interval}; the true one is {number(TRUTH)}.",
    )
