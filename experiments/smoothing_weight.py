"""How large a weight of the smooth adversarial loss can be trained: constant, and grown slowly.

The losses, networks and attacks are those of ``adversarial_tradeoff``; only the weight changes. A
constant weight acts from the first step, a grown one rises over the first half of training.
"""

from __future__ import annotations

import argparse

import torch

from experiments.adversarial_tradeoff import evaluate, train
from xent import records

SEEDS = (0, 1, 2, 3, 4)
CONSTANT = (0.1, 0.2, 0.5, 0.7, 1.0, 3.0)
GROWN = (0.5, 1.0, 2.0, 3.0)
METHODS = {"constant": ("constant-nu", CONSTANT), "grown": ("smooth", GROWN)}


def accuracies(schedule: str, nu: float, seed: int) -> dict[str, float]:
    """Clean and robust test accuracy of one network."""
    found = evaluate(train(METHODS[schedule][0], nu, seed), seed)
    return {"clean": found["clean"], "robust": found["robust"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    values = {
        f"{schedule}-{nu}": [accuracies(schedule, nu, seed) for seed in SEEDS]
        for schedule, (_, weights) in METHODS.items()
        for nu in weights
    }
    records.save(
        "smoothing_weight",
        values,
        script=__file__,
        measures=("experiments.adversarial_tradeoff", "xent.ops.comp_sum", "xent.sources"),
        seeds=SEEDS,
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
