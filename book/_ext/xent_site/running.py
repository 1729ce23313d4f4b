"""Below a chapter's title: the verdicts, the notebook to download, and how to run and check it."""

from __future__ import annotations

from html import escape

from xent_site import claims


def hosted_links(repository: str, branch: str, notebook: str) -> str:
    """Links to Binder and Colab; none while the repository's address is not set."""
    place = repository.removeprefix("https://github.com/").strip("/")
    if not place or "://" in place:
        return ""
    binder = f"https://mybinder.org/v2/gh/{place}/{branch}?urlpath=lab/tree/{notebook}"
    colab = f"https://colab.research.google.com/github/{place}/blob/{branch}/{notebook}"
    return f'<a href="{escape(binder)}">Binder</a><a href="{escape(colab)}">Colab</a>'


def chapter_box(app, pagename: str) -> str:
    """The box of the chapter ``chapters/<part>/<slug>``."""
    notebook = f"{pagename}.ipynb"
    options = app.config.html_theme_options
    found = [e for e in claims.entries(app.env) if pagename == f"chapters/{e.part}/{e.slug}"]
    hosted = hosted_links(
        options.get("repository_url") or "", options.get("repository_branch") or "main", notebook
    )
    return (
        '<div class="chapter-box" role="region" aria-label="This chapter">'
        f"{claims.counts(found) if found else ''}"
        f'<a href="../../_sources/{notebook}" download>Download the notebook</a>{hosted}'
        "<details><summary>Run and check it</summary>"
        "<p>In a copy of the repository, after <code>make book</code> has made the environment. "
        "The chapter takes less than a minute on one CPU thread and downloads nothing.</p>"
        f"<pre>.venv/bin/python -m xent.chapter {notebook}      # run, store\n"
        f".venv/bin/python -m pytest --nbval {notebook}    # run, compare with what is stored"
        "</pre></details></div>"
    )


def insert_box(app, pagename, templatename, context, doctree) -> None:
    """Put the box after the chapter's title."""
    if doctree is not None and pagename.startswith("chapters/"):
        title, heading, rest = context["body"].partition("</h1>")
        context["body"] = title + heading + chapter_box(app, pagename) + rest


def setup(app) -> None:
    app.connect("html-page-context", insert_box, priority=800)
