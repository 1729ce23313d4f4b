"""``python -m xent.ledger``: counts per verdict; ``--headline``: also the README's findings."""

from __future__ import annotations

import argparse
from collections import Counter

from xent import ledger
from xent.ledger import display
from xent.ledger.verdict import VERDICTS


def headline_table(entries: list[ledger.Entry]) -> str:
    """The headline findings as a Markdown table, one row per entry with ``headline = true``."""
    lines = ["| finding | paper says | we measured | verdict |", "|---|---|---|---|"]
    for entry in entries:
        claim = entry.claim
        if claim.headline:
            link = entry.link.replace(".html", ".ipynb").partition("#")[0]
            finding = claim.finding.replace("|", r"\|")
            result = display.result_text(claim, entry.found)
            verdict = display.shown_verdict(claim, entry.verdict)
            lines.append(
                f"| [{finding}]({link}) | {display.reported_text(claim)} | {result} | {verdict} |"
            )
    return "\n".join(lines)


def count_line(entries: list[ledger.Entry]) -> str:
    """How many claims have each verdict, in one line."""
    counts = Counter(entry.verdict for entry in entries)
    return ", ".join(f"{counts[v]} {v}" for v in (*VERDICTS, "unchecked") if counts[v])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headline", action="store_true", help="print the README's findings")
    parser.add_argument("--root", default=".", help="the project's folder")
    arguments = parser.parse_args()
    entries = ledger.collect(arguments.root)
    if arguments.headline:
        print(headline_table(entries), end="\n\n")
    print(count_line(entries))


if __name__ == "__main__":
    main()
