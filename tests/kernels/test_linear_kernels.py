"""The head's kernels in the interpreter: same bits in any batch, splits, refusals; and for Hopper.

Parity with the references is in tests/ops/test_parity.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is not installable on this platform")

from xent.kernels import linear as engine
from xent.kernels import linear_rows
from xent.ops import linear as ops
from xent.ops.linear_plan import Backward, Context, Inputs, Marks, Plan, Swept
from xent.ops.linear_state import fold
from xent.ops.linear_sweep import sweep

WANT = ("nll", "lse", "entropy", "top2", "margin", "argmax")


def head(seed=0, tokens=18, width=9, classes=131):
    rng = np.random.default_rng(seed)
    hidden, weight = (rng.normal(size=(n, width)) for n in (tokens, classes))
    labels = torch.from_numpy(rng.integers(0, classes, size=tokens))
    return torch.from_numpy(hidden).float(), torch.from_numpy(weight).float(), labels


def statistics(hidden, weight, labels):
    return ops.head_stats(hidden, weight, labels, want=WANT, renyi=(0.5, 2), backend="triton")


def test_two_runs_and_any_batch_give_the_same_bits():
    hidden, weight, labels = head()
    first, again = (statistics(hidden, weight, labels) for _ in range(2))
    alone = statistics(hidden[7:8], weight, labels[7:8])
    for a, b, c in zip(first, again, alone, strict=True):
        if a is not None:
            assert torch.equal(a, b) and torch.equal(a[7:8], c)


def test_gradients_of_a_token_do_not_depend_on_the_batch():
    hidden, weight, labels = head()
    found = []
    for rows in (slice(0, 18), slice(7, 8)):
        h = hidden[rows].clone().requires_grad_()
        s = ops.head_stats(h, weight, labels[rows], want=("nll", "entropy"), backend="triton")
        found.append(torch.autograd.grad((s.nll - 0.1 * s.entropy).sum(), h)[0])
    torch.testing.assert_close(found[0][7:8], found[1], rtol=1e-6, atol=1e-7)


def test_splits_merge_to_the_same_statistics(monkeypatch):
    hidden, weight, labels = head()
    several = statistics(hidden, weight, labels)
    monkeypatch.setattr(engine, "INTERPRETER_SPLIT", 256)
    single = statistics(hidden, weight, labels)
    for a, b in zip(several, single, strict=True):
        if a is not None:
            torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6)


def test_ties_across_tiles_and_splits_name_the_first_class():
    hidden, weight = torch.ones(2, 4), torch.zeros(131, 4)
    weight[[100, 40, 70]] = 1.0
    s = ops.head_stats(hidden, weight, want=("argmax", "top2"), backend="triton")
    assert s.argmax.tolist() == [40, 40]
    assert s.top2.tolist() == [[4.0, 4.0]] * 2


def test_the_interpreter_upcasts_bfloat16_before_any_arithmetic():
    hidden, weight, labels = (x[:2] if x.ndim == 1 else x for x in head(tokens=2, classes=5))
    flags = engine._flags(Plan(), Inputs(hidden, weight), engine.INTERPRETER)
    assert flags["UPCAST"] is True
    found = ops.head_stats(hidden.bfloat16(), weight.bfloat16(), labels % 5, backend="triton").nll
    exact = hidden.bfloat16().double() @ weight.bfloat16().double().T
    wanted = torch.nn.functional.cross_entropy(exact, labels % 5, reduction="none")
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"tau": 1.5}, {"temperature": 0.7}], ids=str)
def test_rows_of_the_gradient_are_those_of_the_torch_path(options):
    hidden, weight, labels = head()
    labels[3] = -100
    found = []
    for backend in ("torch", "triton"):
        leaves = [t.clone().requires_grad_() for t in (hidden, weight)]
        loss = ops.linear_cross_entropy(*leaves, labels, backend=backend, **options)
        found.append((loss, *torch.autograd.grad(loss, leaves)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def known(seed=0, tokens=18, classes=131, k=7, mass=0.8):
    rng = np.random.default_rng(seed)
    ids = np.argsort(rng.random((tokens, classes)), axis=1)[:, :k]
    log_q = np.log(mass * rng.dirichlet(np.ones(k), size=tokens))
    return torch.from_numpy(ids), torch.from_numpy(log_q).float()


def known_loss_and_gradients(hidden, weight, ids, log_q, backend, **options):
    upstream = torch.linspace(-1, 2, len(hidden))
    leaves = [t.clone().requires_grad_() for t in (hidden, weight)]
    losses = ops.linear_topk_kl(*leaves, ids, log_q, reduction="none", backend=backend, **options)
    return losses, *torch.autograd.grad((upstream * losses).sum(), leaves)


@pytest.mark.parametrize("classes", [31, 32, 33, 65])
@pytest.mark.parametrize("k", [1, 2, 7, 31])
def test_known_classes_in_triton_are_those_in_torch(k, classes):
    hidden, weight, _ = head(k, classes=classes)
    hidden[:, -1], weight[:, -1] = 1.0, 20 * torch.rand(classes)  # far from uniform
    ids, log_q = known(k, classes=classes, k=k)
    ids[0], ids[1] = torch.arange(k), torch.arange(classes - k, classes)  # side by side
    found = known_loss_and_gradients(hidden, weight, ids, log_q, "triton")
    wanted = known_loss_and_gradients(hidden.double(), weight.double(), ids, log_q, "torch")
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("offset", [-1e4, 1e4])
def test_known_classes_under_a_common_offset(offset):
    """Logits that are exact in float32 with and without the offset: nothing may change."""
    hidden, weight, _ = head(3, tokens=6, classes=65)
    hidden, weight = (hidden * 16).round() / 16, (weight * 16).round() / 16
    ids, log_q = known(3, tokens=6, classes=65)
    plain, moved = (
        known_loss_and_gradients(
            hidden, weight, ids, log_q, "triton", bias=torch.full((65,), height)
        )
        for height in (0.0, offset)
    )
    for a, b in zip(moved, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6)


def test_a_teacher_with_all_of_its_mass_on_the_known_classes():
    hidden, weight, _ = head(4)
    ids, log_q = known(4, mass=1.0)
    found = known_loss_and_gradients(hidden, weight, ids, log_q, "triton")
    wanted = known_loss_and_gradients(hidden.double(), weight.double(), ids, log_q, "torch")
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


def test_known_classes_give_the_same_bits_in_any_batch_and_order():
    hidden, weight, _ = head(5)
    ids, log_q = known(5)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    found, again, permuted = (
        ops.linear_topk_kl(hidden, weight, i, q, reduction="none", backend="triton")
        for i, q in ((ids, log_q), (ids, log_q), (ids[:, order], log_q[:, order]))
    )
    alone = ops.linear_topk_kl(
        hidden[7:8], weight, ids[7:8], log_q[7:8], reduction="none", backend="triton"
    )
    assert torch.equal(found, again) and torch.equal(found, permuted)
    assert torch.equal(found[7:8], alone)


@pytest.mark.parametrize("k", [1, 7])
def test_shards_of_a_head_give_the_parts_of_the_whole(k):
    """What each rank of a group computes: its splits, its picks, its columns of the gradient."""
    hidden, weight, _ = head(6, classes=128)
    ids = known(6, k=k, classes=128)[0].sort(1).values
    plan = Plan(entropy=True)
    full_states, full_picks = engine.states(Context(plan), Inputs(hidden, weight, ids=ids))
    states, picks = [], 0.0
    for rows in (slice(0, 64), slice(64, 128)):
        part = Inputs(hidden, weight[rows], ids=ids)
        state, found = engine.states(Context(plan, offset=rows.start), part)
        states.append(state)
        picks = picks + found[0]
    assert torch.equal(picks, full_picks[0])
    assert torch.equal(fold(plan, states).mass, full_states.mass)

    out = sweep(Inputs(hidden, weight, ids=ids), plan, backend="triton")
    marks = Marks(full_states.top, full_states.mass, full_states.top, full_states.mass)
    upstream = Swept(None, rest=torch.ones(18), chosen=torch.randn(18, k), entropy=torch.ones(18))
    columns = []
    for rows in (slice(0, 128), slice(0, 64), slice(64, 128)):
        part = Inputs(hidden, weight[rows], ids=ids)
        task = Backward(Context(plan, offset=rows.start), part, out, marks, upstream)
        columns.append(torch.cat([dz for _, _, dz, _ in engine.logit_gradients(task)], dim=1))
    torch.testing.assert_close(torch.cat(columns[1:], dim=1), columns[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_take_the_memory_of_their_logits(dtype):
    logits = torch.randn(5, 131, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 5, 130, -1, 64])
    kept = logits.clone()
    tops, masses, targets, rows = linear_rows.rows(logits, labels, dtype)
    others = kept.clone()
    others[labels >= 0, labels[labels >= 0]] = -torch.inf
    wanted = (others - others.amax(1, keepdim=True)).exp()
    torch.testing.assert_close(masses, wanted.sum(1))
    torch.testing.assert_close(tops, others.amax(1))
    wanted[labels >= 0, labels[labels >= 0]] = -masses[labels >= 0]
    torch.testing.assert_close(
        rows.float(), wanted, rtol=1e-6 if dtype == torch.float32 else 2**-7, atol=1e-6
    )
    assert rows.data_ptr() == logits.data_ptr()


def test_what_is_not_supported_is_refused():
    hidden, weight, labels = head(tokens=2)
    with pytest.raises(ValueError, match="4 distinct orders"):
        ops.head_stats(hidden, weight, labels, renyi=(0.2, 0.3, 0.4, 0.5, 2), backend="triton")
    with pytest.raises(ValueError, match="supports float32, float16, bfloat16"):
        ops.head_stats(hidden.double(), weight.double(), labels, backend="triton")


@pytest.mark.parametrize(("subject", "kernels"), [("linear", 22), ("attention", 6)])
def test_kernels_compile_for_hopper_without_atomics_spills_or_serialized_products(
    subject, kernels, tmp_path
):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(engine.__file__).parents[2])
    script = Path(__file__).with_name(f"compile_{subject}.py")
    found = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count(": ok, ") == kernels
