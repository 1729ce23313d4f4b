"""A head sharded over processes gives what one process gives: gloo, 2 and 4 ranks, uneven."""

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from xent.ops import linear as ops
from xent.ops import linear_group, linear_sweep, linear_torch
from xent.ops.linear_plan import Context, Inputs, Plan
from xent.ops.linear_state import fold

SIZES = {2: (13, 20), 4: (1, 17, 9, 6)}
WANT = ("nll", "lse", "entropy", "top2", "margin", "argmax")
OPTIONS = {"label_smoothing": 0.1, "z_loss": 0.05}


def problem():
    rng = np.random.default_rng(0)
    shapes = {"hidden": (5, 6), "weight": (33, 6), "bias": (33,), "direction": (5, 6)}
    shapes |= {"teacher_hidden": (5, 4), "teacher_weight": (33, 4)}
    tensors = {name: torch.from_numpy(rng.normal(size=shape)) for name, shape in shapes.items()}
    tensors["labels"] = torch.tensor([0, 32, 13, -100, 14])
    return tensors


def outputs(t, rows=slice(None), group=None):
    """All statistics, two losses, and the gradient of a mix of them."""
    hidden, direction = (t[name].clone().requires_grad_() for name in ("hidden", "direction"))
    weight, bias = (t[name][rows].clone().requires_grad_() for name in ("weight", "bias"))
    teacher = t["teacher_hidden"], t["teacher_weight"][rows]
    stats = ops.head_stats(
        hidden, weight, t["labels"], want=WANT, renyi=(0.5, 2), direction=direction,
        teacher=teacher, bias=bias, group=group,
    )  # fmt: skip
    ids, log_q = torch.tensor([[0, 32, 13]] * 5), torch.log(torch.tensor([[0.5, 0.2, 0.2]] * 5))
    losses = (
        ops.linear_cross_entropy(hidden, weight, t["labels"], bias=bias, group=group, **OPTIONS),
        ops.linear_kl(hidden, weight, *teacher, bias=bias, group=group),
        ops.linear_topk_kl(hidden, weight, ids, log_q, bias=bias, group=group),
    )
    values = [s for s in stats if s is not None]
    mix = sum((k + 1) * v.sum() for k, v in enumerate(values) if v.is_floating_point())
    gradients = torch.autograd.grad(mix + sum(losses), (hidden, direction, weight, bias))
    return [v.detach() for v in (*values, *losses)], list(gradients)


def rank_rows(sizes, rank):
    start = sum(sizes[:rank])
    return slice(start, start + sizes[rank])


def run_rank(rank, sizes, store, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=len(sizes)
    )
    try:
        group = torch.distributed.group.WORLD
        t, rows = problem(), rank_rows(sizes, rank)
        inputs = Inputs(t["hidden"], t["weight"][rows])
        swept = linear_sweep.sweep(inputs, PLAN, group=group)
        torch.save((*outputs(t, rows, group), list(swept)), f"{results}/{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


PLAN = Plan(entropy=True, orders=(0.5,), top2=True)


@pytest.fixture(scope="module", params=SIZES, ids=lambda world: f"{world} ranks")
def ranks(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("group")
    sizes = SIZES[request.param]
    mp.spawn(run_rank, args=(sizes, folder / "store", folder), nprocs=len(sizes))
    return sizes, [torch.load(folder / f"{rank}.pt") for rank in range(len(sizes))]


def test_every_rank_has_the_statistics_and_losses_of_one_process(ranks):
    sizes, found = ranks
    wanted, _ = outputs(problem())
    for values, _, _ in found:
        for a, b in zip(values, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_gradients_are_those_of_one_process(ranks):
    sizes, found = ranks
    _, (hidden, direction, weight, bias) = outputs(problem())
    for rank, (_, gradients, _) in enumerate(found):
        rows = rank_rows(sizes, rank)
        for a, b in zip(gradients, (hidden, direction, weight[rows], bias[rows]), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_ranks_agree_bitwise_with_the_same_splits_on_one_process(ranks):
    """One function merges slices and ranks, in one order."""
    sizes, found = ranks
    t, states = problem(), []
    for rank in range(len(sizes)):
        rows = rank_rows(sizes, rank)
        inputs = Inputs(t["hidden"], t["weight"][rows])
        states.append(linear_torch.states(Context(PLAN, offset=rows.start), inputs)[0])
    single = fold(PLAN, states)
    for _, _, swept in found:
        out = linear_sweep.Swept(*swept)
        assert torch.equal(out.lse, single.lse())
        assert torch.equal(out.top_id, single.top_id)
        assert torch.equal(out.entropy, single.mass.log() - single.heat / single.mass)


def test_without_a_group_one_process_holds_all_classes():
    assert linear_group.placement(7, None, "cpu") == (0, 7)
    tensor = torch.ones(3)
    assert linear_group.total(tensor, None) is tensor
