"""Contracts: what a chapter's papers claim and how each claim will be judged, before measuring."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

KINDS = ("identity", "bound", "value", "trend")
SOURCES = ("paper", "code", "abstract")
PROOFS = ("sympy", "interval", "exhaustion")
IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class ContractError(ValueError):
    """A contract, or a measurement made under it, breaks the rules; the message says where."""


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, or one result of ours (``ours`` is true, the id starts with "ours.").

    ``tolerance`` is absolute: on the worst difference of an identity, the worst violation of a
    bound, the distance of a value from ``reported``. ``repeat`` is how far a re-run on another
    machine may move the measured number. ``finding`` says for the front page, in a sentence and
    with its number, what came out of a claim with ``headline = true``.
    """

    id: str
    says: str
    ours: bool = False
    paper: str | None = None
    where: str | None = None
    source: str | None = None
    kind: str | None = None
    reported: float | None = None
    unit: str | None = None
    tolerance: float | None = None
    because: str | None = None
    baseline: float | None = None
    repeat: float | None = None
    scope: str | None = None
    proof: str | None = None
    corrected_by: str | None = None
    untested: str | None = None
    headline: bool = False
    finding: str | None = None

    def repeat_tolerance(self, interval=None) -> float:
        """How far a live measurement may lie from the stored one."""
        if self.repeat is not None:
            return self.repeat
        if self.kind == "trend":
            return 0.1 * (interval[1] - interval[0])
        return self.tolerance / 10 if self.kind == "value" else self.tolerance


NUMBERS = ("reported", "tolerance", "baseline", "repeat")
TEXTS = ("says", "paper", "where", "source", "kind", "unit", "because")
TEXTS += ("scope", "proof", "corrected_by", "untested", "finding")
FIELDS = {field.name for field in fields(Claim)} - {"id", "ours"}


def read_contract(path) -> dict[str, Claim]:
    """Return the claims of a contract file by id; results of ours carry ids "ours.<name>".

    Raises:
        ContractError: naming the file, the claim and the field that breaks a rule.
        FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ContractError(f"{path.name}: not valid TOML: {error}") from None
    ours = tables.pop("ours", {})
    named = {**tables, **{f"ours.{name}": table for name, table in ours.items()}}
    claims = {name: _claim(path.name, name, table) for name, table in named.items()}
    for claim in claims.values():
        if claim.corrected_by is not None and claim.corrected_by not in claims:
            _fail(path.name, claim.id, "corrected_by", f"no entry {claim.corrected_by!r} here")
    return claims


def _fail(file: str, claim: str, field: str, problem: str):
    raise ContractError(f"{file}: [{claim}] {field}: {problem}")


def _claim(file: str, name: str, table) -> Claim:
    def fail(field: str, problem: str):
        _fail(file, name, field, problem)

    if not isinstance(table, dict):
        fail("entry", "must be a table [claim-id] with fields")
    if not IDENTIFIER.fullmatch(name.removeprefix("ours.")):
        fail("id", "must be lower-case words joined by dashes")
    for field, value in table.items():
        if field not in FIELDS:
            fail(field, f"unknown field; allowed are {', '.join(sorted(FIELDS))}")
        if field in NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
            fail(field, f"must be a number, got {value!r}")
        if field in TEXTS and not (isinstance(value, str) and value.strip()):
            fail(field, f"must be a non-empty text, got {value!r}")
        if field == "headline" and not isinstance(value, bool):
            fail(field, f"must be true or false, got {value!r}")
    claim = Claim(id=name, ours=name.startswith("ours."), **_defaults(table))
    _check_rules(claim, fail)
    return claim


def _defaults(table: dict) -> dict:
    return {"says": "", **table}


def _check_rules(claim: Claim, fail) -> None:
    if not claim.says:
        fail("says", "missing; one sentence that states the claim")
    if claim.ours:
        for field in ("paper", "source", "corrected_by", "untested"):
            if getattr(claim, field) is not None:
                fail(field, "has no place in a result of ours")
    else:
        if claim.paper is None:
            fail("paper", "missing; the slug of the paper")
        if claim.source not in SOURCES:
            fail("source", f"must be one of {SOURCES}, got {claim.source!r}")
    if claim.headline != (claim.finding is not None):
        fail("finding", "a headline needs its finding, and only a headline has one")
    if claim.kind is not None and claim.kind not in KINDS:
        fail("kind", f"must be one of {KINDS}, got {claim.kind!r}")
    if claim.untested is not None:
        return
    if claim.kind is None:
        fail("kind", f"missing; one of {KINDS}, or give untested = a reason")
    if claim.proof is not None:
        if claim.proof not in PROOFS:
            fail("proof", f"must be one of {PROOFS}, got {claim.proof!r}")
        return
    if claim.kind == "trend":
        if claim.tolerance is not None:
            fail("tolerance", "a trend is judged by its interval, not by a tolerance")
        return
    if claim.tolerance is None or claim.tolerance < 0:
        fail("tolerance", "missing or negative; declare what will count as agreement")
    if claim.because is None:
        fail("because", "missing; say why this tolerance")
    if claim.kind == "value" and claim.reported is None:
        fail("reported", "missing; a value needs the number it is compared with")
    if claim.baseline is not None and claim.kind != "value":
        fail("baseline", "only a value has a baseline")
