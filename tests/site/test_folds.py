"""Proofs and solutions fold: open or closed at first, kept, opened by links, printed open."""

from __future__ import annotations

import re

import pytest

CHAPTER = "chapters/stability/ghosts-of-softmax"
PROOFS = "details.proof-steps"
SOLUTIONS = "details.solution"


@pytest.fixture
def page(browser, site):
    if not (site / f"{CHAPTER}.html").exists():
        pytest.skip("the chapter is not built")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def opened(page, folds: str) -> list[bool]:
    return page.locator(folds).evaluate_all("(all) => all.map((fold) => fold.open)")


def test_every_proof_says_what_it_proves(site):
    for path in sorted(site.glob("chapters/*/*.html")):
        text = path.read_text("utf-8")
        summaries = re.findall(r"<summary>(Proof[^<]*)</summary>", text)
        assert all(re.fullmatch(r"Proof of \w+ \d+\.\d+\.\d+", said) for said in summaries), path
        assert len(summaries) == text.count('class="proof-steps disclosure"')
        assert "<p>Proof. " not in text


def test_no_two_places_of_a_chapter_share_an_id(site):
    for path in sorted(site.glob("chapters/*/*.html")):
        article = path.read_text("utf-8").partition("<article")[2].partition("</article>")[0]
        found = re.findall(r'<[a-z][^>]* id="([^"]+)"', article)
        twice = {name for name in found if found.count(name) > 1}
        assert not twice, f"{path.stem}: {twice}"


@pytest.mark.site
@pytest.mark.parametrize("served", [True, False], ids=["served", "folder"])
def test_proofs_are_hidden_and_shown_by_one_button(page, site, address, served):
    page.goto(f"{address}/{CHAPTER}.html" if served else (site / f"{CHAPTER}.html").as_uri())
    assert all(opened(page, PROOFS)) and not any(opened(page, SOLUTIONS))
    button = page.get_by_role("button", name="Hide proofs")
    assert button.count() == 1
    button.focus()
    page.keyboard.press("Enter")
    assert not any(opened(page, PROOFS))
    assert page.evaluate("document.activeElement.textContent") == "Show proofs"
    page.reload()
    assert not any(opened(page, PROOFS))
    page.get_by_role("button", name="Show proofs").click()
    assert all(opened(page, PROOFS))


@pytest.mark.site
def test_reader_keeps_the_place_when_proofs_are_hidden(page, address):
    page.goto(f"{address}/{CHAPTER}.html#where-it-breaks")
    page.wait_for_timeout(300)
    heading = page.locator("#where-it-breaks h2")
    before = heading.bounding_box()["y"]
    button = page.get_by_role("button", name="Hide proofs").bounding_box()
    page.mouse.click(button["x"] + 5, button["y"] + 5)
    page.wait_for_timeout(300)
    assert not any(opened(page, PROOFS))
    assert abs(heading.bounding_box()["y"] - before) < 60


@pytest.mark.site
def test_a_summary_answers_the_keyboard(page, address):
    page.goto(f"{address}/{CHAPTER}.html")
    page.locator(f"{SOLUTIONS} > summary").first.focus()
    page.keyboard.press("Enter")
    assert opened(page, SOLUTIONS)[0]


@pytest.mark.site
def test_a_link_into_a_closed_proof_opens_it(page, address):
    page.goto(f"{address}/{CHAPTER}.html")
    page.get_by_role("button", name="Hide proofs").click()
    page.evaluate(
        """(folds) => {
        const place = document.querySelectorAll(folds)[1].querySelector("p");
        place.id = "place";
        location.hash = "place";
        }""",
        PROOFS,
    )
    page.wait_for_function("document.getElementById('place').checkVisibility()")
    assert opened(page, PROOFS)[:2] == [False, True]


@pytest.mark.site
def test_folds_are_printed_open(page, address):
    page.goto(f"{address}/{CHAPTER}.html")
    page.get_by_role("button", name="Hide proofs").click()
    page.emulate_media(media="print")
    visible = "(all) => all.map((fold) => fold.querySelector('p').checkVisibility())"
    both = f"{PROOFS}, {SOLUTIONS}"
    checks = "(all) => all.map((fold) => fold.querySelector(':scope > p').offsetHeight > 0)"
    assert all(page.locator(both).evaluate_all(visible))
    assert all(page.locator(both).evaluate_all(checks))


@pytest.mark.site
def test_without_scripts_proofs_are_read_and_solutions_unfold(browser, site, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{CHAPTER}.html")
    assert page.locator(f"{PROOFS} > p").first.is_visible()
    assert not page.locator(f"{SOLUTIONS} > p").first.is_visible()
    page.locator(f"{SOLUTIONS} > summary").first.click()
    assert page.locator(f"{SOLUTIONS} > p").first.is_visible()
    context.close()
