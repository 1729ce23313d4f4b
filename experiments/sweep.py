"""Run a function over many settings, in parallel, and pick up after an interruption."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import joblib


def sweep(run, settings: list[dict], folder) -> list[dict]:
    """Return ``run(**setting)`` for each setting, storing each result as soon as it is there.

    Results lie in ``folder``, one JSON file per setting; a setting whose file exists is not run
    again. The backend is joblib's default or what ``joblib.parallel_config`` says.

    Args:
        run: importable function that returns a dict of JSON values.
        settings: keyword arguments of the runs, JSON values.
        folder: made if missing; delete it to begin anew.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{_key(run, setting)}.json" for setting in settings]
    missing = [(s, p) for s, p in zip(settings, paths, strict=True) if not p.exists()]
    joblib.Parallel()(joblib.delayed(_run_and_store)(run, s, str(p)) for s, p in missing)
    return [json.loads(path.read_text()) for path in paths]


def _key(run, setting: dict) -> str:
    text = json.dumps([run.__module__, run.__qualname__, setting], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _run_and_store(run, setting: dict, path: str) -> None:
    result = {**setting, **run(**setting)}
    partial = f"{path}.{os.getpid()}.partial"
    Path(partial).write_text(json.dumps(result, allow_nan=False))
    os.replace(partial, path)
