"""Does dividing by the radius collapse the onset of failure across training temperatures?

An MLP is trained on the digits at temperature T with the loss CE(z/T). Then it takes one step of
growing length along the descent direction; the onset is the first length at which the training
loss has doubled. Raw onsets are lengths t along the unit direction; normalized ones are
r = t/rho_a with rho_a = pi T/spread of the logit slopes. The spread of the logarithm (natural) of
the onset over T is compared before and after.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed

from experiments.ghosts_transition import data
from xent import models, records
from xent.ops import ghosts

TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
LENGTHS = np.logspace(-1.5, 2.0, 141)


def run(temperature: float, seed: int, steps: int = 120) -> dict:
    """Train at one temperature and measure the onset along descent and ascent."""
    torch.manual_seed(seed)
    x, y, _, _ = data(seed)
    model = models.digit_classifier("mlp", width=128)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        pick = torch.randint(0, len(x), (256,))
        optimizer.zero_grad()
        F.cross_entropy(model(x[pick]) / temperature, y[pick]).backward()
        optimizer.step()
    x, y = x[:384], y[:384]
    loss = F.cross_entropy(model(x) / temperature, y)
    gradient = torch.autograd.grad(loss, list(model.parameters()))
    length = torch.sqrt(sum((g**2).sum() for g in gradient))
    state = dict(model.named_parameters())
    found = {"temperature": temperature, "seed": seed, "loss": loss.item()}
    for name, sign in (("descent", -1.0), ("ascent", 1.0)):
        direction = {n: sign * g / length for n, g in zip(state, gradient, strict=True)}
        spread = float(ghosts.logit_spread(model, x, direction).max())
        rho = np.pi * temperature / spread
        onset = None
        for r in LENGTHS:
            moved = {n: p.detach() + r * rho * direction[n] for n, p in state.items()}
            with torch.no_grad():
                logits = torch.func.functional_call(model, moved, (x,)) / temperature
                if F.cross_entropy(logits, y) >= 2 * loss:
                    onset = float(r)
                    break
        found[name] = {"onset": onset, "spread": spread, "rho": float(rho)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(5)
    rows = Parallel()(delayed(run)(t, seed) for t in TEMPERATURES for seed in seeds)
    records.save(
        "ghosts_temperature",
        {"temperatures": list(TEMPERATURES), "rows": rows},
        script=__file__,
        measures=("xent.ops.ghosts", "experiments.ghosts_transition"),
        seeds=list(seeds),
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
