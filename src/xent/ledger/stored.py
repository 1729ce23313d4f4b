"""Stored notebooks: the records in them, and the audit that keeps them honest without running."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from xent.ledger import display
from xent.ledger.contract import Claim, ContractError, read_contract
from xent.ledger.verdict import Measurement, decide

MAX_CELL_LINES = 20
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|usr|var|opt)/[\w.\-]+")


def stored_records(notebook) -> list[tuple[int, dict, dict]]:
    """Return (cell index, output, record) of every stored check; [] if there is no notebook."""
    if not Path(notebook).exists():
        return []
    cells = nbformat.read(notebook, as_version=4).cells
    return [
        (index, output, output["metadata"]["xent"])
        for index, cell in enumerate(cells)
        for output in cell.get("outputs", [])
        if "xent" in output.get("metadata", {})
    ]


def audit(notebook) -> list[str]:
    """Return what is wrong with a stored chapter: its outputs, its claims, its figures.

    Nothing is executed. An empty list means: executed once from top to bottom, every claim
    checked by exactly one cell, and every shown verdict what contract and record give.
    """
    notebook = Path(notebook)
    cells = nbformat.read(notebook, as_version=4).cells
    problems = _audit_cells(cells)
    contract = notebook.with_suffix(".toml")
    if not contract.exists():
        return [*problems, f"no contract {contract.name} beside the notebook"]
    try:
        claims = read_contract(contract)
    except ContractError as error:
        return [*problems, str(error)]
    return problems + _audit_claims(claims, stored_records(notebook), notebook.stem)


def _audit_cells(cells) -> list[str]:
    code = [(i, cell) for i, cell in enumerate(cells) if cell.cell_type == "code"]
    problems = []
    counts = [cell.execution_count for _, cell in code]
    if counts != list(range(1, len(counts) + 1)):
        problems.append(f"execution counts are not 1..{len(counts)}: not one fresh run")
    for index, cell in code:
        problems += [f"cell {index}: {problem}" for problem in _audit_code_cell(cell)]
    for index, cell in enumerate(cells):
        if ABSOLUTE_PATH.search(str(cell.source) + str(cell.get("outputs", ""))):
            problems.append(f"cell {index}: contains an absolute path")
    return problems


def _audit_code_cell(cell) -> list[str]:
    problems = []
    lines = cell.source.count("\n") + 1
    if lines > MAX_CELL_LINES:
        problems.append(f"{lines} lines of code; at most {MAX_CELL_LINES}")
    if any(output.output_type == "error" for output in cell.outputs):
        problems.append("stores an error")
    images = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if images and len(alt) < 20:
        problems.append("a figure without alt text that says what it shows")
    if "plt.show()" in cell.source and not images:
        problems.append("plt.show() but no stored figure")
    checks = len(re.findall(r"\bclaims\.(?:check|prove|table)\(", cell.source))
    shown = sum("text/html" in output.get("data", {}) for output in cell.outputs)
    if checks and not shown:
        problems.append("checks a claim but stores no output")
    return problems


def _audit_claims(claims: dict[str, Claim], stored, slug: str) -> list[str]:
    problems = []
    checked: dict[str, int] = {}
    for index, output, record in stored:
        claim = claims.get(record.get("claim"))
        if claim is None or record.get("chapter") != slug:
            problems.append(f"cell {index}: stores a record of unknown claim {record.get('claim')}")
            continue
        if claim.id in checked:
            problems.append(f"[{claim.id}] is checked by cells {checked[claim.id]} and {index}")
        checked[claim.id] = index
        problems += [f"[{claim.id}] {problem}" for problem in _audit_record(claim, output, record)]
    for claim in claims.values():
        if claim.untested is None and claim.id not in checked:
            problems.append(f"[{claim.id}] is neither checked by a cell nor declared untested")
    return problems


def _audit_record(claim: Claim, output, record: dict) -> list[str]:
    if claim.untested is not None:
        return ["is declared untested but a cell checks it"]
    found = Measurement.from_dict(record)
    try:
        verdict = decide(claim, found)
        text, html = display.verdict_text(claim, found), display.verdict_html(claim, found)
    except (TypeError, AttributeError):
        return ["its stored record does not fit the contract; execute the notebook again"]
    problems = []
    if record.get("verdict") != verdict:
        problems.append(f"stored verdict {record.get('verdict')!r}, contract gives {verdict!r}")
    if claim.ours and verdict not in ("holds", "proved"):
        problems.append("a result of ours that does not hold")
    if output["data"].get("text/plain") != text or output["data"].get("text/html") != html:
        problems.append("the shown text is not what contract and record give")
    return problems


def moved(claim: Claim, stored: dict, live: dict) -> str | None:
    """Return how a live record differs from the stored one beyond ``repeat``, or None."""
    if stored.get("verdict") != live.get("verdict"):
        return f"[{claim.id}] stored {stored.get('verdict')!r}, now {live.get('verdict')!r}"
    if claim.proof is not None:
        return None
    allowed = claim.repeat_tolerance(live.get("interval"))
    pairs = [("measured", stored["measured"], live["measured"])]
    if claim.kind == "trend":
        pairs += zip(("low", "high"), stored["interval"], live["interval"], strict=True)
    for name, before, now in pairs:
        if abs(before - now) > allowed:
            return f"[{claim.id}] {name} stored {before:.6g}, now {now:.6g}, allowed ±{allowed:g}"
    return None
