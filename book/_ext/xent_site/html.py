"""Small pieces that the generated pages share."""

from __future__ import annotations

import re
from html import escape

from docutils import nodes
from sphinx.addnodes import pending_xref


def raw(text: str) -> nodes.raw:
    """A docutils node that passes HTML through."""
    return nodes.raw("", text, format="html")


def page_link(docname: str, text: str, from_doc: str) -> pending_xref:
    """A link to another page of the book."""
    return pending_xref(
        "",
        nodes.inline("", text),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{docname}",
        refexplicit=True,
        refwarn=True,
        refdoc=from_doc,
    )


def mathematics(text: str) -> str:
    r"""Escape text and turn ``$...$`` into ``\(...\)``, which MathJax sets."""
    return re.sub(r"\$([^$]+)\$", r"\\(\1\\)", escape(text, quote=False))


def table(columns, rows, *, label: str, classes: str = "") -> str:
    """A table that scrolls inside its own region; cells are HTML."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{escape(name)}">{cell}</td>'
            for name, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll tex2jax_process {classes}" role="region" tabindex="0" '
        f'aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
