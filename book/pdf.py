"""``python -m book.pdf``: the built pages as one PDF, in the order of the contents.

Each page is printed by the system's Chromium after its formulas are set, with running heads and
page numbers that go on from the page before. The sheets are joined behind a title and contents;
links between pages become links inside the file. What came out is checked: every page present,
every figure and formula printed, every link inside the file leads somewhere.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import unquote

from pypdf import PdfReader, PdfWriter
from pypdf.constants import PageLabelStyle
from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject, TextStringObject

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "the-cross-entropy-book.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
LEFT_OUT = "book/api/modules"
BOOK = "The Cross-Entropy Book"
RAW_FORMULA = re.compile(r"\\\(|\\\[|\\operatorname|\\frac|\\mathrm")
PAPER = """
@page {{
  @top-left {{ content: {head}; font: 8pt "Inter", sans-serif; color: #5d574e; }}
  @bottom-center {{ content: counter(page); font: 8.5pt "Inter", sans-serif; color: #5d574e; }}
}}
@page :first {{ counter-set: page {number}; @top-left {{ content: ""; }} }}
"""
PREPARE = """async () => {
  document.querySelectorAll("details").forEach((node) => { node.open = true; });
  document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; });
  for (const place of document.querySelectorAll("article [id]")) {
    const link = document.createElement("a");  // makes Chromium note where the place is
    link.href = `#${encodeURIComponent(place.id)}`;
    document.body.append(link);
  }
  await window.formulas?.all();
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
}"""
FRONT = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{book}</title>
<link rel="stylesheet" href="{site}/_static/custom.css"><style>
@page {{ size: A4; margin: 20mm; }} html {{ font-size: 13px; }}
body {{ font-family: var(--serif); color: black; background: white; }}
.title {{ height: 235mm; display: flex; flex-direction: column; }}
.title h1 {{ font-size: 3.6rem; margin: 62mm 0 1rem; letter-spacing: -0.02em; }}
.title p {{ font-size: 1.2rem; max-width: 34rem; margin: 0 0 1rem; line-height: 1.5; }}
.title .foot {{ margin-top: auto; font: 0.85rem/1.5 var(--sans); color: #5d574e; }}
.rule {{ width: 5rem; height: 5px; background: #7a2e1d; margin-bottom: 1.6rem; }}
nav {{ break-before: page; }} nav h1 {{ font-size: 2.1rem; }}
nav a {{ display: flex; gap: 0.6rem; color: black; text-decoration: none; margin: 0.42rem 0;
  line-height: 1.35; break-inside: avoid; }}
nav a.part {{ font-weight: 640; margin-top: 1.2rem; break-after: avoid; }}
nav a.chapter {{ padding-left: 1.4rem; }}
nav span {{ flex: 1; }} nav b {{ font-weight: 400; font-variant-numeric: tabular-nums; }}
</style><div class="title"><h1>{book}</h1><div class="rule"></div><p>{about}</p>{counts}
<p class="foot">{license}</p></div><nav><h1>Contents</h1>{contents}</nav></html>"""
LICENSE = (
    "By the Cross-Entropy Book contributors. Text and figures CC BY 4.0, code MIT. Every number "
    "is the output of a stored, checked cell. Printed from the web pages, where figures move."
)


@dataclass(frozen=True)
class Printed:
    """A page of the site on paper."""

    name: str
    title: str
    content: bytes
    figures: int


def page_order() -> list[str]:
    """Names of the pages in the order of the contents; the API pages stay on the web."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    site_map = parse_toc_yaml(ROOT / "_toc.yml")
    found: list[str] = []

    def walk(item) -> None:
        found.append(item.docname.removesuffix(".md").removesuffix(".ipynb"))
        for tree in item.subtrees:
            for inside in tree.items:
                if str(inside) in site_map:
                    walk(site_map[str(inside)])

    walk(site_map.root)
    return [name for name in found if LEFT_OUT not in name and (SITE / f"{name}.html").exists()]


def print_page(browser, path: Path, number: int = 1) -> Printed:
    """Print a built page; its first sheet has the given number."""
    page = browser.new_page(color_scheme="light", reduced_motion="reduce")
    page.goto(path.as_uri())
    page.evaluate(PREPARE)
    name = path.resolve().relative_to(SITE).with_suffix("").as_posix()
    title = BOOK if name == "book/intro" else page.title().removesuffix(f" — {BOOK}")
    figures = page.locator("article img").count()
    page.add_style_tag(content=PAPER.format(head=json.dumps(title), number=number))
    content = page.pdf(prefer_css_page_size=True, print_background=True, tagged=True, outline=True)
    page.close()
    return Printed(name, title, content, figures)


def problems(printed: Printed) -> list[str]:
    """What is wrong with the PDF of one page."""
    reader = PdfReader(io.BytesIO(printed.content))
    text = "\n".join(page.extract_text() for page in reader.pages)
    images = sum(len(page.images) for page in reader.pages)
    found = []
    if len(text) < 200:
        found.append("hardly any text")
    if images < printed.figures:
        found.append(f"{printed.figures} figures on the page, {images} in the PDF")
    prose = re.sub(r'(?s)""".*?"""', "", text)  # docstrings of code that the page shows
    prose = re.sub(r"(?s)[rf]*\"[^\"\n]*\"", "", prose)
    if RAW_FORMULA.search(prose):
        found.append("a formula is printed as its source")
    return [f"{printed.name}: {problem}" for problem in found]


def front(browser, pages: list[tuple[Printed, int]]) -> bytes:
    """Title and contents; pages come with their first page number."""
    lines = []
    for printed, number in pages:
        kind = {"book/parts": "part", "chapters": "chapter"}
        place = next((k for k in kind if printed.name.startswith(k)), None)
        lines.append(
            f'<a class="{kind.get(place, "page")}" href="{(SITE / printed.name).as_uri()}.html">'
            f"<span>{escape(printed.title)}</span><b>{number}</b></a>"
        )
    page = browser.new_page()
    page.goto((SITE / "book" / "intro.html").as_uri())
    said = page.locator('meta[name="description"]').first.get_attribute("content")
    counts = page.locator("ul.tallies").first.evaluate(
        """(list) => {
        list.querySelectorAll("a").forEach((link) => link.replaceWith(...link.childNodes));
        return list.outerHTML; }"""
    )
    html = FRONT.format(
        book=BOOK,
        site=SITE.as_uri(),
        about=escape(said),
        counts=counts,
        license=LICENSE,
        contents="".join(lines),
    )
    path = SITE.parent / "front.html"
    path.write_text(html, encoding="utf-8")
    page.goto(path.as_uri())
    page.evaluate("() => document.fonts.ready")
    content = page.pdf(prefer_css_page_size=True, print_background=True)
    page.close()
    path.unlink()
    return content


def places(content: bytes) -> dict[str, tuple[int, float]]:
    """Where the named places of a page lie: sheet and height."""
    found = PdfReader(io.BytesIO(content)).named_destinations
    reader = PdfReader(io.BytesIO(content))
    return {
        unquote(name.lstrip("/")): (reader.get_destination_page_number(place), float(place.top))
        for name, place in found.items()
        if place.top is not None
    }


def target(link, name: str) -> tuple[str, str] | None:
    """The page and the place that a link of a page leads to; nothing for the web."""
    action = link.get("/A", {})
    if "/Dest" in link or action.get("/S") == "/GoTo":
        place = link.get("/Dest") or action["/D"]
        return (name, unquote(str(place).lstrip("/"))) if isinstance(place, str) else None
    page, _, place = str(action.get("/URI", "")).partition("#")
    if not page.startswith(SITE.as_uri()):
        return None
    page = unquote(page.removeprefix(f"{SITE.as_uri()}/")).partition("?")[0]
    return page.removesuffix(".html"), unquote(place)


def connect(writer: PdfWriter, starts: dict[str, int], found: dict) -> list[str]:
    """Lead links between pages to sheets of this file; drop those to pages that stay outside."""
    owners = sorted((start, name) for name, start in starts.items())
    lost, sheets = [], list(writer.pages)
    for number, sheet in enumerate(sheets):
        name = next((n for start, n in reversed(owners) if start <= number), "")
        kept = ArrayObject()
        for reference in sheet.get("/Annots", ()):
            link = reference.get_object()
            goal = target(link, name)
            if goal is None:
                kept.append(reference)
                continue
            page, place = goal
            if page not in starts:
                continue
            if place and place not in found[page]:
                lost.append(f"{name}: no place {page}#{place}")
            offset, top = found[page].get(place, (0, float(sheet.mediabox.top)))
            link.pop("/A", None)
            link[NameObject("/Dest")] = ArrayObject(
                [
                    sheets[starts[page] + offset].indirect_reference,
                    NameObject("/XYZ"),
                    NullObject(),
                    FloatObject(top),
                    NullObject(),
                ]
            )
            kept.append(reference)
        if "/Annots" in sheet:
            sheet[NameObject("/Annots")] = kept
    return lost


def name_outline(writer: PdfWriter, titles: list[str]) -> None:
    """Give the outline the pages' own titles, and each heading below them one line."""
    node = writer.get_outline_root().get("/First")
    while node is not None:
        node = node.get_object()
        node[NameObject("/Title")] = TextStringObject(titles.pop(0))
        _on_one_line(node.get("/First"))
        node = node.get("/Next")


def _on_one_line(node) -> None:
    while node is not None:
        node = node.get_object()
        node[NameObject("/Title")] = TextStringObject(" ".join(str(node["/Title"]).split()))
        _on_one_line(node.get("/First"))
        node = node.get("/Next")


def joined(cover: bytes, pages: list[Printed]) -> tuple[PdfWriter, list[str]]:
    """One file of all sheets, with outline, page numbers and working links; and what is wrong."""
    writer = PdfWriter()
    writer.append(io.BytesIO(cover), import_outline=False)
    before = len(writer.pages)
    starts, found = {}, {}
    for printed in pages:
        starts[printed.name] = len(writer.pages)
        found[printed.name] = places(printed.content)
        writer.append(io.BytesIO(printed.content))
    lost = connect(writer, starts, found)
    name_outline(writer, [printed.title for printed in pages])
    for name in ("/Names", "/Dests"):
        writer.root_object.pop(name, None)
    writer.set_page_label(0, before - 1, style=PageLabelStyle.LOWERCASE_ROMAN)
    writer.set_page_label(before, len(writer.pages) - 1, style=PageLabelStyle.DECIMAL, start=1)
    writer.add_metadata({"/Title": BOOK, "/Author": f"{BOOK} contributors"})
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    writer.compress_identical_objects()
    return writer, lost


def write(names: list[str], target: Path) -> list[str]:
    """Print and join the pages; return what is wrong."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        raise SystemExit("no Chromium is installed; the PDF is printed by it")
    pages, numbers, found, number = [], [], [], 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        for name in names:
            printed = print_page(browser, SITE / f"{name}.html", number)
            found += problems(printed)
            pages.append(printed)
            numbers.append((printed, number))
            number += len(PdfReader(io.BytesIO(printed.content)).pages)
        cover = front(browser, numbers)
        browser.close()
    writer, lost = joined(cover, pages)
    target.parent.mkdir(parents=True, exist_ok=True)
    writer.write(target)
    return found + lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[2])
    parser.add_argument("pages", nargs="*", help="names such as book/intro; default: all")
    parser.add_argument("--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    if not (SITE / "index.html").exists():
        raise SystemExit("the book is not built: run make book")
    names = arguments.pages or page_order()
    found = write(names, arguments.out)
    pages = len(PdfReader(arguments.out).pages)
    size = arguments.out.stat().st_size / 1e6
    print(f"{arguments.out.name}: {len(names)} chapters and pages, {pages} sheets, {size:.1f} MB")
    if found:
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
