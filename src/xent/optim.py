"""Step-size control: wrappers that cap what an optimizer does, whatever the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from xent.ops import ghosts
from xent.reference import arguments


class RadiusController:
    r"""Caps the update that an optimizer proposes at a normalized length.

    The optimizer takes its own step, with momentum, preconditioner, weight decay and learning
    rate; the difference of the parameters is the proposed update :math:`p`. One Jacobian-vector
    product along :math:`p` gives :math:`r = \max_x \mathrm{spread}_k (J_x p)_k/\pi`, and the
    parameters move by :math:`\min(1, \mathrm{limit}/r)\,p`. The direction is the optimizer's, its
    state is what it would have been without the cap. To first order no logit difference of the
    batch moves by more than :math:`\pi` times the limit.

    Cost per step: one ``jvp`` of the model on the batch (about two forward passes) and one copy
    of the parameters. Modules are in evaluation mode during the product, so it neither sees nor
    changes batch statistics.

    Args:
        optimizer: Any ``torch.optim.Optimizer``. Learning-rate schedulers attach to it, not to
            the controller. Parameters outside the model are scaled with the others.
        model: Module whose logits are watched; it returns (..., K).
        limit: Largest normalized length r allowed, positive.

    Raises:
        TypeError: If ``optimizer`` is no optimizer, ``model`` no module or ``limit`` no number.
        ValueError: If ``limit`` is not positive and finite.

    Source: Ghosts of Softmax, which caps the length of the raw gradient in its
    released code; capping the update is the difference. Chapter "ghosts-experiments".
    """

    def __init__(self, optimizer: torch.optim.Optimizer, model: nn.Module, *, limit: float = 1.0):
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"optimizer must be a torch optimizer, got {type(optimizer).__name__}")
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch module, got {type(model).__name__}")
        self.optimizer, self.model = optimizer, model
        self.limit = arguments.positive(limit, "limit")
        self.proposed = 0.0  # normalized length of the last proposed update
        self.scale = 1.0  # factor by which it was shortened

    @property
    def param_groups(self) -> list[dict]:
        """The optimizer's parameter groups."""
        return self.optimizer.param_groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the optimizer's parameters."""
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def step(self, batch, closure: Callable[[], Tensor] | None = None):
        """Let the optimizer step, then shorten the step to the limit.

        Args:
            batch: Input of the model (or a tuple of inputs) whose logits are watched.
            closure: Passed to the optimizer, for those that evaluate the loss themselves.

        Returns:
            What the optimizer's ``step`` returns.

        Raises:
            FloatingPointError: If the proposed update is not finite; the parameters are then as
                before.
        """
        moved = [p for group in self.param_groups for p in group["params"]]
        before = [p.detach().clone() for p in moved]
        result = self.optimizer.step(closure)
        updates = [p.detach() - old for p, old in zip(moved, before, strict=True)]
        with torch.no_grad():
            for p, old in zip(moved, before, strict=True):
                p.copy_(old)
        self.proposed = self._normalized_length(moved, updates, batch)
        if not math.isfinite(self.proposed):
            raise FloatingPointError("the optimizer proposed an update that is not finite")
        self.scale = min(1.0, self.limit / self.proposed) if self.proposed > 0 else 1.0
        with torch.no_grad():
            for p, update in zip(moved, updates, strict=True):
                p.add_(update, alpha=self.scale)
        return result

    def _normalized_length(self, moved: list[Tensor], updates: list[Tensor], batch) -> float:
        if not all(bool(update.isfinite().all()) for update in updates):
            return math.inf
        update_of = {id(p): update for p, update in zip(moved, updates, strict=True)}
        names = self.model.named_parameters()
        direction = {name: update_of[id(p)] for name, p in names if id(p) in update_of}
        training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        try:
            spread = ghosts.logit_spread(self.model, batch, direction)
        finally:
            for module in training:
                module.training = True
        return float(spread.max()) / math.pi

    def state_dict(self) -> dict:
        """State of the optimizer and of the controller."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "limit": self.limit,
            "proposed": self.proposed,
            "scale": self.scale,
        }

    def load_state_dict(self, state: dict) -> None:
        """Restore what ``state_dict`` returned.

        Args:
            state: a dictionary with the keys of ``state_dict``.

        Raises:
            KeyError: If an entry is missing.
            ValueError: If the limit is not positive and finite.
        """
        self.optimizer.load_state_dict(state["optimizer"])
        self.limit = arguments.positive(state["limit"], "limit")
        self.proposed, self.scale = float(state["proposed"]), float(state["scale"])
