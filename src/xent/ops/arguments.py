"""Checks of tensor arguments: each returns the tensor, or says by name what is wrong."""

from __future__ import annotations

import torch

from xent.reference import arguments

LARGEST = 1e18  # its square is still a number of float32


def floating(value, name: str) -> torch.Tensor:
    """Return a tensor of a floating dtype."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        kind = value.dtype if isinstance(value, torch.Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a floating tensor, got {kind}")
    return value


def classes(value, name: str = "logits") -> torch.Tensor:
    """Return a floating tensor with at least one class on its last axis."""
    if floating(value, name).ndim == 0 or value.shape[-1] == 0:
        raise ValueError(f"{name} must have classes on the last axis, got {tuple(value.shape)}")
    return value


def labels(value, logits: torch.Tensor, name: str = "labels") -> torch.Tensor:
    """Return an integer tensor, one class of ``logits`` for each of their rows."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor of integers, got {type(value).__name__}")
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, got {value.dtype}")
    _same_place(value, name, logits[..., 0])
    wrong = (value < 0) | (value >= logits.shape[-1])
    if wrong.any():
        raise IndexError(
            f"{name} must lie in [0, {logits.shape[-1]}), got {value[wrong][0].item()}"
        )
    return value


def like(value, name: str, other: torch.Tensor) -> torch.Tensor:
    """Return a floating tensor of the shape and on the device of ``other``."""
    return _same_place(floating(value, name), name, other)


def mask(value, name: str, other: torch.Tensor) -> torch.Tensor:
    """Return a bool tensor of the shape and on the device of ``other``."""
    if not isinstance(value, torch.Tensor) or value.dtype != torch.bool:
        kind = value.dtype if isinstance(value, torch.Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a bool tensor, got {kind}")
    return _same_place(value, name, other)


def filled(value, name: str) -> torch.Tensor:
    """Return a floating tensor with at least one entry and without NaN."""
    if floating(value, name).numel() == 0:
        raise ValueError(f"{name} must hold at least one token")
    if value.isnan().any():
        raise ValueError(f"{name} contains NaN; every entry must be a number")
    return value


def scalar(value, name: str, *, low=-LARGEST, high=LARGEST, **ends) -> float:
    """Return a float as :func:`xent.reference.arguments.scalar`, by default one for float32."""
    return arguments.scalar(value, name, low=low, high=high, **ends)


def positive(value, name: str) -> float:
    """Return a float above zero, neither its square nor that of its inverse beyond float32."""
    return scalar(value, name, low=1 / LARGEST)


def only_torch(backend) -> None:
    """Raise unless ``backend`` leaves the choice to PyTorch: for ops without a kernel."""
    if not isinstance(backend, str) or backend not in ("auto", "torch"):
        raise ValueError(f"backend must be 'auto' or 'torch' (no kernel here), got {backend!r}")


def _same_place(value, name, other):
    if value.shape != other.shape:
        raise ValueError(f"{name} must have shape {tuple(other.shape)}, got {tuple(value.shape)}")
    if value.device != other.device:
        raise ValueError(f"{name} must be on {other.device}, got {value.device}")
    return value
