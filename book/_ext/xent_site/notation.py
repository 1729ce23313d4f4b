"""The notation page: the symbols of ``book/notation.yml`` as tables."""

from __future__ import annotations

from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from xent_site.html import mathematics, raw, table


def read_notation(root) -> list[dict]:
    """Groups of symbols: each has a ``title`` and ``symbols``."""
    return yaml.safe_load((Path(root) / "book" / "notation.yml").read_text(encoding="utf-8"))


def names_in_code(root) -> list[str]:
    """The names that the symbols have in code, and the words that a reader may search for."""
    listed = [
        f"{symbol.get('code', '')}, {symbol.get('search', '')}"
        for group in read_notation(root)
        for symbol in group["symbols"]
    ]
    return [name.strip() for line in listed for name in line.split(",") if name.strip()]


class Notation(SphinxDirective):
    """``{notation}``: one table per group, in the order of the file."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(Path(self.env.srcdir) / "book" / "notation.yml"))
        text = ""
        for group in read_notation(self.env.srcdir):
            rows = [
                (
                    mathematics(f"${symbol['tex']}$"),
                    mathematics(symbol["means"]),
                    f"<code>{escape(symbol['code'])}</code>" if "code" in symbol else "–",
                )
                for symbol in group["symbols"]
            ]
            columns = ("symbol", "meaning", "in code")
            title = escape(group["title"])
            text += f"<h2>{title}</h2>" + table(columns, rows, label=title, classes="symbols")
        return [raw(text)]


def setup(app) -> None:
    app.add_directive("notation", Notation)
