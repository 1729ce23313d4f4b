"""Train one small network with each member of the comp-sum family on three problems.

Digits and MNIST-1D have ten classes, the third problem a hundred overlapping Gaussian classes.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from xent import records, sources
from xent.ops.comp_sum import comp_sum_loss

TAUS = (0.0, 0.5, 1.0, 1.5, 2.0)
SEEDS = (0, 1, 2, 3, 4)
EPOCHS = {"digits": 25, "mnist1d": 15, "hundred": 16}
WARM_EPOCHS = 4


def hundred(seed: int = 0) -> sources.Split:
    """A hundred Gaussian classes in 20 dimensions, centers N(0, I), noise of deviation 0.9."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(100, 20))
    labels = rng.integers(0, 100, size=8000)
    inputs = centers[labels] + 0.9 * rng.normal(size=(8000, 20))
    return sources.Split(inputs[:4000], labels[:4000], inputs[4000:], labels[4000:])


PROBLEMS = {"digits": sources.digits, "mnist1d": sources.mnist1d, "hundred": hundred}


def accuracy(problem: str, tau: float, seed: int, *, warm: bool = False, epochs=None) -> float:
    """Test accuracy after training; ``warm`` starts with four epochs of cross-entropy."""
    data = PROBLEMS[problem]()
    epochs = EPOCHS[problem] if epochs is None else epochs
    torch.manual_seed(seed)
    x, test_x = (
        torch.tensor(a, dtype=torch.float32) for a in (data.train_inputs, data.test_inputs)
    )
    y, test_y = (torch.tensor(a) for a in (data.train_labels, data.test_labels))
    classes = int(y.max()) + 1
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], 128), torch.nn.ReLU(), torch.nn.Linear(128, classes)
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    steps = epochs * (len(x) // 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(epochs):
        member = 1.0 if warm and epoch < WARM_EPOCHS else tau
        order = torch.randperm(len(x))
        for batch in order[: len(x) // 64 * 64].split(64):
            optimizer.zero_grad()
            comp_sum_loss(net(x[batch]), y[batch], member).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return float((net(test_x).argmax(1) == test_y).double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    values = {
        problem: {str(tau): [accuracy(problem, tau, seed) for seed in SEEDS] for tau in TAUS}
        for problem in PROBLEMS
    }
    values["hundred_warm_mae"] = [accuracy("hundred", 2.0, seed, warm=True) for seed in SEEDS]
    records.save(
        "comp_sum_members",
        values,
        script=__file__,
        measures=("xent.ops.comp_sum", "xent.sources"),
        seeds=SEEDS,
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
