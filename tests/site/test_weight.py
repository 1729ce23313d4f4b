"""A chapter is light and answers soon: bytes on the wire, and time on a processor slowed down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "_build" / "html"
CHAPTERS = sorted(p.relative_to(SITE).as_posix() for p in SITE.glob("chapters/*/*.html"))
MAX_BYTES = 600_000
MAX_SECONDS = 2.0
SLOWER = 4


@pytest.fixture
def visit(browser, address):
    """Open a page in an empty cache; returns bytes without images, and the page."""
    contexts = []

    def open_page(name: str, slower: int = 1):
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        protocol = context.new_cdp_session(page)
        protocol.send("Network.enable")
        kinds, sizes = {}, {}
        protocol.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: e["type"]}))
        protocol.on(
            "Network.loadingFinished",
            lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}),
        )
        protocol.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        page.goto(f"{address}/{name}", wait_until="load")
        page.evaluate("() => window.MathJax?.startup?.promise")
        page.wait_for_load_state("networkidle")
        return sum(size for key, size in sizes.items() if kinds.get(key) != "Image"), page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.site
def test_first_load_is_light(visit, site):
    if not CHAPTERS:
        pytest.skip("no chapter is built")
    heaviest = max(CHAPTERS, key=lambda name: (SITE / name).stat().st_size)
    size, _ = visit(heaviest)
    assert size <= MAX_BYTES, f"{heaviest}: {size} bytes without images"


@pytest.mark.site
def test_answers_soon_on_a_slow_processor(visit, site):
    if not CHAPTERS:
        pytest.skip("no chapter is built")
    if os.getloadavg()[0] > os.cpu_count():
        pytest.skip("the machine is busy with other work: a time would say nothing")
    middle = sorted(CHAPTERS, key=lambda name: (SITE / name).stat().st_size)[len(CHAPTERS) // 2]
    script = "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd / 1000"
    seconds = min(visit(middle, SLOWER)[1].evaluate(script) for _ in range(3))
    assert seconds <= MAX_SECONDS, f"{middle}: scripts ready after {seconds:.2f} s"
