"""Does a hot training (small batches) help or hurt a network that is pruned afterwards?

An MLP sees 40 000 digits with SGD and momentum in batches of 16 or 256. The smallest weights of all
matrices together are set to zero, and the test accuracy is recorded at six densities.
"""

from __future__ import annotations

import argparse
import copy

import torch
import torch.nn.functional as F
from joblib import Parallel, delayed

from experiments.ghosts_transition import accuracy, data
from xent import models, records

DENSITIES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)
BATCHES = (16, 256)


def train(model, problem, batch: int, samples: int):
    """Train in place with SGD on random batches and return the model."""
    x, y, _, _ = problem
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(samples // batch):
        pick = torch.randint(0, len(x), (batch,))
        sgd.zero_grad()
        F.cross_entropy(model(x[pick]), y[pick]).backward()
        sgd.step()
    return model


def pruned_accuracy(model, problem, density: float) -> float:
    """Test accuracy with only the largest weights kept."""
    kept = copy.deepcopy(model)
    tables = [p for p in kept.parameters() if p.ndim == 2]
    threshold = torch.quantile(torch.cat([p.abs().flatten() for p in tables]), 1 - density)
    with torch.no_grad():
        for p in tables:
            p.mul_(p.abs() >= threshold)
        return accuracy(kept(problem[2]), problem[3])


def run(batch: int, seed: int) -> dict:
    """Accuracy at every density for one batch size and seed."""
    torch.manual_seed(seed)
    problem = data(0)
    model = train(models.digit_classifier("mlp"), problem, batch, 40_000)
    found = [pruned_accuracy(model, problem, density) for density in DENSITIES]
    return {"batch": batch, "seed": seed, "accuracy": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(10, 16)
    rows = Parallel()(delayed(run)(batch, seed) for batch in BATCHES for seed in seeds)
    records.save(
        "pruning_temperature",
        {"densities": list(DENSITIES), "rows": rows},
        script=__file__,
        measures=("experiments.ghosts_transition",),
        seeds=list(seeds),
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
