"""Robust training on digits: smooth adversarial comp-sum, TRADES, weights, layer ensembles.

Every attack is projected gradient ascent in the intersection of the max-norm ball and the box of
pixel values. Test accuracies are after twenty steps on the margin.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xent import records, sources
from xent.ops.comp_sum import smooth_adversarial_comp_sum

SEEDS = (0, 1, 2, 3, 4)
RADIUS, LAYER_RADIUS = 0.15, 0.08
ENERGY_RADII = (0.05, 0.15, 0.3, 0.5, 1.0)
EPOCHS, BATCH = 60, 126
BETAS = (0.5, 1.0, 2.0, 4.0, 8.0)
NUS = (0.05, 0.1, 0.2, 0.3, 0.5)
RUNS = {
    "plain": ("plain", 0.0),
    "adversarial": ("adversarial", 0.0),
    "reweighted": ("reweighted", 0.5),
    "energy-weighted": ("energy-weighted", 4.0),
    "constant-nu-1": ("constant-nu", 1.0),
    **{f"trades-{beta}": ("trades", beta) for beta in BETAS},
    **{f"smooth-{nu}": ("smooth", nu) for nu in NUS},
}


def pgd(objective, x: Tensor, radius: float, steps: int) -> Tensor:
    """Maximize ``objective(x')`` (one value per example) over the ball, from a random start."""
    low, high = (x - radius).clamp(min=0), (x + radius).clamp(max=1)
    moved = torch.minimum(torch.maximum(x + radius * (2 * torch.rand_like(x) - 1), low), high)
    for _ in range(steps):
        moved.requires_grad_()
        (slope,) = torch.autograd.grad(objective(moved).sum(), moved)
        moved = moved.detach() + 2.5 * radius / steps * slope.sign()
        moved = torch.minimum(torch.maximum(moved, low), high)
    return moved


def divergence(clean: Tensor, moved: Tensor) -> Tensor:
    """KL of the clean prediction from the perturbed one, nats."""
    log_p = clean.log_softmax(-1)
    return (log_p.exp() * (log_p - moved.log_softmax(-1))).sum(-1)


def shift(clean: Tensor, moved: Tensor, labels: Tensor) -> Tensor:
    """Euclidean length of the change of the logit differences."""
    change = moved - clean
    return torch.linalg.vector_norm(change - change.gather(-1, labels[:, None]), dim=-1)


def deficit(logits: Tensor, labels: Tensor) -> Tensor:
    """Best other logit minus the label's: positive where the prediction is wrong."""
    own = logits.gather(-1, labels[:, None])[:, 0]
    return logits.scatter(-1, labels[:, None], -torch.inf).amax(-1) - own


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, one value per example."""
    return F.cross_entropy(logits, labels, reduction="none")


def loss(method: str, strength: float, net, x: Tensor, y: Tensor, progress: float) -> Tensor:
    """Training loss of one batch; ``progress`` in [0, 1] is the share of training done."""
    if method == "plain":
        return cross_entropy(net(x), y).mean()
    if method in ("adversarial", "reweighted"):
        moved = pgd(lambda v: cross_entropy(net(v), y), x, RADIUS, 5)
        losses = cross_entropy(net(moved), y)
        if method == "adversarial":
            return losses.mean()
        return (torch.softmax(losses.detach() / strength, 0) * losses).sum()
    clean = net(x)
    fixed = clean.detach()
    if method in ("trades", "energy-weighted"):
        moved = pgd(lambda v: divergence(fixed, net(v)), x, RADIUS, 5)
        losses = cross_entropy(clean, y) + strength * divergence(clean, net(moved))
        if method == "trades":
            return losses.mean()
        return (losses / F.softplus(fixed.logsumexp(-1).abs())).mean()
    moved = pgd(lambda v: shift(fixed, net(v), y), x, RADIUS, 5)
    nu = strength if method == "constant-nu" else strength * min(1.0, 2 * progress)
    return smooth_adversarial_comp_sum(clean, net(moved), y, nu=nu)


def tensors():
    """Digits as float32 inputs and integer labels: train inputs, train labels, test, test."""
    data = sources.digits()
    return tuple(torch.tensor(a).float() if a.dtype == float else torch.tensor(a) for a in data)


def descend(parameters, batch_loss, x: Tensor, y: Tensor, epochs: int) -> None:
    """Momentum descent with a cosine schedule on shuffled batches."""
    parameters = list(parameters)
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(epochs):
        for batch in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            batch_loss(x[batch], y[batch], epoch / epochs).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
            schedule.step()


def train(method: str, strength: float, seed: int) -> nn.Module:
    """A network with 128 hidden units, trained on digits with one of the losses."""
    torch.manual_seed(seed)
    x, y, _, _ = tensors()
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    descend(net.parameters(), lambda a, b, t: loss(method, strength, net, a, b, t), x, y, EPOCHS)
    return net


def robust(net, x: Tensor, y: Tensor, radius: float) -> Tensor:
    """Which examples survive twenty steps on the margin and twenty on the cross-entropy."""
    right = deficit(net(x), y) < 0
    for objective in (deficit, cross_entropy):
        moved = pgd(lambda v, f=objective: f(net(v), y), x, radius, 20)
        right = right & (deficit(net(moved), y) < 0)
    return right


def energy(logits: Tensor) -> Tensor:
    """Minus the log-partition function."""
    return -logits.logsumexp(-1)


def evaluate(net, seed: int) -> dict:
    """Clean and robust test accuracy, the weakest class, and what attacks do to the energy."""
    torch.manual_seed(1000 + seed)
    _, _, x, y = tensors()
    survived = robust(net, x, y, RADIUS).double()
    target = (y + torch.randint(1, 10, y.shape)) % 10
    goals = {
        "untargeted": lambda v: cross_entropy(net(v), y),
        "targeted": lambda v: -cross_entropy(net(v), target),
    }
    moved = {
        goal: [pgd(objective, x, radius, 20) for radius in ENERGY_RADII]
        for goal, objective in goals.items()
    }
    with torch.no_grad():
        rises = {
            goal: torch.stack([energy(net(v)) - energy(net(x)) for v in inputs])
            for goal, inputs in moved.items()
        }
        return {
            "clean": float((net(x).argmax(1) == y).double().mean()),
            "robust": float(survived.mean()),
            "weakest": min(float(survived[y == k].mean()) for k in range(10)),
            "energy_gap": float(rises["untargeted"][1].abs().mean()),
            **{goal: rise.mean(-1).tolist() for goal, rise in rises.items()},
        }


def crossmax(logits: Tensor, rank: int = 3) -> Tensor:
    """CrossMax of logits (predictors, N, classes): the rank-th highest of the centered logits."""
    centered = logits - logits.amax(-1, keepdim=True)
    centered = centered - centered.amax(0, keepdim=True)
    return centered.topk(rank, dim=0).values[-1]


class Layers(nn.Module):
    """A network with four hidden layers and linear probes on its input and first three layers."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(4))
        self.probes = nn.ModuleList(nn.Linear(64, 10) for _ in range(5))

    def forward(self, v: Tensor) -> Tensor:
        """Logits of every predictor, shape (5, N, 10); the last one is the whole network."""
        features = [v]
        for block in self.blocks:
            features.append(block(features[-1]))
        return torch.stack([p(f) for p, f in zip(self.probes, features, strict=True)])


def layers(seed: int) -> dict:
    """A plain network and linear probes on its layers: who survives which attack."""
    torch.manual_seed(seed)
    x, y, test_x, test_y = tensors()
    net = Layers()
    ensembles = {
        "full": lambda v: net(v)[-1],
        "mean": lambda v: net(v).mean(0),
        "crossmax": lambda v: crossmax(net(v)),
    }

    def probe_loss(a, b, _):
        return sum(cross_entropy(z, b).mean() for z in net(a)[:-1])

    trunk = [*net.blocks.parameters(), *net.probes[-1].parameters()]
    descend(trunk, lambda a, b, _: cross_entropy(net(a)[-1], b).mean(), x, y, 50)
    descend(net.probes[:-1].parameters(), probe_loss, x, y, 25)
    torch.manual_seed(1000 + seed)
    moved = {
        name: pgd(lambda v, f=f: deficit(f(v), test_y), test_x, LAYER_RADIUS, 20)
        for name, f in ensembles.items()
    }
    with torch.no_grad():
        hit = (net(moved["full"]).argmax(-1) == test_y).double().mean(-1)
    result = {"probes": hit.tolist()}
    for name, f in ensembles.items():
        own = robust(f, test_x, test_y, LAYER_RADIUS)
        with torch.no_grad():
            result[name] = {
                "clean": float((deficit(f(test_x), test_y) < 0).double().mean()),
                "own": float(own.double().mean()),
                "from_mean": float((deficit(f(moved["mean"]), test_y) < 0).double().mean()),
            }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    values = {
        name: [evaluate(train(*run, seed), seed) for seed in SEEDS] for name, run in RUNS.items()
    }
    values["layers"] = [layers(seed) for seed in SEEDS]
    records.save(
        "adversarial_tradeoff",
        values,
        script=__file__,
        measures=("xent.ops.comp_sum", "xent.sources"),
        seeds=SEEDS,
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
