"""Interactive figures compute what the references compute, at random settings, in the browser.

A figure ``book/_static/explorables/<name>.js`` has two partners. ``xent_site/stills/<name>.py``
computes the same keys with ``xent.reference`` and draws the still that stands in for the figure
where no script runs. ``explorables/<name>.py`` here has ``parameters(rng)``, a random setting, and
where needed ``RTOL``, ``ATOL``, and ``COMPARED``, the keys that must agree (else all).
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "book" / "_static" / "explorables"
STYLES = ROOT / "book" / "_static" / "custom.css"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.js") if path.stem != "explorable")
SETTINGS = 20
PHONE = {"width": 375, "height": 800}

sys.path[:0] = [str(ROOT / "book" / "_ext"), str(Path(__file__).parent)]
from xent_site import stills  # noqa: E402
from xent_site.stills import drawing  # noqa: E402


def partner(package: str, name: str):
    """The module that belongs to a figure in a package of partners."""
    return importlib.import_module(f"{package}.{name.replace('-', '_')}")


@pytest.fixture(scope="module")
def blank(browser):
    page = browser.new_page()
    page.set_content("<html><body></body></html>")
    page.add_style_tag(path=STYLES)
    page.add_script_tag(path=SCRIPTS / "explorable.js")
    yield page
    page.close()


def begin(page, name: str) -> None:
    """Start a figure in an empty page."""
    page.add_script_tag(path=SCRIPTS / f"{name}.js")
    page.evaluate(
        """(name) => { document.body.innerHTML = `<div class="explorable" data-explorable="${name}">
        <p>static</p></div>`; Explorable.define(name, Explorable.specs[name]); }""",
        name,
    )


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_reference(name, blank):
    random, reference = partner("explorables", name), partner("xent_site.stills", name)
    blank.add_script_tag(path=SCRIPTS / f"{name}.js")
    rng = np.random.default_rng(0)
    settings = [
        {key: v.item() if hasattr(v, "item") else v for key, v in random.parameters(rng).items()}
        for _ in range(SETTINGS)
    ]
    script = "([name, settings]) => settings.map((p) => Explorable.compute[name](p))"
    for setting, shown in zip(settings, blank.evaluate(script, [name, settings]), strict=True):
        wanted = reference.compute(**setting)
        keys = getattr(random, "COMPARED", tuple(wanted))
        assert keys, "nothing is compared"
        for key in keys:
            np.testing.assert_allclose(
                np.asarray(shown[key], dtype=float),
                np.asarray(wanted[key], dtype=float),
                rtol=getattr(random, "RTOL", 1e-9),
                atol=getattr(random, "ATOL", 1e-11),
                err_msg=f"{name}: {key} at {setting}",
            )


@pytest.mark.parametrize("name", NAMES)
def test_still_says_what_the_live_figure_says(name, blank):
    begin(blank, name)
    still = stills.still(name)
    shown = blank.evaluate(
        """(name) => {
        const words = (node) => node.textContent.replace(/\\s+/g, " ").trim();
        const value = (row) => {
            const box = row.querySelector("input[type=checkbox]");
            return box ? (box.checked ? "yes" : "no") : row.querySelector("output, select").value;
        };
        const settings = [...document.querySelectorAll(".explorable-controls .control")].map(
            (row) => [words(row.querySelector("label")), value(row)]);
        const values = [...document.querySelectorAll(".explorable-values div")].map((row) =>
            [...row.children].map(words));
        return [words(document.querySelector(".explorable-title")), settings, values];
        }""",
        name,
    )
    assert shown == [
        still.title,
        [list(row) for row in still.settings],
        [list(row) for row in still.values],
    ]


@pytest.mark.parametrize("name", NAMES)
def test_still_is_an_image_with_words(name):
    still = stills.still(name)
    assert still == stills.still(name), "drawn twice, it differs"
    for svg, alt, width, height in still.drawings:
        assert svg.startswith(b"<?xml") and len(svg) < 60_000
        assert len(alt) >= 40, "the alt text does not say what the drawing shows"
        assert re.search(r"\d", alt), "the alt text names no number"
        assert width <= 560 and height <= 400


@pytest.mark.parametrize(
    "x", [0.0, -0.5, 1.0, 0.0566, 0.05655, 9.996, 999.6, 1234.5, 2e5, 3.21e-7, -4e-5]
)
@pytest.mark.parametrize("digits", [2, 3])
def test_numbers_are_written_alike(x, digits, blank):
    written = blank.evaluate("([x, digits]) => Explorable.format(x, digits)", [x, digits])
    assert written == drawing.number(x, digits)


@pytest.mark.parametrize("name", [*NAMES, "explorable"])
def test_is_small(name):
    assert (SCRIPTS / f"{name}.js").stat().st_size < 30_000


@pytest.mark.parametrize("name", NAMES)
def test_starts_draws_and_answers_keys(name, blank):
    begin(blank, name)
    assert blank.locator(".explorable p", has_text="static").count() == 0, "the still remains"
    assert blank.locator(".explorable-plot path, .explorable-plot rect").count() > 3
    before = blank.evaluate("(name) => JSON.stringify(Explorable.instances[name].params)", name)
    controls = blank.locator("input[type=range], .handle, select, input[type=checkbox]")
    assert controls.count() > 0
    controls.first.focus()
    blank.keyboard.press(
        "Space" if controls.first.get_attribute("type") == "checkbox" else "ArrowUp"
    )
    blank.keyboard.press("ArrowRight")
    after = blank.evaluate("(name) => JSON.stringify(Explorable.instances[name].params)", name)
    assert after != before, "the first control does not answer the keyboard"


@pytest.mark.parametrize("name", NAMES)
def test_handles_are_large_enough_for_a_finger(name, blank):
    blank.set_viewport_size(PHONE)
    begin(blank, name)
    sizes = blank.evaluate(
        """() => [...document.querySelectorAll(".handle, button, select, input")].map((node) => {
        const box = node.getBoundingClientRect(); return [box.width, box.height]; })"""
    )
    blank.set_viewport_size({"width": 1280, "height": 900})
    assert min(min(size) for size in sizes) >= 24


def test_handle_is_dragged_from_where_it_is_held(blank):
    begin(blank, "temperature-softmax")
    box = blank.locator(".handle").first.bounding_box()
    x, y = box["x"] + box["width"] / 2 + 15, box["y"] + box["height"] / 2
    before, read = 2, "() => Explorable.instances['temperature-softmax'].params.z0"
    blank.mouse.move(x, y)
    blank.mouse.down()
    assert blank.evaluate(read) == before, "the handle jumps to the pointer"
    blank.mouse.move(x, y + 20)
    blank.mouse.up()
    assert blank.evaluate(read) < before


def test_a_finger_moves_the_handle_and_not_the_page(browser):
    context = browser.new_context(has_touch=True, is_mobile=True, viewport=PHONE)
    page = context.new_page()
    page.set_content('<meta name="viewport" content="width=device-width"><body></body>')
    page.add_style_tag(path=STYLES)
    page.add_script_tag(path=SCRIPTS / "explorable.js")
    begin(page, "simplex")
    page.evaluate("document.body.style.height = '3000px'")
    handle = page.locator(".handle").last
    before = handle.bounding_box()
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    fingers = context.new_cdp_session(page)

    def touch(kind: str, *points) -> None:
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for step in range(1, 9):
        touch("touchMove", {"x": x - 2 * step, "y": y + 5 * step})
    touch("touchEnd")
    after = handle.bounding_box()
    assert page.evaluate("scrollY") == 0, "the page scrolls"
    moved = (after["x"] - before["x"], after["y"] - before["y"])
    assert moved == pytest.approx((-16, 40), abs=3)
    context.close()


def test_changes_are_read_out_once_the_reader_pauses(blank):
    begin(blank, "temperature-softmax")
    slider, news = blank.locator("input[type=range]"), blank.locator("[role=status]")
    slider.focus()
    for _ in range(5):
        blank.keyboard.press("ArrowRight")
    assert news.text_content() == ""
    blank.wait_for_function("() => document.querySelector('[role=status]').textContent")
    assert "entropy" in news.text_content()
    assert blank.locator("[aria-live]").count() == 0


@pytest.mark.site
def test_pages_show_stills_without_scripts(browser, site, address):
    pages = [path for path in site.rglob("*.html") if 'class="explorable"' in path.read_text()]
    named = {path: re.findall(r'data-explorable="([a-z-]+)"', path.read_text()) for path in pages}
    assert sorted(name for names in named.values() for name in names) == NAMES
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    for path, names in named.items():
        page = context.new_page()
        page.goto(f"{address}/{path.relative_to(site).as_posix()}")
        for name in names:
            images = page.locator(f'[data-explorable="{name}"] img')
            assert images.count() == len(stills.still(name).drawings)
            for image in images.all():
                image.scroll_into_view_if_needed()
                assert image.is_visible() and image.get_attribute("width")
                assert image.bounding_box()["width"] <= 375
        page.close()
    context.close()
