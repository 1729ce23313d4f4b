"""The verdict rule, the contract's errors, and what is stored in a notebook."""

import math

import numpy as np
import pytest
import sympy

from xent import ledger
from xent.ledger import display
from xent.ledger.__main__ import headline_table, renewed
from xent.ledger.contract import ContractError, read_contract
from xent.ledger.verdict import Measurement

CONTRACT = """
[sides-agree]
paper = "some-paper"
where = "Equation (2)"
says = "both sides of $a = b$ agree"
kind = "identity"
source = "paper"
tolerance = 1e-9
because = "float64"

[never-exceeded]
paper = "some-paper"
says = "the bound holds"
kind = "bound"
source = "paper"
tolerance = 1e-9
because = "float64"

[exponent]
paper = "some-paper"
says = "the exponent"
kind = "value"
source = "paper"
reported = 0.5
tolerance = 0.05
because = "two standard errors"
baseline = 0.0
unit = "nats"
headline = true
finding = "The exponent is | 0.5"

[grows]
paper = "some-paper"
says = "it grows"
kind = "trend"
source = "abstract"
scope = "small scale"

[too-big]
paper = "some-paper"
says = "1.5 on a large model"
source = "abstract"
untested = "needs a large model"

[wrong-constant]
paper = "some-paper"
says = "the constant is 1"
kind = "identity"
source = "paper"
tolerance = 0.0
because = "exact"
corrected_by = "ours.constant"

[ours.constant]
says = "the constant is 2"
kind = "identity"
proof = "sympy"

[ours.number]
says = "the number is small"
kind = "bound"
tolerance = 0.1
because = "declared"
"""


@pytest.fixture
def claims(tmp_path, monkeypatch):
    (tmp_path / "demo.toml").write_text(CONTRACT)
    monkeypatch.chdir(tmp_path)
    return ledger.load("demo")


@pytest.mark.parametrize(
    ("claim", "measured", "interval", "verdict"),
    [
        ("sides-agree", 1e-10, None, "reproduced"),
        ("sides-agree", -2e-9, None, "not reproduced"),
        ("never-exceeded", -5.0, None, "reproduced"),
        ("never-exceeded", 0.1, None, "not reproduced"),
        ("exponent", 0.54, None, "reproduced"),
        ("exponent", 0.2, None, "partly"),
        ("exponent", -0.2, None, "not reproduced"),
        ("grows", 0.3, (0.1, 0.5), "reproduced"),
        ("grows", 0.3, (-0.1, 0.5), "partly"),
        ("grows", -0.3, (-0.5, 0.1), "not reproduced"),
        ("wrong-constant", 1.0, None, "corrected"),
        ("wrong-constant", 0.0, None, "reproduced"),
        ("ours.number", 0.05, None, "holds"),
    ],
)
def test_verdict_is_a_function_of_contract_and_measurement(
    claims, capsys, claim, measured, interval, verdict
):
    assert claims.check(claim, measured=measured, interval=interval) == verdict
    assert verdict in capsys.readouterr().out


def test_numpy_and_sympy_numbers_are_measurements(claims):
    assert claims.check("exponent", measured=np.float32(0.5)) == "reproduced"
    assert claims.check("exponent", measured=sympy.Rational(1, 2)) == "reproduced"


@pytest.mark.parametrize("truth", [True, np.bool_(True), sympy.true])
def test_a_proof_is_a_computed_truth(claims, truth):
    assert claims.prove("ours.constant", truth, by="sympy") == "proved"


def test_a_result_of_ours_that_fails_is_an_error(claims):
    with pytest.raises(AssertionError, match="ours.number"):
        claims.check("ours.number", measured=0.2)
    with pytest.raises(AssertionError, match="ours.constant"):
        claims.prove("ours.constant", False, by="sympy")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.check("unknown", measured=1), ContractError, "no claim 'unknown'"),
        (lambda c: c.check("too-big", measured=1), ContractError, "declared untested"),
        (lambda c: c.check("grows", measured=1), ContractError, "needs interval"),
        (lambda c: c.check("grows", measured=1, interval=(2, 3)), ContractError, "contain"),
        (lambda c: c.check("exponent", 0.5, interval=(0, 1)), ContractError, "only a trend"),
        (lambda c: c.check("exponent", measured=math.nan), ContractError, "finite"),
        (lambda c: c.check("exponent", measured="x"), ContractError, "number"),
        (lambda c: c.check("ours.constant", measured=0), ContractError, "prove"),
        (lambda c: c.prove("exponent", True, by="sympy"), ContractError, "proof"),
        (lambda c: c.prove("ours.constant", True, by="interval"), ContractError, "interval"),
        (lambda c: c.prove("ours.constant", 1.0, by="sympy"), TypeError, "truth value"),
        (lambda c: c.table("some"), ValueError, "which"),
        (lambda c: ledger.load("absent"), FileNotFoundError, "absent.toml"),
    ],
)
def test_wrong_use_says_what_is_wrong(claims, call, error, message):
    with pytest.raises(error, match=message):
        call(claims)


