"""Train tiny transformers of several sizes on several amounts of data from a known source.

A sequence is a Zipf context, written as two digits, and its noisy label: three tokens whose joint
entropy is known. Every loss is the exact population loss, computed over all contexts and labels.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from experiments.sweep import sweep
from xent import models, records
from xent.reference import solvable
from xent.sources import ZipfContextSource

BASE, CONTEXTS, LABELS, EXPONENT = 64, 4096, 16, 0.7
VOCAB = BASE + LABELS + 1
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WIDTHS = (4, 6, 8, 12, 16, 24, 32, 48)
SAMPLES = (250, 1000, 4000, 16_000, 64_000)
GRID_WIDTHS, GRID_SAMPLES = (4, 8, 16, 48), (4000, 16_000, 64_000)


def source_tokens(source: ZipfContextSource) -> np.ndarray:
    """Digits of every context, in an order that hides the frequency, shape (K, 2)."""
    order = np.random.default_rng(0).permutation(len(source.contexts))
    return np.stack([order // BASE, order % BASE], axis=1)


def entropy_of(source: ZipfContextSource) -> float:
    """Entropy of a sequence in nats: of its context plus of its label."""
    p = source.contexts
    return float(-(p @ np.log(p)) + source.entropy)


def population_loss(model, digits, contexts, label_law) -> float:
    """Exact expected loss of a sequence in nats."""
    with torch.no_grad():
        start = digits.new_full((len(digits), 1), VOCAB - 1)
        logits = model(torch.cat([start, digits], dim=1)).double()
    log_p = F.log_softmax(logits, dim=-1)
    loss = -log_p[:, 0].gather(1, digits[:, :1])[:, 0] - log_p[:, 1].gather(1, digits[:, 1:])[:, 0]
    loss = loss - (label_law * log_p[:, 2, BASE : BASE + LABELS]).sum(dim=1)
    return float(contexts @ loss)


def train(width: int, samples: int, seed: int, steps: int = 1200, batch: int = 256) -> dict:
    """Train one model; ``samples=0`` draws fresh data at every step."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, width, samples])
    source = ZipfContextSource(EXPONENT, num_contexts=CONTEXTS, num_labels=LABELS)
    digits = torch.from_numpy(source_tokens(source)).to(DEVICE)
    contexts = torch.from_numpy(source.contexts).to(DEVICE)
    label_law = torch.from_numpy(source.label_law()).to(DEVICE)
    model = models.DecoderTransformer(VOCAB, 3, width=width).to(DEVICE)
    peak = 0.02 * width**-0.5
    optimizer = torch.optim.Adam(model.parameters(), lr=peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps)
    pool = source.sample(rng, samples) if samples else None
    curve = []
    for step in range(steps):
        if pool is None:
            drawn, labels = source.sample(rng, batch)
        else:
            index = rng.integers(samples, size=batch)
            drawn, labels = pool[0][index], pool[1][index]
        row = digits[torch.from_numpy(drawn).to(DEVICE)]
        start = row.new_full((batch, 1), VOCAB - 1)
        label = torch.from_numpy(labels).to(DEVICE)[:, None]
        target = torch.cat([row, BASE + label], dim=1)
        logits = model(torch.cat([start, row], dim=1))
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % (steps // 24) == 0:
            curve.append([step + 1, population_loss(model, digits, contexts, label_law)])
    return {
        "parameters": models.count_parameters(model),
        "curve": curve,
        "loss": min(value for _, value in curve),
        "final": curve[-1][1],
    }


def model_code() -> str:
    """Hash of the code of the network, which shares its module with others."""
    code = inspect.getsource(models.TransformerBlock) + inspect.getsource(models.DecoderTransformer)
    return hashlib.sha256(code.encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--work", default="_build/scaling_sweep", help="unfinished results")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--commit")
    options = parser.parse_args()
    seeds = range(options.seeds)
    sizes = [dict(width=w, samples=0, seed=s) for s in seeds for w in WIDTHS]
    amounts = [dict(width=WIDTHS[-1], samples=d, seed=s) for s in seeds for d in SAMPLES]
    runs = sweep(train, sizes + amounts, Path(options.work))
    pairs = [dict(width=w, samples=d, seed=0) for w in GRID_WIDTHS for d in GRID_SAMPLES]
    grid = sweep(train, pairs, Path(options.work))
    (probe,) = sweep(train, [dict(width=8, samples=0, seed=0, steps=120)], Path(options.work))
    source = ZipfContextSource(EXPONENT, num_contexts=CONTEXTS, num_labels=LABELS)
    tail = solvable.zipf_tail(np.arange(1, CONTEXTS), EXPONENT, contexts=CONTEXTS)
    values = {
        "entropy": entropy_of(source),
        "label_entropy": source.entropy,
        "contexts": CONTEXTS,
        "tail_at_100": float(tail[99]),
        "model_code": model_code(),
        "sizes": runs[: len(sizes)],
        "amounts": runs[len(sizes) :],
        "grid": grid,
        "probe": probe,
    }
    records.save(
        "scaling_sweep",
        values,
        script=__file__,
        measures=("xent.reference.solvable",),
        seeds=list(seeds),
        out=options.out,
        commit=options.commit,
    )


if __name__ == "__main__":
    main()
