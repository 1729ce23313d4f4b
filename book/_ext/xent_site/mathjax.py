"""MathJax on the book's own origin: the parts of ``sphinx-mathjax-offline`` that pages load."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

PARTS = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    "output/chtml/fonts/woff-v2",
    "a11y/assistive-mml.js",
)


def copy_parts(app, exception) -> None:
    """Copy what ``mathjax3_config`` loads, and the parts that TeX macros may ask for."""
    if exception is not None or app.builder.format != "html":
        return
    source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target / part)


def setup(app) -> None:
    app.connect("build-finished", copy_parts)
