"""Checks of what the ops of a head are given: each names the argument and what is allowed."""

from __future__ import annotations

import torch

from xent.ops.backend import upcast
from xent.reference import arguments

number = arguments.scalar
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def positive(value, name: str) -> float:
    """Return a finite float above zero."""
    return number(value, name, low=0.0, open_low=True, high=float("inf"), open_high=True)


def tensor(value, name: str, like: torch.Tensor, shape=None) -> torch.Tensor:
    """Return a tensor on the device of hidden, ``like``, and of the given shape.

    Raises:
        TypeError: if it is no tensor.
        ValueError: if shape or device differ.
    """
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if value.device != like.device:
        raise ValueError(f"{name} must be on the device of hidden, {like.device}: {value.device}")
    if shape is not None and value.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(value.shape)}")
    return value


def real(value, name: str, like: torch.Tensor, shape=None) -> torch.Tensor:
    """Return a tensor of real numbers, checked as by :func:`tensor`."""
    tensor(value, name, like, shape)
    if value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f"{name} must hold real numbers, got {value.dtype}")
    return value


def head(hidden, weight, bias, prefix: str = "") -> None:
    """Check hidden states (..., D), a head (V, D) and a bias (V,) or None.

    Raises:
        TypeError: if one is no floating tensor of a supported dtype.
        ValueError: if shapes, dtypes or devices do not match.
    """
    for name, value in (("hidden", hidden), ("weight", weight)):
        if not isinstance(value, torch.Tensor) or value.dtype not in FLOATS:
            found = value.dtype if isinstance(value, torch.Tensor) else type(value).__name__
            allowed = "float64, float32, bfloat16 or float16"
            raise TypeError(f"{prefix}{name} must be a floating tensor, {allowed}; got {found}")
    if weight.ndim != 2 or weight.numel() == 0:
        shape = tuple(weight.shape)
        raise ValueError(f"{prefix}weight must have shape (V, D) with V, D >= 1, got {shape}")
    if hidden.ndim == 0 or hidden.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"{prefix}hidden must have {weight.shape[1]} entries on its last axis, as weight does; "
            f"got shape {tuple(hidden.shape)}"
        )
    tensor(weight, f"{prefix}weight", hidden)
    if bias is not None:
        tensor(bias, f"{prefix}bias", hidden, weight.shape[:1])
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.dtype != hidden.dtype:
            raise ValueError(
                f"{prefix}{name} must have the dtype of hidden, {hidden.dtype}; got {value.dtype}"
            )


def integers(value, name: str, like, shape, classes: int, ignore_index=None) -> torch.Tensor:
    """Return int64 classes of the given shape in [0, classes), or equal to ``ignore_index``.

    Raises:
        TypeError: if they are no tensor of integers.
        ValueError: if the shape or device is wrong.
        IndexError: if one is no class.
    """
    if isinstance(value, torch.Tensor) and (
        value.is_floating_point() or value.is_complex() or value.dtype == torch.bool
    ):
        raise TypeError(f"{name} must be integers, got {value.dtype}")
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor of integers, got {type(value).__name__}")
    value = tensor(value, name, like, shape).long()
    wrong = (value < 0) | (value >= classes)
    if ignore_index is not None:
        wrong &= value != ignore_index
    if wrong.any():
        extra = "" if ignore_index is None else f" or equal ignore_index={ignore_index}"
        raise IndexError(f"{name} must lie in [0, {classes}){extra}, got {value[wrong][0].item()}")
    return value


def labels(value, hidden, classes: int, ignore_index: int, shift: int = 0):
    """Return flat labels, -1 where ignored, and which of them count.

    Raises:
        TypeError: if labels, ``ignore_index`` or ``shift`` are no integers.
        ValueError: if the shape is wrong or ``shift`` is negative or beyond the last position.
        IndexError: if a label is no class.
    """
    shift = arguments.integer(shift, "shift", low=0)
    ignore_index = arguments.integer(ignore_index, "ignore_index")
    value = integers(value, "labels", hidden, hidden.shape[:-1], classes, ignore_index)
    if shift:
        if value.ndim == 0 or shift > value.shape[-1]:
            raise ValueError(f"shift must be at most the number of positions, got {shift}")
        missing = value.new_full((*value.shape[:-1], shift), ignore_index)
        value = torch.cat([value[..., shift:], missing], dim=-1)
    counted = (value != ignore_index).reshape(-1)
    return value.reshape(-1).where(counted, -1), counted


