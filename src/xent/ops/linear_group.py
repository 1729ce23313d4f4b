"""A head whose classes are spread over the ranks of a ``torch.distributed`` group.

Rank r holds a block of rows of the weight, blocks in rank order, sizes free; hidden states and
labels are the same on all ranks. ``group=None`` means that one process holds all classes.
"""

from __future__ import annotations

import torch

from xent.ops.linear_state import State, fold, pack, unpack


def placement(size: int, group, device) -> tuple[int, int]:
    """Return this rank's first class and the number of classes of all ranks.

    Raises:
        TypeError: if ``group`` is no process group.
        ValueError: if a rank has no class.
    """
    if group is None:
        return 0, size
    if not isinstance(group, torch.distributed.ProcessGroup):
        found = type(group).__name__
        raise TypeError(f"group must be a torch.distributed group or None, got {found}")
    sizes = [int(s) for s in _gather(torch.tensor([size], device=device), group)]
    if min(sizes) == 0:
        raise ValueError(f"every rank needs at least one class, got {sizes} in rank order")
    return sum(sizes[: torch.distributed.get_rank(group)]), sum(sizes)


def merge_ranks(plan, state: State, group) -> State:
    """Merge the ranks' states in rank order, by the code that merges slices; all get the same."""
    if group is None:
        return state
    numbers, ids = pack(state)
    all_numbers = _gather(numbers, group)
    all_ids = [None] * len(all_numbers) if ids is None else _gather(ids, group)
    parts = zip(all_numbers, all_ids, strict=True)
    return fold(plan, (unpack(state, *part) for part in parts))


def total(tensor: torch.Tensor | None, group) -> torch.Tensor | None:
    """Return the sum over ranks, in place."""
    if group is not None and tensor is not None:
        torch.distributed.all_reduce(tensor, group=group)
    return tensor


def _gather(tensor, group):
    parts = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size(group))]
    torch.distributed.all_gather(parts, tensor.contiguous(), group=group)
    return parts
