"""Twins of ``xent.reference.policy``."""

from __future__ import annotations

import functools

import numpy as np
import torch

from xent.ops import policy as ops
from xent.parity import Case, Tolerance, Twin, autograd
from xent.parity.softmax import logit_cases
from xent.reference import policy as reference

ROUNDED = {"float64": Tolerance(1e-12), "float32": Tolerance(1e-5)}
EXACT = {"float64": Tolerance(1e-12), "float32": Tolerance(1e-6)}


def torch_only(op):
    """The op without the ``backend`` option, which only a kernel's twin has."""

    @functools.wraps(op)
    def call(*arguments, backend, **options):
        return op(*arguments, **options)

    return call


def token_cases(large: bool):
    """The awkward logits of the softmax table, with sampled tokens."""
    rng = np.random.default_rng(7)
    for case in logit_cases(large):
        z = case.arguments[0]
        if "axis" in case.options or not z.shape[-1]:
            continue
        tokens = rng.integers(0, z.shape[-1], size=z.shape[:-1])
        if "masked" in case.name:
            tokens = z.argmax(-1)
        yield Case(case.name, (z, tokens), layout=case.layout)
    z = 60.0 * (np.arange(150) == 3) + rng.normal(size=(4, 150))
    yield Case("nearly certain", (z, np.array([3, 3, 4, 5])))
    yield Case("misaligned tokens", (z, np.array([3, 3, 4, 5])), layout="misaligned")


def change_cases(large: bool):
    """As ``token_cases``, with advantages."""
    rng = np.random.default_rng(8)
    for case in token_cases(large):
        advantages = rng.normal(size=case.arguments[1].shape)
        yield Case(case.name, (*case.arguments, advantages), layout=case.layout)


def nucleus_cases(large: bool):
    """Logits far from ties, where the edge of the nucleus is not a matter of rounding."""
    rng = np.random.default_rng(9)
    for shape in ((1, 1), (3, 5), (4, 300), (2, 3, 33)):
        yield Case(f"normal {shape}", (3 * rng.normal(size=shape),), {"top_p": 0.8})
    yield Case("offset", (rng.normal(size=(3, 50)) + 1e3,), {"top_p": 0.5})
    yield Case("one action", (rng.normal(size=(3, 50)),), {"top_p": 1e-3})


def batch(rng, *shape):
    """Log-probabilities, nearby old ones, and rewards with groups that agree."""
    logprobs = -rng.exponential(size=shape)
    old = logprobs + 0.3 * rng.normal(size=shape)
    rewards = (rng.random(shape[:-1]) < 0.4) * 1.0
    rewards[..., 0, :] = 1.0
    return logprobs, old, rewards


def loss_cases(large: bool):
    """Batches of groups; the first group of each agrees."""
    rng = np.random.default_rng(10)
    for shape in ((2, 2, 1), (3, 8, 5), (1, 4, 40)):
        yield Case(f"batch {shape}", batch(rng, *shape))


def clipped_cases(large: bool):
    """As ``loss_cases``, with asymmetric and absent clips."""
    for case in loss_cases(large):
        yield case
        for clips in ((0.2, 0.28), (None, None)):
            options = {"clip_low": clips[0], "clip_high": clips[1]}
            yield Case(f"{case.name} clips {clips}", case.arguments, options)


def surrogate_cases(large: bool):
    """Log-probabilities and advantages of every token, with the clips of ``clipped_cases``."""
    rng = np.random.default_rng(17)
    for case in clipped_cases(large):
        logprobs, old, _ = case.arguments
        arguments = logprobs, old, rng.normal(size=logprobs.shape)
        yield Case(case.name, arguments, case.options)


def penalty_cases(large: bool):
    """Log-probabilities, old ones, and the tokens selected: some, none, all."""
    rng = np.random.default_rng(18)
    logprobs, old, _ = batch(rng, 3, 8, 5)
    for name, selected in (
        ("some", rng.random(old.shape) < 0.3),
        ("all", old < 9),
        ("none", old > 9),
    ):
        yield Case(name, (logprobs, old, selected), {"beta": 0.7})


def anchor_cases(large: bool):
    """Entropies of a batch and the tokens that count."""
    rng = np.random.default_rng(19)
    entropies = rng.exponential(size=(6, 9))
    yield Case("some", (entropies, rng.random((6, 9)) < 0.4, 0.5))
    yield Case("all", (entropies, entropies >= 0, 3.0))


def covariance_cases(large: bool):
    """Log-probabilities and advantages."""
    rng = np.random.default_rng(11)
    for shape in ((1,), (7, 3), (400,)):
        yield Case(f"batch {shape}", (-rng.exponential(size=shape), rng.normal(size=shape)))


