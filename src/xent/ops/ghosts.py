r"""Spread of the logit slopes along an update, and what it bounds.

Twins of ``xent.reference.ghosts`` for arrays of slopes, and three functions that measure a model:
:func:`logit_slopes`, :func:`logit_spread` and :func:`radius` push one tangent through the network
with ``torch.func.jvp`` (about the cost of two forward passes, no backward pass, no Hessian).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from xent.ops.backend import choose


def slope_spread(slopes: Tensor, *, backend: str = "auto") -> Tensor:
    r"""Spread of the directional logit derivatives, :math:`\Delta = \max_k a_k - \min_k a_k`.

    Args:
        slopes: Shape (..., K).
        backend: ``"auto"`` or ``"torch"``; there is no kernel.

    Returns:
        Shape (...).

    Raises:
        TypeError: If slopes is no tensor.
        ValueError: If there is no class.

    Source: twin of :func:`xent.reference.ghosts.slope_spread`.
    """
    choose(backend, slopes, dtypes=())
    if slopes.ndim == 0 or slopes.shape[-1] == 0:
        raise ValueError(f"slopes must have at least one class, got shape {tuple(slopes.shape)}")
    return slopes.amax(-1) - slopes.amin(-1)


def radius_lower_bound(slopes: Tensor, *, backend: str = "auto") -> Tensor:
    r"""Distance within which no ghost can lie, :math:`\rho_a = \pi/\Delta`.

    Args:
        slopes: Directional logit derivatives, shape (..., K).
        backend: ``"auto"`` or ``"torch"``; there is no kernel.

    Returns:
        Shape (...); ``inf`` where all slopes are equal.

    Raises:
        TypeError: If slopes is no tensor.
        ValueError: If there is no class.

    Source: twin of :func:`xent.reference.ghosts.radius_lower_bound`.
    """
    return torch.pi / slope_spread(slopes, backend=backend)


def descent_step(
    descent: Tensor, curvature: Tensor, spread: Tensor, *, backend: str = "auto"
) -> Tensor:
    r"""Longest step before which a linear-logit loss is certain to stay below its start.

    Newton's method for :math:`e^x - 1 - x = cx`, :math:`c = g\Delta/\kappa`, from above: the root
    lies below :math:`2\log(1+c)`, and the equation is convex. The step is :math:`x/\Delta`.

    Args:
        descent: Rate of descent :math:`g \ge 0`.
        curvature: :math:`\kappa > 0`, broadcast against it.
        spread: :math:`\Delta > 0`, broadcast against both.
        backend: ``"auto"`` or ``"torch"``; there is no kernel.

    Returns:
        Step length, broadcast shape.

    Raises:
        ValueError: If a value has the wrong sign.

    Source: twin of :func:`xent.reference.ghosts.descent_step`.
    """
    choose(backend, descent, dtypes=())
    if (descent < 0).any() or (curvature <= 0).any() or (spread <= 0).any():
        raise ValueError("descent must be >= 0; curvature and spread must be > 0")
    c = descent * spread / curvature
    x = 2 * torch.log1p(c)
    for _ in range(3):  # fixed-point steps from above stay above the root
        x = torch.log1p((1 + c) * x)
    for _ in range(8):
        slope = torch.expm1(x) - c
        excess = torch.expm1(x) - (1 + c) * x
        x = torch.where(c > 0, x - excess / torch.where(c > 0, slope, 1), x)
    return x / spread


def logit_slopes(model: nn.Module, batch, direction: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    r"""Logits and their derivatives along a direction in parameter space: one ``jvp``.

    The model runs in its current mode; put batch normalization and dropout into evaluation mode
    unless their training behavior is meant.

    Args:
        model: Module that returns logits (..., K).
        batch: Its input, or a tuple of inputs.
        direction: Tangent by parameter name; parameters without an entry stay fixed.

    Returns:
        Pair of detached tensors (logits, slopes), both (..., K).

    Raises:
        KeyError: If ``direction`` names a parameter that the model does not have.

    Source: Ghosts of Softmax; chapter "ghosts-experiments".
    """
    parameters = dict(model.named_parameters())
    if unknown := direction.keys() - parameters.keys():
        raise KeyError(f"direction names no parameter of the model: {sorted(unknown)}")
    inputs = batch if isinstance(batch, tuple) else (batch,)
    primals = {name: parameters[name].detach() for name in direction}
    tangents = {name: direction[name].detach() for name in direction}

    def logits(moving):
        return functional_call(model, moving, inputs)

    with torch.no_grad():
        return jvp(logits, (primals,), (tangents,))


def logit_spread(model: nn.Module, batch, direction: Mapping[str, Tensor]) -> Tensor:
    r"""Spread :math:`\Delta(x; v) = \max_k a_k - \min_k a_k` of every example's logit slopes.

    Args:
        model: Module that returns logits (..., K).
        batch: Its input, or a tuple of inputs.
        direction: Tangent by parameter name. With the update itself as direction, the spread is
            :math:`\pi r`: the normalized step of each example times pi.

    Returns:
        Shape (...), one number per example (and position).

    Raises:
        KeyError: If ``direction`` names a parameter that the model does not have.

    Source: Ghosts of Softmax; chapter "ghosts-experiments".
    """
    return slope_spread(logit_slopes(model, batch, direction)[1])


def radius(model: nn.Module, batch, direction: Mapping[str, Tensor]) -> Tensor:
    r"""Linearized radius of a batch, :math:`\rho_a = \pi/\max_x \Delta(x; v)`, in units of v.

    Args:
        model: Module that returns logits (..., K).
        batch: Its input, or a tuple of inputs.
        direction: Tangent by parameter name.

    Returns:
        Scalar tensor; ``inf`` if no logit difference moves.

    Raises:
        KeyError: If ``direction`` names a parameter that the model does not have.

    Source: Ghosts of Softmax; chapter "ghosts-experiments".
    """
    return torch.pi / logit_spread(model, batch, direction).max()
