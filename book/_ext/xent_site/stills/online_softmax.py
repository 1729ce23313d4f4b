"""Three ways to compute one float32 loss."""

import numpy as np

from xent import figures
from xent.reference import softmax
from xent_site.stills.drawing import key, nats, number, panel

OTHERS = 2 * np.sin(3 * np.arange(1, 16))
GAPS = np.arange(61.0)
WAYS = {
    "textbook": ("lse − target", "failure"),
    "targetOut": ("target left out, lse first", "bound"),
    "maxOut": ("maximum left out", "ours"),
}


def row(gap: float, offset: float) -> np.ndarray:
    """The target's logit leads the log-sum-exp of the others by the gap; all of it in float32."""
    lead = gap + softmax.logsumexp(OTHERS)
    return (np.array([lead, *OTHERS]) + offset).astype(np.float32)


def log_sum_exp(z) -> tuple:
    """Maximum, sum and log-sum-exp, each step rounded to float32."""
    top, total = z.max(), np.float32(0)
    for term in np.exp((z - top).astype(float)).astype(np.float32):
        total += term
    return top, total, top + np.float32(np.log(float(total)))


def losses(z) -> dict:
    """The loss of the first class: in float64, and in three ways in float32."""
    top, _, lse = log_sum_exp(z)
    _, _, rest = log_sum_exp(z[1:])
    gap = float(rest - z[0])
    rest_sum = np.float32(0)
    for value in np.delete(z, z.argmax()):
        rest_sum += np.float32(np.exp(float(value - top)))
    return {
        "exact": float(softmax.cross_entropy_with_logits(z.astype(float)[None], [0])[0]),
        "textbook": float(lse - z[0]),
        "targetOut": float(np.float32(max(gap, 0) + np.log1p(np.exp(-abs(gap))))),
        "maxOut": float((top - z[0]) + np.float32(np.log1p(float(rest_sum)))),
        "r": float(rest_sum),
    }


def compute(gap, offset) -> dict:
    found = [losses(row(lead, offset)) for lead in GAPS]
    exact = np.array([loss["exact"] for loss in found])
    errors = {
        name: np.clip(np.abs(np.array([loss[name] for loss in found]) / exact - 1), 1e-9, 10)
        for name in WAYS
    }
    return {"exact": exact, "maxOut": exact, "errors": errors, "now": losses(row(gap, offset))}


def settings(p) -> list:
    return [("gap of the target (nats)", number(p["gap"])), ("common offset", number(p["offset"]))]


def values(p, found) -> list:
    now = found["now"]
    return [
        ("exact loss", nats(now["exact"], 6)),
        *((label, number(now[name], 6)) for name, (label, _) in WAYS.items()),
        ("rest r of the state (m, r)", number(now["r"], 6)),
    ]


def panels(p, found):
    figure, axes = panel(
        width=4.6, height=3, xlabel="gap of the target (nats)", ylabel="relative error"
    )
    for name, (label, role) in WAYS.items():
        axes.semilogy(GAPS, found["errors"][name], **figures.line(role), label=label)
    axes.axvline(p["gap"], color=figures.INK, lw=1.2, label="gap")
    axes.set(xlim=(0, 60), ylim=(1e-9, 10))
    key(axes, ncols=4)
    last = {name: number(found["errors"][name][-1]) for name in WAYS}
    yield (
        figure,
        f"Relative error of three float32 formulas against the gap. The textbook formula loses "
        f"digit after digit and ends at {last['textbook']}; with the target or the maximum left "
        f"out the error stays flat and ends at {last['targetOut']} and {last['maxOut']}.",
    )
