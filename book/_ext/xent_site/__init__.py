"""The book's Sphinx extension: what the pages need beyond Markdown and notebooks.

Each module has its own ``setup``; together they make the built site complete without a network.
"""

from __future__ import annotations

from xent_site import (
    api,
    benchmarks,
    chapters,
    disclosure,
    ledger,
    mathjax,
    measured,
    notation,
    page,
    papers,
    previews,
    running,
    sharing,
    site,
    stills,
    verdicts,
)

MODULES = (
    api,
    benchmarks,
    chapters,
    disclosure,
    ledger,
    mathjax,
    measured,
    notation,
    page,
    papers,
    previews,
    running,
    sharing,
    site,
    verdicts,
    stills,
)


def setup(app):
    for module in MODULES:
        module.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
