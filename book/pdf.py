"""``python -m book.pdf``: the built pages as one PDF, in the order of the contents.

Each page is printed by the system's Chromium after its formulas are set; the pages are joined
under one outline and checked: every page present, every figure and formula printed.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
from pathlib import Path

from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "the-cross-entropy-book.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
LEFT_OUT = "book/api/modules"
RAW_FORMULA = re.compile(r"\\\(|\\\[|\\operatorname|\\frac|\\mathrm")


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


def print_page(browser, path: Path) -> tuple[str, bytes, int]:
    """The title, the PDF and the number of figures of a built page."""
    page = browser.new_page(color_scheme="light", reduced_motion="reduce")
    page.goto(path.as_uri())
    page.evaluate(
        """async () => {
        document.querySelectorAll("details").forEach((node) => { node.open = true; });
        document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; });
        await window.MathJax?.startup?.promise;
        await window.MathJax?.startup?.document?.lazyTypesetAll?.();
        await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
        }"""
    )
    title = page.locator("h1").first.evaluate("(h) => h.firstChild && h.innerText")
    figures = page.locator("article img").count()
    content = page.pdf(
        format="A4",
        tagged=True,
        outline=True,
        print_background=True,
        margin={"top": "18mm", "bottom": "20mm", "left": "17mm", "right": "17mm"},
    )
    page.close()
    return title.replace("#", "").strip(), content, figures


def problems(name: str, content: bytes, figures: int) -> list[str]:
    """What is wrong with the PDF of one page."""
    reader = PdfReader(io.BytesIO(content))
    text = "\n".join(page.extract_text() for page in reader.pages)
    images = sum(len(page.images) for page in reader.pages)
    found = []
    if len(text) < 200:
        found.append(f"{name}: hardly any text")
    if images < figures:
        found.append(f"{name}: {figures} figures on the page, {images} in the PDF")
    prose = re.sub(r'(?s)""".*?"""', "", text)  # docstrings of code that the page shows
    prose = re.sub(r"(?s)[rf]*\"[^\"\n]*\"", "", prose)
    if RAW_FORMULA.search(prose):
        found.append(f"{name}: a formula is printed as its source")
    return found


def write(names: list[str], target: Path) -> list[str]:
    """Print and join the pages; return what is wrong."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        raise SystemExit("no Chromium is installed; the PDF is printed by it")
    writer, found = PdfWriter(), []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        for name in names:
            title, content, figures = print_page(browser, SITE / f"{name}.html")
            found += problems(name, content, figures)
            writer.append(io.BytesIO(content), outline_item=title)
        browser.close()
    writer.add_metadata({"/Title": "The Cross-Entropy Book"})
    writer.compress_identical_objects()
    target.parent.mkdir(parents=True, exist_ok=True)
    writer.write(target)
    return found


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
