"""``python -m xent.parity``: the table of twins, run on this machine."""

from __future__ import annotations

import argparse
import sys

import torch

from xent import parity


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare every op with its float64 reference.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", help="also write the record parity_<device>.json to this folder")
    parser.add_argument("--only", default="", help="twins whose name contains this")
    parser.add_argument("--commit", help="commit id for the record, where there is no git")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = parity.run(arguments.device, only=arguments.only)
    print(parity.table(results))
    if arguments.out:
        print("recorded in", parity.record(results, arguments.out, commit=arguments.commit))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
