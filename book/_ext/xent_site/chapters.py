"""Chapters on other pages: their titles, the contents of a part, what is still planned."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from functools import cache
from html import escape
from pathlib import Path

import imagesize
import nbformat
from docutils import nodes
from sphinx.addnodes import index
from sphinx.util.docutils import SphinxDirective

from xent_site import claims
from xent_site.html import mathematics, raw
from xent_site.notation import names_in_code

PARTS = {
    "foundations": "Entropy, Softmax and Maximum Likelihood",
    "surrogates": "Surrogate Losses and Consistency",
    "geometry": "Geometry of Softmax Embeddings",
    "stability": "Singularities, Stability and Attention",
    "scaling": "Scaling Laws",
    "policies": "Entropy Dynamics of Policies",
    "inference": "Decoding, Uncertainty and Test-Time Adaptation",
    "information": "Coding, Representations and Statistical Physics",
}


def notebook_path(root, part: str, slug: str) -> Path:
    return Path(root) / "chapters" / part / f"{slug}.ipynb"


@cache
def first_text(path: Path) -> str:
    """The Markdown of a notebook's first cell."""
    return nbformat.read(path, as_version=4).cells[0].source


def chapter_title(root, part: str, slug: str) -> str:
    """The title of a chapter, or its slug in words while it is not written."""
    path = notebook_path(root, part, slug)
    if not path.exists():
        return slug.replace("-", " ").capitalize()
    return re.search(r"^#\s+(.+)$", first_text(path), re.MULTILINE).group(1).strip()


def opening(root, part: str, slug: str) -> str:
    """The first two sentences below a chapter's title, without citations."""
    paragraphs = [p.strip() for p in first_text(notebook_path(root, part, slug)).split("\n\n")]
    prose = [" ".join(p.split()) for p in paragraphs if p and p[0] not in "#:`(+<|>{%-*"]
    text = re.sub(r"\s*\{cite[\w:]*\}`[^`]*`", "", prose[0] if prose else "")
    text = re.sub(r"\{[\w:]+\}`([^`<]*?)\s*(?:<[^>]*>)?`", r"\1", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "").replace("`", "")
    return " ".join(re.split(r"(?<=[.?!])\s+(?=[A-Z$])", text)[:2])


class PartContents(SphinxDirective):
    """``{part-contents} foundations``: its chapters in the order of the contents, then the plan."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        part = self.arguments[0]
        page = self.env.external_site_map[self.env.docname]
        names = [str(item) for tree in page.subtrees for item in tree.items]
        found = [name for name in names if name in self.env.found_docs]
        written = [name.rpartition("/")[2] for name in found]
        cards = "".join(self._card(part, slug) for slug in written)
        return [
            raw(f'<ol class="chapters tex2jax_process">{cards}</ol>' + self._planned(part, written))
        ]

    def _card(self, part: str, slug: str) -> str:
        root = self.env.srcdir
        found = [entry for entry in claims.entries(self.env) if entry.slug == slug]
        return (
            f'<li><a href="../../chapters/{part}/{slug}.html">'
            f"{mathematics(chapter_title(root, part, slug))}</a>"
            f"<p>{mathematics(opening(root, part, slug))}</p>{claims.counts(found)}</li>"
        )

    def _planned(self, part: str, written) -> str:
        from xent_site.papers import read_papers

        tally = Counter(p["chapter"] for p in read_papers(self.env.srcdir) if p["part"] == part)
        items = "".join(
            f"<li>{escape(slug.replace('-', ' '))} <span class='note'>{count} "
            f"paper{'s' if count > 1 else ''}</span></li>"
            for slug, count in tally.items()
            if slug not in written
        )
        return f'<h2>Planned</h2><ul class="planned">{items}</ul>' if items else ""


def first_figure(path: Path) -> tuple[bytes, str] | None:
    """The first figure stored in a notebook, with its alt text."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
                return b64decode(output["data"]["image/png"]), alt
    return None


class Doors(SphinxDirective):
    """``{doors}``: chapters with their first figure; lines ``part/slug | question``."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        doors = (line.split("|") for line in self.content if line.strip())
        cards = "".join(self._card(*place.strip().split("/"), q.strip()) for place, q in doors)
        return [raw(f'<div class="doors">{cards}</div>')]

    def _card(self, part: str, slug: str, question: str) -> str:
        root = self.env.srcdir
        if f"chapters/{part}/{slug}" not in self.env.found_docs:
            return (
                f'<a class="door" href="parts/{part}.html"><b>{escape(question)}</b>'
                f"<span>{escape(PARTS[part])}</span></a>"
            )
        figure = first_figure(notebook_path(root, part, slug))
        return (
            f'<a class="door" href="../chapters/{part}/{slug}.html">'
            f"{self._image(slug, *figure) if figure else ''}<b>{escape(question)}</b>"
            f"<span>{mathematics(chapter_title(root, part, slug))}</span></a>"
        )

    def _image(self, slug: str, content: bytes, alt: str) -> str:
        path = Path(self.env.app.outdir, "_images", f"door-{slug}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        width, height = imagesize.get(path)
        return (
            f'<img src="../_images/{path.name}" alt="{escape(alt)}" width="{width}" '
            f'height="{height}" loading="lazy" decoding="async">'
        )


def index_names(app, doctree) -> None:
    """Let the search find chapters by their short names, and the glossary's terms first."""
    places: dict[str, str] = {}
    section = next(doctree.findall(nodes.section), None)
    if app.env.docname.startswith("chapters/") and section is not None:
        slug = app.env.docname.rpartition("/")[2]
        places = {slug: section["ids"][0], slug.replace("-", " "): section["ids"][0]}
    if app.env.docname == "book/glossary":
        places = {term.astext(): term["ids"][0] for term in doctree.findall(nodes.term)}
    if app.env.docname == "book/notation":
        places = dict.fromkeys(names_in_code(app.srcdir), section["ids"][0])
    if app.env.docname == "book/kernels":
        places = dict.fromkeys(("Triton", "kernels"), section["ids"][0])
    entries = [("single", name, place, "main", None) for name, place in places.items()]
    doctree.insert(0, index(entries=entries))


def set_titles_in_links(app, doctree, docname) -> None:
    """A link that shows a page's title shows its formulas too, not their source."""
    titles = {
        title.astext(): title
        for title in app.env.titles.values()
        if next(title.findall(nodes.math), None)
    }
    for link in doctree.findall(nodes.reference):
        title = titles.get(link.astext())
        if title is not None:
            link.clear()
            link += [child.deepcopy() for child in title.children]


def setup(app) -> None:
    app.connect("doctree-resolved", set_titles_in_links)
    app.connect("doctree-read", index_names)
    app.add_directive("part-contents", PartContents)
    app.add_directive("doors", Doors)
