"""Where steps begin to fail, in units of the linearized radius.

Six small networks (and an MLP with five activations) on the digits, at four stages of training,
take one step of growing length along five directions. For each, three onsets: the first normalized
length r at which the training loss has doubled, the test accuracy has fallen by ten points, and
half of the test predictions have changed. The same onsets are computed for the network's exactly
linearized logits, which have no other error than the softmax's own.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed

from xent import models, records, sources
from xent.ops import ghosts

NETWORKS = ("linear", "mlp", "mlp-norm", "gated-mlp", "cnn-norm", "transformer")
STAGES = ("start", "early", "middle", "trained")
DIRECTIONS = ("descent", "ascent", "random 1", "random 2", "random 3")
LENGTHS = np.round(np.logspace(-1.5, 2.0, 36), 4)
CRITERIA = ("loss doubled", "accuracy -10", "half flipped")


def data(seed: int):
    """Digits as float32 tensors: training inputs and labels, test inputs and labels."""
    split = sources.digits(seed=seed)
    x, y, test_x, test_y = (torch.from_numpy(part) for part in split)
    return x.float(), y, test_x.float(), test_y


def accuracy(logits, labels) -> float:
    """Share of right predictions."""
    return float((logits.argmax(-1) == labels).float().mean())


def stages(model, problem, *, steps: int = 300, batch: int = 128, lr: float = 2.5e-3):
    """Train with AdamW and yield the name of each stage as it is reached.

    "early" is after 8 steps, "middle" the first even step with 73 % test accuracy.
    """
    x, y, test_x, test_y = problem
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
    model.eval()
    yield "start"
    reached = False
    for step in range(1, steps + 1):
        model.train()
        pick = torch.randint(0, len(x), (batch,))
        optimizer.zero_grad()
        F.cross_entropy(model(x[pick]), y[pick]).backward()
        optimizer.step()
        model.eval()
        if step == 8:
            yield "early"
        if not reached and step % 2 == 0:
            with torch.no_grad():
                reached = accuracy(model(test_x), test_y) >= 0.73
            if reached:
                yield "middle"
    yield "trained"


def directions(model, x, y):
    """Descent and ascent along the full gradient on (x, y), and three Gaussian directions."""
    gradient = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    names = [name for name, _ in model.named_parameters()]
    yield "descent", {n: -g for n, g in zip(names, gradient, strict=True)}
    yield "ascent", dict(zip(names, gradient, strict=True))
    for index in (1, 2, 3):
        yield f"random {index}", {n: torch.randn_like(p) for n, p in model.named_parameters()}


def onset(lengths, failed) -> float | None:
    """The first length at which the step fails, or None if it never does."""
    hits = np.flatnonzero(failed)
    return float(lengths[hits[0]]) if hits.size else None


def response(model, problem, direction, lengths=LENGTHS, *, points: int = 384) -> dict:
    """Onsets along one direction for the true and for the linearized logits.

    The radius is that of the first ``points`` training examples, on which the loss is measured.
    """
    x, y, test_x, test_y = problem
    x, y = x[:points], y[:points]
    everything = torch.cat([x, test_x])
    start, slopes = ghosts.logit_slopes(model, everything, direction)
    rho = float(ghosts.radius_lower_bound(slopes[:points]).min())
    state = dict(model.named_parameters())
    found = {}
    for kind in ("true", "linear"):
        loss, right, flipped = [], [], []
        for r in (0.0, *lengths):
            if kind == "true":
                moved = {n: p.detach() + r * rho * direction[n] for n, p in state.items()}
                with torch.no_grad():
                    logits = torch.func.functional_call(model, moved, (everything,))
            else:
                logits = start + r * rho * slopes
            loss.append(float(F.cross_entropy(logits[:points], y)))
            right.append(accuracy(logits[points:], test_y))
            changed = logits[points:].argmax(-1) != start[points:].argmax(-1)
            flipped.append(float(changed.float().mean()))
        loss, right, flipped = (np.array(v) for v in (loss, right, flipped))
        failed = (loss >= 2 * loss[0], right <= right[0] - 0.10, flipped > 0.5)
        found[kind] = [onset(lengths, f[1:]) for f in failed]
        found[f"{kind} at 1"] = [
            float(np.interp(1.0, lengths, curve[1:])) for curve in (loss / loss[0], right, flipped)
        ]
    return {"rho": rho, "accuracy": float(right[0]), **found}


def run(network: str, seed: int, activation: str = "gelu", steps: int = 300) -> list[dict]:
    """All stages and directions of one network and seed."""
    torch.manual_seed(seed)
    problem = data(seed)
    model = models.digit_classifier(network, activation=activation)
    rows = []
    for stage in stages(model, problem, steps=steps):
        for name, direction in directions(model, problem[0][:384], problem[1][:384]):
            labels = {"network": network, "activation": activation, "seed": seed}
            row = response(model, problem, direction)
            rows.append({**labels, "stage": stage, "direction": name, **row})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(5)
    settings = [(name, seed, "gelu") for name in NETWORKS for seed in seeds]
    others = [a for a in models.ACTIVATIONS if a != "gelu"]
    settings += [("mlp", seed, name) for name in others for seed in seeds]
    rows = sum(Parallel()(delayed(run)(*setting) for setting in settings), [])
    records.save(
        "ghosts_transition",
        {"lengths": LENGTHS.tolist(), "criteria": list(CRITERIA), "rows": rows},
        script=__file__,
        measures=("xent.ops.ghosts",),
        seeds=list(seeds),
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
