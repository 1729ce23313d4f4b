"""Numbers and axes as the interactive figures show them."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from matplotlib.figure import Figure

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(x, digits: int = 3) -> str:
    """A number in the words of ``Explorable.format``."""
    x = float(x)
    if not math.isfinite(x):
        return "–" if math.isnan(x) else "∞" if x > 0 else "−∞"
    if x == 0:
        return "0"
    exact = Decimal(x)
    power = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    rounded = exact.quantize(power, ROUND_HALF_UP)
    if abs(x) >= 1e5 or abs(x) < 1e-4:
        mantissa = rounded.scaleb(-rounded.adjusted())
        mantissa = mantissa.quantize(Decimal(1).scaleb(1 - digits))
        text = f"{mantissa}·10{str(rounded.adjusted()).translate(SUPERSCRIPTS)}"
    elif x.is_integer():
        text = str(int(x))
    elif abs(rounded) >= 10**digits:
        text = str(exact.quantize(Decimal(1), ROUND_HALF_UP))
    else:
        text = str(rounded.quantize(Decimal(1).scaleb(rounded.adjusted() - digits + 1)))
    return text.replace("-", "−")


def nats(x, digits: int = 3) -> str:
    """A number of nats."""
    return f"{number(x, digits)} nats"


def panel(*, width: float = 2.75, height: float = 2.3, **labels):
    """One drawing and its axes; ``labels`` go to ``Axes.set``."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.set(**labels)
    return figure, axes


def key(axes, **options) -> None:
    """A key above the drawing, where it covers nothing."""
    axes.figure.legend(loc="outside upper left", fontsize=8, borderpad=0, **options)
