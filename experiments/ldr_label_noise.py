"""Train small networks on digits with noisy labels: cross-entropy against LDR and adaptive LDR.

Uniform noise replaces a label by any other class; asymmetric noise by the next class. All seeds of
a setting are trained side by side as one batched network.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from xent import records, sources
from xent.ops.ldr import aldr_kl_loss, ldr_kl_loss, optimal_temperature

SEEDS = tuple(range(6))
NOISES = (
    "clean",
    "uniform 0.2",
    "uniform 0.4",
    "uniform 0.6",
    "next 0.15",
    "next 0.3",
    "next 0.45",
)
LOSSES = {
    "cross-entropy": lambda z, y: ldr_kl_loss(z, y, 1.0, reduction="none"),
    "hinge": lambda z, y: ldr_kl_loss(z, y, 0.0, 1.0, reduction="none"),
    "fixed 10": lambda z, y: ldr_kl_loss(z, y, 10.0, reduction="none"),
    "adaptive 10": lambda z, y: aldr_kl_loss(z, y, 10.0, reduction="none"),
}
HIDDEN, EPOCHS, BATCH, RATE = 128, 20, 64, 0.1


def noisy(labels: np.ndarray, noise: str, rng: np.random.Generator) -> np.ndarray:
    """Labels of ten classes after noise such as "clean", "uniform 0.4" or "next 0.3"."""
    if noise == "clean":
        return labels
    kind, rate = noise.split()
    flipped = rng.random(len(labels)) < float(rate)
    shift = rng.integers(1, 10, len(labels)) if kind == "uniform" else 1
    return np.where(flipped, (labels + shift) % 10, labels)


def train(loss: str, noise: str, seeds=SEEDS, epochs: int = EPOCHS) -> dict[str, list[float]]:
    """Test accuracy for each seed, and the mean temperature of intact and of flipped examples."""
    data = sources.digits()
    x, test_x = (
        torch.tensor(a, dtype=torch.float32) for a in (data.train_inputs, data.test_inputs)
    )
    draws = [np.random.default_rng([7, seed]) for seed in seeds]
    labels = torch.tensor(np.stack([noisy(data.train_labels, noise, rng) for rng in draws]))
    shapes = ((x.shape[1], HIDDEN), (HIDDEN, 10))
    weights = [
        torch.tensor(np.stack([rng.normal(size=s) * (2 / s[0]) ** 0.5 for rng in draws])).float()
        for s in shapes
    ]
    biases = [torch.zeros(len(draws), 1, s[1]) for s in shapes]
    for tensor in (*weights, *biases):
        tensor.requires_grad_()

    def logits(inputs):
        hidden = torch.relu(torch.baddbmm(biases[0], inputs, weights[0]))
        return torch.baddbmm(biases[1], hidden, weights[1])

    optimizer = torch.optim.SGD([*weights, *biases], lr=RATE, momentum=0.9)
    batches = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    each = torch.arange(len(draws))[:, None]
    for _ in range(epochs):
        order = torch.tensor(np.stack([rng.permutation(len(x)) for rng in draws]))
        for batch in order[:, : batches * BATCH].split(BATCH, dim=1):
            optimizer.zero_grad()
            z = logits(x[batch]).flatten(0, 1)
            (LOSSES[loss](z, labels[each, batch].flatten()).sum() / BATCH).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        found = logits(test_x.expand(len(draws), -1, -1)).argmax(-1)
        result = {"accuracy": (found == torch.tensor(data.test_labels)).double().mean(1).tolist()}
        if loss.startswith("adaptive"):
            z = logits(x.expand(len(draws), -1, -1)).flatten(0, 1)
            lam0 = float(loss.split()[1])
            lam = optimal_temperature(z, labels.flatten(), lam0).view(labels.shape) / lam0
            flipped = labels != torch.tensor(data.train_labels)
            for name, members in (("intact", ~flipped), ("flipped", flipped)):
                count = members.sum(1).clamp_min(1)
                result[name] = ((lam * members).sum(1) / count).double().tolist()
    return result


def every_loss(noise: str) -> dict[str, dict[str, list[float]]]:
    """All losses under one noise, on one thread."""
    torch.set_num_threads(1)
    return {loss: train(loss, noise) for loss in LOSSES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    with ProcessPoolExecutor(len(NOISES), get_context("spawn")) as workers:
        values = dict(zip(NOISES, workers.map(every_loss, NOISES), strict=True))
    records.save(
        "ldr_label_noise",
        values,
        script=__file__,
        measures=("xent.ops.ldr", "xent.sources"),
        seeds=SEEDS,
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
