"""The table of twins: every optimised function beside its reference, and how far it may differ.

A module ``xent.parity.<subject>`` holds ``ROWS``, a tuple of :class:`Twin`; it is found by its
name alone. ``python -m xent.parity`` runs the table on this machine and prints the worst errors.

How a case is run: its floating arrays are rounded to the dtype under test, so that the reference,
in float64, and the op see the same numbers. The error of an output ``a`` where the reference gives
``b`` is ``|a - b| / (|b| + floor)``: relative for values above ``floor``. Integer outputs must be
equal. Gradients are compared for random, non-uniform upstream gradients.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module, util
from typing import NamedTuple

import numpy as np
import torch

from xent import records
from xent.reference.arguments import choice


class Tolerance(NamedTuple):
    """The largest allowed error ``|a - b| / (|b| + floor)``."""

    error: float
    floor: float = 1.0


@dataclass(frozen=True)
class Case:
    """One input: its name, positional arrays, and options for reference and op.

    ``layout`` is how the op gets the arrays: ``"contiguous"``, ``"strided"`` (floating arrays are
    every second column of a wider buffer) or ``"misaligned"`` (integer arrays start one element
    into their buffer). Arguments that are no arrays are passed as they are.
    """

    name: str
    arguments: tuple
    options: dict = field(default_factory=dict)
    layout: str = "contiguous"


@dataclass(frozen=True)
class Twin:
    """One row of the table, the whole contract between a reference and its op.

    Attributes:
        name: ``"<module>.<function>"``, and a word in parentheses where a function has two rows.
        reference: NumPy float64 function of a case's arguments and options.
        op: the torch twin, called with ``backend=`` and ``op_options`` besides.
        cases: ``cases(large) -> iterable of Case``; ``large`` on CUDA, where shapes may be real.
        tolerance: :class:`Tolerance` by dtype; its keys are the dtypes that are run.
        because: why these tolerances.
        gradient: ``gradient(upstream, *arguments, **options)``: float64 gradients with respect to
            the arguments listed in ``differentiable``, found independently of the op's backward
            (:func:`autograd` of the formula, or an analytic one). None: no gradient is compared.
        gradient_tolerance: as ``tolerance``; defaults to it.
        eager: optional torch function of the same arguments; the op may then be as wrong as twice
            this function's error in the same dtype, plus the tolerance.
        backends: those the op has.
    """

    name: str
    reference: Callable
    op: Callable
    cases: Callable[[bool], Iterable[Case]]
    tolerance: dict[str, Tolerance]
    because: str
    gradient: Callable | None = None
    differentiable: tuple[int, ...] = (0,)
    gradient_tolerance: dict[str, Tolerance] | None = None
    eager: Callable | None = None
    op_options: dict = field(default_factory=dict)
    backends: tuple[str, ...] = ("torch", "triton")


class Result(NamedTuple):
    """The worst errors of one twin for one device, backend and dtype."""

    name: str
    device: str
    backend: str
    dtype: str
    error: float
    tolerance: float
    gradient_error: float | None
    gradient_tolerance: float | None
    cases: int
    worst_case: str
    passed: bool


def autograd(formula: Callable, differentiable: tuple[int, ...] = (0,)) -> Callable:
    """Return a ``gradient`` for :class:`Twin`: float64 autograd of a plain torch formula."""

    def gradient(upstream, *arguments, **options):
        tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]
        for index in differentiable:
            tensors[index] = tensors[index].clone().requires_grad_()
        outputs = [o for o in _as_tuple(formula(*tensors, **options)) if o.requires_grad]
        upstream = [torch.as_tensor(u) for u in _as_tuple(upstream)]
        found = torch.autograd.grad(outputs, [tensors[i] for i in differentiable], upstream)
        return tuple(g.numpy() for g in found)

    return gradient


def run(device: str = "cpu", backends=("torch", "triton"), *, only: str = "") -> list[Result]:
    """Compare every twin with its reference and return one result per op, backend and dtype.

    A comparison that raises an exception is a result that did not pass, with infinite error.

    Args:
        device: ``"cpu"`` (Triton in its interpreter, small shapes) or ``"cuda"``.
        backends: which to run.
        only: run the twins whose name contains this.

    Returns:
        The results in the order of the table.

    Raises:
        ValueError: for an unknown device or backend, or if no twin is selected.
        RuntimeError: if CUDA is asked for and absent.
    """
    choice(device, "device", ("cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("device='cuda': torch sees no CUDA device here")
    if unknown := set(backends) - {"torch", "triton"}:
        raise ValueError(f"backends must be 'torch' or 'triton', got {sorted(unknown)}")
    twins = [twin for twin in TWINS if only in twin.name]
    if not twins:
        raise ValueError(f"only={only!r} matches none of {[twin.name for twin in TWINS]}")
    return [
        _attempt(twin, dtype, backend, device)
        for twin in twins
        for backend in backends
        if backend in twin.backends
        for dtype in twin.tolerance
    ]


def _attempt(twin: Twin, dtype: str, backend: str, device: str) -> Result:
    try:
        return compare(twin, dtype, backend, device)
    except Exception as error:  # a kernel that does not compile must not hide the other twins
        allowed, reason = twin.tolerance[dtype].error, f"{type(error).__name__}: {error}"[:200]
        names = twin.name, device, backend, dtype
        return Result(*names, np.inf, allowed, None, None, 0, reason, False)


def compare(twin: Twin, dtype: str, backend: str, device: str = "cpu") -> Result:
    """Run one twin over its cases in one dtype and return the worst errors."""
    rng = np.random.default_rng(0)
    value, slope = _Worst(twin.tolerance[dtype]), None
    if twin.gradient is not None:
        slope = _Worst((twin.gradient_tolerance or twin.tolerance)[dtype])
    cases = list(twin.cases(device == "cuda"))
    for case in cases:
        arguments, tensors = _prepare(twin, case, dtype, device)
        expected = _as_tuple(twin.reference(*arguments, **case.options))
        options = {**case.options, **twin.op_options, "backend": backend}
        outputs = _as_tuple(twin.op(*tensors, **options))
        eager = None if twin.eager is None else _as_tuple(twin.eager(*tensors, **case.options))
        value.add(case, outputs, expected, eager)
        if slope is None:
            continue
        upstream = [rng.normal(size=e.shape) for e in map(np.asarray, expected) if _floating(e)]
        wanted = twin.gradient(_alone(upstream), *arguments, **case.options)
        found = _gradients(twin, outputs, tensors, upstream)
        eager = None if eager is None else _gradients(twin, eager, tensors, upstream)
        slope.add(case, found, wanted, eager)
    worst = value if slope is None or value.ratio >= slope.ratio else slope
    gradient = (None, None) if slope is None else (slope.error, slope.allowed)
    errors = (value.error, value.allowed, *gradient)
    return Result(
        twin.name, device, backend, dtype, *errors, len(cases), worst.case, worst.ratio <= 1.0
    )


class _Worst:
    """The case with the largest error, measured by what it is allowed."""

    def __init__(self, tolerance: Tolerance):
        self.tolerance = tolerance
        self.error, self.allowed, self.ratio, self.case = 0.0, tolerance.error, 0.0, ""

    def add(self, case, actual, expected, eager):
        error, allowed = _error(actual, expected, self.tolerance.floor), self.tolerance.error
        if eager is not None:
            allowed += 2 * _error(eager, expected, self.tolerance.floor)
        if error / allowed > self.ratio:
            self.error, self.allowed, self.case = error, allowed, case.name
            self.ratio = error / allowed


def table(results: Iterable[Result]) -> str:
    """Return the results as aligned text, one line each."""
    columns = f"{'twin':40s} {'device':6s} {'backend':7s} {'dtype':8s}"
    lines = [f"{columns}  error   allowed  gradient allowed"]
    for r in results:
        errors = f"{r.error:.1e} {r.tolerance:.1e}"
        if r.gradient_error is not None:
            errors += f"  {r.gradient_error:.1e} {r.gradient_tolerance:.1e}"
        verdict = "ok" if r.passed else f"FAILED in case {r.worst_case!r}"
        names = f"{r.name:40s} {r.device:6s} {r.backend:7s} {r.dtype:8s}"
        lines.append(f"{names}  {errors:34s}  {r.cases} cases  {verdict}")
    return "\n".join(lines)


def record(results: list[Result], out="results", *, commit: str | None = None):
    """Write the results to ``<out>/parity_<device>.json`` and return the path.

    Raises:
        ValueError: if there are no results.
    """
    if not results:
        raise ValueError("results is empty: nothing to record")
    rows = [
        {key: "inf" if value == np.inf else value for key, value in result._asdict().items()}
        for result in results
    ]
    ran = [twin for twin in TWINS if twin.name in {result.name for result in results}]
    name = f"parity_{results[0].device}"
    return records.save(
        name,
        {"rows": rows},
        script=__file__,
        measures=_measured(ran),
        seeds=[0],
        out=out,
        commit=commit,
    )


def _measured(twins) -> list[str]:
    """The modules whose code decides the results."""
    names = {f.__module__ for twin in twins for f in (twin.reference, twin.op)}
    subjects = tuple({name.rpartition(".")[2] for name in names})
    for package in ("xent.ops", "xent.kernels"):
        folder = util.find_spec(package).submodule_search_locations
        found = (module.name for module in pkgutil.iter_modules(folder))
        names |= {f"{package}.{name}" for name in found if name.startswith(subjects)}
    return sorted(names | {f"xent.parity.{twin.name.partition('.')[0]}" for twin in twins})


def _prepare(twin, case, dtype, device):
    """Return the reference's arguments (rounded to the dtype, in float64) and the op's tensors."""
    arguments, tensors = [], []
    for index, value in enumerate(case.arguments):
        if not isinstance(value, np.ndarray):
            arguments.append(value)
            tensors.append(value)
            continue
        tensor = torch.from_numpy(value)
        if value.dtype.kind == "f":
            tensor = tensor.to(getattr(torch, dtype))
            arguments.append(tensor.double().numpy())
            tensor = _laid_out(tensor.to(device), case.layout == "strided")
            tensors.append(tensor.requires_grad_(index in twin.differentiable))
        else:
            arguments.append(value)
            tensors.append(_offset(tensor.to(device), case.layout == "misaligned"))
    return arguments, tensors


def _laid_out(tensor, strided):
    if not strided or tensor.ndim == 0:
        return tensor.clone()
    wide = tensor.new_zeros((*tensor.shape[:-1], 2 * tensor.shape[-1]))
    wide[..., ::2] = tensor
    return wide[..., ::2]


def _offset(tensor, misaligned):
    if not misaligned:
        return tensor.clone()
    buffer = tensor.new_zeros(tensor.numel() + 1)
    buffer[1:] = tensor.flatten()
    return buffer[1:].view(tensor.shape)


def _gradients(twin, outputs, tensors, upstream):
    floating = [o for o in outputs if o.is_floating_point()]
    seeds = [
        torch.as_tensor(u).to(o.device, o.dtype) for u, o in zip(upstream, floating, strict=True)
    ]
    inputs = [tensors[i] for i in twin.differentiable]
    return torch.autograd.grad(floating, inputs, seeds, retain_graph=True)


def _error(actual, expected, floor) -> float:
    """The worst error of a tuple of outputs; infinite where infinities or NaN do not agree."""
    worst = 0.0
    for a, b in zip(_as_tuple(actual), _as_tuple(expected), strict=True):
        a, b = a.detach().cpu(), np.asarray(b)
        a = (a.double() if a.is_floating_point() else a).numpy()
        if a.shape != b.shape:
            raise ValueError(f"op gives shape {a.shape}, its reference {b.shape}")
        if not _floating(b):
            worst = max(worst, 0.0 if (a == b).all() else np.inf)
            continue
        finite = np.isfinite(b)
        if not ((a == b) | finite).all() or not np.isfinite(a[finite]).all():
            return np.inf
        a, b = a[finite], b[finite]
        worst = max(worst, (np.abs(a - b) / (np.abs(b) + floor)).max(initial=0.0))
    return float(worst)


def _floating(array) -> bool:
    return array.dtype.kind == "f"


def _as_tuple(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _alone(values):
    return values[0] if len(values) == 1 else tuple(values)


def _collect() -> tuple[Twin, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{n}") for n in names if n != "__main__"]
    return tuple(twin for module in modules for twin in module.ROWS)


TWINS: tuple[Twin, ...] = _collect()
