"""Triton kernels, private to ``xent.ops``; importing a module here imports triton.

Without CUDA the kernels run in Triton's interpreter, which must be chosen before triton is first
imported: this package does so, and says what to do where it comes too late.
"""

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

import triton
import triton.language as tl

if not torch.cuda.is_available() and isinstance(tl.max, triton.JITFunction):
    raise RuntimeError(
        "triton was imported (torch.compile does that) before xent could choose its interpreter, "
        "and there is no CUDA device: set the environment variable TRITON_INTERPRET=1 before "
        "starting Python, or use backend='torch'"
    )
