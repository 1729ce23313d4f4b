"""One learning-rate spike, and what stands in its way.

A network trains on the digits with a small learning rate; at step 50 the rate is multiplied for one
step (or from then on); afterwards it trains for 60 more steps. Compared: the plain optimizer,
gradient clipping at norm 1, update clipping at the running median of earlier update norms, a
quadratic trust region 2|g|/curvature along the update, the radius controller on the optimizer's
update, and the released code's variant, which measures the radius along the raw gradient and the
length as learning rate times gradient norm. The normalized length r of the update really made at
the spike is recorded for all.
"""

from __future__ import annotations

import argparse
import math

import torch
import torch.nn.functional as F
from joblib import Parallel, delayed

from experiments.ghosts_transition import accuracy, data
from xent import models, records
from xent.ops import ghosts

GUARDS = (
    "plain",
    "gradient clipping",
    "median update",
    "trust region",
    "gradient radius",
    "radius",
)
OPTIMIZERS = {
    "sgd": (lambda p, lr: torch.optim.SGD(p, lr=lr), 0.1),
    "momentum": (lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9), 0.02),
    "adam": (lambda p, lr: torch.optim.Adam(p, lr=lr), 0.003),
}


def norm(tensors) -> float:
    """Euclidean length of a list of tensors."""
    return math.sqrt(sum(float((t.double() ** 2).sum()) for t in tensors))


def normalized(model, x, update) -> float:
    """The true r of an update: its logit spread over pi, in evaluation mode."""
    training = model.training
    model.eval()
    r = float(ghosts.logit_spread(model, x, update).max()) / math.pi
    model.train(training)
    return r


def directional_curvature(model, x, y, update) -> float:
    """Second derivative of the batch loss along an update, by a double backward pass."""
    parameters = list(model.parameters())
    gradient = torch.autograd.grad(F.cross_entropy(model(x), y), parameters, create_graph=True)
    slope = sum((g * u).sum() for g, u in zip(gradient, update, strict=True))
    second = torch.autograd.grad(slope, parameters)
    return sum(float((h * u).sum()) for h, u in zip(second, update, strict=True))


def allowed(guard, model, x, y, update, gradient, lr, history) -> float:
    """Factor by which a guard shortens the proposed update."""
    if guard == "median update" and history:
        return min(1.0, sorted(history)[len(history) // 2] / max(norm(update), 1e-30))
    if guard == "trust region":
        slope = -sum(float((g * u).sum()) for g, u in zip(gradient, update, strict=True))
        curvature = directional_curvature(model, x, y, update)
        return min(1.0, max(2 * slope / curvature, 0.0)) if curvature > 0 else 1.0
    names = [name for name, _ in model.named_parameters()]
    if guard == "radius":
        return min(1.0, 1 / max(normalized(model, x, dict(zip(names, update, strict=True))), 1e-30))
    if guard == "gradient radius":
        r = normalized(model, x, {n: lr * g for n, g in zip(names, gradient, strict=True)})
        return min(1.0, 1 / max(r, 1e-30))
    return 1.0


def run(network, optimizer, factor, guard, seed, *, base=None, held=False, after=60) -> dict:
    """Train through one spike and return the test accuracy before and after it, and r."""
    torch.manual_seed(seed)
    x, y, test_x, test_y = data(seed)
    model = models.digit_classifier(network)
    build, rate = OPTIMIZERS[optimizer]
    rate = base or rate
    opt = build(model.parameters(), rate)
    parameters, history, spike_r = list(model.parameters()), [], 0.0
    names = [name for name, _ in model.named_parameters()]
    for step in range(51 + after):
        spiked = step == 50 or (held and step > 50)
        opt.param_groups[0]["lr"] = lr = rate * (factor if spiked else 1.0)
        if step == 50:
            before = test_accuracy(model, test_x, test_y)
        pick = torch.randint(0, len(x), (128,))
        batch, labels = x[pick], y[pick]
        opt.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        if not torch.isfinite(loss):
            break
        loss.backward()
        gradient = [p.grad.clone() for p in parameters]
        if guard == "gradient clipping":
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        old = [p.detach().clone() for p in parameters]
        opt.step()
        update = [p.detach() - q for p, q in zip(parameters, old, strict=True)]
        with torch.no_grad():
            for p, q in zip(parameters, old, strict=True):
                p.copy_(q)
        scale = allowed(guard, model, batch, labels, update, gradient, lr, history)
        if step == 50:
            made = {n: scale * u for n, u in zip(names, update, strict=True)}
            spike_r = normalized(model, batch, made)
        if not spiked:
            history.append(norm(update))
        with torch.no_grad():
            for p, u in zip(parameters, update, strict=True):
                p.add_(u, alpha=scale)
    final = test_accuracy(model, test_x, test_y)
    setting = {"network": network, "optimizer": optimizer, "factor": factor, "guard": guard}
    setting |= {"seed": seed, "rate": rate, "held": held}
    return {**setting, "r": min(spike_r, 1e30), "before": before, "after": final}


def test_accuracy(model, x, y) -> float:
    """Accuracy in evaluation mode; zero if the network has overflowed."""
    training = model.training
    model.eval()
    with torch.no_grad():
        logits = model(x)
    model.train(training)
    return accuracy(logits, y) if bool(logits.isfinite().all()) else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(5)
    spikes = [
        (network, optimizer, factor, guard, seed, None, False)
        for network, optimizers, factors in (
            ("mlp-norm", OPTIMIZERS, (10, 100, 1000, 10000)),
            ("cnn-norm", ("adam",), (10000,)),
            ("transformer", ("adam",), (10000,)),
        )
        for optimizer in optimizers
        for factor in factors
        for guard in GUARDS
        for seed in seeds
    ]
    spikes += [
        ("mlp", "adam", 1000, guard, seed, base, True)
        for base in (1e-4, 1e-3, 1e-2)
        for guard in ("plain", "gradient clipping", "radius")
        for seed in seeds
    ]
    rows = Parallel()(
        delayed(run)(*setting, base=base, held=held) for *setting, base, held in spikes
    )
    records.save(
        "ghosts_controller",
        {"rows": rows},
        script=__file__,
        measures=("xent.ops.ghosts", "experiments.ghosts_transition"),
        seeds=list(seeds),
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
