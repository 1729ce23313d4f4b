"""What the pages tell search engines, citation managers and shared links; with and without address.

The address comes from one setting. A book of three pages is built with it; the built site of all
pages, which has none, shows that then nothing of it is left.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
REPOSITORY = "https://github.com/example/cross-entropy-book"
BASE = "https://example.github.io/cross-entropy-book/"
CHAPTER = "chapters/stability/ghosts-of-softmax"
THREE = ["book/intro", "book/parts/stability", CHAPTER]
CONTENTS = {
    "format": "jb-book",
    "root": THREE[0],
    "parts": [
        {"caption": "The book", "chapters": [{"file": THREE[1], "sections": [{"file": THREE[2]}]}]}
    ],
}


class Head(HTMLParser):
    """The title, the named values, the links and the JSON-LD of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.inside, self.title, self.data = "", "", ""
        self.meta: dict[str, list[str]] = {}
        self.links: dict[str, str] = {}
        self.hosts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.inside = values.get("type", tag) if tag == "script" else tag
        if tag == "meta" and (name := values.get("name") or values.get("property")):
            self.meta.setdefault(name, []).append(values["content"])
        if tag == "link":
            self.links[values["rel"]] = values["href"]
        if tag == "a" and (place := values.get("href", "")).startswith("https://"):
            self.hosts.append(place)

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "title" and not self.data:
            self.title += data
        if self.inside == "application/ld+json":
            self.data += data


def head(path: Path) -> Head:
    return Head(path.read_text("utf-8"))


def pages(folder: Path) -> list[Path]:
    """The pages with text of ours; the indexes that Sphinx makes have none."""
    return sorted((folder / "book").rglob("*.html")) + sorted((folder / "chapters").rglob("*.html"))


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A book of three pages, built for an address."""
    source = tmp_path_factory.mktemp("published")
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    config["repository"]["url"] = REPOSITORY
    (source / "_config.yml").write_text(yaml.safe_dump(config), "utf-8")
    (source / "_toc.yml").write_text(yaml.safe_dump(CONTENTS), "utf-8")
    shutil.copytree(ROOT / "book", source / "book", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree((ROOT / CHAPTER).parent, (source / CHAPTER).parent)
    (source / "src" / "xent").mkdir(parents=True)
    shutil.copy(ROOT / "requirements.lock", source)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "--quiet"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return source / "_build" / "html"


def test_titles_and_descriptions_are_unique_words(site):
    said = {path.relative_to(site).as_posix(): head(path) for path in pages(site)}
    titles = {name: page.title.strip() for name, page in said.items()}
    about = {name: page.meta.get("description", []) for name, page in said.items()}
    assert [name for name, found in about.items() if len(found) != 1] == []
    assert [name for name, (text,) in about.items() if not 30 <= len(text) <= 220] == []
    written = [*titles.values(), *(text for (text,) in about.values())]
    assert [text for text in written if any(sign in text for sign in "\\$${}")] == []
    assert len(set(titles.values())) == len(titles)
    assert len({text for (text,) in about.values()}) == len(about)


def test_every_page_can_be_cited(site):
    for path in pages(site):
        page = head(path)
        data = json.loads(page.data)
        assert data["@context"] == "https://schema.org", path
        assert {"@type", "name", "author", "datePublished", "license", "description"} <= set(data)
        assert data["@type"] == ("Chapter" if "chapters" in path.parts else data["@type"])
        for name in ("citation_title", "citation_author", "citation_publication_date"):
            assert page.meta[name][0].strip(), (path, name)
    chapter = head(site / f"{CHAPTER}.html")
    assert chapter.meta["citation_inbook_title"] == ["The Cross-Entropy Book"]


def test_without_an_address_nothing_points_to_one(site):
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    if config["repository"]["url"]:
        pytest.skip("the repository's address is set")
    assert not (site / "sitemap.xml").exists() and not (site / "robots.txt").exists()
    for path in pages(site):
        page = head(path)
        named = [name for name in page.meta if name.startswith(("og:", "twitter:"))]
        assert not named and "canonical" not in page.links, path
        assert "url" not in json.loads(page.data) and "citation_public_url" not in page.meta
        assert not [place for place in page.hosts if "mybinder" in place or "colab" in place]


@pytest.mark.parametrize("name", THREE)
def test_a_published_page_has_its_address_and_card(name, published):
    page = head(published / f"{name}.html")
    address = f"{BASE}{name}.html"
    assert page.links["canonical"] == address
    assert page.meta["og:url"] == [address]
    assert page.meta["citation_public_url"] == [address]
    assert json.loads(page.data)["url"] == address
    assert page.meta["twitter:card"] == ["summary_large_image"]
    assert page.meta["og:description"] == page.meta["description"]
    assert page.meta["og:title"][0] in page.title
    assert len(page.meta["og:image:alt"][0]) > 20
    picture = published / page.meta["og:image"][0].removeprefix(BASE)
    width, height = (int(page.meta[f"og:image:{side}"][0]) for side in ("width", "height"))
    content = picture.read_bytes()
    shape = (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big"))
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and shape == (width, height) == (1200, 630)
    assert len(content) < 150_000


def test_a_published_chapter_opens_on_binder_and_colab(published):
    hosts = {urlsplit(place).netloc: place for place in head(published / f"{CHAPTER}.html").hosts}
    binder, colab = hosts["mybinder.org"], hosts["colab.research.google.com"]
    assert binder.startswith("https://mybinder.org/v2/gh/example/cross-entropy-book/main?urlpath=")
    assert binder.count("/") == 7  # the path within the repository is one encoded value
    notebook = unquote(binder.partition("urlpath=")[2]).removeprefix("lab/tree/")
    assert colab.endswith(f"/github/example/cross-entropy-book/blob/main/{notebook}")
    assert (ROOT / notebook).is_file() and notebook == f"{CHAPTER}.ipynb"
    text = (published / f"{CHAPTER}.html").read_text("utf-8")
    assert f"git clone --depth 1 {REPOSITORY}" in text
    assert "%pip install --quiet ./cross-entropy-book" in text
    assert "%cd cross-entropy-book/chapters/stability" in text


def test_sitemap_names_every_published_page(published):
    places = ElementTree.parse(published / "sitemap.xml").getroot()
    assert sorted(place[0].text for place in places) == sorted(f"{BASE}{n}.html" for n in THREE)
    assert f"Sitemap: {BASE}sitemap.xml" in (published / "robots.txt").read_text("utf-8")


def test_the_first_address_says_what_the_book_is(published, site):
    first, shown = head(published / "index.html"), head(published / "book/intro.html")
    assert first.title == shown.title and first.links["canonical"] == shown.links["canonical"]
    for name in ("description", "og:image", "og:title", "twitter:card", "citation_title"):
        assert first.meta[name] == shown.meta[name]
    assert "book/intro.html" in (site / "index.html").read_text("utf-8")


def test_the_packed_source_is_the_project(site):
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\0")
    if len(listed) < 2:
        pytest.skip("not a git checkout")
    with zipfile.ZipFile(site / "_downloads" / "cross-entropy-book.zip") as archive:
        packed = {name.partition("/")[2] for name in archive.namelist()}
    assert {name for name in listed if name and (ROOT / name).exists()} <= packed
    assert not [name for name in packed if "__pycache__" in name or name.startswith((".v", ".g/"))]
