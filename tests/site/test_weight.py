"""A chapter is light and answers soon: bytes on the wire, and work on a slow processor.

Time on a busy machine says little. Counted is the processor's time of the page's main thread, and
it is compared with a fixed piece of work in the same page: their ratio hardly depends on the
machine. ``WORK_SECONDS`` is what that work takes on one free core of an ordinary desktop; a
processor ``SLOWER`` times slower takes that many times longer. (Chromium's own throttling stops
the thread by the clock, which on a busy machine measures the other work.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "_build" / "html"
CHAPTERS = sorted(
    (p.relative_to(SITE).as_posix() for p in SITE.glob("chapters/*/*.html")),
    key=lambda name: (SITE / name).stat().st_size,
)
WEIGHTS = {"lightest": 0.0, "median": 0.5, "heaviest": 1.0}
MAX_BYTES = 600_000
MAX_SECONDS = 2.0
SLOWER = 4
ATTEMPTS = 5
WORK_SECONDS = 0.05
WORK = """() => {
  const list = [];
  for (let i = 0; i < 200000; i++) list.push({ key: (i * 7919) % 100003, text: String(i) });
  list.sort((a, b) => a.key - b.key);
  return list.reduce((sum, one) => sum + one.text.length, 0);
}"""


@pytest.fixture
def visit(browser, address):
    """Open a page in an empty cache; returns its bytes without images."""
    contexts = []

    def open_page(name: str):
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
        page.goto(f"{address}/{name}", wait_until="load")
        page.evaluate("() => window.formulas?.ready")
        page.wait_for_load_state("networkidle")
        return sum(size for key, size in sizes.items() if kinds.get(key) != "Image")

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.site
def test_first_load_is_light(visit, site):
    if not CHAPTERS:
        pytest.skip("no chapter is built")
    heaviest = CHAPTERS[-1]
    size = visit(heaviest)
    assert size <= MAX_BYTES, f"{heaviest}: {size} bytes without images"


def main_thread_seconds(protocol) -> float:
    """How long the processor has worked on the page's main thread."""
    metrics = protocol.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")


def work_of_page(browser, url: str) -> tuple[float, float]:
    """Until a page is read, set and idle; and for the fixed piece of work after it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    protocol = context.new_cdp_session(page)
    protocol.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url, wait_until="load")
    page.evaluate("() => window.formulas?.ready")
    before = main_thread_seconds(protocol)
    page.evaluate("() => window.formulas?.all()")
    spent = []
    for _ in range(3):
        started = main_thread_seconds(protocol)
        page.evaluate(WORK)
        spent.append(main_thread_seconds(protocol) - started)
    context.close()
    return before, min(spent)


@pytest.mark.site
@pytest.mark.parametrize("weight", WEIGHTS)
def test_answers_soon_on_a_slow_processor(browser, address, weight, record_property):
    if not CHAPTERS:
        pytest.skip("no chapter is built")
    name = CHAPTERS[round(WEIGHTS[weight] * (len(CHAPTERS) - 1))]
    pages, works = [], []
    for _ in range(ATTEMPTS):  # other work on the machine can only add to either
        page, work = work_of_page(browser, f"{address}/{name}")
        pages.append(page)
        works.append(work)
        seconds = min(pages) / min(works) * WORK_SECONDS * SLOWER
        if seconds <= MAX_SECONDS:
            break
    record_property(f"{weight} chapter, seconds", round(seconds, 2))
    print(f"{weight}, {name}: interactive after {seconds:.2f} s of a processor {SLOWER}x slower")
    assert seconds <= MAX_SECONDS, f"{name}: {min(pages):.2f} s against {min(works):.3f} s of work"
