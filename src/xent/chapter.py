"""The first cell of every notebook, and the command that executes and stores notebooks.

``rng = chapter.start(seed=0)`` fixes figure style, threads and seeds.
``python -m xent.chapter [NOTEBOOK ...]`` executes notebooks (all of them without arguments), stores
their outputs in normal form, so that two runs differ only where the results do, and audits them.
"""

from __future__ import annotations

import argparse
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

CELL_TIMEOUT = 180
KERNEL_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def start(seed: int = 0) -> np.random.Generator:
    """Set figure style, one thread and all seeds; return the chapter's random generator.

    Args:
        seed: non-negative integer that seeds the returned generator, torch, NumPy's global state
            and ``random`` (the last two because libraries use them).

    Returns:
        The generator.

    Raises:
        ValueError: if ``seed`` is negative or above ``2**32 - 1``, NumPy's range.
        TypeError: if ``seed`` is no integer.
    """
    import torch
    from threadpoolctl import threadpool_limits

    from xent import figures

    figures.use()
    threadpool_limits(1)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    return np.random.default_rng(seed)


def execute(notebook) -> float:
    """Run a notebook from top to bottom in its own folder, store it, return the seconds taken.

    A notebook that fails is not stored: nbclient's error, which shows the cell, is passed on.

    Args:
        notebook: path of an ``.ipynb`` file.

    Returns:
        float, seconds.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    import nbformat
    from nbclient import NotebookClient

    path = Path(notebook)
    node = nbformat.read(path, as_version=4)
    began = time.perf_counter()
    client = NotebookClient(
        node,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    seconds = time.perf_counter() - began
    partial = path.with_suffix(".ipynb.partial")
    nbformat.write(normalized(node), partial)
    partial.replace(path)
    return seconds


def normalized(node):
    """Return the notebook with fixed cell ids and kernel metadata and no trace of one machine."""
    node.metadata.clear()
    node.metadata.update(KERNEL_METADATA)
    node.nbformat, node.nbformat_minor = 4, 5
    for index, cell in enumerate(node.cells):
        cell["id"] = f"cell-{index:03d}"
        cell.metadata = {
            key: value for key, value in cell.metadata.items() if key in ("tags", "mystnb")
        }
        for output in cell.get("outputs", []):
            output.pop("transient", None)
    return node


def main() -> None:
    """Execute, store and audit the notebooks named on the command line."""
    from xent.ledger.stored import audit

    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[2])
    parser.add_argument("notebooks", nargs="*", help="default: all under chapters/")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default 2)")
    arguments = parser.parse_args()
    notebooks = arguments.notebooks or sorted(map(str, Path("chapters").glob("*/*.ipynb")))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for name, seconds in zip(notebooks, pool.map(execute, notebooks), strict=True):
            print(f"{seconds:7.1f} s  {name}", flush=True)
            for problem in audit(name):
                print(f"           {problem}", flush=True)


if __name__ == "__main__":
    main()