BAD_ENTRIES = {
    "says": 'paper = "p"\nsource = "paper"\nkind = "trend"',
    "paper": 'says = "x"\nsource = "paper"\nkind = "trend"',
    "source": 'says = "x"\npaper = "p"\nkind = "trend"\nsource = "memory"',
    "kind": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "guess"',
    "tolerance": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "bound"\nbecause = "y"',
    "because": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "bound"\ntolerance = 1.0',
    "reported": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "value"\n'
    'tolerance = 1.0\nbecause = "y"',
    "untested": 'says = "x"\npaper = "p"\nsource = "paper"\nuntested = ""',
    "colour": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "trend"\ncolour = "red"',
    "corrected_by": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "trend"\n'
    'corrected_by = "ours.none"',
    "proof": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "bound"\nproof = "luck"',
    "finding": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "trend"\nheadline = true',
    "headline": 'says = "x"\npaper = "p"\nsource = "paper"\nkind = "trend"\nheadline = 1',
}


@pytest.mark.parametrize("field", BAD_ENTRIES)
def test_contract_errors_name_file_claim_and_field(tmp_path, field):
    path = tmp_path / "broken.toml"
    path.write_text(f"[some-claim]\n{BAD_ENTRIES[field]}\n")
    with pytest.raises(ContractError, match=rf"broken\.toml: \[some-claim\] {field}"):
        read_contract(path)


def test_a_result_of_ours_has_no_paper_and_is_never_untested(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text('[ours.x]\nsays = "y"\nkind = "trend"\nuntested = "no time"\n')
    with pytest.raises(ContractError, match=r"\[ours\.x\] untested"):
        read_contract(path)


def test_the_table_shows_what_is_claimed_before_it_is_measured(claims):
    text = repr(claims.table())
    assert "some-paper, Equation (2)" in text and "not tested: needs a large model" in text
    assert "ours.number" not in text and "ours.number" in repr(claims.table("ours"))
    assert r"\(a = b\)" in claims.table()._repr_html_()


def test_shown_texts_carry_scope_anchor_and_escape(claims):
    claim = claims.claims["grows"]
    found = Measurement(0.3, (0.1, 0.5))
    assert "reproduced (small scale)" in display.verdict_text(claim, found)
    assert 'id="claim-grows"' in display.verdict_html(claim, found)
    assert display.mathematics("a < b & $x<y$") == r"a &lt; b &amp; \(x&lt;y\)"


def test_collect_and_headline_of_a_book_without_notebook(tmp_path):
    folder = tmp_path / "chapters" / "demo-part"
    folder.mkdir(parents=True)
    (folder / "demo.toml").write_text(CONTRACT)
    entries = {entry.claim.id: entry for entry in ledger.collect(tmp_path)}
    assert entries["too-big"].verdict == "not tested"
    assert entries["exponent"].verdict == "unchecked"
    assert entries["ours.number"].link == "chapters/demo-part/demo.html#claim-ours-number"
    assert r"The exponent is \| 0.5" in headline_table(list(entries.values()))
    assert "| 0.5 nats | – | unchecked |" in headline_table(list(entries.values()))


def test_the_readme_is_renewed_in_place(tmp_path):
    folder = tmp_path / "chapters" / "demo-part"
    folder.mkdir(parents=True)
    (folder / "demo.toml").write_text(CONTRACT)
    old = (
        "Before.\n\n| finding | old |\n|---|\n| x |\n\nThe count of all verdicts: 1 new.\nAfter.\n"
    )
    new = renewed(old, ledger.collect(tmp_path))
    assert new.startswith("Before.\n\n| finding | paper says |") and new.endswith(".\nAfter.\n")
    assert "unchecked |\n\nThe count of all verdicts: " in new
    assert "1 not tested" in new and "old" not in new


def test_entries_come_in_the_order_of_the_book(tmp_path):
    for name in ("b-part/first", "a-part/second", "a-part/absent", "b-part/third"):
        path = tmp_path / "chapters" / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONTRACT)
    book = ("b-part/first", "b-part/third", "a-part/second")
    (tmp_path / "_toc.yml").write_text("".join(f"- file: chapters/{name}\n" for name in book))
    found = dict.fromkeys(entry.slug for entry in ledger.collect(tmp_path))
    assert list(found) == ["first", "third", "second", "absent"]


@pytest.mark.parametrize(
    ("claim", "found", "text"),
    [
        ("sides-agree", Measurement(-2e-10), "differs by 2e-10, allowed 1e-09"),
        ("never-exceeded", Measurement(-0.25), "no violation, slack 0.25"),
        ("never-exceeded", Measurement(1e-10), "exceeded by 1e-10, allowed 1e-09"),
        ("never-exceeded", Measurement(0.5), "exceeded by 0.5, allowed 1e-09"),
        ("exponent", Measurement(0.4936), "0.494 nats"),
        ("grows", Measurement(0.3, (-0.1, 0.5)), "0.3 [-0.1, 0.5]"),
        ("ours.constant", Measurement(proved=True, by="sympy"), "closed by sympy"),
        ("too-big", None, "–"),
    ],
)
def test_a_table_says_what_came_out_in_words_of_the_kind(claims, claim, found, text):
    assert display.result_text(claims.claims[claim], found) == text