def class_weight(value, classes: int, hidden) -> torch.Tensor | None:
    """Return the classes' weights (V,), finite and >= 0, as constants; None for None.

    Raises:
        TypeError: if they are no tensor of real numbers.
        ValueError: if the shape or device is wrong, or an entry is negative or not finite.
    """
    if value is None:
        return None
    real(value, "class_weight", hidden, (classes,))
    if not ((value >= 0) & (value < float("inf"))).all():
        raise ValueError("class_weight has a negative entry, NaN or infinity; weights must be >= 0")
    return value.detach().to(upcast(hidden[:0]).dtype)


def token_weight(value, hidden) -> torch.Tensor:
    """Return the tokens' weights, flat.

    Raises:
        TypeError: if they are no tensor of real numbers.
        ValueError: if the shape or device is wrong, or an entry is not finite.
    """
    real(value, "token_weight", hidden, hidden.shape[:-1])
    if not value.isfinite().all():
        raise ValueError("token_weight has NaN or an infinity; every entry must be finite")
    return upcast(value).reshape(-1)


def known(ids, log_q, hidden, classes: int):
    """Return K ids a token in ascending order, log q and q of each with the rest's as last column.

    Raises:
        TypeError: if ids are no integers or log_q no floating tensor.
        ValueError: if shapes do not match, there are no ids, ids repeat, or masses exceed one.
        IndexError: if an id is no class.
    """
    lead = tuple(hidden.shape[:-1])
    real(log_q, "log_q", hidden)
    if log_q.ndim != hidden.ndim or log_q.shape[:-1] != lead or log_q.shape[-1] == 0:
        found = tuple(log_q.shape)
        raise ValueError(f"log_q must have shape {lead} + (K,) with K >= 1, got {found}")
    ids = integers(ids, "ids", hidden, log_q.shape, classes)
    ids, order = ids.reshape(-1, ids.shape[-1]).sort(dim=1)
    if (ids.diff(dim=1) == 0).any():
        raise ValueError("ids must be distinct within a token")
    log_q = upcast(log_q.detach()).reshape(ids.shape).gather(1, order)
    q = log_q.exp()
    rest = 1 - q.sum(1, keepdim=True)
    if not (rest >= -1e-4).all():
        raise ValueError("log_q must hold numbers of at most total mass 1 per token, and no NaN")
    rest = rest.clamp_min(0.0) * (ids.shape[1] < classes)
    return ids, torch.cat([log_q, rest.log()], dim=1), torch.cat([q, rest], dim=1)


def teacher(value, hidden, weight) -> tuple:
    """Return the teacher's flat hidden states, head and bias or None.

    Raises:
        TypeError: if it is no tuple of floating tensors.
        ValueError: if shapes, dtypes or devices do not match, or one requires a gradient.
    """
    if not isinstance(value, (tuple, list)):
        found = type(value).__name__
        raise TypeError(f"teacher must be a tuple (hidden, weight[, bias]), got {found}")
    if len(value) not in (2, 3):
        raise ValueError(f"teacher must be (hidden, weight[, bias]), got {len(value)} entries")
    states, matrix, bias = (*value, None)[:3]
    head(states, matrix, bias, "teacher ")
    tensor(states, "teacher hidden", hidden)
    if (states.dtype == torch.float64) != (hidden.dtype == torch.float64):
        raise ValueError(f"teacher and hidden: both float64 or none, got {states.dtype}")
    if states.shape[:-1] != hidden.shape[:-1] or len(matrix) != len(weight):
        expected = (*hidden.shape[:-1], len(weight))
        found = (*states.shape[:-1], len(matrix))
        raise ValueError(f"the teacher's logits must have shape {expected}, got {found}")
    if any(t is not None and t.requires_grad for t in (states, matrix, bias)):
        raise ValueError("the teacher is a constant: pass its tensors with .detach()")
    return states.reshape(-1, states.shape[-1]), matrix, bias
