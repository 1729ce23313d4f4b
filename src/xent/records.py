"""Recorded results: the numbers of a long or GPU run together with where they came from.

A record is ``results/<name>.json`` with ``values`` and ``provenance``. It is *stale* when the
script that made it, or a module it measures, has changed since.
"""

from __future__ import annotations

import ast
import datetime
import hashlib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "triton")


class RecordError(ValueError):
    """A record is malformed or lacks its provenance; the message says which and what."""


@dataclass(frozen=True)
class Record:
    """A loaded record."""

    name: str
    values: dict
    provenance: dict
    root: Path

    @property
    def changed_sources(self) -> list[str]:
        """Sources that no longer have the code that made this record."""
        return [
            name
            for name, stored in self.provenance["sources"].items()
            if not (self.root / name).exists() or source_hash(self.root / name) != stored
        ]

    @property
    def stale(self) -> bool:
        """Whether the code has changed since the run."""
        return bool(self.changed_sources)

    @property
    def on_gpu(self) -> bool:
        """Whether the run used a GPU."""
        return self.provenance["device"]["kind"] == "cuda"

    def origin(self) -> str:
        """Device and date, and a warning if the code has changed since: stands beside numbers."""
        when, device = self.provenance["date"], self.provenance["device"]["name"]
        earlier = " with an earlier version of the code" if self.stale else ""
        return f"measured on {device}, {when}{earlier}"


def save(name: str, values: dict, *, script, measures=(), seeds=(), out="results", commit=None):
    """Write ``<out>/<name>.json`` atomically and return its path.

    Args:
        name: lower-case words joined by dashes or underscores.
        values: JSON numbers, texts, lists and dicts; no NaN or infinity.
        script: the ``__file__`` of the running experiment.
        measures: modules whose code the numbers depend on, e.g. ("xent.reference.ghosts",).
        seeds: the seeds used.
        out: folder, made if missing.
        commit: commit id where there is no git; otherwise read from git.

    Raises:
        RecordError: if the name or a module is no such thing, or the values cannot be stored as
            strict JSON.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", name):
        raise RecordError(f"name must be lower-case words joined by - or _, got {name!r}")
    if isinstance(measures, str) or not isinstance(values, dict):
        raise RecordError("measures must be a tuple of modules, values a dict")
    root = project_root(Path(script).parent)
    paths = [Path(script).resolve(), *map(_module_path, measures)]
    record = {
        "name": name,
        "provenance": {
            "command": " ".join(["python -m " + _module_name(script, root), *sys.argv[1:]]),
            "commit": commit or _git_commit(root),
            "date": datetime.date.today().isoformat(),
            "device": device(),
            "python": platform.python_version(),
            "packages": _versions(),
            "seeds": list(seeds),
            "sources": {p.relative_to(root).as_posix(): source_hash(p) for p in paths},
        },
        "values": values,
    }
    try:
        text = json.dumps(record, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RecordError(f"record {name!r}: values are not strict JSON: {error}") from None
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.json.partial"
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, folder / f"{name}.json")
    return folder / f"{name}.json"


def load(name: str, *, folder=None) -> Record:
    """Return the record ``results/<name>.json``, found from the working directory upward.

    Raises:
        FileNotFoundError: if there is no such record.
        RecordError: if it is malformed or without provenance.
    """
    path = Path(folder) / f"{name}.json" if folder else _find(name)
    if path is None or not path.exists():
        raise FileNotFoundError(f"no record {name!r}: not measured yet")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"record {name!r} is not valid JSON: {error}") from None
    if not isinstance(stored, dict) or not isinstance(stored.get("values"), dict):
        raise RecordError(f"record {name!r} has no 'values'")
    provenance = stored.get("provenance")
    needed = ("command", "commit", "date", "device", "packages", "sources")
    missing = [key for key in needed if not isinstance(provenance, dict) or key not in provenance]
    if missing:
        raise RecordError(f"record {name!r} lacks provenance: {', '.join(missing)}")
    return Record(name, stored["values"], provenance, project_root(path.parent))


def measured(name: str, *, folder=None) -> Record | None:
    """Return the record, or None where nothing was measured yet."""
    try:
        return load(name, folder=folder)
    except FileNotFoundError:
        return None


def source_hash(path) -> str:
    """SHA-256 of a Python file's code: comments, docstrings and blank lines do not count."""
    text = Path(path).read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node, clean=False
        ):
            first = node.body[0]
            lines[first.lineno - 1 : first.end_lineno] = [""] * (
                first.end_lineno - first.lineno + 1
            )
    code = [line.rstrip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()


def file_hash(path) -> str:
    """SHA-256 of a file's bytes, for data that is named but not stored."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def device() -> dict:
    """The device a run has used: the GPU if torch sees one, else the processor."""
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        return {"kind": "cuda", "name": name, "driver": f"CUDA {torch.version.cuda}"}
    cores = os.cpu_count() or math.nan
    return {"kind": "cpu", "name": f"{platform.machine()} CPU, {cores} cores", "driver": ""}


def project_root(start) -> Path:
    """The nearest folder at or above ``start`` that holds ``pyproject.toml``."""
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").exists():
            return folder
    return start


def _find(name: str) -> Path | None:
    for folder in (Path.cwd(), *Path.cwd().parents):
        path = folder / "results" / f"{name}.json"
        if path.exists():
            return path
    return None


def _module_path(module: str) -> Path:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise RecordError(f"measures names {module!r}, which is no importable module")
    return Path(spec.origin).resolve()


def _module_name(script, root: Path) -> str:
    parts = Path(script).resolve().relative_to(root).with_suffix("").parts
    parts = parts[parts[0] == "src" :]
    return ".".join(parts[:-1] if parts[-1] in ("__init__", "__main__") else parts)


def _git_commit(root: Path) -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True
    )
    if found.returncode:
        raise RecordError("no git here: pass the commit of the code with --commit")
    return found.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
