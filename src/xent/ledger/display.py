"""How claims and verdicts are shown: plain text for terminals and diffs, HTML for the book."""

from __future__ import annotations

import html
import re

from xent.ledger.contract import Claim
from xent.ledger.verdict import Measurement, decide

SYMBOLS = {
    "proved": "■",
    "reproduced": "✓",
    "holds": "✓",
    "partly": "◐",
    "corrected": "↻",
    "not reproduced": "✗",
    "not tested": "○",
}


def shown_verdict(claim: Claim, verdict: str) -> str:
    """The verdict with its scope, e.g. "reproduced (small scale)"."""
    return f"{verdict} ({claim.scope})" if claim.scope else verdict


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def measured_text(found: Measurement) -> str:
    """The measured number; nbval masks what follows "≈" up to a comma, the rest it compares."""
    if found.by is not None:
        return f"closed by {found.by}"
    if found.interval is None:
        return f"measured ≈ {number(found.measured)}"
    low, high = found.interval
    return f"measured ≈ {number(found.measured)} [{number(low)}; {number(high)}]"


def reported_text(claim: Claim) -> str:
    """What the paper says, for a table: its number where it gave one."""
    if claim.ours:
        return "–"
    if claim.reported is None:
        return "as stated"
    return f"{claim.reported:.3g} {claim.unit or ''}".strip()


def result_text(claim: Claim, found: Measurement | None) -> str:
    """What came out, for a table, in words that fit the kind of claim."""
    if found is None:
        return "–"
    if found.by is not None:
        return f"closed by {found.by}"
    size = f"{abs(found.measured):.3g}"
    if claim.kind == "bound" and found.measured <= 0:
        return f"no violation, slack {size}"
    if claim.kind in ("identity", "bound"):
        what = "differs" if claim.kind == "identity" else "exceeded"
        return f"{what} by {size}, allowed {claim.tolerance:.3g}"
    if found.interval is not None:
        low, high = found.interval
        return f"{found.measured:.3g} [{low:.3g}, {high:.3g}]"
    return f"{found.measured:.3g} {claim.unit or ''}".strip()


def criterion_text(claim: Claim) -> str:
    """What counts as agreement."""
    if claim.proof is not None:
        return f"to be proved by {claim.proof}"
    if claim.kind == "identity":
        return f"allowed difference {claim.tolerance:g}"
    if claim.kind == "bound":
        return f"allowed violation {claim.tolerance:g}"
    if claim.kind == "trend":
        return "allowed: interval above 0"
    if claim.kind == "value":
        unit = f" {claim.unit}" if claim.unit else ""
        return f"claimed {claim.reported:g} ± {claim.tolerance:g}{unit}"
    return "not tested"


def origin_text(claim: Claim) -> str:
    """Where the claim stands: "comp-sum-losses, Theorem 3.1", or "ours"."""
    if claim.ours:
        return "ours"
    return f"{claim.paper}, {claim.where}" if claim.where else claim.paper


def verdict_text(claim: Claim, found: Measurement) -> str:
    """The text/plain output of a check."""
    verdict = decide(claim, found)
    reason = f" ({claim.because})" if claim.because else ""
    return (
        f"{SYMBOLS[verdict]} {shown_verdict(claim, verdict)}: {claim.id} [{origin_text(claim)}]\n"
        f"  {measured_text(found)}, {criterion_text(claim)}{reason}"
    )


def verdict_html(claim: Claim, found: Measurement) -> str:
    """The text/html output of a check; its ``id`` is what the ledger page links to."""
    verdict = decide(claim, found)
    reason = f" ({mathematics(claim.because)})" if claim.because else ""
    return (
        f'<div class="claim tex2jax_process" id="{anchor(claim.id)}">'
        f"{badge(claim, verdict)} "
        f'<span class="claim-id">{html.escape(claim.id)}</span> '
        f'<span class="claim-origin">{html.escape(origin_text(claim))}</span>'
        f'<div class="claim-says">{mathematics(claim.says)}</div>'
        f'<div class="claim-measured">{html.escape(measured_text(found))}, '
        f"{html.escape(criterion_text(claim))}{reason}</div></div>"
    )


def badge(claim: Claim, verdict: str) -> str:
    """A verdict as symbol and words; color is only added by the style sheet."""
    return (
        f'<span class="verdict verdict-{verdict.replace(" ", "-")}">'
        f'<span aria-hidden="true">{SYMBOLS[verdict]}</span> '
        f"{html.escape(shown_verdict(claim, verdict))}</span>"
    )


def anchor(claim_id: str) -> str:
    """The HTML id of a claim's output."""
    return f"claim-{claim_id.replace('.', '-')}"


def mathematics(text: str) -> str:
    r"""Escape text for HTML and turn ``$...$`` into ``\(...\)``, which MathJax sets."""
    return re.sub(r"\$([^$]+)\$", r"\\(\1\\)", html.escape(text, quote=False))


def table_text(claims: list[Claim]) -> str:
    """The contract as plain text, one claim per pair of lines."""
    lines = []
    for claim in claims:
        lines.append(f"{claim.id} [{origin_text(claim)}]: {claim.says}")
        lines.append(f"  {_judged(claim)}")
    return "\n".join(lines)


def table_html(claims: list[Claim]) -> str:
    """The contract as an HTML table: claim, where it stands, what counts as agreement."""
    rows = "".join(
        f'<tr><td class="claim-id">{html.escape(claim.id)}</td>'
        f"<td>{mathematics(claim.says)}</td><td>{html.escape(origin_text(claim))}</td>"
        f"<td>{mathematics(_judged(claim))}</td></tr>"
        for claim in claims
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("id", "claim", "stands in", "judged by")
    )
    return (
        '<div class="claims-table tex2jax_process" tabindex="0" role="region" '
        'aria-label="Claims of this chapter"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _judged(claim: Claim) -> str:
    if claim.untested is not None:
        return f"not tested: {claim.untested}"
    return f"{claim.kind}, {criterion_text(claim)}"
