"""Checks of arguments: each returns the value as the references use it, or says what is wrong.

Every exception names the argument, what was wrong and what is allowed. Nothing is clamped.
"""

from __future__ import annotations

import numpy as np

LARGEST = 1e100  # its square and cube are still numbers of float64


def array(value, name: str, *, ndim: int | None = None, dtype=np.float64) -> np.ndarray:
    """Return ``value`` as a float64 array of numbers up to ``LARGEST`` in size, or infinite.

    ``ndim`` fixes the number of axes; ``dtype=np.complex128`` allows complex numbers.
    """
    kind = "complex" if dtype == np.complex128 else "real"
    try:
        given = np.asarray(value)
        if given.dtype.kind in "SU" or (given.dtype.kind == "c" and kind == "real"):
            raise TypeError(f"got dtype {given.dtype}")
        result = given.astype(dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array of {kind} numbers: {error}") from None
    if ndim is not None and result.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {result.shape}")
    if np.isnan(result).any():
        raise ValueError(f"{name} contains NaN; every entry must be a number")
    if ((np.abs(result) > LARGEST) & np.isfinite(result)).any():
        raise ValueError(f"{name} must be at most {LARGEST:g} in size, or its powers overflow")
    return result


def finite(
    value,
    name: str,
    *,
    ndim: int | None = None,
    low: float = -np.inf,
    high: float = np.inf,
    dtype=np.float64,
) -> np.ndarray:
    """Return ``value`` as an array of finite numbers from ``low`` to ``high``."""
    result = array(value, name, ndim=ndim, dtype=dtype)
    if not np.isfinite(result).all():
        raise ValueError(f"{name} contains an infinity; every entry must be finite")
    if dtype == np.float64 and ((result < low) | (result > high)).any():
        one_sided = f"be >= {low:g}" if high == np.inf else f"be <= {high:g}"
        allowed = f"lie in [{low:g}, {high:g}]" if np.isfinite(low + high) else one_sided
        raise ValueError(f"{name} must {allowed} everywhere")
    return result


def positives(value, name: str, *, ndim: int | None = None) -> np.ndarray:
    """Return ``value`` as an array of numbers above zero, their inverses up to ``LARGEST``."""
    result = finite(value, name, ndim=ndim)
    if (result < 1 / LARGEST).any():
        raise ValueError(f"{name} must be > 0 everywhere, at least {1 / LARGEST:g}")
    return result


def logits(value, name: str = "logits", *, axis: int = -1) -> np.ndarray:
    """Return logits with at least one class; -inf masks a class, but never all of a row."""
    result = array(value, name)
    if result.ndim == 0:
        raise ValueError(f"{name} must have at least one axis (the classes), got a scalar")
    _check_axis(axis, result.ndim)
    if result.shape[axis] == 0:
        raise ValueError(f"{name} has no classes along axis {axis}; at least one is needed")
    if np.isposinf(result).any():
        raise ValueError(f"{name} contains +inf, for which softmax has no meaning")
    if np.isneginf(result).all(axis=axis).any():
        raise ValueError(f"{name} has a row in which every class is -inf; one must be finite")
    return result


def integers(value, name: str) -> np.ndarray:
    """Return ``value`` as an array of integers; one without entries may have any dtype."""
    result = _asarray(value, name, "integers")
    if result.size and result.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got dtype {result.dtype}")
    return result.astype(np.int64)


def labels(
    value,
    shape: tuple[int, ...],
    num_classes: int,
    name: str = "labels",
    *,
    ignore_index: int | None = None,
):
    """Return integer labels of the given shape in [0, num_classes) or equal to ``ignore_index``."""
    if ignore_index is not None:
        integer(ignore_index, "ignore_index")
    result = integers(value, name)
    if result.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {result.shape}")
    allowed = (result >= 0) & (result < num_classes)
    if ignore_index is not None:
        allowed |= result == ignore_index
    if not allowed.all():
        bad = result[~allowed].flat[0]
        extra = "" if ignore_index is None else f" or equal ignore_index={ignore_index}"
        raise IndexError(f"{name} must lie in [0, {num_classes}){extra}, got {bad}")
    return result


def mask(value, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return ``value`` as an array of truth values of the given shape."""
    result = _asarray(value, name, "truth values")
    if result.dtype != bool or result.shape != tuple(shape):
        raise ValueError(f"{name} must be bool of shape {tuple(shape)}, got {result.shape}")
    return result


def distribution(value, name: str, *, axis: int = -1, atol: float = 1e-9) -> np.ndarray:
    """Return probabilities: non-negative, summing to one along ``axis`` within ``atol``."""
    result = finite(value, name)
    if result.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, got a scalar")
    _check_axis(axis, result.ndim)
    if result.shape[axis] == 0:
        raise ValueError(f"{name} has no outcomes along axis {axis}; at least one is needed")
    if (result < 0).any():
        raise ValueError(f"{name} has a negative entry; probabilities must be >= 0")
    worst = np.abs(result.sum(axis=axis) - 1.0).max(initial=0.0)
    if worst > atol:
        raise ValueError(f"{name} must sum to 1 along axis {axis}; it is off by {worst:.3g}")
    return result


def broadcastable(**arrays: np.ndarray) -> None:
    """Raise unless the shapes of the named arrays broadcast."""
    try:
        np.broadcast_shapes(*(value.shape for value in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in arrays.items())
        raise ValueError(f"shapes must broadcast, got {shapes}") from None


def scalar(
    value,
    name: str,
    *,
    low: float = -LARGEST,
    high: float = LARGEST,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return a float inside the interval from ``low`` to ``high`` (closed unless said open)."""
    try:
        if isinstance(value, (str, bool, np.bool_)) or np.ndim(value):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}") from None
    below = result <= low if open_low else result < low
    above = result >= high if open_high else result > high
    if np.isnan(result) or below or above:
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        raise ValueError(f"{name} must lie in {left}{low}, {high}{right}, got {result}")
    return result


def positive(value, name: str) -> float:
    """Return a float above zero, neither it nor its inverse beyond ``LARGEST``."""
    result = scalar(value, name, low=0.0, open_low=True)
    if result < 1 / LARGEST:
        raise ValueError(f"{name} must be at least {1 / LARGEST:g}, got {result}")
    return result


def integer(value, name: str, *, low: int | None = None) -> int:
    """Return an int that is at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if low is not None and value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
    return int(value)


def flag(value, name: str) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(value, name: str, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def _asarray(value, name, content) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array of {content}: {error}") from None


def _check_axis(axis, ndim: int) -> None:
    if not -ndim <= integer(axis, "axis") < ndim:
        raise ValueError(f"axis must lie in [-{ndim}, {ndim}), got {axis}")
