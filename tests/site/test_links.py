"""Links inside the site lead somewhere; read from the built files, without a browser."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).parents[2] / "_build" / "html"


class Links(HTMLParser):
    """The ids and the addresses of a page."""

    def __init__(self):
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.update(filter(None, (values.get("id"), values.get("name"))))
        for key in ("href", "src"):
            if values.get(key):
                self.addresses.append(values[key])


@cache
def links_of(path: Path) -> Links:
    parser = Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def problem(page: Path, address: str) -> str | None:
    """Why a link on a page leads nowhere, or None."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return "no such file"
    fragment = unquote(parts.fragment)
    if fragment and target.suffix == ".html" and fragment not in links_of(target).ids:
        return "no such place on the page"
    return None


def pages(site: Path) -> list[Path]:
    """The built pages; the theme leaves templates among its files."""
    return sorted(p for p in site.rglob("*.html") if "_static" not in p.parts)


def test_internal_links_resolve(site):
    broken = [
        f"{page.relative_to(site)}: {address}: {found}"
        for page in pages(site)
        for address in dict.fromkeys(links_of(page).addresses)
        if (found := problem(page, address))
    ]
    assert not broken, "\n".join(broken[:40])


def test_works_from_any_folder(site):
    absolute = [
        f"{page.relative_to(site)}: {address}"
        for page in pages(site)
        for address in links_of(page).addresses
        if address.startswith("/")
    ]
    assert not absolute, "\n".join(absolute[:20])
