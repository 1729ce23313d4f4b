"""The verdict: a function of the contract and the measurement, and of nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xent.ledger.contract import Claim, ContractError

VERDICTS = (
    "proved",
    "reproduced",
    "holds",
    "partly",
    "corrected",
    "not reproduced",
    "not tested",
)


@dataclass(frozen=True)
class Measurement:
    """What a cell measured for one claim: a number (with an interval for a trend), or a proof."""

    measured: float | None = None
    interval: tuple[float, float] | None = None
    proved: bool | None = None
    by: str | None = None

    def as_dict(self) -> dict:
        interval = None if self.interval is None else list(self.interval)
        return {
            "measured": self.measured,
            "interval": interval,
            "proved": self.proved,
            "by": self.by,
        }

    @classmethod
    def from_dict(cls, record: dict) -> Measurement:
        interval = record.get("interval")
        return cls(
            measured=record.get("measured"),
            interval=None if interval is None else tuple(interval),
            proved=record.get("proved"),
            by=record.get("by"),
        )


def measure(claim: Claim, measured, interval=None) -> Measurement:
    """Return the checked measurement, or say why it does not fit the claim's kind."""
    if claim.untested is not None:
        raise ContractError(f"[{claim.id}] is declared untested; it cannot be checked")
    if claim.proof is not None:
        raise ContractError(f"[{claim.id}] declares a proof; use prove(), not check()")
    number = _finite(claim, "measured", measured)
    if claim.kind != "trend":
        if interval is not None:
            raise ContractError(f"[{claim.id}] interval: only a trend is judged by an interval")
        return Measurement(number)
    if interval is None:
        raise ContractError(f"[{claim.id}] interval: a trend needs interval=(low, high)")
    low, high = (_finite(claim, "interval", end) for end in interval)
    if not low <= number <= high:
        raise ContractError(f"[{claim.id}] interval: ({low}, {high}) does not contain {number}")
    return Measurement(number, (low, high))


def _finite(claim: Claim, name: str, value) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ContractError(f"[{claim.id}] {name}: must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise ContractError(f"[{claim.id}] {name}: must be finite, got {number}")
    return number


def decide(claim: Claim, found: Measurement) -> str:
    """Return the verdict on a claim, one of ``VERDICTS``; "not reproduced" when nothing holds."""
    if claim.untested is not None:
        return "not tested"
    outcome = _outcome(claim, found)
    if claim.ours and outcome == "reproduced":
        return "holds"
    if outcome in ("partly", "not reproduced") and claim.corrected_by is not None:
        return "corrected"
    return outcome


def _outcome(claim: Claim, found: Measurement) -> str:
    if claim.proof is not None:
        return "proved" if found.proved else "not reproduced"
    if claim.kind in ("identity", "bound"):
        size = abs(found.measured) if claim.kind == "identity" else found.measured
        return "reproduced" if size <= claim.tolerance else "not reproduced"
    if claim.kind == "trend":
        if found.interval[0] > 0:
            return "reproduced"
        return "partly" if found.measured > 0 else "not reproduced"
    if abs(found.measured - claim.reported) <= claim.tolerance:
        return "reproduced"
    if claim.baseline is not None:
        sides = (found.measured - claim.baseline) * (claim.reported - claim.baseline)
        return "partly" if sides > 0 else "not reproduced"
    return "not reproduced"
