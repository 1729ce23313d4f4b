"""The book's own sources, without a build: notation, papers, contents, citation, addresses."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

NOTATION = yaml.safe_load((ROOT / "book" / "notation.yml").read_text("utf-8"))
SYMBOLS = [symbol for group in NOTATION for symbol in group["symbols"]]
NOTEBOOKS = sorted((ROOT / "chapters").glob("*/*.ipynb"))
VARIANTS = {other: symbol["tex"] for symbol in SYMBOLS for other in symbol.get("never", ())}


def test_notation_has_one_meaning_per_symbol():
    written = [symbol["tex"] for symbol in SYMBOLS]
    assert len(written) == len(set(written)) > 20
    assert all(symbol["means"].strip() for symbol in SYMBOLS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_writes_symbols_as_the_notation_page(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found = [f"use {right}" for wrong, right in VARIANTS.items() if re.search(wrong, prose)]
    assert not found, "; ".join(found)


def test_every_chapter_is_in_the_contents():
    contents = (ROOT / "_toc.yml").read_text("utf-8")
    missing = [
        path.stem
        for path in NOTEBOOKS
        if f"chapters/{path.parent.name}/{path.stem}" not in contents
    ]
    assert not missing


def test_papers_are_212_with_parts_and_references():
    from xent_site.chapters import PARTS

    with open(ROOT / "book" / "papers.csv", encoding="utf-8", newline="") as file:
        papers = list(csv.DictReader(file))
    keys = set(
        re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text("utf-8"), re.M)
    )
    assert len(papers) == len({paper["slug"] for paper in papers}) == 212
    assert {paper["part"] for paper in papers} == set(PARTS)
    assert {paper["slug"] for paper in papers} <= keys


def test_one_setting_gives_all_addresses():
    from xent_site.running import hosted_links
    from xent_site.site import pages_address, sitemap

    place = "https://github.com/someone/book"
    assert pages_address(place) == "https://someone.github.io/book/"
    assert pages_address("") == ""
    links = hosted_links(place, "main", "chapters/a/b.ipynb")
    assert "mybinder.org/v2/gh/someone/book/main" in links
    assert "colab.research.google.com/github/someone/book/blob/main/chapters/a/b.ipynb" in links
    assert hosted_links("", "main", "chapters/a/b.ipynb") == ""
    assert "<loc>https://x.org/book/intro.html</loc>" in sitemap("https://x.org/", ["book/intro"])


def test_citation_file():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert citation["cff-version"] == "1.2.0"
    assert f'version = "{citation["version"]}"' in project


def test_workflow_runs_the_two_commands():
    workflow = (ROOT / ".github" / "workflows" / "book.yml").read_text("utf-8")
    steps = yaml.safe_load(workflow)["jobs"]["verify"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[:2] == ["make book", "make test"]
