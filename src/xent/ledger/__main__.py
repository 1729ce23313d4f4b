"""``python -m xent.ledger``: counts per verdict; ``--headline``: also the front page's findings;
``--readme``: write both into ``README.md``."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

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


def renewed(text: str, entries: list[ledger.Entry]) -> str:
    """The README's text with today's table of findings and counts."""
    table, counts = headline_table(entries), count_line(entries)
    text = re.sub(
        r"^\| finding \|.*?(?=\n\n)", lambda _: table, text, flags=re.DOTALL | re.MULTILINE
    )
    return re.sub(r"(?<=count of all verdicts: ).*?(?=\.\n)", lambda _: counts, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headline", action="store_true", help="print the README's findings")
    parser.add_argument("--readme", action="store_true", help="write them into README.md")
    parser.add_argument("--root", default=".", help="the project's folder")
    arguments = parser.parse_args()
    entries = ledger.collect(arguments.root)
    if arguments.headline:
        print(headline_table(entries), end="\n\n")
    if arguments.readme:
        readme = Path(arguments.root) / "README.md"
        readme.write_text(renewed(readme.read_text(encoding="utf-8"), entries), encoding="utf-8")
    print(count_line(entries))


if __name__ == "__main__":
    main()
