"""The ledger page, and the findings on the front page."""

from __future__ import annotations

from html import escape
from itertools import groupby

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from xent_site import claims
from xent_site.chapters import PARTS, chapter_title
from xent_site.html import mathematics, raw, table
from xent_site.papers import read_papers

COLUMNS = ("claim", "paper", "paper says", "we measured", "verdict")


# Filled and shown by reader.js; without scripts the table stands alone.
FILTERS = (
    '<form id="ledger-filters" class="pst-js-only" role="search" aria-label="Claims">'
    '<label>Search <input type="search" name="words" placeholder="temperature, radius, …"></label>'
    '<label>Verdict <select name="verdict"></select></label>'
    '<label>Part <select name="part"></select></label>'
    '<label>Kind <select name="kind"></select></label>'
    '<label>Paper <select name="paper"></select></label>'
    '<output aria-live="polite"></output></form>'
)


def origin(claim, titles) -> str:
    """The paper by its title, with the locator where it is known."""
    if claim.ours:
        return '<span class="ours">ours</span>'
    where = f", {escape(claim.where)}" if claim.where else ""
    if claim.paper not in titles:
        return escape(claim.paper) + where
    return f'<a href="papers.html#paper-{claim.paper}">{escape(titles[claim.paper])}</a>{where}'


def row(entry, titles) -> str:
    """One claim as a table row, with what the filters need as data attributes."""
    claim, name = entry.claim, claims.permalink(entry)
    note = f'<span class="note">{mathematics(claim.untested)}</span>' if claim.untested else ""
    data = {
        "part": entry.part,
        "verdict": entry.verdict,
        "kind": claim.kind or "none",
        "paper": claim.paper or "ours",
    }
    data["part-title"] = PARTS.get(entry.part, entry.part)
    data["paper-title"] = titles.get(claim.paper, claim.paper) or "ours"
    attributes = "".join(f' data-{key}="{escape(value)}"' for key, value in data.items())
    link = f'<a class="permalink" href="#{name}" aria-label="Link to {claim.id}">#</a>'
    cells = (
        claims.says(entry) + note + link,
        origin(claim, titles),
        claims.reported(claim),
        claims.measured(entry),
        claims.badge(entry),
    )
    columns = zip(COLUMNS, cells, strict=True)
    shown = "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in columns)
    return f'<tr id="{name}"{attributes}>{shown}</tr>'


def chapter_rows(root, part: str, slug: str, found, titles) -> str:
    """The claims of one chapter below its title."""
    rows = "".join(row(entry, titles) for entry in found)
    return (
        f'<tbody><tr class="group"><th colspan="{len(COLUMNS)}" scope="rowgroup">'
        f'<a href="../chapters/{part}/{slug}.html">{escape(chapter_title(root, part, slug))}</a> '
        f"<span>{escape(PARTS.get(part, part))}</span></th></tr>{rows}</tbody>"
    )


def ledger_table(root, found) -> str:
    """All claims by chapter, in book order: a plain table that scripts may filter."""
    titles = {paper["slug"]: paper["title"] for paper in read_papers(root)}
    groups = groupby(found, key=lambda entry: (entry.part, entry.slug))
    body = "".join(chapter_rows(root, *chapter, list(g), titles) for chapter, g in groups)
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    return (
        '<div class="scroll tex2jax_process" role="region" tabindex="0" aria-label="Claims">'
        f'<table id="ledger"><thead><tr>{head}</tr></thead>{body}</table></div>'
    )


class ClaimsLedger(SphinxDirective):
    """``{claims-ledger}``: counts and the whole table."""

    def run(self) -> list[nodes.Node]:
        found = claims.entries(self.env)
        if not found:
            return [nodes.paragraph("", "No chapter has been measured yet.")]
        return [
            raw(
                claims.counts(found, "ledger.html") + FILTERS + ledger_table(self.env.srcdir, found)
            )
        ]


class HeadlineFindings(SphinxDirective):
    """``{headline-findings}``: the entries marked ``headline``, as in the README."""

    def run(self) -> list[nodes.Node]:
        found = [entry for entry in claims.entries(self.env) if entry.claim.headline]
        if not found:
            return [nodes.paragraph("", "The findings appear with the chapters.")]
        rows = [
            (
                claims.says(entry, text=entry.claim.finding),
                "our result" if entry.claim.ours else claims.reported(entry.claim),
                claims.measured(entry),
                claims.badge(entry),
            )
            for entry in found
        ]
        columns = ("finding", "paper says", "we measured", "verdict")
        return [raw(table(columns, rows, label="Findings", classes="findings"))]


class ClaimCounts(SphinxDirective):
    """``{claim-counts}``: how many claims of the book have which verdict."""

    def run(self) -> list[nodes.Node]:
        found = claims.entries(self.env)
        return [raw(claims.counts(found, "ledger.html"))] if found else []


def setup(app) -> None:
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("headline-findings", HeadlineFindings)
    app.add_directive("claim-counts", ClaimCounts)
