"""Links show what they lead to: on the page, across pages, from a folder, by keyboard, by touch."""

from __future__ import annotations

import json
import re

import pytest

CHAPTER = "chapters/stability/ghosts-of-softmax"
PLACES = {
    "theorem": (CHAPTER, "article a[href='#thm-ghosts-curvature']"),
    "figure": (CHAPTER, "article a.reference[href='#fig-ghosts-plane']"),
    "citation": (CHAPTER, "article .bibtex-citation a"),
    "chapter": (CHAPTER, "article a[href='safe-steps.html']"),
    "term": ("book/glossary", "article a[href='#term-softmax']"),
    "claim": ("book/papers", "article a[href^='ledger.html#ghosts-of-softmax']"),
    "function": ("book/api/modules/xent.ops.ghosts", "article dd a[href*='xent.reference']"),
}
BUDGET = 60_000


@pytest.fixture
def page(browser, site):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def previews(site, name: str) -> dict[str, str]:
    text = (site / "_previews" / f"{name}.js").read_text("utf-8")
    return json.loads(text.removeprefix("window.previews = ").rstrip(";\n"))


def shown(page) -> str:
    page.wait_for_selector("#preview:not([hidden])")
    page.wait_for_function(r"!/\\\(|\\\[/.test(document.getElementById('preview').innerText)")
    return page.locator("#preview").inner_text()


def point_at(page, selector: str) -> None:
    link = page.locator(selector).first
    link.scroll_into_view_if_needed()
    link.hover()


def test_previews_carry_no_links_and_no_ids(site):
    for path in sorted(site.glob("_previews/**/*.js")):
        name = path.relative_to(site / "_previews").as_posix().removesuffix(".js")
        for address, text in previews(site, name).items():
            assert not re.search(r'<a\b|<script| id="', text), (name, address)
            assert text.count("<p") == text.count("</p>"), (name, address)


def test_previews_of_a_chapter_are_small_and_complete(site):
    for path in sorted(site.glob("_previews/chapters/*/*.js")):
        assert path.stat().st_size < BUDGET, path
        name = path.relative_to(site / "_previews").as_posix().removesuffix(".js")
        article = (site / f"{name}.html").read_text("utf-8").partition("<article")[2]
        named = set(re.findall(r'href="#((?:thm|fig|eq|equation|ex)-[^"]+)"><span', article))
        missing = [place for place in named if f"{name}.html#{place}" not in previews(site, name)]
        assert not missing, (name, missing)


@pytest.mark.site
@pytest.mark.parametrize("served", [True, False], ids=["served", "folder"])
@pytest.mark.parametrize("kind", PLACES)
def test_a_link_shows_what_it_leads_to(page, site, address, kind, served):
    name, selector = PLACES[kind]
    if not (site / f"{name}.html").exists():
        pytest.skip("the page is not built")
    page.goto(f"{address}/{name}.html" if served else (site / f"{name}.html").as_uri())
    point_at(page, selector)
    assert len(shown(page)) > 20
    box = page.locator("#preview").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 1280
    page.keyboard.press("Escape")
    assert page.locator("#preview").is_hidden()


@pytest.mark.site
def test_the_keyboard_and_the_pointer_keep_a_preview(page, address):
    page.goto(f"{address}/{CHAPTER}.html")
    link = page.locator(PLACES["theorem"][1]).first
    link.scroll_into_view_if_needed()
    page.keyboard.press("Tab")
    link.focus()
    shown(page)
    assert link.get_attribute("aria-describedby") == "preview"
    page.keyboard.press("Escape")
    link.hover()
    shown(page)
    page.locator("#preview").hover()
    page.wait_for_timeout(500)
    assert page.locator("#preview").is_visible()
    page.mouse.move(2, 2)
    page.wait_for_timeout(500)
    assert page.locator("#preview").is_hidden()


@pytest.mark.site
def test_the_first_tap_follows_a_link(browser, address):
    context = browser.new_context(has_touch=True, viewport={"width": 375, "height": 800})
    page = context.new_page()
    page.goto(f"{address}/{CHAPTER}.html")
    link = page.locator(PLACES["citation"][1]).first
    link.scroll_into_view_if_needed()
    link.tap()
    page.wait_for_url("**/bibliography.html#*")
    context.close()
