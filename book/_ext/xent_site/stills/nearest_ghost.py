"""The zeros of a three-class partition function, and the Taylor series of the loss."""

import numpy as np

from xent import figures
from xent.reference import ghosts
from xent.reference.softmax import logsumexp
from xent_site.stills.drawing import key, number, panel


def line(p) -> tuple[np.ndarray, np.ndarray]:
    """Logits and slopes of the three classes."""
    return tuple(np.array([float(p[f"{letter}{k}"]) for k in (1, 2, 3)]) for letter in "za")


def compute(degree, **classes) -> dict:
    z, a = line(classes)
    return {
        "radius": ghosts.convergence_radius(z, a),
        "bound": ghosts.radius_lower_bound(a),
        "series": ghosts.taylor_coefficients(z, a, degree),
    }


def settings(p) -> list:
    return [("degree of the Taylor polynomial", number(p["degree"]))]


def nearest(p, found) -> complex:
    """The nearest ghost in the upper half plane."""
    zeros = ghosts.partition_zeros(*line(p), float(found["radius"]) * 1.001)
    return min(zeros[zeros.imag > 0], key=abs)


def values(p, found) -> list:
    ghost = nearest(p, found)
    return [
        ("nearest ghost at distance", number(found["radius"])),
        ("π / spread (the paper's bound)", number(found["bound"])),
        ("nearest ghost", f"{number(ghost.real)} ± {number(ghost.imag)} i"),
    ]


def panels(p, found):
    z, a = line(p)
    figure, axes = panel(xlabel="slope a", ylabel="logit z", xlim=(-2.2, 2.2), ylim=(-4.4, 4.4))
    axes.plot(a, z, "o", color=figures.INK, mfc=figures.CARD)
    for k, at in enumerate(zip(a, z, strict=True), start=1):
        axes.annotate(str(k), at, (0, 6), textcoords="offset points", ha="center")
    listed = "; ".join(f"{number(s)} and {number(v)}" for s, v in zip(a, z, strict=True))
    yield figure, f"Three classes as points; their slopes and logits are {listed}."

    side = np.linspace(-6, 6, 73)
    t = side + 1j * side[:, None]
    figure, axes = panel(xlabel="Re t", ylabel="Im t", aspect="equal")
    shown = np.abs(ghosts.characteristic(z, a, t))
    axes.imshow(shown, origin="lower", extent=(-6, 6, -6, 6), vmin=0, vmax=1)
    axes.grid(False)
    turn = np.exp(2j * np.pi * np.linspace(0, 1, 121))
    for size, role, label in (
        (found["radius"], "failure", "radius"),
        (found["bound"], "bound", "π / spread"),
    ):
        axes.plot((size * turn).real, (size * turn).imag, **figures.line(role), label=label)
    zeros = ghosts.partition_zeros(z, a, 8.4)
    zeros = zeros[(np.abs(zeros.real) < 6) & (np.abs(zeros.imag) < 6)]
    axes.plot(zeros.real, zeros.imag, "x", color=figures.FAILURE, mew=1.6, label="ghosts")
    key(axes, ncols=3, handlelength=1.4, columnspacing=0.8)
    ghost = nearest(p, found)
    yield (
        figure,
        f"The complex step: dark spots are {len(zeros)} zeros. The nearest pair, "
        f"{number(ghost.real)} ± {number(ghost.imag)} i, lies on a circle of radius "
        f"{number(found['radius'])}; the circle of radius π / spread, {number(found['bound'])}, "
        f"lies inside it.",
    )

    ts = np.linspace(-6, 6, 241)
    loss = logsumexp(z + a * ts[:, None]) - z[0] - a[0] * ts
    series = np.polynomial.polynomial.polyval(ts, found["series"]) - z[0] - a[0] * ts
    top = 1.4 * max(3, *loss[np.abs(ts) < 3])
    figure, axes = panel(width=4.6, xlabel="step t", ylabel="loss (nats)")
    for sign in (-1, 1):
        axes.axvline(
            sign * found["radius"],
            **figures.line("failure"),
            label="± radius" if sign > 0 else None,
        )
    axes.plot(
        ts,
        np.where(np.abs(series) < 9 * top, series, np.nan),
        **figures.line("bound"),
        label=f"degree {p['degree']}",
    )
    axes.plot(ts, loss, **figures.line("measured"), label="loss")
    axes.set(xlim=(-6, 6), ylim=(-0.3 * top, top))
    key(axes, ncols=3)
    yield (
        figure,
        f"The loss along the step and its Taylor polynomial of degree {p['degree']}: they agree "
        f"between −{number(found['radius'])} and {number(found['radius'])}, and outside the "
        f"polynomial leaves the drawing.",
    )
