"""Two laws on three outcomes, and the level sets of a divergence."""

import numpy as np

from xent import figures
from xent.reference import entropy
from xent_site.stills.drawing import key, nats, number, panel

TOP = np.sqrt(3) / 2
NAMES = ("sun", "clouds", "rain")
LEVELS = (0.02, 0.1, 0.25, 0.5, 1)
FIELDS = {
    "D(p‖q) as q moves": entropy.kl_divergence,
    "D(q‖p) as q moves": lambda p, q: entropy.kl_divergence(q, p),
    "Jensen–Shannon of p and q": entropy.js_divergence,
    "entropy": lambda p, q: np.log(3) - entropy.entropy(q),
}


def law(x, y):
    """The law at a point of the triangle."""
    rain = y / TOP
    return np.stack([1 - rain / 2 - x, x - rain / 2, rain], axis=-1)


def place(law):
    """The point of the triangle of a law."""
    return law[1] + law[2] / 2, TOP * law[2]


def compute(field, px, py, qx, qy) -> dict:
    p, q = law(px, py), law(qx, qy)
    return {
        "p": p,
        "q": q,
        "level": FIELDS[field](p, q),
        "entropyP": entropy.entropy(p),
        "entropyQ": entropy.entropy(q),
        "cross": entropy.cross_entropy(p, q),
        "forward": entropy.kl_divergence(p, q),
        "backward": entropy.kl_divergence(q, p),
        "js": entropy.js_divergence(p, q),
        "variation": entropy.total_variation(p, q),
    }


def settings(p) -> list:
    return [("level sets of", p["field"])]


def values(p, found) -> list:
    p, q = (", ".join(f"{a:.2f}" for a in found[name]) for name in "pq")
    return [
        ("p (sun, clouds, rain)", p),
        ("q", q),
        ("entropy H(p)", nats(found["entropyP"])),
        ("cross-entropy H(p,q)", nats(found["cross"])),
        ("D(p‖q)", nats(found["forward"])),
        ("D(q‖p)", nats(found["backward"])),
        ("Jensen–Shannon", nats(found["js"])),
        ("total variation", number(found["variation"])),
        ("Pinsker's bound on it", number(np.sqrt(found["forward"] / 2))),
    ]


def panels(p, found):
    figure, axes = panel(width=4.6, height=3.6, aspect="equal", xlim=(-0.05, 1.05))
    axes.set_axis_off()
    x, y = np.meshgrid(np.linspace(0, 1, 121), np.linspace(0, TOP, 121))
    laws = law(x, y)
    inside = laws.min(axis=-1) > -1e-9
    heights = np.full(x.shape, np.nan)
    shown = np.maximum(laws[inside], 1e-9)  # at the edge the divergence is infinite
    shown /= shown.sum(axis=-1, keepdims=True)
    heights[inside] = FIELDS[p["field"]](np.broadcast_to(found["p"], shown.shape), shown)
    axes.contour(x, y, heights, LEVELS, colors=figures.PAPER, linestyles="--", linewidths=0.8)
    axes.contour(x, y, heights, [found["level"]], colors=figures.BOUND, linestyles="-.")
    axes.plot([0, 1, 0.5, 0], [0, 0, TOP, 0], color=figures.INK, lw=1.2)
    axes.plot([], **figures.line("paper"), label="0.02, 0.1, 0.25, 0.5 and 1 nats")
    axes.plot([], **figures.line("bound"), label="the level of q")
    corners = ((0, -0.06), (1, -0.06), (0.5, TOP + 0.03))
    for name, corner in zip(NAMES, corners, strict=True):
        axes.text(*corner, name, ha="center")
    for name, role in (("p", "measured"), ("q", "bound")):
        at = place(found[name])
        axes.plot(*at, **figures.line(role, marker=True))
        axes.annotate(name, at, (7, 5), textcoords="offset points")
    key(axes, ncols=2)
    p, q = (", ".join(f"{a:.2f}" for a in found[name]) for name in "pq")
    yield (
        figure,
        f"A triangle with corners sun, clouds and rain. Curves around p = ({p}) are where D(p‖q) "
        f"has the same value; they crowd together at the edges. q = ({q}) lies on the level "
        f"{nats(found['level'])}.",
    )
