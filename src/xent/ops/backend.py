"""Which implementation an op runs: PyTorch's own operators, or a Triton kernel.

``backend="auto"`` takes Triton for CUDA tensors of a dtype that the kernels support, and PyTorch
otherwise. ``"triton"`` on CPU tensors runs Triton's interpreter: exact semantics, small shapes.
"""

from __future__ import annotations

import importlib.util

import torch

BACKENDS = ("auto", "torch", "triton")
TRITON_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def choose(backend: str, tensor: torch.Tensor, *, dtypes=TRITON_DTYPES) -> str:
    """Return ``"torch"`` or ``"triton"`` for an op whose kernels support ``dtypes``.

    Args:
        backend: ``"auto"``, ``"torch"`` or ``"triton"``.
        tensor: the op's main argument, whose dtype and device decide.
        dtypes: the dtypes that the op's kernels support.

    Returns:
        ``"torch"`` or ``"triton"``.

    Raises:
        TypeError: if ``tensor`` is no tensor.
        ValueError: for an unknown backend, or Triton for a dtype or device without kernels.
        RuntimeError: if Triton is asked for and not installed.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(
            f"the first argument must be a torch.Tensor, got {type(tensor).__name__}; "
            "xent.reference has the same functions for lists and NumPy arrays"
        )
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    installed = importlib.util.find_spec("triton") is not None
    if backend == "auto":
        ready = installed and tensor.is_cuda and tensor.dtype in dtypes
        return "triton" if ready else "torch"
    if backend == "triton":
        if not installed:
            raise RuntimeError("backend='triton' needs triton, which is not installed here")
        if tensor.dtype not in dtypes:
            names = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
            raise ValueError(f"backend='triton' supports {names}; got {tensor.dtype}")
        if tensor.device.type not in ("cuda", "cpu"):
            raise ValueError(f"backend='triton' supports cuda and cpu, got {tensor.device}")
    return backend


def upcast(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor in float32, or in float64 if it is that already."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
