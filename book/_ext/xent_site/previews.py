"""What the links of a page lead to, written beside it as a script that loads at the first hover.

A script is allowed where ``fetch`` is not, so previews also work on pages opened from a folder.
"""

from __future__ import annotations

import json
import posixpath
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLDER = "_previews"
LINK = re.compile(
    r'<a (?:class="(?!headerlink|permalink|viewcode)[^"]*"\s+)?href="([^"]*)"', re.DOTALL
)
BOXES = ("proof", "exercise", "math", "citation", "claim")
IMAGE = re.compile(r'src="(?:\.\./)*(_images/[^"]*)"')


def article(text: str) -> str:
    """The part of a page that links and places are looked for in."""
    return text.partition("<article")[2].partition("</article>")[0]


@cache
def read(path: Path) -> str:
    return article(path.read_text("utf-8")) if path.suffix == ".html" and path.is_file() else ""


def element(text: str, start: int) -> str:
    """The element that opens at ``start``, with what it contains."""
    name = re.compile(r"<(\w+)").match(text, start)[1]
    depth = 0
    for tag in re.compile(rf"<(/?){name}\b[^>]*>").finditer(text, start):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return text[start : tag.end()]
    return ""


def at(text: str, pattern: str, start: int = 0) -> str:
    """The first element after ``start`` whose opening tag fits, or nothing."""
    found = re.compile(pattern).search(text, start)
    return element(text, found.start()) if found else ""


def bare(text: str) -> str:
    """HTML without links, ids and what only a page can use; images from the site's root."""
    text = re.sub(r'<a class="(headerlink|permalink)".*?</a>', "", text)
    text = re.sub(r'<a [^>]*href="[^"]*_modules.*?</a>', "", text)
    text = re.sub(r"</?a\b[^>]*>", "", text)
    text = re.sub(r' (id|loading|decoding|data-\w+|tabindex)="[^"]*"', "", text)
    return IMAGE.sub(r'src="{root}\1"', text).strip()


def of_row(row: str) -> str:
    """A claim of the ledger: what is claimed, both numbers, the verdict."""
    cells = dict(re.findall(r'<td data-label="([^"]*)">(.*?)</td>', row, re.DOTALL))
    return (
        f"<p>{cells['claim']}</p><p><small>paper says: {cells['paper says']} · "
        f"we measured: {cells['we measured']}</small></p><p>{cells['verdict']}</p>"
    )


def of_function(text: str, start: int) -> str:
    """A function's signature and what stands before its parameters."""
    body = at(text, "<dd>", start).removeprefix("<dd>").removesuffix("</dd>")
    return element(text, start) + body.partition('<dl class="field-list')[0]


def of_section(text: str, start: int = 0) -> str:
    """A title, of a page or a section, and the first paragraph below it."""
    heading = re.compile(r"<h\d[^>]*>(.*?)</h\d>", re.DOTALL).search(text, start)
    if heading is None:
        return ""
    below = re.sub(
        r'(?s)^\s*<div class="chapter-box".*?</details></div>', "", text[heading.end() :]
    )
    return f"<p><strong>{heading[1]}</strong></p>{at(below, '<p>')}"


def preview(text: str, fragment: str) -> str:
    """What a link to a place shows, or nothing."""
    if not fragment:
        return bare(of_section(text))
    found = re.search(rf'<(\w+)(?: class="([^"]*)")?[^>]* id="{re.escape(fragment)}"', text)
    if found is None:
        return ""
    tag, classes, start = found[1], (found[2] or "").split(), found.start()
    if tag == "figure" or (tag == "div" and set(BOXES) & set(classes)):
        return bare(element(text, start))
    if tag == "section":
        return bare(of_section(text, start))
    if tag == "dt" and "sig" in classes:
        return bare(of_function(text, start))
    if tag == "dt":
        return bare(f"<dl>{element(text, start)}{at(text, '<dd>', start)}</dl>")
    if tag == "tr":
        return bare(of_row(element(text, start)))
    return ""


def previews(site: Path, docname: str) -> dict[str, str]:
    """The previews of all links on a page, by address from the site's root."""
    page, found = f"{docname}.html", {}
    for link in dict.fromkeys(LINK.findall(read(site / page))):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
            continue
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), parts.path))
        target = path if parts.path else page
        text = preview(read(site / target), unquote(parts.fragment))
        if text:
            found[f"{target}#{unquote(parts.fragment)}".rstrip("#")] = text
    return found


def write(app, exception) -> None:
    """Write one script per page that has links to show."""
    if exception is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for docname in sorted(app.env.found_docs):
        found = previews(site, docname)
        path = site / FOLDER / f"{docname}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps(found, ensure_ascii=False).replace("</", "<\\/")
        path.write_text(f"window.previews = {data};\n", encoding="utf-8")
    read.cache_clear()


def setup(app) -> None:
    app.connect("build-finished", write, priority=900)
