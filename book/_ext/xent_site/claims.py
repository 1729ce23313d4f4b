"""The ledger's entries as pieces of HTML."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from html import escape
from urllib.parse import urlencode

from xent import ledger
from xent.ledger import display
from xent.ledger.verdict import VERDICTS
from xent_site.html import mathematics

ORDER = (*VERDICTS, "unchecked")


@cache
def collected(root) -> list:
    """All claims under a folder, read once per build."""
    return ledger.collect(root)


def entries(env) -> list:
    """The claims of the chapters that the book being built contains."""
    return [e for e in collected(env.srcdir) if f"chapters/{e.part}/{e.slug}" in env.found_docs]


def reported(claim) -> str:
    """What the paper says, as a number where it gave one."""
    return typeset(display.reported_text(claim))


def measured(entry) -> str:
    """What the book measured, in words that fit the kind of claim."""
    return typeset(display.result_text(entry.claim, entry.found))


def typeset(text: str) -> str:
    """Text as HTML, its numbers with a true minus and with powers of ten."""
    text = re.sub(r"(?<!\w)-(?=\d)", "−", escape(text))
    return re.sub(r"(?:\b1|([\d.]+))e([+-]\d+)", _power_of_ten, text)


def _power_of_ten(found: re.Match) -> str:
    mantissa = f"{found[1]}·" if found[1] else ""
    return f"{mantissa}10<sup>{int(found[2])}</sup>".replace("-", "−")


def permalink(entry) -> str:
    """The id of a claim's row on the ledger page."""
    return f"{entry.slug}-{entry.claim.id.replace('.', '-')}"


def says(entry, from_page: str = "..", text: str | None = None) -> str:
    """The claim, or another text for it, linked to the cell that checks it (else its chapter)."""
    link = entry.link if entry.found else entry.link.partition("#")[0]
    return f'<a href="{from_page}/{link}">{mathematics(text or entry.claim.says)}</a>'


def badge(entry) -> str:
    """A verdict as color, shape and words; a claim no cell has checked is shown as such."""
    if entry.verdict == "unchecked":
        return '<span class="verdict verdict-not-tested">○ not run yet</span>'
    return display.badge(entry.claim, entry.verdict)


def counts(found, ledger_page: str = "", words: str = "") -> str:
    """How many claims have which verdict; each count leads to its claims on the ledger page."""
    tally = Counter(entry.verdict for entry in found)
    items = "".join(
        f'<li class="verdict-{name.replace(" ", "-")}">'
        f"{_count(name, tally[name], ledger_page, words)}</li>"
        for name in ORDER
        if tally[name]
    )
    return f'<ul class="tallies" aria-label="Claims by verdict">{items}</ul>'


def _count(name: str, number: int, ledger_page: str, words: str) -> str:
    text = (
        f'<b>{number}</b> <span aria-hidden="true">{display.SYMBOLS.get(name, "○")}</span> {name}'
    )
    if not ledger_page or name == "unchecked":
        return text
    query = urlencode({"verdict": name} | ({"words": words} if words else {}))
    return f'<a href="{ledger_page}?{escape(query)}">{text}</a>'
