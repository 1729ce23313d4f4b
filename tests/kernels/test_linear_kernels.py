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
from xent.ops import linear as ops

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
    flags = engine._flags(engine.Plan(), engine.Inputs(hidden, weight))
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


def test_what_is_not_supported_is_refused():
    hidden, weight, labels = head(tokens=2)
    with pytest.raises(ValueError, match="4 distinct orders"):
        ops.head_stats(hidden, weight, labels, renyi=(0.2, 0.3, 0.4, 0.5, 2), backend="triton")
    with pytest.raises(ValueError, match="supports float32, float16, bfloat16"):
        ops.head_stats(hidden.double(), weight.double(), labels, backend="triton")
    with pytest.raises(ValueError, match="does not support linear_topk_kl"):
        ops.linear_topk_kl(
            hidden, weight, labels[:, None], torch.full((2, 1), -1.0), backend="triton"
        )


@pytest.mark.parametrize(("subject", "kernels"), [("linear", 3), ("attention", 3)])
def test_kernels_compile_for_hopper_with_matrix_units_and_without_atomics(
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
    assert [line.split()[1] for line in found.stdout.splitlines()] == ["ok"] * kernels
