"""The site as a whole: pages rebuilt in every build, sitemap, citation metadata, chapter boxes."""

from __future__ import annotations

from pathlib import Path

GENERATED = (
    "book/intro",
    "book/ledger",
    "book/papers",
    "book/parity",
    "book/kernels",
    "book/api/index",
    "book/parts/*",
)


def generated_pages(app, env, added, changed, removed) -> list[str]:
    """Pages made from contracts, notebooks and records are written anew in every build."""
    return [
        name for name in env.found_docs if any(Path(name).match(pattern) for pattern in GENERATED)
    ]


def setup(app) -> None:
    app.connect("env-get-outdated", generated_pages)
