"""A stored notebook that was falsified, on a scratch copy, is red: by the audit or by nbval."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from xent import chapter
from xent.ledger.stored import audit

ROOT = Path(__file__).parents[2]
CONTRACT = """
[circle]
paper = "some-paper"
says = "the area of the unit circle"
kind = "value"
source = "paper"
reported = 3.1416
tolerance = 0.01
because = "declared"

[smaller]
paper = "some-paper"
says = "the square is larger"
kind = "trend"
source = "paper"
"""
CELLS = [
    "from xent import ledger\nclaims = ledger.load('scratch')\nclaims.table()",
    "import math\nclaims.check('circle', measured=math.pi)",
    "claims.check('smaller', measured=0.8584, interval=(0.8, 0.9))",
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A small book with one chapter, executed once."""
    root = tmp_path_factory.mktemp("book")
    folder = root / "chapters" / "part"
    folder.mkdir(parents=True)
    (root / "tests").mkdir()
    shutil.copy(ROOT / "conftest.py", root)
    shutil.copy(ROOT / "tests" / "nbval.cfg", root / "tests")
    (folder / "scratch.toml").write_text(CONTRACT)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    nbformat.write(notebook, folder / "scratch.ipynb")
    chapter.execute(folder / "scratch.ipynb")
    return root


@pytest.fixture
def book(stored, tmp_path):
    """A scratch copy of the stored book, to be falsified."""
    return shutil.copytree(stored, tmp_path / "book")


def edit(book, change):
    path = book / "chapters" / "part" / "scratch.ipynb"
    notebook = nbformat.read(path, as_version=4)
    change(notebook.cells)
    nbformat.write(notebook, path)


def edit_text(book, old, new):
    """Replace in the shown text, plain and HTML, of the cell that checks the circle."""

    def change(cells):
        data = cells[1].outputs[0]["data"]
        for key in data:
            assert old in data[key]
            data[key] = data[key].replace(old, new)

    edit(book, change)


def edit_record(book, **fields):
    edit(book, lambda cells: cells[1].outputs[0]["metadata"]["xent"].update(fields))


def audited(book):
    return audit(book / "chapters" / "part" / "scratch.ipynb")


def nbval(book):
    """Return (passed, output) of pytest --nbval on the scratch book."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "chapters",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--nbval-current-env", "--nbval-sanitize-with=tests/nbval.cfg"]
    run = subprocess.run(
        command, cwd=book, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    return run.returncode == 0, run.stdout


def test_an_honest_notebook_is_green(book):
    assert audited(book) == []
    passed, output = nbval(book)
    assert passed, output


def test_digits_that_another_processor_moves_are_green(book):
    edit_text(book, "3.142", "3.1416")
    edit_record(book, measured=3.14160)
    passed, output = nbval(book)
    assert passed, output


def test_number_falsified_in_the_shown_text(book):
    edit_text(book, "3.142", "3.139")
    assert any("shown text" in problem for problem in audited(book))


def test_verdict_falsified_in_the_shown_text(book):
    edit_text(book, "reproduced", "proved")
    assert any("shown text" in problem for problem in audited(book))
    assert not nbval(book)[0]


def test_number_falsified_in_the_stored_record(book):
    edit_record(book, measured=3.139)
    assert any("shown text" in problem for problem in audited(book))


def test_verdict_falsified_in_the_stored_record(book):
    edit_record(book, verdict="proved")
    assert any("stored verdict" in problem for problem in audited(book))


def test_number_falsified_in_text_and_record(book):
    edit_text(book, "3.142", "3.139")
    edit_record(book, measured=3.139)
    assert audited(book) == []
    passed, output = nbval(book)
    assert not passed and re.search(r"measured stored 3\.139, now 3\.14159", output)


def test_verdict_falsified_in_text_and_record(book):
    edit_text(book, "reproduced", "proved")
    edit_record(book, verdict="proved")
    assert any("contract gives 'reproduced'" in problem for problem in audited(book))


def test_tolerance_changed_in_the_contract(book):
    contract = book / "chapters" / "part" / "scratch.toml"
    contract.write_text(CONTRACT.replace("tolerance = 0.01", "tolerance = 0.5"))
    assert any("shown text" in problem for problem in audited(book))
    assert not nbval(book)[0]


def test_outputs_stripped(book):
    def strip(cells):
        for cell in cells:
            cell.outputs = []

    edit(book, strip)
    assert any("stores no output" in problem for problem in audited(book))
    assert any("neither checked" in problem for problem in audited(book))


def test_outputs_and_counts_stripped(book):
    def strip(cells):
        for cell in cells:
            cell.outputs, cell.execution_count = [], None

    edit(book, strip)
    assert any("execution counts" in problem for problem in audited(book))


def test_claim_checked_by_two_cells(book):
    def repeat(cells):
        cells.append(json.loads(json.dumps(cells[1])))
        cells[-1] = nbformat.from_dict({**cells[-1], "id": "again", "execution_count": 4})

    edit(book, repeat)
    assert any("is checked by cells 1 and 3" in problem for problem in audited(book))


def test_claim_that_no_cell_checks(book):
    with open(book / "chapters" / "part" / "scratch.toml", "a") as contract:
        contract.write(CONTRACT.replace("[circle]", "[forgotten]").partition("[smaller]")[0])
    assert any("[forgotten] is neither checked" in problem for problem in audited(book))


def test_absolute_paths_and_long_cells_are_found(book):
    def spoil(cells):
        cells[0].source += "\n# /home/" + "someone/data"
        cells[1].source += "\n" * 25 + "pass"

    edit(book, spoil)
    problems = audited(book)
    assert any("absolute path" in problem for problem in problems)
    assert any("lines of code" in problem for problem in problems)
