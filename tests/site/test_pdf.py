"""The PDF, on three pages: title and contents, outline, numbers, figures, links, fonts."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
CHAPTER = "chapters/scaling/knowledge-capacity"
NAMES = ["book/parts/scaling", CHAPTER, "book/notation"]

pytestmark = pytest.mark.site


@pytest.fixture(scope="module")
def printed(site, browser):
    """The pages on paper, numbered through, and the file made of them."""
    from pypdf import PdfReader

    from book.pdf import front, joined, print_page

    pages, number = [], 1
    for name in NAMES:
        pages.append((print_page(browser, site / f"{name}.html", number), number))
        number += len(PdfReader(io.BytesIO(pages[-1][0].content)).pages)
    writer, lost = joined(front(browser, pages), [page for page, _ in pages])
    return pages, writer, lost


@pytest.fixture(scope="module")
def book(printed, tmp_path_factory):
    from pypdf import PdfReader

    path = tmp_path_factory.mktemp("pdf") / "book.pdf"
    printed[1].write(path)
    return PdfReader(path)


def test_pages_have_their_text_figures_and_formulas(printed):
    from book.pdf import problems

    assert [line for page, _ in printed[0] for line in problems(page)] == []
    assert sum(page.figures for page, _ in printed[0]) > 0


def test_a_missing_figure_is_found(printed):
    from book.pdf import problems

    chapter = printed[0][1][0]
    assert "figures on the page" in problems(replace(chapter, figures=99))[0]


def test_outline_and_contents_name_every_page(printed, book):
    titles = [entry.title for entry in book.outline if not isinstance(entry, list)]
    assert titles == [page.title for page, _ in printed[0]]
    first = [e for e in book.outline if not isinstance(e, list)]
    contents = book.pages[1].extract_text()
    for entry, (page, number) in zip(first, printed[0], strict=True):
        sheet = book.get_destination_page_number(entry)
        assert book.page_labels[sheet] == str(number)
        assert page.title.split()[-1] in contents and str(number) in contents
    assert book.page_labels[0] == "i" and book.metadata.title == "The Cross-Entropy Book"


def test_sheets_carry_number_and_running_head(printed, book):
    _, number = printed[0][1]
    sheet = book.page_labels.index(str(number + 1))
    text = book.pages[sheet].extract_text()
    assert printed[0][1][0].title in " ".join(text.split())
    assert str(number + 1) in text.split()


def test_links_stay_inside_or_lead_to_the_web(printed, book):
    pages, _, lost = printed
    assert lost == []
    links = [ref.get_object() for sheet in book.pages for ref in sheet.get("/Annots", ())]
    inside = [link["/Dest"] for link in links if "/Dest" in link]
    outside = [link["/A"]["/URI"] for link in links if "/A" in link]
    assert len(inside) > 4 and len(inside) + len(outside) == len(links)
    assert not [place for place in outside if not place.startswith("http")]
    sheets = {sheet.indirect_reference.idnum for sheet in book.pages}
    assert {place[0].idnum for place in inside} <= sheets
    assert len({float(place[3]) for place in inside}) > 1  # places on a page, not only pages


def test_fonts_are_in_the_file(book):
    for sheet in book.pages[:6]:
        for reference in sheet["/Resources"].get("/Font", {}).values():
            font = reference.get_object()
            if font["/Subtype"] == "/Type0":
                described = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
                assert any(f"/FontFile{kind}" in described for kind in ("", 2, 3))
            else:
                assert font["/Subtype"] == "/Type3"  # drawn by the file itself


def test_dark_readers_print_on_white(browser, site):
    page = browser.new_page(color_scheme="dark")
    page.goto((site / f"{CHAPTER}.html").as_uri())
    theme = "() => document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.evaluate(
        """() => window.addEventListener("beforeprint", () => {
        const marks = [...document.querySelectorAll("article details")].every((fold) => fold.open);
        window.seen = [document.documentElement.dataset.theme, marks]; })"""
    )
    page.pdf()
    assert page.evaluate("window.seen") == ["light", True]
    assert page.evaluate(theme) == "dark"
    page.close()
