"""Below a chapter's title: the verdicts, the notebook to download, and how to run and check it."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from xent_site import claims
from xent_site.site import SOURCE, repository_place


def hosted_links(repository: str, branch: str, notebook: str) -> str:
    """Links to Binder and Colab; none while the repository's address is not set."""
    place = repository_place(repository)
    if not place:
        return ""
    branch, path = quote(branch), quote(notebook)
    binder = f"https://mybinder.org/v2/gh/{place}/{branch}?urlpath={quote(f'lab/tree/{path}', '')}"
    colab = f"https://colab.research.google.com/github/{place}/blob/{branch}/{path}"
    return f'<a href="{escape(binder)}">Binder</a><a href="{escape(colab)}">Colab</a>'


def commands(lines: str) -> str:
    """Lines for a terminal or a cell, with the copy button of other code."""
    return f'<div class="highlight"><pre tabindex="0">{lines}</pre></div>'


def colab_cell(place: str, notebook: str) -> str:
    """The cell to run first on Colab, which opens the notebook alone."""
    name = place.rpartition("/")[2]
    first = (
        f"!git clone --depth 1 https://github.com/{place}\n"
        f"%pip install --quiet ./{name}\n"
        f"%cd {name}/{notebook.rpartition('/')[0]}"
    )
    return (
        "<p>Binder makes the environment itself. Colab opens the notebook alone; "
        f"run this cell there first:</p>{commands(first)}"
    )


def environment(root) -> str:
    """What a chapter needs, with the versions of the lock."""
    lock = (Path(root) / "requirements.lock").read_text("utf-8")
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    return (
        "Python 3.11 or newer, the packages of <code>requirements.lock</code> "
        f"(NumPy {pinned['numpy']}, PyTorch {pinned['torch']}), one CPU thread, no GPU. "
        "Once that is installed, nothing is downloaded."
    )


def how_to_run(app, pagename: str) -> str:
    """Environment, expected time and commands of a chapter."""
    notebook, place = f"{pagename}.ipynb", repository_place(repository_address(app.config))
    archive = Path(SOURCE)
    get = (
        f"git clone https://github.com/{place}\ncd {place.rpartition('/')[2]}"
        if place
        else f"unzip {archive.name}\ncd {archive.stem}"
    )
    lines = (
        f"{get}\nmake book\n# run, and compare with what is stored\n"
        f".venv/bin/python -m pytest --nbval {notebook}\n"
        f"# run, and store\n.venv/bin/python -m xent.chapter {notebook}"
    )
    return (
        f"<p><b>Environment.</b> {environment(app.srcdir)} "
        "<b>Expected time.</b> Under a minute on one core.</p>"
        f'<p>The notebook runs in its folder of the project (<a href="../../{SOURCE}" download>'
        "all sources, zip</a>), beside the contract of its claims. In a terminal:</p>"
        f"{commands(lines)}{colab_cell(place, notebook) if place else ''}"
    )


def repository_address(config) -> str:
    return config.html_theme_options.get("repository_url") or ""


def chapter_box(app, pagename: str) -> str:
    """The box of the chapter ``chapters/<part>/<slug>``."""
    notebook = f"{pagename}.ipynb"
    branch = app.config.html_theme_options.get("repository_branch") or "main"
    found = [e for e in claims.entries(app.env) if pagename == f"chapters/{e.part}/{e.slug}"]
    return (
        '<div class="chapter-box" role="region" aria-label="This chapter">'
        f"{claims.counts(found, '../../book/ledger.html', Path(pagename).name) if found else ''}"
        f'<a href="../../_sources/{notebook}" download>Download the notebook</a>'
        f"{hosted_links(repository_address(app.config), branch, notebook)}"
        f"<details><summary>Run and check it</summary>{how_to_run(app, pagename)}</details></div>"
    )


def insert_box(app, pagename, templatename, context, doctree) -> None:
    """Put the box after the chapter's title."""
    if doctree is not None and pagename.startswith("chapters/"):
        title, heading, rest = context["body"].partition("</h1>")
        context["body"] = title + heading + chapter_box(app, pagename) + rest


def setup(app) -> None:
    app.connect("html-page-context", insert_box, priority=800)
