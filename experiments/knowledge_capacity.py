"""How many bits of random facts a small network stores, and how precise its weights must be.

A fact is a random key and one of 64 values. Several networks, one per seed, train side by side.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from xent import records

KEY, VALUES = 16, 64
NOISE = (0.003, 0.01, 0.02, 0.05, 0.1, 0.2)


def parameters(width: int) -> int:
    """Weights and biases of a network key -> width -> width -> values."""
    return (KEY + 1) * width + (width + 1) * width + (width + 1) * VALUES


def facts(count: int, seeds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys (seeds, count, KEY) and values (seeds, count)."""
    rng = np.random.default_rng([count, seeds])
    keys = torch.from_numpy(rng.normal(size=(seeds, count, KEY))).float()
    return keys, torch.from_numpy(rng.integers(VALUES, size=(seeds, count)))


def fresh(width: int, seeds: int) -> list[torch.Tensor]:
    """Weights and biases, alternating, each with a leading axis of seeds."""
    torch.manual_seed(width)
    weights = []
    for fan_in, fan_out in ((KEY, width), (width, width), (width, VALUES)):
        weights.append(torch.randn(seeds, fan_in, fan_out) * fan_in**-0.5)
        weights.append(torch.zeros(seeds, 1, fan_out))
    return weights


def forward(weights, keys) -> torch.Tensor:
    """Log-probabilities of the values."""
    hidden = torch.nn.functional.gelu(torch.baddbmm(weights[1], keys, weights[0]))
    hidden = torch.nn.functional.gelu(torch.baddbmm(weights[3], hidden, weights[2]))
    return torch.baddbmm(weights[5], hidden, weights[4]).log_softmax(-1)


def stored(weights, keys, values) -> np.ndarray:
    """Bits stored per seed: count times (log2 of the number of values - cross-entropy in bits)."""
    with torch.no_grad():
        cost = -forward(weights, keys).gather(2, values[..., None]).double().mean((1, 2))
    return (values.shape[1] * (np.log2(VALUES) - cost / np.log(2))).numpy()


def train(width: int, count: int, steps: int, seeds: int = 5) -> tuple[list, tuple]:
    """Full-batch Adam with a cosine to zero; returns the weights and the facts."""
    torch.set_num_threads(1)
    keys, values = facts(count, seeds)
    weights = [w.requires_grad_() for w in fresh(width, seeds)]
    adam = torch.optim.Adam(weights, lr=0.01)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        log_p = forward(weights, keys)
        loss = -log_p.gather(2, values[..., None]).mean((1, 2)).sum()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        decay.step()
    return [w.detach() for w in weights], (keys, values)


def rounded(weights, bits: int, clip: float, axes: tuple) -> list[torch.Tensor]:
    """Weights on a symmetric grid of 2^bits - 1 points; values along ``axes`` share a scale."""
    grid = []
    for w in weights:
        top = clip * w.abs().amax(axes, keepdim=True).clamp_min(1e-12)
        step = top / (2 ** (bits - 1) - 1)
        grid.append((w.clamp(-top, top) / step).round() * step)
    return grid


def per_parameter(weights, data) -> list[float]:
    """Stored bits per parameter, per seed."""
    size = sum(w[0].numel() for w in weights)
    return (stored(weights, *data) / size).tolist()


def best_rounding(weights, data, bits: int) -> np.ndarray:
    """Stored bits after rounding, per seed: best of 11 clips, a scale per matrix or per output."""
    ways = [(c, axes) for c in np.linspace(0.5, 1.0, 11) for axes in ((1, 2), (1,))]
    return np.max([stored(rounded(weights, bits, *way), *data) for way in ways], axis=0)


def under_noise(weights, data, size: float, draws: int = 20) -> np.ndarray:
    """Mean stored bits per seed when each matrix gets noise of ``size`` times its rms."""
    torch.manual_seed(0)
    found = []
    for _ in range(draws):
        moved = [
            w + size * w.square().mean((1, 2), keepdim=True).sqrt() * torch.randn_like(w)
            for w in weights
        ]
        found.append(stored(moved, *data))
    return np.mean(found, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    options = parser.parse_args()
    size = parameters(16)
    weights, data = train(16, 816, 4000)
    values = {
        "parameters": size,
        "stored": per_parameter(weights, data),
        "rounded": {
            str(b): (best_rounding(weights, data, b) / size).tolist() for b in range(4, 15)
        },
        "noise": {str(f): (under_noise(weights, data, f) / size).tolist() for f in NOISE},
        "loads": {n: per_parameter(*train(16, n, 4000)) for n in (408, 571, 1632)},
        "steps": {steps: per_parameter(*train(16, 816, steps)) for steps in (100, 400, 1500)},
        "sizes": {
            parameters(h): per_parameter(*train(h, parameters(h) // 2, 4000)) for h in (8, 32)
        },
    }
    records.save(
        "knowledge_capacity",
        values,
        script=__file__,
        seeds=range(5),
        out=options.out,
        commit=options.commit,
    )


if __name__ == "__main__":
    main()
