"""What scripts add: filters, previews, keyboard, and the site opened from a folder."""

from __future__ import annotations

import pytest

CHAPTER = "chapters/stability/ghosts-of-softmax"


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


@pytest.mark.site
def test_ledger_is_filtered_by_words_and_verdict(page, site, address):
    page.goto(f"{address}/book/ledger.html")
    rows = page.locator("#ledger tr[data-verdict]")
    everything = rows.count()
    page.locator("#ledger-filters input[name=words]").fill("temperature")
    shown = page.locator("#ledger tr[data-verdict]:not([hidden])")
    assert 0 < shown.count() < everything
    for row in shown.all():
        text = f"{row.inner_text()} {row.get_attribute('id')} {row.get_attribute('data-paper')}"
        assert "temperature" in text.lower()
    assert "words=temperature" in page.url
    page.locator("#ledger-filters input[name=words]").fill("")
    page.locator("#ledger-filters select[name=verdict]").select_option("reproduced")
    assert {row.get_attribute("data-verdict") for row in shown.all()} == {"reproduced"}
    count = shown.count()
    page.reload()
    assert shown.count() == count


@pytest.mark.site
def test_ledger_without_scripts_is_a_plain_table(browser, site, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/book/ledger.html")
    assert page.locator("#ledger tr[data-verdict]").first.is_visible()
    assert not page.locator("#ledger-filters").is_visible()
    context.close()


@pytest.mark.site
def test_a_claim_leads_to_its_cell(page, site, address):
    page.goto(f"{address}/book/ledger.html")
    link = page.locator("#ledger a[href*='#claim-']").first
    target = link.get_attribute("href").partition("#")[2]
    link.click()
    page.wait_for_url(f"**#{target}")
    assert page.locator(f"#{target} .verdict").is_visible()


@pytest.mark.site
def test_a_reference_is_previewed_and_put_away(page, site, address):
    if not (site / f"{CHAPTER}.html").exists():
        pytest.skip("the chapter is not built")
    page.goto(f"{address}/{CHAPTER}.html")
    link = page.locator("article a.reference.internal[href*='#fig-']")
    link.first.scroll_into_view_if_needed()
    link.first.hover()
    page.wait_for_selector("#preview:not([hidden])")
    assert len(page.locator("#preview").inner_text()) > 20
    page.keyboard.press("Escape")
    assert page.locator("#preview").is_hidden()


@pytest.mark.site
def test_theme_and_search_answer_the_keyboard(page, site, address):
    page.goto(f"{address}/book/how-to-read.html")
    modes = set()
    for _ in range(3):
        page.locator(".theme-switch-button").focus()
        page.keyboard.press("Enter")
        modes.add(page.evaluate("document.documentElement.dataset.mode"))
    assert modes == {"light", "dark", "auto"}
    page.keyboard.press("Control+k")
    assert page.locator("#pst-search-dialog input[type=search]").is_visible()
    page.keyboard.type("ghost")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")


@pytest.mark.site
def test_works_from_a_folder(page, site):
    name = CHAPTER if (site / f"{CHAPTER}.html").exists() else "book/notation"
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.goto((site / f"{name}.html").as_uri())
    page.evaluate("() => window.formulas.ready")
    page.wait_for_selector("mjx-container", state="attached")
    assert not problems
    assert page.evaluate("document.fonts.check('16px \"Book Serif\"')")
