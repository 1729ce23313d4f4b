"""The book's Sphinx extension: what the pages need beyond Markdown and notebooks.

Each module has its own ``setup``; together they make the built site complete without a network.
"""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "api",
    "benchmarks",
    "chapters",
    "disclosure",
    "ledger",
    "mathjax",
    "measured",
    "notation",
    "page",
    "papers",
    "previews",
    "running",
    "sharing",
    "site",
    "verdicts",
    "stills",
)


def setup(app):
    for name in MODULES:
        import_module(f"xent_site.{name}").setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
