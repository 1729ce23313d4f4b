"""The ledger: contracts of claims, checks against them, and the verdicts of the whole book.

A chapter's contract ``<slug>.toml`` states each claim and what will count as agreement. In the
notebook, ``check`` and ``prove`` measure and show the verdict; the full record goes into the
metadata of the cell's output, from which ``collect`` reads the ledger page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from xent.ledger import display
from xent.ledger.contract import Claim, ContractError, read_contract
from xent.ledger.stored import stored_records
from xent.ledger.verdict import Measurement, decide, measure

__all__ = ["Chapter", "Claim", "ContractError", "Entry", "Verdict", "collect", "load"]


class Verdict(str):
    """The verdict as a string that a notebook does not show a second time."""

    def _ipython_display_(self):
        pass


class Table:
    """The contract of a chapter, as a notebook shows it."""

    def __init__(self, claims: list[Claim]):
        self.claims = claims

    def __repr__(self) -> str:
        return display.table_text(self.claims)

    def _repr_html_(self) -> str:
        return display.table_html(self.claims)


class Chapter:
    """The claims of one chapter; made by ``load``."""

    def __init__(self, slug: str, claims: dict[str, Claim]):
        self.slug = slug
        self.claims = claims

    def table(self, which: str = "papers") -> Table:
        """Show the claims of the papers (``"papers"``), of ours (``"ours"``) or ``"all"``."""
        if which not in ("papers", "ours", "all"):
            raise ValueError(f"which must be 'papers', 'ours' or 'all', got {which!r}")
        return Table([c for c in self.claims.values() if which in ("all", _owner(c))])

    def check(self, claim_id: str, measured, *, interval=None) -> Verdict:
        """Judge a measurement against the contract, show the verdict and return it.

        Args:
            claim_id: id of the claim; results of ours start with "ours.".
            measured: worst difference (identity), worst violation (bound), the number (value),
                or the effect, positive in the claimed direction (trend).
            interval: (low, high) around the effect; needed for a trend, forbidden otherwise.

        Raises:
            ContractError: if the claim is unknown, untested or of another kind.
            AssertionError: if a result of ours does not hold.
        """
        claim = self._claim(claim_id)
        return self._show(claim, measure(claim, measured, interval))

    def prove(self, claim_id: str, statement, *, by: str) -> Verdict:
        """Record that the machine itself closed the claim: ``statement`` is the computed truth.

        Args:
            claim_id: id of a claim whose contract declares ``proof``.
            statement: bool (NumPy's and SymPy's included) that the machine computed.
            by: "sympy", "interval" or "exhaustion", as the contract declares.

        Raises:
            ContractError: if the contract declares no proof, or another kind of proof.
            TypeError: if the statement is not a truth value.
            AssertionError: if a result of ours does not hold.
        """
        claim = self._claim(claim_id)
        if claim.proof != by:
            raise ContractError(f"[{claim.id}] proof: contract says {claim.proof!r}, not {by!r}")
        if type(statement).__name__ not in ("bool", "bool_", "BooleanTrue", "BooleanFalse"):
            raise TypeError(f"statement must be a truth value, got {type(statement).__name__}")
        return self._show(claim, Measurement(proved=bool(statement), by=by))

    def _claim(self, claim_id: str) -> Claim:
        if claim_id not in self.claims:
            known = ", ".join(self.claims)
            raise ContractError(f"{self.slug}.toml has no claim {claim_id!r}; it has {known}")
        return self.claims[claim_id]

    def _show(self, claim: Claim, found: Measurement) -> Verdict:
        verdict = decide(claim, found)
        text = display.verdict_text(claim, found)
        if claim.ours and verdict not in ("holds", "proved"):
            raise AssertionError(f"a result of ours fails:\n{text}")
        record = {"chapter": self.slug, "claim": claim.id, **found.as_dict(), "verdict": verdict}
        _publish(text, display.verdict_html(claim, found), record)
        return Verdict(verdict)


def _owner(claim: Claim) -> str:
    return "ours" if claim.ours else "papers"


def _publish(text: str, html: str, record: dict) -> None:
    from IPython import get_ipython
    from IPython.display import display as show

    if get_ipython() is None:
        print(text)
    else:
        show({"text/plain": text, "text/html": html}, raw=True, metadata={"xent": record})


def load(slug: str) -> Chapter:
    """Return the contract ``<slug>.toml`` of the working directory, the notebook's own folder."""
    path = Path(f"{slug}.toml")
    if not path.exists():
        raise FileNotFoundError(
            f"no contract {path} in the working directory; run the notebook in its own folder"
        )
    return Chapter(slug, read_contract(path))


@dataclass(frozen=True)
class Entry:
    """One row of the ledger: the claim, where it is checked and what came out."""

    part: str
    slug: str
    claim: Claim
    found: Measurement | None
    verdict: str

    @property
    def link(self) -> str:
        """Address of the claim's cell, relative to the book's root."""
        return f"chapters/{self.part}/{self.slug}.html#{display.anchor(self.claim.id)}"


def collect(root=".") -> list[Entry]:
    """Return every claim of every chapter under ``root`` with its stored verdict, in book order.

    A chapter that the table of contents ``_toc.yml`` does not name comes after those it names.
    The verdict is computed again from the contract and the stored measurement. A claim that no
    stored cell has checked has the verdict "unchecked"; ``python -m pytest`` fails on it.
    """
    entries = []
    for contract in _in_book_order(Path(root)):
        found = {
            record["claim"]: Measurement.from_dict(record)
            for _, _, record in stored_records(contract.with_suffix(".ipynb"))
        }
        for claim in read_contract(contract).values():
            entries.append(
                Entry(
                    part=contract.parent.name,
                    slug=contract.stem,
                    claim=claim,
                    found=found.get(claim.id),
                    verdict=_stored_verdict(claim, found.get(claim.id)),
                )
            )
    return entries


def _in_book_order(root: Path) -> list[Path]:
    contents = root / "_toc.yml"
    text = contents.read_text(encoding="utf-8") if contents.exists() else ""
    places = {name: k for k, name in enumerate(re.findall(r"file: (chapters/\S+)", text))}

    def place(contract):
        name = contract.relative_to(root).with_suffix("").as_posix()
        return places.get(name, len(places)), name

    return sorted(root.glob("chapters/*/*.toml"), key=place)


def _stored_verdict(claim: Claim, found: Measurement | None) -> str:
    if found is None and claim.untested is None:
        return "unchecked"
    return decide(claim, found)
