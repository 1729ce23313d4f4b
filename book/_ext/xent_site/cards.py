"""The picture that a shared link shows: title, part and verdicts of a page on 1200 x 630 pixels."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xent.ledger import display

SIZE = (1200, 630)
BOOK = "The Cross-Entropy Book"
PAPER, INK, SOFT, ACCENT = "#fdfbf7", "#22201d", "#5d574e", "#7a2e1d"
COLORS = {
    "proved": "#1d4f91",
    "reproduced": "#1c6b3c",
    "holds": "#11685f",
    "partly": "#7d5200",
    "corrected": "#6b3f91",
    "not reproduced": "#a3231b",
    "not tested": SOFT,
}
LEFT, COLUMN = 84, 156
SIZES = ((38, 38, 4), (33, 44, 5), (28, 52, 6))  # of type, with letters a line and lines


def write_card(path: Path, title: str, part: str, verdicts: Counter, about: str) -> None:
    """Draw a page's card; coordinates are pixels from the lower left."""
    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), 26, SIZE[1], color=ACCENT))
    axes.text(LEFT, 558, part, size=19, color=ACCENT, va="center")
    size, lines = fitted(title)
    heading = axes.text(LEFT, 512, "\n".join(lines), size=size, color=INK, va="top")
    heading.set(family="DejaVu Serif", linespacing=1.22)
    if verdicts:
        _draw_verdicts(axes, verdicts)
    else:
        text = "\n".join(textwrap.wrap(about, 72)[:5])
        axes.text(LEFT, 330, text, size=20, color=SOFT, va="center", linespacing=1.5)
    axes.text(LEFT, 60, BOOK, size=20, color=INK, va="center", weight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, facecolor=PAPER, metadata={"Software": None})


def fitted(title: str) -> tuple[int, list[str]]:
    """The largest size at which a title fits, and its lines."""
    for size, width, most in SIZES:
        lines = textwrap.wrap(title, width, break_long_words=False)
        if len(lines) <= most:
            return size, lines
    return size, [*lines[: most - 1], lines[most - 1] + " …"]


def _draw_verdicts(axes, verdicts: Counter) -> None:
    """A column for each verdict that occurs: number and sign above its word."""
    found = [name for name in COLORS if verdicts[name]]
    for x, name in zip(range(LEFT, SIZE[0], COLUMN), found, strict=False):
        above = f"{verdicts[name]} {display.SYMBOLS[name]}"
        axes.text(x, 178, above, size=25, color=COLORS[name], va="center")
        axes.text(x, 138, name, size=13.5, color=COLORS[name], va="center")
