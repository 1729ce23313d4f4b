"""Records: atomic, strict, with provenance, stale when their code changes."""

import json
import sys

import pytest

from xent import records
from xent.records import RecordError

SCRIPT = (
    '"""Doc."""\n\nimport math\n\n\ndef area():\n    """Circle."""\n    return math.pi  # exact\n'
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "area.py").write_text(SCRIPT)
    package = tmp_path / "measured_module.py"
    package.write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("measured_module", None)


def save(project, values, **options):
    script = project / "experiments" / "area.py"
    options = {"commit": "abc123", "measures": ("measured_module",), **options}
    return records.save("area", values, script=script, **options)


def test_round_trip_with_provenance(project):
    path = save(project, {"area": 3.14, "rows": [1, 2]}, seeds=range(3))
    assert path == project.joinpath("results/area.json").relative_to(project)
    record = records.load("area")
    assert record.values == {"area": 3.14, "rows": [1, 2]}
    assert record.provenance["commit"] == "abc123"
    assert record.provenance["seeds"] == [0, 1, 2]
    assert record.provenance["command"].startswith("python -m experiments.area")
    assert set(record.provenance["sources"]) == {"experiments/area.py", "measured_module.py"}
    assert not record.stale and "measured on" in record.origin()


def test_a_record_is_found_from_a_chapter_folder(project, monkeypatch):
    save(project, {"area": 3.14})
    folder = project / "chapters" / "part"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert records.load("area").values["area"] == 3.14


def test_stale_when_code_changes_but_not_when_prose_does(project):
    save(project, {"area": 3.14})
    script = project / "experiments" / "area.py"
    script.write_text(SCRIPT.replace("Circle.", "Area of the circle.").replace("\n\n\n", "\n# x\n"))
    assert not records.load("area").stale
    script.write_text(SCRIPT.replace("math.pi", "3.14"))
    record = records.load("area")
    assert record.changed_sources == ["experiments/area.py"]
    assert "earlier version" in record.origin()


def test_stale_when_a_measured_module_changes_or_vanishes(project):
    save(project, {"area": 3.14})
    (project / "measured_module.py").write_text("VALUE = 2\n")
    assert records.load("area").changed_sources == ["measured_module.py"]
    (project / "measured_module.py").unlink()
    assert records.load("area").stale


def test_a_cut_off_write_leaves_the_previous_record(project, monkeypatch):
    save(project, {"area": 1.0})

    def cut(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(records.os, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        save(project, {"area": 2.0})
    assert records.load("area").values == {"area": 1.0}


@pytest.mark.parametrize("bad", [{"x": float("nan")}, {"x": {1, 2}}, {"x": float("inf")}])
def test_values_must_be_strict_json(project, bad):
    with pytest.raises(RecordError, match="strict JSON"):
        save(project, bad)
    assert records.measured("area") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "no 'values'"),
        ('{"values": {}}', "lacks provenance: command"),
        ('{"values": {}, "provenance": {"command": "x", "date": "y"}}', "commit, device"),
    ],
)
def test_malformed_records_say_what_is_wrong(project, text, message):
    (project / "results").mkdir()
    (project / "results" / "area.json").write_text(text)
    with pytest.raises(RecordError, match=message):
        records.load("area")


def test_what_was_not_measured_is_said(project):
    with pytest.raises(FileNotFoundError, match="not measured yet"):
        records.load("area")


def test_without_git_the_commit_must_be_passed(project):
    with pytest.raises(RecordError, match="--commit"):
        save(project, {"area": 1.0}, commit=None)


def test_the_command_names_a_module_that_python_can_run(project):
    folder = project / "src" / "package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    records.save("area", {}, script=folder / "__init__.py", commit="abc123")
    assert records.load("area").provenance["command"].startswith("python -m package")


def test_unknown_measured_module(project):
    with pytest.raises(RecordError, match="no_such_module"):
        save(project, {"area": 1.0}, measures=("no_such_module",))


def test_record_files_are_small_strict_json(project):
    path = save(project, {"area": 1.0})
    assert json.loads(path.read_text())["name"] == "area"
    assert not list(path.parent.glob(".*partial"))


@pytest.mark.parametrize("name", ["../area", "Area", "a b", "", None])
def test_names_are_lower_case_words(tmp_path, name):
    with pytest.raises(records.RecordError, match="name must be lower-case words"):
        records.save(name, {}, script=__file__, out=tmp_path)


@pytest.mark.parametrize("options", [{"measures": "xent.records"}, {"values": [1]}])
def test_measures_are_modules_and_values_a_dict(tmp_path, options):
    with pytest.raises(records.RecordError, match="measures must be a tuple of modules"):
        records.save("area", **({"values": {}, "script": __file__, "out": tmp_path} | options))


@pytest.mark.parametrize("stored", [b"\xff\xfe", b'{"values": {}, "provenance": 5}'])
def test_what_is_no_record_is_named(tmp_path, stored):
    (tmp_path / "area.json").write_bytes(stored)
    with pytest.raises(records.RecordError, match="record 'area'"):
        records.load("area", folder=tmp_path)
