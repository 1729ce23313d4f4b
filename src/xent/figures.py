"""One figure style: drawn on a light card that stays light when the page is dark.

The same color means the same thing in the whole book, and never color alone: each role has a line
style and a marker of its own (``**figures.line("bound")``).
"""

from __future__ import annotations

import matplotlib as mpl

PAPER = "#6f6a62"  # what a paper says
MEASURED = "#1f5fa8"  # what we measured
BOUND = "#b35600"  # a bound or a theorem
FAILURE = "#b3261e"  # where it breaks
OURS = "#11736b"  # a result of ours
CARD = "#fbfaf7"
INK = "#2b2926"
GRID = "#dedad2"

CYCLE = (MEASURED, BOUND, OURS, "#7b4a9e", FAILURE, PAPER)

_ROLES = {
    "paper": {"color": PAPER, "linestyle": "--", "marker": "s"},
    "measured": {"color": MEASURED, "linestyle": "-", "marker": "o"},
    "bound": {"color": BOUND, "linestyle": "-.", "marker": "^"},
    "failure": {"color": FAILURE, "linestyle": ":", "marker": "x"},
    "ours": {"color": OURS, "linestyle": (0, (5, 1)), "marker": "D"},
}


def line(role: str, *, marker: bool = False) -> dict:
    """Keyword arguments of ``Axes.plot`` for a role: paper, measured, bound, failure or ours.

    Raises:
        ValueError: for an unknown role.
    """
    if role not in _ROLES:
        raise ValueError(f"role must be one of {', '.join(_ROLES)}, got {role!r}")
    style = dict(_ROLES[role])
    if not marker:
        del style["marker"]
    return style


def use() -> None:
    """Set matplotlib's defaults for the book."""
    mpl.rcParams.update(
        {
            "figure.figsize": (6.6, 3.4),
            "figure.dpi": 100,
            "savefig.dpi": 100,
            "figure.facecolor": CARD,
            "savefig.facecolor": CARD,
            "axes.facecolor": CARD,
            "figure.constrained_layout.use": True,
            "font.family": "DejaVu Sans",
            "font.size": 9.5,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": GRID,
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "axes.prop_cycle": mpl.cycler(color=CYCLE),
            "lines.linewidth": 1.7,
            "lines.markersize": 4.5,
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "image.cmap": "cividis",
        }
    )
