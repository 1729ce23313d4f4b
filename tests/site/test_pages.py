"""Every built page in a real browser: light and dark, wide and narrow, nothing from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "_build" / "html"
SCREENSHOTS = SITE.parent / "screenshots"
NOT_READ = ("genindex", "py-modindex", "prf-prf", "index", "_modules", "_static")
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if path.relative_to(SITE).parts[0].removesuffix(".html") not in NOT_READ
)
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 800}
AXE_RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


@pytest.fixture(scope="module")
def axe_script() -> str:
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def context(browser):
    opened = browser.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    yield opened
    opened.close()


def leave_out_formulas_and_code(page) -> None:
    """Formulas carry MathML, the colors of code have a test, rows of the ledger are all alike."""
    page.evaluate(
        """() => {
        document.querySelectorAll("mjx-container").forEach((n) => n.replaceChildren());
        document.querySelectorAll("a mjx-container").forEach((n) => n.append("formula"));
        document.querySelectorAll("div.highlight pre").forEach((n) => n.replaceChildren());
        document.querySelectorAll("#ledger tbody:nth-of-type(n+5)").forEach((n) => n.remove());
        }"""
    )


def out_of_reach(page) -> list[str]:
    """Regions that scroll sideways and that the keyboard cannot scroll."""
    return page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((node) =>
            node.scrollWidth > node.clientWidth + 1 && node.tabIndex < 0 &&
            ["auto", "scroll"].includes(getComputedStyle(node).overflowX) &&
            !node.querySelector("a, button, input, [tabindex]"))
            .map((node) => `scrolls, but not by keyboard: ${node.tagName}.${node.className}`)"""
    )


def audit(page, only: list[str] | None = None) -> list[str]:
    """What axe-core finds wrong, one line per rule and element."""
    options = {"resultTypes": ["violations"], "runOnly": AXE_RULES, "preload": False}
    if only:
        options["runOnly"] = {"type": "rule", "values": only}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {' '.join(node['target'][-1].split())}"
        for rule in found["violations"]
        for node in rule["nodes"][:4]
    ]


def wait_for_mathematics(page) -> list[str]:
    """Let MathJax finish; return formulas that it could not set or did not see."""
    page.evaluate("() => window.formulas?.all()")
    return page.evaluate(
        r"""() => {
        const broken = [...document.querySelectorAll("mjx-merror, [data-mjx-error]")];
        const raw = [...document.querySelectorAll(".math, .tex2jax_process")].filter(
            (node) => /\\\(|\\\[/.test(node.innerText));
        return [...broken, ...raw].map((node) => "formula: " + node.innerText.slice(0, 80));
        }"""
    )


def overflow(page) -> list[str]:
    """Elements that make the page itself scroll sideways."""
    return page.evaluate(
        """() => {
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return [];
        return [...document.querySelectorAll("main *")]
            .filter((node) => node.getBoundingClientRect().right > width + 1).slice(0, 3)
            .map((node) => `wider than ${width} px: ${node.tagName}.${node.className}`);
        }"""
    )


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES or ["no page built"])
def test_page(name, site, address, context, axe_script):
    problems = []
    page = context.new_page()
    page.on("console", lambda m: m.type in ("error", "warning") and problems.append(m.text))
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((address, "data:", "blob:"))
            or problems.append(f"request leaves the site: {request.url}")
        ),
    )
    page.on("response", lambda r: r.status >= 400 and problems.append(f"{r.status}: {r.url}"))
    try:
        page.goto(f"{address}/{name}", wait_until="load")
        problems += wait_for_mathematics(page)
        problems += overflow(page)
        problems += page.evaluate(
            """() => [...document.querySelectorAll("article img")]
            .filter((image) => !image.alt || image.alt.length < 20)
            .map((image) => `no alt text that says what it shows: ${image.src}`)"""
        )
        screenshot(page, name, "1280-light")
        page.set_viewport_size(PHONE)
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        page.wait_for_timeout(100)
        problems += overflow(page)
        problems += out_of_reach(page)
        screenshot(page, name, "375-dark")
        page.set_viewport_size(WIDE)
        leave_out_formulas_and_code(page)
        page.evaluate(axe_script)
        if "api/modules" not in name:  # they share their colors with the other pages
            problems += [f"dark, {finding}" for finding in audit(page, only=["color-contrast"])]
        page.evaluate("document.documentElement.dataset.theme = 'light'")
        problems += [f"light, {finding}" for finding in audit(page)]
    finally:
        page.close()
    assert not problems, "\n".join(dict.fromkeys(problems))


def screenshot(page, name: str, mode: str) -> None:
    """Keep the first screen as an artifact, to be looked at and never compared."""
    from playwright.sync_api import TimeoutError

    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"{name.removesuffix('.html').replace('/', '_')}-{mode}.png"
    try:
        page.screenshot(path=path, timeout=15_000)
    except TimeoutError:  # a busy headless Chromium may draw no frame
        page.bring_to_front()
        page.screenshot(path=path)
