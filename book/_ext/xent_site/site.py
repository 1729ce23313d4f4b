"""The site as a whole: pages made anew in every build, its address, its first page, its source.

``repository.url`` in ``_config.yml`` is the one setting: from it follow the address on GitHub
Pages, the canonical links, the sitemap and the social cards. While it is empty they are absent.
"""

from __future__ import annotations

import os
import re
import zipfile
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
SAID = re.compile(
    r"<title>.*?</title>|<meta (?:property|name=.(?:description|twitter|citation))[^>]*>"
    r"|<meta [^>]*name=.description[^>]*>|<link rel=.canonical[^>]*>",
    re.DOTALL,
)
SOURCE = "_downloads/cross-entropy-book.zip"
SHOWN = (".ci", ".github", ".gitignore")
NOT_SOURCE = re.compile(r"(^|/)(__pycache__|\.ipynb_checkpoints|[^/]*\.egg-info)/|\.(pyc|partial)$")
NO_DATE = (1980, 1, 1, 0, 0, 0)


def generated_pages(app, env, added, changed, removed) -> list[str]:
    """Pages made from contracts, notebooks and records are written anew in every build."""
    return [
        name for name in env.found_docs if any(Path(name).match(pattern) for pattern in GENERATED)
    ]


def repository_place(repository: str) -> str:
    """``owner/name`` of a repository on GitHub, or nothing."""
    place = repository.strip().removeprefix("https://github.com/").strip("/").removesuffix(".git")
    return place if re.fullmatch(r"[\w.-]+/[\w.-]+", place) else ""


def pages_address(repository: str) -> str:
    """The address on GitHub Pages of a repository's site, or nothing."""
    owner, _, name = repository_place(repository).partition("/")
    if not name:
        return ""
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def set_address(app, config) -> None:
    """Derive the site's address before the extensions that need it read it."""
    repository = config.html_theme_options.get("repository_url") or ""
    base = config.html_baseurl or pages_address(repository)
    config.html_baseurl = config.ogp_site_url = base and f"{base.rstrip('/')}/"
    config.ogp_social_cards = {"enable": False}  # ours are drawn in sharing.py
    if base:
        config.ogp_custom_meta_tags = ['<meta name="twitter:card" content="summary_large_image">']


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


def write_first_page(app, exception) -> None:
    """Let ``index.html`` lead to the first page and say, to whom it is shown, what that is."""
    if exception is not None or app.builder.format != "html":
        return
    first = app.config.root_doc
    head = Path(app.outdir, f"{first}.html").read_text("utf-8").partition("</head>")[0]
    said = "\n".join(SAID.findall(head))
    Path(app.outdir, "index.html").write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n{said}\n'
        f'<meta http-equiv="refresh" content="0; url={first}.html"></head>\n'
        f'<body><p><a href="{first}.html">{escape(app.config.html_title)}</a></p></body></html>\n',
        "utf-8",
    )


def source_files(root: Path) -> list[Path]:
    """The project's own files: everything but what is hidden, built or cached."""
    hidden = {name for name in os.listdir(root) if name.startswith(".")} - set(SHOWN)
    return sorted(
        path
        for name in set(os.listdir(root)) - hidden - {"_build"}
        for path in ([root / name] if (root / name).is_file() else (root / name).rglob("*"))
        if path.is_file() and not NOT_SOURCE.search(path.relative_to(root).as_posix())
    )


def write_source(app, exception) -> None:
    """Pack the project, so that a copy of the site is enough to run and check the book."""
    if exception is not None or app.builder.format != "html":
        return
    root, path = Path(app.srcdir), Path(app.outdir, SOURCE)
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in source_files(root):
            entry = zipfile.ZipInfo(f"{path.stem}/{file.relative_to(root).as_posix()}", NO_DATE)
            entry.external_attr = (0o755 if os.access(file, os.X_OK) else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


def setup(app) -> None:
    app.connect("config-inited", set_address, priority=400)
    app.connect("env-get-outdated", generated_pages)
    app.connect("build-finished", write_sitemap)
    app.connect("build-finished", write_source)
    app.connect("build-finished", write_first_page, priority=900)
