"""What a new reader does: looks for a claim, reads on a phone, comes by keyboard or a subfolder."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.site
FORMULAS = "chapters/policies/covariance-law"  # long formulas stand in its text
CUT = """() => [...document.querySelectorAll("article mjx-container")].filter((formula) => {
  if (formula.getBoundingClientRect().right <= document.documentElement.clientWidth) return false;
  for (let node = formula; node; node = node.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(node).overflowX)) return false;
  return true;
}).map((formula) => formula.textContent.slice(0, 60))"""


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


def test_one_click_and_a_word_find_what_was_not_reproduced(page, site, address):
    page.goto(f"{address}/book/intro.html")
    page.locator("main .tallies a", has_text="not reproduced").click()
    expect(page.locator("#ledger-filters output")).to_contain_text("of")
    page.locator("#ledger-filters input[name=words]").fill("temperature")
    rows = page.locator("#ledger tr[data-verdict]:not([hidden])")
    assert rows.count() > 0
    assert {row.get_attribute("data-verdict") for row in rows.all()} == {"not reproduced"}
    assert all(row.locator("a[href*='#claim-']").count() for row in rows.all())


def test_a_chapters_count_leads_to_its_own_claims(page, site, address):
    page.goto(f"{address}/chapters/stability/ghosts-experiments.html")
    link = page.locator(".chapter-box .tallies a", has_text="not tested")
    number = int(link.locator("b").inner_text())
    link.click()
    rows = page.locator("#ledger tr[data-verdict]:not([hidden])")
    expect(rows).to_have_count(number)
    assert all("ghosts-experiments" in row.get_attribute("id") for row in rows.all())


def test_no_formula_is_cut_on_a_phone(browser, site, address):
    context = browser.new_context(
        viewport={"width": 375, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(f"{address}/{FORMULAS}.html")
    page.evaluate("() => window.formulas.all()")
    assert page.locator("article mjx-container").count() > 50
    assert page.evaluate(CUT) == []
    context.close()


def test_the_first_tab_skips_to_the_text(page, site, address):
    page.goto(f"{address}/{FORMULAS}.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_the_site_works_below_any_folder(page, site, tmp_path):
    deep = tmp_path / "some" / "deep"
    deep.mkdir(parents=True)
    (deep / "path").symlink_to(site.resolve())
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    missing = []
    page.on("response", lambda r: r.status >= 400 and missing.append(r.url))
    try:
        page.goto(f"http://127.0.0.1:{server.server_port}/some/deep/path/")
        page.wait_for_url("**/some/deep/path/book/intro.html")
        page.locator("a.door").first.click()
        page.wait_for_url("**/some/deep/path/chapters/**")
        page.locator("details summary", has_text="Run and check it").click()
        with page.expect_download() as download:
            page.locator(".chapter-box details a[download]").click()
        assert download.value.suggested_filename == "cross-entropy-book.zip"
    finally:
        server.shutdown()
        server.server_close()
    assert missing == []
