"""The verdicts of a chapter in its contents and boxes; formulas are set once, near ones first."""

from __future__ import annotations

import re

import pytest

CHAPTER = "chapters/stability/ghosts-of-softmax"
FORMULA = re.compile(r"\\\(|\\\[")


def test_every_box_leads_to_its_row_of_the_ledger(site):
    rows = set(re.findall(r'<tr id="([^"]+)"', (site / "book/ledger.html").read_text("utf-8")))
    for path in sorted(site.glob("chapters/*/*.html")):
        text = path.read_text("utf-8")
        boxes = text.count('<div class="claim tex2jax_process"')
        links = re.findall(r'class="claim-row" href="../../book/ledger.html#([^"]+)"', text)
        assert boxes == len(links) and set(links) <= rows, path.stem


def test_contents_mark_every_verdict(site):
    for path in sorted(site.glob("chapters/*/*.html")):
        text = path.read_text("utf-8")
        boxes = re.findall(r'<div class="claim tex2jax_process" id="([^"]+)"', text)
        marked = "".join(re.findall(r'<span class="toc-marks">(.*?)</a></span>', text))
        assert re.findall(r'href="#([^"]+)"', marked) == boxes, path.stem


@pytest.mark.site
@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_marks_stay_in_the_contents(browser, address, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{address}/{CHAPTER}.html")
    beside = page.locator(".bd-sidebar-secondary").bounding_box()
    article = page.locator("article").bounding_box()
    for mark in page.locator(".toc-marks a").all():
        box = mark.bounding_box()
        assert box["x"] > article["x"] + article["width"]
        assert box["x"] + box["width"] <= beside["x"] + beside["width"]
    page.close()


@pytest.mark.site
@pytest.mark.parametrize("name", ["book/parts/stability", "book/notation", CHAPTER])
def test_each_formula_is_set_once(browser, site, address, name):
    if not (site / f"{name}.html").exists():
        pytest.skip("the page is not built")
    page = browser.new_page()
    page.goto(f"{address}/{name}.html")
    page.evaluate("() => window.formulas.all()")
    text = (site / f"{name}.html").read_text("utf-8").partition("<body")[2]
    text = re.sub(r"(?s)<script.*?</script>|<pre.*?</pre>", "", text)
    assert page.locator("mjx-container").count() == len(FORMULA.findall(text))
    page.close()
