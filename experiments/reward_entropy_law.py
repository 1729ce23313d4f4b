"""Reward against entropy of a network trained with GRPO, RLOO and REINFORCE, twelve seeds each.

``python -m experiments.reward_entropy_law [--out results]`` takes about a minute on one core.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from xent import records, verifiable
from xent.ops import policy as ops
from xent.reference import policy as reference

SEEDS = range(12)
STEPS, LENGTH = 300, 3
LOSSES = {"grpo": ops.grpo_loss, "rloo": ops.rloo_loss, "reinforce": ops.reinforce_loss}


def run(estimator: str, seed: int) -> verifiable.History:
    """Train one network from scratch on forty rules."""
    torch.manual_seed(seed)
    policy = verifiable.PrefixPolicy(verifiable.ResidueTask(5, LENGTH, 40, seed=seed))

    def loss(batch):
        return LOSSES[estimator](batch.logprobs, batch.old_logprobs, batch.rewards)

    return verifiable.train(policy, loss, steps=STEPS, seed=seed)


def summary(history: verifiable.History) -> dict:
    """Fits of both laws, with entropy per token as in the paper, and per response."""
    found = {"reward": float(history.reward[-1]), "entropy": float(history.entropy[-1])}
    for unit, entropy in (("token", history.entropy / LENGTH), ("response", history.entropy)):
        found[unit] = {
            law: reference.fit_reward_entropy(entropy, history.reward, law=law).r_squared
            for law in ("exponential", "line")
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    values = {name: [summary(run(name, seed)) for seed in SEEDS] for name in LOSSES}
    for name, rows in values.items():
        for unit in ("token", "response"):
            gain = np.mean([r[unit]["exponential"] - r[unit]["line"] for r in rows])
            print(f"{name:10s} per {unit:8s} R^2 exponential - line: {gain:+.3f}", flush=True)
    records.save(
        "reward_entropy_law",
        values,
        script=__file__,
        measures=("xent.verifiable",),
        seeds=SEEDS,
        out=arguments.out,
        commit=arguments.commit,
    )


if __name__ == "__main__":
    main()
