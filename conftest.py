"""Environment for the tests, and the comparison of stored with live claims in notebooks."""

import importlib.util
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import pytest
import torch

matplotlib.use("agg")  # here, not in the environment: the notebooks' kernels draw inline

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
torch.set_num_threads(1)


RUNS_TRITON = r"backend=\"triton"  # as it stands in a stored notebook


def pytest_collection_modifyitems(items):
    """Skip the chapters that run Triton where it cannot be installed."""
    if importlib.util.find_spec("triton") is not None:
        return
    skip = pytest.mark.skip(reason="triton is not installable on this platform")
    for item in items:
        if type(item).__name__ == "IPyNbCell" and RUNS_TRITON in item.path.read_text("utf-8"):
            item.add_marker(skip)


def _records(outputs):
    return [o["metadata"]["xent"] for o in outputs if "xent" in (o.get("metadata") or {})]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """After nbval has compared texts, compare the claims' numbers, whose digits it masks."""
    outcome = yield
    if type(item).__name__ != "IPyNbCell" or outcome.excinfo is not None:
        return
    from xent.ledger.contract import read_contract
    from xent.ledger.stored import moved

    stored, live = _records(item.cell.outputs), _records(item.test_outputs or [])
    if not stored and not live:
        return
    claims = read_contract(item.path.with_suffix(".toml"))
    problems = [f"{len(stored)} stored claims, {len(live)} live"] * (len(stored) != len(live))
    for before, now in zip(stored, live, strict=False):
        if before.get("claim") != now["claim"] or now["claim"] not in claims:
            problems.append(f"stored {before.get('claim')}, live {now['claim']}")
        elif problem := moved(claims[now["claim"]], before, now):
            problems.append(problem)
    if problems:
        outcome.force_exception(AssertionError("; ".join(problems)))
