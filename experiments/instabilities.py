"""Learning rates over three decades: attention logits, output logits and signals of trouble.

A one-layer transformer reads digits row by row and trains with Adam for 120 steps, without warm-up,
at six learning rates and two widths: plain, with normalized queries and keys, and with a z-loss.
Recorded are the final loss, the largest attention logit, the mean log-partition of the outputs,
and for the plain runs, before every step, the signals that might announce a spike of the loss: the
normalized length r of the update about to be made, the gradient's norm, the largest attention
logit and the largest output logit.
"""

from __future__ import annotations

import argparse
import math

import torch
import torch.nn.functional as F
from joblib import Parallel, delayed

from experiments.ghosts_transition import data
from xent import models, records
from xent.ops import ghosts

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
VARIANTS = ("plain", "qk-norm", "z-loss")
SIGNALS = ("r", "gradient norm", "attention logit", "output logit", "loss")


def run(variant: str, rate: float, width: int, seed: int, *, steps: int = 120) -> dict:
    """Train one network and return what was recorded."""
    torch.manual_seed(seed)
    x, y, _, _ = data(seed)
    model = models.RowTransformer(width=width, layers=1, qk_norm=variant == "qk-norm")
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    held_x, held_y = x[:384], y[:384]
    with torch.no_grad():
        start = F.cross_entropy(model(held_x), held_y).item()
    parameters, signals, largest = list(model.parameters()), [], 0.0
    for _ in range(steps):
        pick = torch.randint(0, len(x), (64,))
        optimizer.zero_grad()
        logits = model(x[pick])
        loss = F.cross_entropy(logits, y[pick])
        score = float(model.blocks[0].largest_score)
        largest = max(largest, score)
        total = loss
        if variant == "z-loss":
            total = loss + 1e-2 * logits.logsumexp(-1).square().mean()
        total.backward()
        before = [p.detach().clone() for p in parameters]
        optimizer.step()
        if variant == "plain":
            signals.append([length(model, x[pick], before), norm(parameters), score])
            signals[-1] += [logits.abs().max().item(), loss.item()]
    with torch.no_grad():
        logits = model(held_x)
        final = F.cross_entropy(logits, held_y).item()
        partition = logits.logsumexp(-1).abs().mean().item()
    return {
        "variant": variant,
        "rate": rate,
        "width": width,
        "seed": seed,
        "start": start,
        "final": final if math.isfinite(final) else 1e30,
        "largest score": largest,
        "log partition": partition,
        "signals": [[float(f"{value:.4g}") for value in row] for row in signals],
    }


def norm(parameters) -> float:
    """Norm of the whole gradient."""
    return math.sqrt(sum(float(p.grad.square().sum()) for p in parameters))


def length(model, batch, before) -> float:
    """Normalized length r of the step from ``before`` to now, measured at ``before``."""
    named = dict(model.named_parameters())
    now = [p.detach().clone() for p in named.values()]
    with torch.no_grad():
        for p, old in zip(named.values(), before, strict=True):
            p.copy_(old)
    update = {n: new - old for n, new, old in zip(named, now, before, strict=True)}
    spread = float(ghosts.logit_spread(model, batch, update).max())
    with torch.no_grad():
        for p, new in zip(named.values(), now, strict=True):
            p.copy_(new)
    return spread / math.pi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(5)
    rows = Parallel()(
        delayed(run)(variant, rate, width, seed)
        for variant in VARIANTS
        for rate in RATES
        for width in (16, 32)
        for seed in seeds
    )
    records.save(
        "instabilities",
        {"rates": list(RATES), "signals": list(SIGNALS), "rows": rows},
        script=__file__,
        measures=("xent.ops.ghosts", "experiments.ghosts_transition"),
        seeds=list(seeds),
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
