"""The stored book as it stands: every notebook audited, listed, cited; every record fresh."""

import csv
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from xent import ledger, records
from xent.chapter import normalized
from xent.ledger.contract import read_contract
from xent.ledger.stored import audit

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("chapters/*/*.ipynb"))
CONTRACTS = sorted(ROOT.glob("chapters/*/*.toml"))
RECORDS = sorted(ROOT.glob("results/*.json"))
PARTS = "foundations surrogates geometry stability scaling policies inference information".split()


def name(path):
    return path.stem


def bibliography():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    return set(re.findall(r"^@\w+\{([^,]+),", text, flags=re.MULTILINE))


def papers():
    with open(ROOT / "book" / "papers.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_notebook_passes_the_audit(notebook):
    assert audit(notebook) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_notebook_is_stored_in_normal_form(notebook):
    stored = nbformat.read(notebook, as_version=4)
    assert json.dumps(normalized(nbformat.read(notebook, as_version=4))) == json.dumps(stored)


def test_every_contract_has_a_notebook_and_both_are_in_a_part():
    assert [c.with_suffix(".ipynb") for c in CONTRACTS] == NOTEBOOKS
    assert {n.parent.name for n in NOTEBOOKS} <= set(PARTS)


def test_table_of_contents_lists_every_notebook():
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"chapters/[\w/-]+", text))
    assert yaml.safe_load(text)["format"] == "jb-book"
    expected = {n.relative_to(ROOT).with_suffix("").as_posix() for n in NOTEBOOKS}
    assert listed == expected


@pytest.mark.parametrize("contract", CONTRACTS, ids=name)
def test_papers_are_cited_by_a_known_key(contract):
    keys = bibliography()
    unknown = {c.paper for c in read_contract(contract).values() if not c.ours} - keys
    assert not unknown, f"no entry in book/references.bib for {sorted(unknown)}"


@pytest.mark.parametrize("contract", CONTRACTS, ids=name)
def test_every_chapter_has_a_result_of_ours(contract):
    assert any(claim.ours for claim in read_contract(contract).values())


def test_papers_are_unique_complete_and_in_the_bibliography():
    slugs = [paper["slug"] for paper in papers()]
    assert len(slugs) == len(set(slugs)) == 212
    assert set(slugs) <= bibliography()
    assert {paper["part"] for paper in papers()} == set(PARTS)


def test_headline_findings_fit_one_screen():
    assert sum(entry.claim.headline for entry in ledger.collect(ROOT)) <= 12


@pytest.mark.parametrize("path", RECORDS, ids=name)
def test_record_is_readable_and_cpu_records_are_fresh(path):
    record = records.load(path.stem, folder=path.parent)
    if record.on_gpu and record.stale:
        pytest.skip(f"GPU record made by earlier code: {', '.join(record.changed_sources)}")
    assert not record.stale, f"run again: {record.provenance['command']}"
