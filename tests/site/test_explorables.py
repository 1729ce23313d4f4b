"""Interactive figures compute what the references compute, at random settings, in the browser.

A figure ``book/_static/explorables/<name>.js`` has a partner ``explorables/<name>.py`` here with
``parameters(rng)``, a random setting, and ``expected(**setting)``, some of the keys that the
figure's ``compute`` returns, from ``xent.reference``. ``RTOL`` and ``ATOL`` may be set there.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "book" / "_static" / "explorables"
PARTNERS = Path(__file__).parent / "explorables"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.js") if path.stem != "explorable")
SETTINGS = 20


def partner(name: str):
    path = PARTNERS / f"{name.replace('-', '_')}.py"
    assert path.exists(), f"{name}.js has no partner {path.name} that checks its numbers"
    spec = importlib.util.spec_from_file_location(f"explorable_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def blank(browser):
    page = browser.new_page()
    page.set_content("<html><body></body></html>")
    page.add_script_tag(path=SCRIPTS / "explorable.js")
    yield page
    page.close()


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_reference(name, blank):
    python = partner(name)
    blank.add_script_tag(path=SCRIPTS / f"{name}.js")
    rng = np.random.default_rng(0)
    settings = [
        {key: v.item() if hasattr(v, "item") else v for key, v in python.parameters(rng).items()}
        for _ in range(SETTINGS)
    ]
    script = "([name, settings]) => settings.map((p) => Explorable.compute[name](p))"
    for setting, shown in zip(settings, blank.evaluate(script, [name, settings]), strict=True):
        wanted = python.expected(**setting)
        assert wanted, "expected() compares nothing"
        for key, value in wanted.items():
            np.testing.assert_allclose(
                np.asarray(shown[key], dtype=float),
                np.asarray(value, dtype=float),
                rtol=getattr(python, "RTOL", 1e-9),
                atol=getattr(python, "ATOL", 1e-11),
                err_msg=f"{name}: {key} at {setting}",
            )


@pytest.mark.parametrize("name", [*NAMES, "explorable"])
def test_is_small(name):
    assert (SCRIPTS / f"{name}.js").stat().st_size < 30_000


@pytest.mark.parametrize("name", NAMES)
def test_starts_draws_and_answers_keys(name, blank):
    blank.add_script_tag(path=SCRIPTS / f"{name}.js")
    blank.evaluate(
        """(name) => { document.body.innerHTML = `<div class="explorable" data-explorable="${name}">
        <p>static</p></div>`; Explorable.define(name, Explorable.specs[name]); }""",
        name,
    )
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
