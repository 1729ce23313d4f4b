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
STEPS = 300
LOSSES = {"grpo": ops.grpo_loss, "rloo": ops.rloo_loss, "reinforce": ops.reinforce_loss}


def run(estimator: str, seed: int) -> verifiable.History:
    """Train one network from scratch on forty rules."""
    torch.manual_seed(seed)
    policy = verifiable.PrefixPolicy(verifiable.ResidueTask(5, 3, 40, seed=seed))

    def loss(batch):
        return LOSSES[estimator](batch.logprobs, batch.logprobs.detach(), batch.rewards)

    return verifiable.train(policy, loss, steps=STEPS, seed=seed)


def summary(history: verifiable.History) -> dict:
    """Fits of both laws, to the whole run and to its first 15 %."""
    found = {"reward": float(history.reward[-1]), "entropy": float(history.entropy[-1])}
    early = slice(0, STEPS * 15 // 100)
    for law in ("exponential", "line"):
        whole = reference.fit_reward_entropy(history.entropy, history.reward, law=law)
        first = reference.fit_reward_entropy(history.entropy[early], history.reward[early], law=law)
        found[law] = {
            "r_squared": whole.r_squared,
            "early_ceiling": first.b - (first.a if law == "exponential" else 0.0),
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
        gain = [r["exponential"]["r_squared"] - r["line"]["r_squared"] for r in rows]
        print(f"{name:10s} R^2 exponential - line: {np.mean(gain):+.3f}", flush=True)
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
