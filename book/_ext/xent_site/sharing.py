"""What a page says about itself to search engines, citation managers and shared links.

Title, description, citation data and, once the site has an address, the social card.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from html import escape, unescape
from pathlib import Path

from xent_site import cards, claims, plain
from xent_site.chapters import PARTS

BOOK = cards.BOOK
AUTHOR = f"{BOOK} contributors"
LICENSE = "https://creativecommons.org/licenses/by/4.0/"
FRONT = "Papers on cross-entropy, derived and recomputed claim by claim"
WRITTEN = re.compile(r'<meta content="([^"]*)" name="description"')
DESCRIPTION = '<meta name="description" content="{}">\n'


def page_title(env, pagename: str) -> str:
    """The title of a page without its number, formulas as text."""
    return FRONT if pagename == env.config.root_doc else plain.text_of(env.titles[pagename])


def numbered(env, pagename: str, title: str) -> str:
    """A title after the number that the contents give it."""
    number = env.toc_secnumbers.get(pagename, {}).get("")
    return f"{'.'.join(map(str, number))}. {title}" if number else title


def description(context, doctree, title: str) -> str:
    """The description in the page's source, or else its first sentences."""
    written = WRITTEN.search(context["metatags"])
    if written:
        return unescape(written[1])
    return plain.summary(doctree) or f"{title}: a page of {BOOK}."


def part_of(env, pagename: str) -> tuple[str, Counter]:
    """The line above the title on a page's card, and the verdicts of its claims."""
    found = claims.entries(env)
    names = pagename.split("/")
    if pagename == env.config.root_doc or names[-1] == "ledger":
        return BOOK, Counter(e.verdict for e in found)
    part = names[1] if names[0] == "chapters" else names[-1]
    if part not in PARTS:
        return "Reference", Counter()
    of_part = [e for e in found if e.part == part]
    if names[0] == "chapters":
        of_part = [e for e in of_part if e.slug == names[-1]]
    label = f"Part {list(PARTS).index(part) + 1}"
    return (
        f"{label} · {PARTS[part]}" if names[0] == "chapters" else label,
        Counter(e.verdict for e in of_part),
    )


def card_tags(app, pagename: str, title: str, about: str) -> dict[str, str]:
    """Draw the card of a page; the fields that ``sphinxext.opengraph`` makes tags of."""
    if pagename.startswith("book/api/modules/"):
        pagename, title = "book/api/index", f"{title}: the library"
        part, verdicts = "The library xent", Counter()
    else:
        part, verdicts = part_of(app.env, pagename)
    name = f"_cards/{pagename.replace('/', '-')}.png"
    path = Path(app.outdir, name)
    if not path.exists() or "modules" not in pagename:
        cards.write_card(path, title, part, verdicts, about)
    counted = ", ".join(f"{verdicts[name]} {name}" for name in cards.COLORS if verdicts[name])
    return {
        "og:title": title,
        "og:description": about,
        "og:type": "article" if pagename.startswith("chapters/") else "website",
        "og:image": f"{app.config.html_baseurl}{name}",
        "og:image:width": str(cards.SIZE[0]),
        "og:image:height": str(cards.SIZE[1]),
        "og:image:alt": f"{part}: {title}. {counted}".strip(),
    }


def citation(title: str, about: str, pagename: str, base: str, year: str, front: bool) -> str:
    """Citation metadata of a page: Highwire tags and JSON-LD."""
    tags = {
        "citation_title": BOOK if front else title,
        "citation_author": AUTHOR,
        "citation_publication_date": year,
        "citation_language": "en",
    }
    data = {
        "@context": "https://schema.org",
        "@type": "Chapter" if pagename.startswith("chapters/") else "WebPage",
        "name": title,
        "description": about,
        "author": {"@type": "Organization", "name": AUTHOR},
        "datePublished": year,
        "license": LICENSE,
        "inLanguage": "en",
        "isPartOf": {"@type": "Book", "name": BOOK},
    }
    if front:
        data.update({"@type": "Book", "name": BOOK, "alternativeHeadline": title})
        del data["isPartOf"]
    else:
        tags["citation_inbook_title"] = BOOK
    if base:
        tags["citation_public_url"] = data["url"] = f"{base}{pagename}.html"
    meta = "".join(
        f'<meta name="{name}" content="{escape(content)}">\n' for name, content in tags.items()
    )
    linked = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return f'{meta}<script type="application/ld+json">{linked}</script>'


def describe(app, pagename, templatename, context, doctree) -> None:
    """Give a page of the book its title, description, card and citation data."""
    if doctree is None:
        return
    base, front = app.config.html_baseurl, pagename == app.config.root_doc
    title = page_title(app.env, pagename)
    about = description(context, doctree, title)
    context["title"] = escape(numbered(app.env, pagename, title))
    if not WRITTEN.search(context["metatags"]):
        context["metatags"] += DESCRIPTION.format(escape(about))
    fields = card_tags(app, pagename, title, about) if base else {"ogp_disable": ""}
    context["meta"] = {**(context["meta"] or {}), **fields}
    context["citation_meta"] = citation(title, about, pagename, base, app.config.copyright, front)


def setup(app) -> None:
    app.connect("html-page-context", describe, priority=400)
