"""The verdicts of a chapter where its reader is: in its contents, and linked to the ledger."""

from __future__ import annotations

import re
from html import escape

from xent_site import claims

CLAIM = re.compile(r'<div class="claim [^"]*" id="(claim-[^"]+)">')
MEASURED = re.compile(r'(<div class="claim-measured">)(.*?)(</div></div>)', re.DOTALL)
PLACE = re.compile(r'<section id="([^"]+)">\s*(?:<span id="[^"]*"></span>)*<h2>|id="(claim-[^"]+)"')
ENTRY = r'(<a class="[^"]*nav-link[^"]*" href="#{}">.*?</a>)'


def by_anchor(app, pagename: str) -> dict:
    """The claims that a chapter checks, by the id of their boxes."""
    return {
        entry.link.partition("#")[2]: entry
        for entry in claims.entries(app.env)
        if entry.found and pagename == f"chapters/{entry.part}/{entry.slug}"
    }


def by_section(body: str, found: dict) -> dict[str, list]:
    """The claims below each section's heading."""
    places: dict[str, list] = {}
    section = None
    for match in PLACE.finditer(body):
        if match[1]:
            section = match[1]
        elif section and match[2] in found:
            places.setdefault(section, []).append(found[match[2]])
    return places


def marks(entries) -> str:
    """One small link per verdict."""
    links = []
    for entry in entries:
        symbol = claims.display.SYMBOLS[entry.verdict]
        name = escape(f"{entry.verdict}: {entry.claim.id}")
        links.append(
            f'<a class="verdict-{entry.verdict.replace(" ", "-")}" title="{name}" '
            f'href="#{entry.link.partition("#")[2]}"><span aria-hidden="true">{symbol}</span>'
            f'<span class="visually-hidden">{name}</span></a>'
        )
    return f'<span class="toc-marks">{"".join(links)}</span>'


def linked(body: str, found: dict, root: str) -> str:
    """The boxes of claims, with true minus signs and a link to the row in the ledger."""

    def row(match: re.Match) -> str:
        entry = found.get(match[1])
        if entry is None:
            return match[0]
        return (
            f'{match[0]}<a class="claim-row" href="{root}book/ledger.html#'
            f'{claims.permalink(entry)}" aria-label="{escape(entry.claim.id)} in the ledger">'
            "ledger</a>"
        )

    def numbers(match: re.Match) -> str:
        pieces = re.split(r"(\\\(.*?\\\)|<[^>]*>|&\w+;)", match[2])
        typeset = (p if p[:1] in ("\\", "<", "&") else claims.typeset(p) for p in pieces)
        return match[1] + "".join(typeset) + match[3]

    return MEASURED.sub(numbers, CLAIM.sub(row, body))


def show(app, pagename, templatename, context, doctree) -> None:
    """Put the verdicts of a chapter into its contents and its boxes."""
    if doctree is None or not pagename.startswith("chapters/"):
        return
    found = by_anchor(app, pagename)
    sections = by_section(context["body"], found)
    context["body"] = linked(context["body"], found, "../../")
    contents = context["generate_toc_html"]

    def marked(*arguments, **options):
        text = str(contents(*arguments, **options))
        for section, entries in sections.items():
            text = re.sub(
                ENTRY.format(re.escape(section)),
                lambda match, entries=entries: match[1] + marks(entries),
                text,
                count=1,
                flags=re.DOTALL,
            )
        return text

    context["generate_toc_html"] = marked


def setup(app) -> None:
    app.connect("html-page-context", show, priority=850)
