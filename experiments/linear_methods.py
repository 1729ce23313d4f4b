"""What the benchmark of the output head compares: ours, PyTorch's ways, and installed peers.

A method is a callable ``(hidden, weight, labels) -> loss`` and a number of products, each of 2NDV
operations for forward and backward together.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from xent.ops import linear as ops

SCALARS = {"want": ("nll", "lse", "entropy", "top2", "margin", "argmax"), "renyi": (0.5, 2.0)}
FORWARD = {
    "lse": {"want": ("lse",)},
    "nll, lse": {"want": ("nll", "lse")},
    "nll, lse, entropy": {"want": ("nll", "lse", "entropy")},
    "all scalar statistics": SCALARS,
}
BEST = "torch, best chunks"


class Method(NamedTuple):
    """A loss and how many products its forward and backward pass take."""

    loss: object
    products: int
    ours: bool = False


def eager(hidden, weight, labels):
    """All logits, in the dtype of the head, and the loss in float32."""
    return F.cross_entropy((hidden @ weight.T).float(), labels)


def torch_chunks(size=None):
    """PyTorch's own chunked loss with a given number of tokens per chunk; None: its own choice."""

    def loss(hidden, weight, labels):
        options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=size)
        return F.linear_cross_entropy(hidden, weight, labels, options=options)

    return loss


def kept(hidden, weight, labels):
    """Ours, gradient on the way forward."""
    return ops.linear_cross_entropy(hidden, weight, labels)


def swept(hidden, weight, labels):
    """Ours, logits recomputed backward: any upstream gradient."""
    return ops.linear_cross_entropy(hidden, weight, labels, reduction="none").mean()


def with_entropy(hidden, weight, labels):
    """Ours, loss and entropy in one sweep."""
    found = ops.head_stats(hidden, weight, labels, want=("nll", "entropy"))
    return (found.nll - 1e-3 * found.entropy).mean()


def all_statistics(hidden, weight, labels):
    """Ours, a mix of every scalar statistic in one sweep."""
    found = ops.head_stats(hidden, weight, labels, **SCALARS)
    parts = found.lse, found.entropy, found.margin, found.top2.sum(-1), found.renyi.sum(-1)
    return (found.nll + 1e-3 * sum(parts)).mean()


def methods(device: str, tokens: int | None = None) -> dict[str, Method]:
    """Return name -> method; ``tokens`` is the chunk found best for PyTorch's own loss."""
    found = {
        "eager": Method(eager, 3),
        "torch.compile": Method(torch.compile(eager, dynamic=False), 3),
        "ours, kept": Method(kept, 3, ours=True),
        "ours, swept": Method(swept, 4, ours=True),
        "ours, with entropy": Method(with_entropy, 4, ours=True),
        "ours, all statistics": Method(all_statistics, 4, ours=True),
    }
    if hasattr(F, "linear_cross_entropy"):
        found["torch, no options"] = Method(F.linear_cross_entropy, 3)
        found["torch, default chunks"] = Method(torch_chunks(), 3)
        if tokens:
            found[BEST] = Method(torch_chunks(tokens), 3)
    return found | (_installed_peers() if device == "cuda" else {})


def _installed_peers() -> dict[str, Method]:
    found = {}
    try:
        from cut_cross_entropy import linear_cross_entropy

        found["cut-cross-entropy"] = Method(linear_cross_entropy, 4)
    except ImportError:
        pass
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    except ImportError:
        return found
    for name, dtype in (("liger", None), ("liger, float32 sums", torch.float32)):
        module = LigerFusedLinearCrossEntropyLoss(accum_dtype=dtype)
        found[name] = Method(lambda h, w, y, module=module: module(w, h, y), 3)
    return found


def statistics(name: str, data):
    """Return a forward sweep over the problem that computes what ``FORWARD[name]`` asks for."""

    def forward():
        with torch.no_grad():
            return ops.head_stats(*data, **FORWARD[name])

    return forward


def problem(shape, device, dtype):
    """Hidden states, a head whose logits have scale one, and labels."""
    tokens, width, classes = shape
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, width, generator=generator)
    weight = torch.randn(classes, width, generator=generator) / width**0.5
    labels = torch.randint(classes, (tokens,), generator=generator)
    hidden, weight = (t.to(device, dtype).requires_grad_() for t in (hidden, weight))
    return hidden, weight, labels.to(device)