def mask_cases(large: bool):
    """Covariances and priorities: nothing eligible, a quota that bites, one that does not."""
    rng = np.random.default_rng(12)
    for scale, fraction in ((0.1, 0.5), (3.0, 0.05), (3.0, 1.0)):
        arrays = scale * rng.normal(size=(20, 10)), rng.random((20, 10))
        yield Case(f"scale {scale} fraction {fraction}", arrays, {"fraction": fraction})


def top_cases(large: bool):
    """Values to rank, with ties."""
    rng = np.random.default_rng(13)
    for fraction in (1e-4, 0.2, 1.0):
        yield Case(f"fraction {fraction}", (rng.normal(size=(30, 7)),), {"fraction": fraction})
    yield Case("ties", (np.round(rng.normal(size=60)),), {"fraction": 0.2})


def steer_cases(large: bool):
    """Log-probabilities, entropies and advantages, certain tokens among them."""
    rng = np.random.default_rng(14)
    logprobs = -rng.exponential(size=(6, 9))
    logprobs[0] = 0.0
    logprobs[1] = -1e-6
    yield Case("batch", (logprobs, rng.exponential(size=(6, 9)), rng.normal(size=(6, 9))))


def weight_cases(large: bool):
    """Entropy changes: large, all small, all zero."""
    rng = np.random.default_rng(15)
    for scale in (1.0, 1e-3, 0.0):
        yield Case(f"scale {scale}", (scale * rng.normal(size=50),))


def reward_cases(large: bool):
    """Groups that agree and groups that do not, under every baseline."""
    rng = np.random.default_rng(16)
    rewards = (rng.random((5, 8)) < 0.5) * 1.0
    rewards[0] = 1.0
    for baseline in ("mean", "leave-one-out", "none"):
        for standardize in (True, False):
            options = {"baseline": baseline, "standardize": standardize}
            yield Case(f"{baseline}, {standardize}", (rewards,), options)


def token_formula(logits, tokens):
    """Plain torch, float64."""
    log_pi = torch.log_softmax(logits, -1)
    entropy = -torch.where(log_pi.exp() > 0, log_pi.exp() * log_pi.clamp(min=-1e3), 0.0).sum(-1)
    return log_pi.gather(-1, tokens[..., None])[..., 0], entropy


def row(name, cases, tolerance, because, **options):
    """A twin without a kernel."""
    return Twin(
        name=f"policy.{name}",
        reference=getattr(reference, name),
        op=torch_only(getattr(ops, name)),
        cases=cases,
        tolerance=tolerance,
        because=because,
        backends=("torch",),
        **options,
    )


NONE = {"reduction": "none"}
ROUNDING = "float32 rounding of a few operations"
ORDER = "a selection: equal, no rounding involved"

ROWS = (
    Twin(
        name="policy.token_logprob_entropy",
        reference=reference.token_logprob_entropy,
        op=ops.token_logprob_entropy,
        cases=token_cases,
        tolerance={dtype: Tolerance(2e-6) for dtype in ("float32", "float16", "bfloat16")},
        because="float32 inside whatever the logits; two sums over the row",
        gradient=autograd(token_formula),
        gradient_tolerance={
            "float32": Tolerance(1e-5),
            "float16": Tolerance(2e-3),
            "bfloat16": Tolerance(1e-2),
        },
    ),
    row("token_entropy_change", change_cases, {"float64": Tolerance(1e-12)}, "float64 rounding"),
    row("group_relative_advantages", reward_cases, EXACT, ROUNDING),
    row("policy_loss", surrogate_cases, ROUNDED, ROUNDING, op_options=NONE),
    row("kl_cov_penalty", penalty_cases, ROUNDED, ROUNDING, op_options=NONE),
    row("anchored_penalty", anchor_cases, ROUNDED, ROUNDING),
    row("grpo_loss", clipped_cases, ROUNDED, ROUNDING, op_options=NONE),
    row("rloo_loss", loss_cases, ROUNDED, ROUNDING, op_options=NONE),
    row("reinforce_loss", loss_cases, ROUNDED, ROUNDING, op_options=NONE),
    row("token_covariance", covariance_cases, ROUNDED, ROUNDING),
    row("clip_cov_mask", mask_cases, EXACT, ORDER),
    row("kl_cov_mask", top_cases, EXACT, ORDER),
    row("high_entropy_mask", top_cases, EXACT, ORDER),
    row("steer_entropy_change", steer_cases, ROUNDED, ROUNDING),
    row("steer_weights", weight_cases, ROUNDED, ROUNDING),
    row("nucleus_mask", nucleus_cases, EXACT, "no case lies within rounding of the edge"),
    row("nucleus_entropy", nucleus_cases, ROUNDED, "no case lies within rounding of the edge"),
)
