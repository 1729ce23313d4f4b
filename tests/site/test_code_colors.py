"""Every color of highlighted code reads at 4.5:1 on the background of code cells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CUSTOM = Path(__file__).parents[2] / "book" / "_static" / "custom.css"
RULE = re.compile(r'html\[data-theme="(light|dark)"\] \.highlight (\.\w+) \{([^}]*)\}')
COLOR = re.compile(r"(?<!-)\bcolor: (#[0-9a-fA-F]{6})")


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def code_background(theme: str) -> str:
    opening = {"light": "html[data-theme],", "dark": 'html[data-theme="dark"] {'}[theme]
    block = CUSTOM.read_text("utf-8").partition(opening)[2]
    return re.search(r"--sunk: (#[0-9a-f]{6})", block).group(1)


def test_contrast_of_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_reads(theme, site):
    rules = RULE.findall((site / "_static" / "pygments.css").read_text("utf-8"))
    colors = {
        token: found.group(1)
        for mode, token, body in rules
        if mode == theme and (found := COLOR.search(body))
    }
    assert len(colors) > 30
    background = code_background(theme)
    faint = {t: c for t, c in colors.items() if contrast(c, background) < 4.5}
    assert not faint, f"on {background}: {faint}"
