"""A gated recurrent unit with a softmax head and with a squared-hinge head, on synthetic sequences.

Each sequence holds 21 symbols out of 10 from one of two Markov chains, the label; some 6 % of the
labels are wrong. The released code of the GRU-SVM paper trains its hinge head with Adam at 1e-5 and
its softmax head at 1e-6. What matters to Adam is rate times steps, 0.37 and 0.037 after five epochs
there: the rates here are those that reach the same totals in fewer steps.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from xent import records

SEEDS = tuple(range(10))
STEPS, BATCH, LENGTH, SYMBOLS, HIDDEN = 200, 64, 21, 10, 32
RATE = 0.37 / STEPS
ARMS = {"hinge": ("hinge", RATE), "softmax": ("softmax", RATE), "slow": ("softmax", RATE / 10)}


def sequences(rng: np.random.Generator, size: int, wrong: float):
    """One-hot sequences of two chains that differ in every row, and labels, some of them wrong."""
    chains = np.random.default_rng(5).dirichlet(np.full(SYMBOLS, 1.0), size=(2, SYMBOLS))
    labels = rng.integers(0, 2, size)
    steps = [rng.integers(0, SYMBOLS, size)]
    cumulated = chains.cumsum(-1)
    for _ in range(LENGTH - 1):
        rows = cumulated[labels, steps[-1]]
        steps.append((rng.random((size, 1)) > rows).sum(1).clip(max=SYMBOLS - 1))
    inputs = np.eye(SYMBOLS, dtype=np.float32)[np.stack(steps, 1)]
    seen = np.where(rng.random(size) < wrong, 1 - labels, labels)
    return torch.tensor(inputs), torch.tensor(seen), torch.tensor(labels)


def hinge(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Squared hinge of one score per class against plus and minus one, summed, times C = 1/2."""
    signs = 2 * torch.nn.functional.one_hot(labels, 2) - 1
    return 0.5 * (1 - signs * scores).clamp_min(0).square().sum()


def accuracy(arm: str, seed: int) -> float:
    """Accuracy on 2000 fresh sequences with true labels."""
    head, rate = ARMS[arm]
    rng = np.random.default_rng([3, seed])
    torch.manual_seed(seed)
    cell = torch.nn.GRU(SYMBOLS, HIDDEN, batch_first=True)
    out = torch.nn.Linear(HIDDEN, 2)
    optimizer = torch.optim.Adam([*cell.parameters(), *out.parameters()], lr=rate)
    for _ in range(STEPS):
        inputs, labels, _ = sequences(rng, BATCH, 0.06)
        scores = out(cell(inputs)[0][:, -1])
        if head == "hinge":
            loss = 0.5 * out.weight.square().sum() + hinge(scores, labels)
        else:
            loss = torch.nn.functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    inputs, _, labels = sequences(rng, 2000, 0.0)
    with torch.no_grad():
        return float((out(cell(inputs)[0][:, -1]).argmax(1) == labels).double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    records.save(
        "gru_heads",
        {arm: [accuracy(arm, seed) for seed in SEEDS] for arm in ARMS},
        script=__file__,
        seeds=SEEDS,
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
