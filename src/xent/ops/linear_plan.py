"""What is asked of a sweep, what it gets and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

TRITON_ORDERS = 4  # orders of entropies besides 1 that the kernels keep in one sweep


@dataclass(frozen=True)
class Plan:
    """Which sums to keep, and the map from products to logits."""

    temperature: float = 1.0
    softcap: float | None = None
    entropy: bool = False
    orders: tuple[float, ...] = ()
    top2: bool = False
    total: bool = False
    direction: bool = False
    teacher: bool = False

    def logits(self, product: torch.Tensor) -> torch.Tensor:
        """Return the logits of ``h @ w + b``, in place where possible."""
        if self.softcap is not None:
            product = torch.tanh(product.div_(self.softcap)).mul_(self.softcap)
        return product if self.temperature == 1.0 else product.div_(self.temperature)

    def slope_of_logits(self, z: torch.Tensor) -> torch.Tensor | float:
        """Return d logit / d product, from the logit."""
        if self.softcap is None:
            return 1.0 / self.temperature
        return (1 - (z * (self.temperature / self.softcap)) ** 2) / self.temperature


class Inputs(NamedTuple):
    """The tensors of a sweep: hidden (N, D), weight (V, D), ids (N, K) ascending, -1 for none."""

    hidden: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None = None
    direction: torch.Tensor | None = None
    ids: torch.Tensor | None = None
    omega: torch.Tensor | None = None
    teacher_hidden: torch.Tensor | None = None
    teacher_weight: torch.Tensor | None = None
    teacher_bias: torch.Tensor | None = None


@dataclass
class Context:
    """Where and how a sweep runs, and the two per-token numbers known before it."""

    plan: Plan
    backend: str = "torch"
    group: object = None
    offset: int = 0
    center: torch.Tensor | None = None


class Swept(NamedTuple):
    """What a sweep returns, (N,) unless said; None where the plan does not ask."""

    lse: torch.Tensor
    gap: torch.Tensor | None = None  # rest less the largest of the chosen, no logit rounded
    rest: torch.Tensor | None = None  # log-sum-exp without the ids
    chosen: torch.Tensor | None = None  # logits of the ids (N, K)
    rest_top: torch.Tensor | None = None
    entropy: torch.Tensor | None = None
    log_powers: torch.Tensor | None = None  # log sum_j p_j^alpha (orders, N)
    total: torch.Tensor | None = None
    top: torch.Tensor | None = None
    second: torch.Tensor | None = None
    slope_mean: torch.Tensor | None = None
    slope_variance: torch.Tensor | None = None
    slope_max: torch.Tensor | None = None
    slope_min: torch.Tensor | None = None
    kl: torch.Tensor | None = None
    reverse_kl: torch.Tensor | None = None
    teacher_entropy: torch.Tensor | None = None
    top_id: torch.Tensor | None = None


class Marks(NamedTuple):
    """What backward needs besides the outputs: normalizers, and classes where a maximum was taken.

    A normalizer is kept as maximum and sum, since its logarithm rounds with the logits' offset.
    """

    top: torch.Tensor | None = None
    mass: torch.Tensor | None = None
    rest_top: torch.Tensor | None = None
    rest_mass: torch.Tensor | None = None
    second_id: torch.Tensor | None = None
    rest_top_id: torch.Tensor | None = None
    slope_max_id: torch.Tensor | None = None
    slope_min_id: torch.Tensor | None = None
    teacher_lse: torch.Tensor | None = None


@dataclass
class Backward:
    """A sweep to be differentiated: its inputs, its outputs and their upstream gradients."""

    context: Context
    inputs: Inputs
    out: Swept
    marks: Marks
    upstream: Swept
