"""A verifiable task small enough to enumerate, and a network trained on it from samples.

Every response can be listed, so reward, entropy and coverage are exact while the updates come from
sampled groups: what an estimator or an intervention does is not hidden by evaluation noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from xent.ops import policy as ops
from xent.reference import arguments


class ResidueTask:
    r"""Write digits :math:`d_t` with :math:`\sum_t c_t d_t \equiv r \pmod b`; right or wrong.

    Attributes:
        correct: bool array ``(prompts, base ** length)``, responses in lexicographic order.

    Args:
        base: number of digits :math:`b`, at least 2.
        length: digits per response.
        prompts: number of random rules (coefficients from 1 to b - 1, and a residue).
        copies: positions (from 1) whose digit must repeat the previous one; they carry no choice.
        seed: of the rules.
    """

    def __init__(self, base: int, length: int, prompts: int, *, copies=(), seed: int = 0):
        self.base = arguments.integer(base, "base", low=2)
        self.length = arguments.integer(length, "length", low=1)
        self.prompts = arguments.integer(prompts, "prompts", low=1)
        self.copies = tuple(copies)
        if any(not 1 <= position < length for position in self.copies):
            raise ValueError(f"copies must lie in [1, {length}), got {self.copies}")
        rng = np.random.default_rng(seed)
        coefficients = rng.integers(1, base, size=(prompts, length))
        coefficients[:, list(self.copies)] = 0
        digits = np.stack(np.unravel_index(np.arange(base**length), (base,) * length))
        residues = rng.integers(0, base, size=(prompts, 1))
        self.correct = (coefficients @ digits) % base == residues
        for position in self.copies:
            self.correct &= digits[position] == digits[position - 1]


class PrefixPolicy(nn.Module):
    """A network from prompt and digits so far to the logits of the next digit.

    Args:
        task: the task whose prompts and prefixes it covers.
        width: hidden width.
        copy_bias: initial logit of repeating the previous digit at the task's copy positions.
    """

    def __init__(self, task: ResidueTask, width: int = 64, *, copy_bias: float = 0.0):
        super().__init__()
        self.task = task
        self.prompt = nn.Embedding(task.prompts, width)
        self.prefix = nn.Linear(task.length * (task.base + 1), width)
        self.body = nn.Sequential(nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.head = nn.Linear(width, task.base)
        nn.init.normal_(self.head.weight, std=0.5 / width**0.5)
        features, start = zip(*(self._level(t, copy_bias) for t in range(task.length)), strict=True)
        self.features, self.start = features, start

    def _level(self, length: int, copy_bias: float) -> tuple[Tensor, Tensor]:
        base, count = self.task.base, self.task.base**length
        features = torch.zeros(count, self.task.length, base + 1)
        features[:, length, base] = 1.0
        start = torch.zeros(count, base)
        if length:
            digits = np.stack(np.unravel_index(np.arange(count), (base,) * length), axis=1)
            digits = torch.from_numpy(digits)
            features[:, :length, :base] = nn.functional.one_hot(digits, base).float()
            if length in self.task.copies:
                start[torch.arange(count), digits[:, -1]] = copy_bias
        return features.flatten(1), start

    def forward(self) -> list[Tensor]:
        """Logits of every prefix: level ``t`` is ``(prompts, base ** t, base)``."""
        prompts = self.prompt.weight[:, None]
        hidden = [self.body(prompts + self.prefix(features)) for features in self.features]
        return [self.head(h) + start for h, start in zip(hidden, self.start, strict=True)]


class Batch(NamedTuple):
    """Sampled responses: ``G`` per prompt, ``T`` digits each."""

    logits: Tensor  # (prompts, G, T, base), differentiable
    tokens: Tensor  # (prompts, G, T)
    logprobs: Tensor  # (prompts, G, T), differentiable
    old_logprobs: Tensor  # (prompts, G, T), when they were drawn
    entropies: Tensor  # (prompts, G, T), differentiable
    rewards: Tensor  # (prompts, G)


class History(NamedTuple):
    """Exact values before each step, and the batch covariance of each step."""

    reward: np.ndarray  # mean probability of a correct response
    entropy: np.ndarray  # mean entropy of a response, nats
    covariance: np.ndarray  # mean of log-probability times advantage, centered
    solutions: np.ndarray  # mean effective number of correct responses, exp(entropy given correct)
    solved: np.ndarray  # probability of a correct response, per prompt, after the last step


def response_logprobs(levels: list[Tensor]) -> Tensor:
    """Log-probability of every response ``(prompts, base ** length)``."""
    total = torch.zeros(levels[0].shape[0], 1)
    for level in levels:
        total = (total[..., None] + torch.log_softmax(level, -1)).flatten(1)
    return total


def draw(task: ResidueTask, levels: list[Tensor], group: int, generator) -> Tensor:
    """Indices ``(prompts, group)`` of responses drawn from the policy."""
    with torch.no_grad():
        probabilities = response_logprobs(levels).exp()
    return torch.multinomial(probabilities, group, replacement=True, generator=generator)


def draw_branched(task: ResidueTask, levels: list[Tensor], group: int, generator) -> Tensor:
    """As :func:`draw`, but each second response re-generates its predecessor from a fork.

    The fork is the position of highest entropy in the predecessor (CURE's first stage).
    """
    first = draw(task, levels, group // 2, generator)
    with torch.no_grad():
        position = gather(task, levels, first).entropies.argmax(-1)
        rows, prefix = torch.arange(task.prompts)[:, None], torch.zeros_like(first)
        for t, level in enumerate(levels):
            kept = first // task.base ** (task.length - t - 1) % task.base
            laws = torch.softmax(level[rows, prefix], -1).flatten(0, 1)
            fresh = torch.multinomial(laws, 1, generator=generator).view(first.shape)
            prefix = prefix * task.base + torch.where(t < position, kept, fresh)
    return torch.cat([first, prefix], 1)


def gather(task: ResidueTask, levels: list[Tensor], chosen: Tensor, old=None) -> Batch:
    """Look up the digits, logits and rewards of responses; ``old`` log-probabilities or current."""
    rewards = torch.from_numpy(task.correct).gather(1, chosen).float()
    rows = torch.arange(task.prompts)[:, None]
    prefixes = [chosen // task.base ** (task.length - t) for t in range(task.length + 1)]
    logits = torch.stack([z[rows, p] for z, p in zip(levels, prefixes[:-1], strict=True)], 2)
    tokens = torch.stack([p % task.base for p in prefixes[1:]], 2)
    logprobs, entropies = ops.token_logprob_entropy(logits, tokens)
    old = logprobs.detach() if old is None else old
    return Batch(logits, tokens, logprobs, old, entropies, rewards)


def grpo(batch: Batch) -> Tensor:
    """The GRPO loss of a batch."""
    return ops.grpo_loss(batch.logprobs, batch.old_logprobs, batch.rewards)


def covariances(batch: Batch) -> Tensor:
    """Every token's covariance of log-probability and GRPO advantage."""
    advantages = ops.group_relative_advantages(batch.rewards)[..., None]
    return ops.token_covariance(batch.logprobs, advantages.expand_as(batch.logprobs))


def train(
    policy: PrefixPolicy,
    loss: Callable[[Batch], Tensor] = grpo,
    *,
    sampler: Callable = draw,
    steps: int = 200,
    epochs: int = 1,
    group: int = 8,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> History:
    """Train on fresh groups of every prompt with Adam; return the exact history.

    Args:
        policy: the network, changed in place.
        loss: maps a batch to a scalar.
        sampler: :func:`draw` or :func:`draw_branched`.
        steps: batches.
        epochs: updates per batch; from the second on the batch is off-policy.
        group: responses per prompt and step.
        learning_rate: Adam's.
        seed: of the sampled responses.
    """
    task, generator = policy.task, torch.Generator().manual_seed(seed)
    correct = torch.from_numpy(task.correct)
    optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
    rows = []
    for _ in range(steps):
        levels = policy()
        chosen = sampler(task, levels, group, generator)
        batch = gather(task, levels, chosen)
        rows.append((*_exact(levels, correct), covariances(batch).mean().item()))
        for epoch in range(epochs):
            if epoch:
                batch = gather(task, policy(), chosen, batch.old_logprobs)
            optimizer.zero_grad()
            loss(batch).backward()
            optimizer.step()
    reward, entropy, solutions, covariance = np.array(rows).T
    with torch.no_grad():
        solved = (response_logprobs(policy()).exp() * correct).sum(1).numpy()
    return History(reward, entropy, covariance, solutions, solved)


def _exact(levels, correct):
    with torch.no_grad():
        logp = response_logprobs(levels).double()
        p = logp.exp()
        mass = (p * correct).sum(1)
        inside = p * correct / mass[:, None].clamp(min=1e-300)
        return (
            mass.mean().item(),
            -(p * logp).sum(1).mean().item(),
            torch.special.entr(inside).sum(1).exp().mean().item(),
        )
