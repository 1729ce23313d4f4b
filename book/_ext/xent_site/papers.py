"""The index of papers: each with its chapter, its claims and what was not tested."""

from __future__ import annotations

import csv
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from xent_site import claims
from xent_site.chapters import chapter_title
from xent_site.html import mathematics, raw


def read_papers(root) -> list[dict[str, str]]:
    """The rows of ``book/papers.csv``."""
    with open(Path(root) / "book" / "papers.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def has_chapter(root, paper) -> bool:
    """Whether the chapter planned for a paper exists."""
    return (Path(root) / "chapters" / paper["part"] / f"{paper['chapter']}.ipynb").exists()


class PapersOf(SphinxDirective):
    """``{papers-of} foundations``: the papers of a part; those without claims say so."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        by_paper: dict[str, list] = {}
        for entry in claims.entries(self.env):
            by_paper.setdefault(entry.claim.paper, []).append(entry)
        listed = [p for p in read_papers(self.env.srcdir) if p["part"] == self.arguments[0]]
        items = "".join(self._paper(paper, by_paper.get(paper["slug"], [])) for paper in listed)
        return [raw(f'<ul class="papers tex2jax_process">{items}</ul>')]

    def _paper(self, paper, found) -> str:
        part, slug = paper["part"], paper["chapter"]
        name = mathematics(chapter_title(self.env.srcdir, part, slug))
        if has_chapter(self.env.srcdir, paper):
            place = f'chapter <a href="../chapters/{part}/{slug}.html">{name}</a>'
        else:
            place = f"planned for the chapter <i>{name}</i>"
        rows = "".join(
            f'<li><a href="ledger.html#{claims.permalink(entry)}">'
            f"{mathematics(entry.claim.says)}</a> {claims.badge(entry)}</li>"
            for entry in found
        )
        rows = f'<ul class="paper-claims">{rows}</ul>' if rows else ""
        missing = "" if found else ", no claim measured yet"
        return (
            f'<li id="paper-{escape(paper["slug"])}"><cite>{escape(paper["title"])}</cite> '
            f'<span class="note">{place}{missing}</span>{rows}</li>'
        )


class PaperCount(SphinxDirective):
    """``{paper-count}``: how many of the papers have claims in the ledger."""

    def run(self) -> list[nodes.Node]:
        papers = {paper["slug"] for paper in read_papers(self.env.srcdir)}
        covered = papers & {entry.claim.paper for entry in claims.entries(self.env)}
        text = f"{len(covered)} of the {len(papers)} papers have claims in the ledger so far."
        return [nodes.paragraph("", text)]


def setup(app) -> None:
    app.add_directive("papers-of", PapersOf)
    app.add_directive("paper-count", PaperCount)
