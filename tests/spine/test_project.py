"""The project's own files agree with one another: lock, environments, README, help, names."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from xent import ledger
from xent.ledger.__main__ import count_line, headline_table

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".lock", ".json", ".css", ".js"}


def tracked_texts():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT_SUFFIXES and path.exists()]


def package_name(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def locked():
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    return {package_name(line): line for line in lines}


def test_lock_pins_plain_versions_without_hash_or_index():
    for line in locked().values():
        assert re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[0-9][\w.]*(; .+)?", line), line
    assert "triton==" in LOCK and 'platform_system == "Linux"' in locked()["triton"]


def test_lock_holds_every_declared_dependency():
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *extras["book"], *extras["test"]]
    assert {package_name(requirement) for requirement in declared} <= set(locked())


def test_conda_environment_is_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, pinned = environment["dependencies"]
    assert python.startswith("python>=3.11") and pip == "pip"
    assert pinned == {"pip": ["-r requirements.lock", "-e ."]}
    assert PROJECT["requires-python"] == ">=3.11"


def test_readme_prints_the_ledgers_headline_findings():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    entries = ledger.collect(ROOT)
    renew = "README.md is behind the ledger: python -m xent.ledger --readme"
    assert headline_table(entries) in readme, renew
    assert count_line(entries) in readme, renew


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)[1].split()
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert targets and all(re.search(rf"^\s*{target}\b", shown, re.MULTILINE) for target in targets)


def test_no_absolute_path_and_no_package_index():
    absolute = re.compile(r"(?<![\w.:/~\"'])/(?:home|root|tmp|Users)/\w")
    index = re.compile("index" + "-url|files\\." + "pythonhosted", re.IGNORECASE)
    for path in tracked_texts():
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert not absolute.search(text), path
        assert not index.search(text), path


def test_reference_imports_neither_torch_nor_our_upper_rooms():
    for path in (ROOT / "src" / "xent" / "reference").glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            imported = re.match(r"\s*(?:from|import)\s+([\w.]+)", line)
            if imported:
                first, _, rest = imported[1].partition(".")
                assert first not in ("torch", "triton"), path
                assert first != "xent" or rest.startswith("reference"), (path, line)


def test_paths_named_in_the_readme_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", readme, flags=re.DOTALL)
    named = re.findall(r"`([\w.-]+/|(?:[\w.-]+/)*[\w-]+\.(?:py|md|yml|lock|cff|toml))`", prose)
    named += [link for link in re.findall(r"\]\(([^)#]+)", prose) if "://" not in link]
    assert {"chapters/", "results/", "requirements.lock", "book/_static/readme.png"} <= set(named)
    rooms = (ROOT, ROOT / "src" / "xent")
    missing = [n for n in named if not any((r / n).exists() for r in (*rooms, rooms[1] / "ops"))]
    assert set(missing) <= {"_build/"}


def test_binder_installs_every_runtime_dependency():
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    named = {package_name(line): line for line in (*conda, *pip["pip"])}
    named["torch"] = named["pytorch-cpu"].replace("pytorch-cpu", "torch")
    for requirement in PROJECT["dependencies"]:
        wanted = requirement.partition(";")[0].strip()
        assert named[package_name(requirement)] == wanted
    assert "pip install --no-deps" in (ROOT / "binder" / "postBuild").read_text(encoding="utf-8")


def test_workflow_pins_its_actions_and_asks_for_little():
    text = (ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", use) for use in used)
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["verify"]
    assert workflow["jobs"]["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert re.findall(r"run: (make \w+)", text) == ["make book", "make test"]
