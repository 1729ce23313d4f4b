"""The site as a whole: pages made anew in every build, its address, sitemap and citation data.

``repository.url`` in ``_config.yml`` is the one setting: from it follow the address on GitHub
Pages, the canonical links, the sitemap and the social cards. While it is empty they are absent.
"""

from __future__ import annotations

import json
from html import escape
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
AUTHOR = "The Cross-Entropy Book contributors"
LICENSE = "https://creativecommons.org/licenses/by/4.0/"


def generated_pages(app, env, added, changed, removed) -> list[str]:
    """Pages made from contracts, notebooks and records are written anew in every build."""
    return [
        name for name in env.found_docs if any(Path(name).match(pattern) for pattern in GENERATED)
    ]


def pages_address(repository: str) -> str:
    """The address on GitHub Pages of a repository's site, or nothing."""
    owner, _, name = repository.removeprefix("https://github.com/").strip("/").partition("/")
    return f"https://{owner}.github.io/{name}/" if name and ":" not in owner else ""


def set_address(app, config) -> None:
    """Derive the site's address before the extensions that need it read it."""
    repository = config.html_theme_options.get("repository_url") or ""
    config.html_baseurl = config.html_baseurl or pages_address(repository)
    config.ogp_site_url = config.html_baseurl
    config.ogp_social_cards = {"enable": bool(config.html_baseurl), "line_color": "#7a2e1d"}


def citation(title: str, pagename: str, base: str, year: str) -> str:
    """Citation metadata of a page: Highwire tags and JSON-LD."""
    tags = {
        "citation_title": title,
        "citation_author": AUTHOR,
        "citation_publication_date": year,
        "citation_inbook_title": "The Cross-Entropy Book",
        "citation_language": "en",
    }
    data = {
        "@context": "https://schema.org",
        "@type": "Chapter" if pagename.startswith("chapters/") else "WebPage",
        "name": title,
        "author": {"@type": "Organization", "name": AUTHOR},
        "datePublished": year,
        "license": LICENSE,
        "inLanguage": "en",
        "isPartOf": {"@type": "Book", "name": "The Cross-Entropy Book"},
    }
    if base:
        tags["citation_public_url"] = data["url"] = f"{base}{pagename}.html"
    meta = "".join(
        f'<meta name="{name}" content="{escape(content)}">\n' for name, content in tags.items()
    )
    linked = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return f'{meta}<script type="application/ld+json">{linked}</script>'


def add_citation(app, pagename, templatename, context, doctree) -> None:
    """Give every page of the book its citation metadata."""
    if doctree is not None:
        title = app.env.titles[pagename].astext()
        context["citation_meta"] = citation(
            title, pagename, app.config.html_baseurl, app.config.copyright
        )


def sitemap(base: str, names) -> str:
    """The sitemap of pages below an address."""
    urls = "".join(f"<url><loc>{escape(base)}{name}.html</loc></url>\n" for name in sorted(names))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )


def write_sitemap(app, exception) -> None:
    """Write ``sitemap.xml`` and ``robots.txt`` for a site that has an address."""
    base = app.config.html_baseurl
    if exception is not None or app.builder.format != "html" or not base:
        return
    folder = Path(app.outdir)
    (folder / "sitemap.xml").write_text(sitemap(base, app.env.found_docs), encoding="utf-8")
    (folder / "robots.txt").write_text(f"User-agent: *\nSitemap: {base}sitemap.xml\n", "utf-8")


def setup(app) -> None:
    app.connect("config-inited", set_address, priority=400)
    app.connect("env-get-outdated", generated_pages)
    app.connect("html-page-context", add_citation)
    app.connect("build-finished", write_sitemap)
