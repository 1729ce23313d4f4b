"""Stills of the interactive figures: what is seen without scripts, computed by the references.

A figure ``book/_static/explorables/<name>.js`` has a partner ``<name>.py`` here, which computes
with ``xent.reference`` what the script computes. Title and start values have one home, the script.

A partner has four functions: ``compute(**start)``, keys of the script's ``compute``;
``settings(p)`` and ``values(p, found)``, the words shown beside the live figure at its start; and
``panels(p, found)``, the drawings with their alt texts.
"""

from __future__ import annotations

import io
import json
import re
from html import escape
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

from xent import figures

SCRIPTS = Path(__file__).parents[3] / "_static" / "explorables"
PLACE = re.compile(r'(<div class="explorable" data-explorable="([a-z0-9-]+)">).*?</div>', re.DOTALL)
STYLE = {"svg.hashsalt": "xent", "svg.fonttype": "path", "font.size": 9}


class Still(NamedTuple):
    """A figure at its start values: words, and drawings as (SVG, alt text, width, height)."""

    title: str
    settings: list[tuple[str, str]]
    values: list[tuple[str, str]]
    drawings: list[tuple[bytes, str, int, int]]


def declared(name: str, field: str):
    """A field of a figure's definition that its script states as plain JSON."""
    script = (SCRIPTS / f"{name}.js").read_text(encoding="utf-8")
    found = re.search(rf'^ +{field}: ("[^\n]*"|{{[^}}]*}}),$', script, re.MULTILINE)
    if found is None:
        raise ValueError(f"{name}.js does not state {field!r} as JSON")
    return json.loads(found.group(1))


def still(name: str) -> Still:
    """Compute and draw a figure at its start values."""
    partner = import_module(f"{__name__}.{name.replace('-', '_')}")
    start = declared(name, "start")
    found = partner.compute(**start)
    drawings = []
    with mpl.rc_context():
        figures.use()
        mpl.rcParams.update(STYLE)
        for figure, alt in partner.panels(start, found):
            file = io.BytesIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
            width, height = (round(100 * inches) for inches in figure.get_size_inches())
            drawings.append((file.getvalue(), alt, width, height))
    title = declared(name, "title")
    return Still(title, partner.settings(start), partner.values(start, found), drawings)


def as_html(drawn: Still, sources: list[str]) -> str:
    """The still as it stands in the page; ``sources`` are the addresses of its drawings."""
    images = "".join(
        f'<img class="explorable-still" src="{source}" alt="{escape(alt)}" width="{width}" '
        f'height="{height}" loading="lazy" decoding="async">'
        for source, (_, alt, width, height) in zip(sources, drawn.drawings, strict=True)
    )
    rows = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(text)}</dd></div>"
        for label, text in (*drawn.settings, *drawn.values)
    )
    return (
        f'<div class="explorable-box"><p class="explorable-title">{escape(drawn.title)}</p>'
        f'<div class="explorable-panels">{images}</div><dl class="explorable-values">{rows}</dl>'
        '<p class="explorable-hint">The figure at its start values; with JavaScript it moves.</p>'
        "</div>"
    )


def fill(app, pagename, templatename, context, doctree) -> None:
    """Put the still of every interactive figure into its place on the page."""
    above = "../" * pagename.count("/")
    folder = Path(app.outdir) / "_images"

    def filled(match: re.Match) -> str:
        opening, name = match.groups()
        drawn, sources = still(name), []
        folder.mkdir(exist_ok=True)
        for number, (svg, *_) in enumerate(drawn.drawings, start=1):
            file = folder / f"still-{name}-{number}.svg"
            file.write_bytes(svg)
            sources.append(f"{above}_images/{file.name}")
        return f"{opening}{as_html(drawn, sources)}</div>"

    if "data-explorable" in (context.get("body") or ""):
        context["body"] = PLACE.sub(filled, context["body"])


def setup(app) -> None:
    app.connect("html-page-context", fill, priority=800)
