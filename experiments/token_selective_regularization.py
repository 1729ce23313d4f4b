"""Interventions on tokens at equal compute: reward, entropy and solutions of a trained network.

``python -m experiments.token_selective_regularization [--out results]``: about four minutes on one
core.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from xent import records, verifiable
from xent.ops import policy as ops

SEEDS = range(8)
STEPS, EPOCHS = 120, 2
COPIES = (1, 3)
FRACTION = 0.02  # of tokens, for Clip-Cov and KL-Cov: 800 tokens per batch, not millions


def make(seed: int) -> verifiable.PrefixPolicy:
    """A fresh network; positions 1 and 3 copy, so three of five digits are choices."""
    torch.manual_seed(seed)
    task = verifiable.ResidueTask(3, 5, 20, copies=COPIES, seed=seed)
    return verifiable.PrefixPolicy(task, copy_bias=3.0)


def token_losses(batch):
    """GRPO's loss of every token."""
    return ops.grpo_loss(batch.logprobs, batch.old_logprobs, batch.rewards, reduction="none")


def masked(losses, mask):
    """Mean over the tokens kept, as in the fork masks."""
    return (losses * mask).sum() / mask.sum()


class Intervention:
    """One method as a loss; SIREN remembers its anchor, Clip-Cov its random numbers."""

    def __init__(self, rule: str, coefficient: float, seed: int):
        self.rule, self.coefficient, self.anchor = rule, coefficient, None
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, batch):
        return getattr(self, self.rule)(batch, token_losses(batch))

    def none(self, batch, losses):
        return losses.mean()

    def bonus(self, batch, losses):
        return losses.mean() - self.coefficient * batch.entropies.mean()

    def clip_cov(self, batch, losses):
        priority = torch.rand(losses.shape, generator=self.generator)
        covariances = verifiable.covariances(batch)
        return (losses * ops.clip_cov_mask(covariances, priority, fraction=FRACTION)).mean()

    def kl_cov(self, batch, losses):
        selected = ops.kl_cov_mask(verifiable.covariances(batch), fraction=FRACTION)
        penalty = ops.kl_cov_penalty(batch.logprobs, batch.old_logprobs, selected)
        return losses.mean() + penalty

    def steer(self, batch, losses):
        advantages = ops.group_relative_advantages(batch.rewards)[..., None]
        advantages = advantages.expand_as(batch.logprobs)
        changes = ops.steer_entropy_change(batch.logprobs, batch.entropies, advantages)
        return (losses * ops.steer_weights(changes)).mean()

    def siren(self, batch, losses):
        entropies = ops.nucleus_entropy(batch.logits)
        peaks = ops.high_entropy_mask(batch.entropies.detach())
        if self.anchor is None:
            self.anchor = entropies[peaks].mean().item()
        penalty = ops.anchored_penalty(entropies, peaks, self.anchor)
        return losses.mean() + self.coefficient * penalty

    def forks(self, batch, losses):
        return masked(losses, ops.high_entropy_mask(batch.entropies.detach()))

    def others(self, batch, losses):
        return masked(losses, ~ops.high_entropy_mask(batch.entropies.detach()))


METHODS = {
    "none": ("none", 0.0),
    "bonus 0.02": ("bonus", 0.02),
    "bonus 0.1": ("bonus", 0.1),
    "bonus 0.5": ("bonus", 0.5),
    "SIREN 0.02": ("siren", 0.02),
    "SIREN 0.1": ("siren", 0.1),
    "SIREN 0.5": ("siren", 0.5),
    "Clip-Cov": ("clip_cov", 0.0),
    "KL-Cov": ("kl_cov", 0.0),
    "STEER": ("steer", 0.0),
    "forks": ("forks", 0.0),
    "others": ("others", 0.0),
    "branched": ("none", 0.0),
}


def position_entropies(policy) -> list[float]:
    """Mean entropy of each position under the policy's own prefixes."""
    with torch.no_grad():
        levels = policy()
        reach, found = torch.ones(policy.task.prompts, 1), []
        for level in levels:
            law = torch.softmax(level, -1)
            found.append((reach * torch.special.entr(law).sum(-1)).sum(1).mean().item())
            reach = (reach[..., None] * law).flatten(1)
    return found


def run(method: str, seed: int) -> dict:
    """Train one network and return its end state, and the way there every tenth step."""
    policy = make(seed)
    before = position_entropies(policy)
    sampler = verifiable.draw_branched if method == "branched" else verifiable.draw
    loss = Intervention(*METHODS[method], seed)
    options = {"sampler": sampler, "steps": STEPS, "epochs": EPOCHS, "seed": seed}
    history = verifiable.train(policy, loss, **options)
    p = np.clip(history.solved.astype(float), 0.0, 1.0)
    return {
        "reward": float(p.mean()),
        "mean_reward": float(history.reward.mean()),
        "pass_at_8": float((1 - (1 - p) ** 8).mean()),
        "entropy": float(history.entropy[-1]),
        "solutions": float(history.solutions[-1]),
        "rewards": history.reward[::10].tolist(),
        "entropies": history.entropy[::10].tolist(),
        "positions_before": before,
        "positions_after": position_entropies(policy),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    values = {}
    for method in METHODS:
        values[method] = [run(method, seed) for seed in SEEDS]
        columns = ("reward", "mean_reward", "pass_at_8", "entropy", "solutions")
        means = [np.mean([row[c] for row in values[method]]) for c in columns]
        print(f"{method:10s}", *(f"{c} {m:.3f}" for c, m in zip(columns, means, strict=True)))
    records.save(
        "token_selective_regularization",
        values,
        script=__file__,
        measures=("xent.verifiable", "xent.ops.policy"),
        seeds=SEEDS,
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
