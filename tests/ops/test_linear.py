"""xent.ops.linear: gradients, invariances, memory, and each defect found in other kernels."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.ops import linear as ops
from xent.ops import linear_torch
from xent.reference import linear as reference

CASES = settings(deadline=None, derandomize=True, max_examples=20)
SEEDS = st.integers(0, 10**6)
EVERYTHING = ("nll", "lse", "entropy", "top2", "margin", "argmax")


@pytest.fixture(autouse=True)
def narrow_slices(monkeypatch):
    """Several slices even for few classes."""
    monkeypatch.setattr(linear_torch, "CPU_COLUMNS", 5)


def head(seed=0, tokens=5, width=4, classes=17, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    hidden = torch.from_numpy(rng.normal(size=(tokens, width))).to(dtype)
    weight = torch.from_numpy(rng.normal(size=(classes, width))).to(dtype)
    return hidden, weight, torch.from_numpy(rng.integers(0, classes, size=tokens)), rng


def leaves(*tensors):
    return [t.detach().clone().requires_grad_() for t in tensors]


def everything(hidden, weight, labels, direction, teacher, **options):
    return ops.head_stats(
        hidden, weight, labels, want=EVERYTHING, renyi=(0.5, 1, 2), tsallis=(1, 1.5),
        direction=direction, teacher=teacher, **options,
    )  # fmt: skip


@CASES
@given(SEEDS, st.integers(1, 6), st.integers(1, 5), st.integers(1, 23))
def test_statistics_equal_the_reference(seed, tokens, width, classes):
    hidden, weight, labels, rng = head(seed, tokens, width, classes)
    labels[0] = -100
    direction = torch.from_numpy(rng.normal(size=hidden.shape))
    teacher = tuple(torch.from_numpy(rng.normal(size=(n, 3))) for n in (tokens, classes))
    found = everything(hidden, weight, labels, direction, teacher, temperature=0.8)
    wanted = reference.head_stats(
        hidden, weight, labels, want=EVERYTHING, renyi=(0.5, 1, 2), tsallis=(1, 1.5),
        direction=direction, teacher=teacher, temperature=0.8,
    )  # fmt: skip
    for name, a, b in zip(found._fields, found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=name)


OPTIONS = {
    "plain": {},
    "tau 0": {"tau": 0.0},
    "tau 1.7": {"tau": 1.7},
    "smoothing": {"label_smoothing": 0.2},
    "z-loss": {"z_loss": 0.1},
    "softcap": {"softcap": 1.5, "temperature": 0.6},
    "all": {"label_smoothing": 0.1, "z_loss": 0.2, "softcap": 2.0, "temperature": 1.4},
    "shift": {"shift": 1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_equal_the_reference(options, weighted):
    hidden, weight, labels, rng = head(3)
    labels[2] = -100
    extra = {"bias": torch.from_numpy(rng.normal(size=17))}
    if weighted:
        extra |= {name: torch.from_numpy(rng.random(n)) for name, n in
                  (("class_weight", 17), ("token_weight", 5))}  # fmt: skip
    wanted = reference.linear_cross_entropy(hidden, weight, labels, **options, **extra)
    found = ops.linear_cross_entropy(hidden, weight, labels, reduction="none", **options, **extra)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
    total = ops.linear_cross_entropy(hidden, weight, labels, reduction="sum", **options, **extra)
    assert float(total) == pytest.approx(wanted.sum(), rel=1e-11)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradcheck_of_every_option(options, reduction, monkeypatch):
    hidden, weight, labels, rng = head(4, tokens=3, width=2, classes=8)
    labels[1] = -100
    bias = torch.from_numpy(rng.normal(size=8))
    classes = torch.from_numpy(rng.random(8))
    monkeypatch.setattr("xent.ops.linear_chunks.CPU_TOKENS", 2)
    monkeypatch.setattr("xent.ops.linear_chunks.CHUNK_BYTES", 0)

    def loss(hidden, weight, bias):
        return ops.linear_cross_entropy(
            hidden, weight, labels, bias=bias, reduction=reduction, class_weight=classes, **options
        )

    variables = leaves(hidden, weight, bias)
    if reduction == "none":
        assert torch.autograd.gradcheck(loss, variables)
        return
    found = torch.autograd.grad(loss(*variables), variables)
    per_token = ops.linear_cross_entropy(
        *variables[:2], labels, bias=variables[2], reduction="none", class_weight=classes,
        **options,
    )  # fmt: skip
    total = per_token.sum()
    if reduction == "mean":
        y = torch.cat([labels[1:], labels.new_tensor([-100])]) if "shift" in options else labels
        total = total / classes[y[y >= 0]].sum()
    wanted = torch.autograd.grad(total, variables)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("field", [f for f in ops.HeadStats._fields if f != "argmax"])
def test_gradcheck_of_every_statistic(field):
    hidden, weight, labels, rng = head(5, tokens=2, width=2, classes=8)
    direction = torch.from_numpy(rng.normal(size=hidden.shape))
    teacher = tuple(torch.from_numpy(rng.normal(size=(n, 2))) for n in (2, 8))
    bias = torch.from_numpy(rng.normal(size=8))

    def statistic(hidden, weight, direction, bias):
        stats = everything(hidden, weight, labels, direction, teacher, bias=bias, temperature=0.7)
        return getattr(stats, field)

    variables = leaves(hidden, weight, direction, bias)
    assert torch.autograd.gradcheck(statistic, variables, atol=1e-6)


def test_gradcheck_of_a_random_mix_under_a_soft_cap():
    hidden, weight, labels, rng = head(6, tokens=3, width=2, classes=9)
    teacher = tuple(torch.from_numpy(rng.normal(size=(n, 2))) for n in (3, 9))

    def mix(hidden, weight):
        s = everything(hidden, weight, labels, None, teacher, softcap=1.5, temperature=0.7)
        parts = [s.nll, s.lse, s.entropy, *s.renyi.T, *s.tsallis.T, s.kl, s.reverse_kl, s.margin]
        return sum((k + 1) * part * torch.arange(1, 4) for k, part in enumerate(parts))

    assert torch.autograd.gradcheck(mix, leaves(hidden, weight))


def test_gradcheck_of_the_divergence_from_known_classes():
    hidden, weight, _, rng = head(7, tokens=3, width=3, classes=9)
    ids = torch.tensor([[0, 8, 4], [1, 2, 3], [7, 0, 5]])
    log_q = torch.from_numpy(np.log(0.9 * rng.dirichlet(np.ones(3), size=3)))

    def loss(hidden, weight):
        return ops.linear_topk_kl(hidden, weight, ids, log_q, reduction="none")

    np.testing.assert_allclose(
        loss(hidden, weight), reference.linear_topk_kl(hidden, weight, ids, log_q), rtol=1e-11
    )
    assert torch.autograd.gradcheck(loss, leaves(hidden, weight))


def test_slices_of_any_width_give_the_same(monkeypatch):
    hidden, weight, labels, rng = head(8, classes=23)
    direction = torch.from_numpy(rng.normal(size=hidden.shape))
    teacher = tuple(torch.from_numpy(rng.normal(size=(n, 2))) for n in (5, 23))
    found = []
    for width in (1, 6, 100):
        monkeypatch.setattr(linear_torch, "CPU_COLUMNS", width)
        found.append(everything(hidden, weight, labels, direction, teacher))
    for parts in zip(*found, strict=True):
        torch.testing.assert_close(parts[0], parts[2], rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(parts[1], parts[2], rtol=1e-11, atol=1e-12)


def test_the_order_of_the_classes_does_not_matter():
    hidden, weight, labels, rng = head(9)
    order = torch.from_numpy(rng.permutation(17))
    first = ops.head_stats(hidden, weight, labels)
    second = ops.head_stats(hidden, weight[order], torch.argsort(order)[labels])
    for a, b in zip(first[:3], second[:3], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_two_runs_give_the_same_bits():
    hidden, weight, labels, _ = head(10, dtype=torch.float32)
    found = []
    for _ in range(2):
        variables = leaves(hidden, weight)
        loss = ops.linear_cross_entropy(*variables, labels)
        found.append((loss, *torch.autograd.grad(loss, variables)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_nothing_to_average_is_an_error_and_nothing_to_sum_is_zero():
    hidden, weight, labels, _ = head(11)
    ignored = torch.full_like(labels, -100)
    with pytest.raises(ValueError, match="no token"):
        ops.linear_cross_entropy(hidden, weight, ignored)
    assert ops.linear_cross_entropy(hidden, weight, ignored, reduction="sum") == 0
    empty = ops.linear_cross_entropy(hidden[:0], weight, labels[:0], reduction="none")
    assert empty.shape == (0,)


def test_ignored_tokens_have_no_gradient():
    hidden, weight, labels, _ = head(12)
    labels[[1, 3]] = -100
    variables = leaves(hidden, weight)
    ops.linear_cross_entropy(*variables, labels, z_loss=0.1, label_smoothing=0.1).backward()
    kept = leaves(hidden[[0, 2, 4]], weight)
    ops.linear_cross_entropy(*kept, labels[[0, 2, 4]], z_loss=0.1, label_smoothing=0.1).backward()
    assert (variables[0].grad[[1, 3]] == 0).all()
    torch.testing.assert_close(variables[1].grad, kept[1].grad)


def test_the_kept_gradient_is_given_once():
    hidden, weight, labels, _ = head(13)
    variables = leaves(hidden, weight)
    loss = ops.linear_cross_entropy(*variables, labels)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="reduce the losses yourself"):
        loss.backward()


def test_leading_axes_and_token_weights():
    hidden, weight, labels, rng = head(14, tokens=6)
    tokens = torch.from_numpy(rng.random(6))
    flat = ops.linear_cross_entropy(hidden, weight, labels, token_weight=tokens)
    shaped = ops.linear_cross_entropy(
        hidden.view(2, 3, 4), weight, labels.view(2, 3), token_weight=tokens.view(2, 3)
    )
    losses = ops.linear_cross_entropy(hidden, weight, labels, reduction="none")
    torch.testing.assert_close(flat, (tokens * losses).sum() / tokens.sum())
    torch.testing.assert_close(flat, shaped)
    tokens.requires_grad_()
    loss = ops.linear_cross_entropy(hidden, weight, labels, token_weight=tokens, reduction="sum")
    torch.testing.assert_close(torch.autograd.grad(loss, tokens)[0], losses)


NAN, INFINITY = float("nan"), float("inf")
HIDDEN, WEIGHT, LABELS, _ = head(15)
IDS = torch.tensor([[0, 16]] * 5)
LOG_Q = torch.full((5, 2), -1.0)
ON_META = torch.zeros(5, 4, dtype=torch.float64, device="meta")


def refused(function, error, match, *arguments, **options):
    with pytest.raises(error, match=match):
        function(*arguments, **options)


@pytest.mark.parametrize("name", ["tau", "label_smoothing", "z_loss", "softcap", "temperature"])
@pytest.mark.parametrize("value", [NAN, -1.0, INFINITY, True, "1", [1.0], torch.ones(2), 1j])
def test_an_option_that_is_no_number_in_its_range_is_named(name, value):
    error = ValueError if isinstance(value, float) else TypeError
    refused(
        ops.linear_cross_entropy, error, f"{name} must", HIDDEN, WEIGHT, LABELS, **{name: value}
    )


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"labels": torch.full((5,), 17)}, IndexError, "labels must lie in .0, 17"),
        ({"labels": torch.full((5,), -1)}, IndexError, "or equal ignore_index=-100, got -1"),
        ({"labels": torch.zeros(5)}, TypeError, "labels must be integers"),
        ({"labels": LABELS > 0}, TypeError, "labels must be integers"),
        ({"labels": [0] * 5}, TypeError, "labels must be a tensor of integers, got list"),
        ({"labels": torch.zeros(4, dtype=torch.long)}, ValueError, "labels must have shape"),
        ({"labels": LABELS.to("meta")}, ValueError, "labels must be on the device of hidden"),
        ({"hidden": HIDDEN[:, :3]}, ValueError, "hidden must have 4"),
        ({"hidden": HIDDEN.long()}, TypeError, "hidden must be a floating"),
        ({"hidden": HIDDEN.numpy()}, TypeError, "hidden must be a floating tensor.*ndarray"),
        ({"hidden": HIDDEN.to(torch.float8_e4m3fn)}, TypeError, "float16; got torch.float8"),
        ({"hidden": HIDDEN[0, 0]}, ValueError, "hidden must have 4 entries on its last axis"),
        ({"weight": WEIGHT.float()}, ValueError, "weight must have the dtype"),
        ({"weight": WEIGHT[:0]}, ValueError, "weight must have shape .V, D. with V, D >= 1"),
        ({"weight": WEIGHT[:, :0], "hidden": HIDDEN[:, :0]}, ValueError, "weight must have shape"),
        ({"weight": WEIGHT[0]}, ValueError, "weight must have shape"),
        ({"weight": ON_META}, ValueError, "weight must be on the device of hidden"),
        ({"bias": torch.zeros(3, dtype=torch.float64)}, ValueError, "bias must have shape"),
        ({"bias": torch.zeros(17)}, ValueError, "bias must have the dtype"),
        ({"bias": 0.0}, TypeError, "bias must be a tensor, got float"),
        ({"tau": None}, TypeError, "tau must be a real number"),
        ({"tau": 2.0, "label_smoothing": 0.1}, ValueError, "tau=1 only"),
        ({"class_weight": torch.ones(3)}, ValueError, "class_weight must have shape"),
        ({"class_weight": -torch.ones(17)}, ValueError, "class_weight has a negative"),
        ({"class_weight": torch.full((17,), NAN)}, ValueError, "class_weight has.*NaN"),
        ({"class_weight": torch.ones(17) > 0}, TypeError, "class_weight must hold real numbers"),
        ({"class_weight": [1.0] * 17}, TypeError, "class_weight must be a tensor, got list"),
        ({"class_weight": torch.zeros(17)}, ValueError, "sum of the weights, which is 0"),
        ({"token_weight": torch.ones(3)}, ValueError, "token_weight must have shape"),
        ({"token_weight": torch.full((5,), NAN)}, ValueError, "token_weight has NaN"),
        ({"token_weight": 1.0}, TypeError, "token_weight must be a tensor, got float"),
        ({"shift": 6}, ValueError, "shift must be at most the number of positions, got 6"),
        ({"shift": 5}, ValueError, "reduction='mean' of no token"),
        ({"shift": -1}, ValueError, "shift must be at least 0, got -1"),
        ({"shift": 1.0}, TypeError, "shift must be an integer, got float"),
        ({"shift": True}, TypeError, "shift must be an integer, got bool"),
        ({"ignore_index": None}, TypeError, "ignore_index must be an integer"),
        ({"ignore_index": 1.5}, TypeError, "ignore_index must be an integer"),
        ({"reduction": "max"}, ValueError, "reduction must be one of"),
        ({"reduction": None}, ValueError, "reduction must be one of"),
        ({"backend": "cuda"}, ValueError, "backend must be one of"),
        ({"group": "world"}, TypeError, "group must be a torch.distributed group or None"),
    ],
)
def test_bad_input_is_named(change, error, match):
    arguments = {"hidden": HIDDEN, "weight": WEIGHT, "labels": LABELS} | change
    refused(ops.linear_cross_entropy, error, match, **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, "needs labels"),
        ({"labels": LABELS, "want": ("loss",)}, ValueError, "want must be one of"),
        ({"want": "lse"}, TypeError, "want must be a collection of names"),
        ({"want": None}, TypeError, "want must be a collection of names"),
        ({"want": (), "direction": HIDDEN, "softcap": 1.0}, ValueError, "softcap must be None"),
        ({"want": (), "direction": HIDDEN[:2]}, ValueError, "direction must have"),
        ({"want": (), "direction": HIDDEN.float()}, ValueError, "direction must have the dtype"),
        ({"want": (), "direction": HIDDEN.numpy()}, TypeError, "direction must be a tensor"),
        ({"want": (), "direction": ON_META}, ValueError, "direction must be on the device"),
        ({"want": (), "teacher": (HIDDEN,)}, ValueError, "teacher must be"),
        ({"want": (), "teacher": HIDDEN}, TypeError, "teacher must be a tuple"),
        ({"want": (), "teacher": (HIDDEN, WEIGHT[:3])}, ValueError, "teacher's logits"),
        ({"want": (), "teacher": (HIDDEN.float(), WEIGHT.float())}, ValueError, "both float64"),
        ({"want": (), "teacher": (1, 2)}, TypeError, "teacher hidden must be a floating"),
        ({"want": (), "teacher": (HIDDEN, WEIGHT, HIDDEN)}, ValueError, "teacher bias must have"),
        ({"want": (), "renyi": (0.0,)}, ValueError, "renyi must lie in"),
        ({"want": (), "renyi": (NAN,)}, ValueError, "renyi must lie in"),
        ({"want": (), "renyi": 2.0}, TypeError, "renyi must be a collection of orders"),
        ({"want": (), "tsallis": (True,)}, TypeError, "tsallis must hold real numbers"),
        ({"want": (), "tsallis": None}, TypeError, "tsallis must be a collection of orders"),
    ],
)
def test_bad_requests_for_statistics_are_named(arguments, error, match):
    refused(ops.head_stats, error, match, HIDDEN, WEIGHT, **arguments)


def test_a_teacher_that_requires_a_gradient_is_refused():
    teacher = HIDDEN, WEIGHT.clone().requires_grad_()
    refused(ops.head_stats, ValueError, "constant", HIDDEN, WEIGHT, want=(), teacher=teacher)
    refused(ops.linear_kl, ValueError, "constant", HIDDEN, WEIGHT, *teacher)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"direction": "both"}, ValueError, "direction must be one of"),
        ({"reduction": "max"}, ValueError, "reduction must be one of"),
        ({"teacher_bias": torch.zeros(3)}, ValueError, "teacher bias must have"),
        ({"temperature": NAN}, ValueError, "temperature must lie in"),
    ],
)
def test_bad_input_of_a_divergence_is_named(change, error, match):
    refused(ops.linear_kl, error, match, HIDDEN, WEIGHT, HIDDEN, WEIGHT, **change)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"log_q": LOG_Q * NAN}, ValueError, "log_q must hold numbers.*no NaN"),
        ({"log_q": torch.tensor([[-1.0, NAN]] * 5)}, ValueError, "log_q must hold.*no NaN"),
        ({"log_q": torch.zeros(5, 2)}, ValueError, "total mass 1"),
        ({"log_q": LOG_Q[:, :1]}, ValueError, "ids must have shape .5, 1."),
        ({"log_q": LOG_Q[:2]}, ValueError, "log_q must have shape"),
        ({"log_q": LOG_Q.numpy()}, TypeError, "log_q must be a tensor"),
        ({"log_q": LOG_Q > 0}, TypeError, "log_q must hold real numbers"),
        ({"log_q": LOG_Q[:, :0], "ids": IDS[:, :0]}, ValueError, "K >= 1"),
        ({"ids": 0 * IDS}, ValueError, "ids must be distinct"),
        ({"ids": IDS - 1}, IndexError, "ids must lie in .0, 17.*got -1"),
        ({"ids": IDS + 1}, IndexError, "ids must lie in .0, 17.*got 17"),
        ({"ids": IDS.double()}, TypeError, "ids must be integers"),
        ({"ids": IDS.numpy()}, TypeError, "ids must be a tensor of integers"),
        ({"reduction": "max"}, ValueError, "reduction must be one of"),
        ({"softcap": NAN}, ValueError, "softcap must lie in"),
    ],
)
def test_bad_input_of_the_divergence_from_known_classes_is_named(change, error, match):
    arguments = {"hidden": HIDDEN, "weight": WEIGHT, "ids": IDS, "log_q": LOG_Q} | change
    refused(ops.linear_topk_kl, error, match, **arguments)


def test_one_class_costs_nothing_and_an_empty_batch_is_empty():
    hidden, weight, labels, _ = head(17, classes=1)
    losses = ops.linear_cross_entropy(hidden, weight, labels, reduction="none")
    assert (losses == 0).all()
    stats = everything(hidden[:0], weight, labels[:0], hidden[:0], (hidden[:0], weight))
    assert all(len(field) == 0 for field in stats)
    known = labels[:0, None], hidden[:0, :1]
    assert ops.linear_topk_kl(hidden[:0], weight, *known, reduction="none").shape == (0,)
    refused(ops.linear_topk_kl, ValueError, "empty", hidden[:0], weight, *known)


@pytest.mark.parametrize(("reduction", "most"), [("mean", 0.2), ("none", 0.2)])
def test_peak_memory_stays_below_the_logits(reduction, most):
    """Ceilings relative to the N x V logits in float32, gradients of hidden and weight included."""
    program = f"""
import torch
from xent.ops.linear import linear_cross_entropy
torch.set_num_threads(1)
n, d, v = 8192, 32, 16000
hidden, weight = torch.randn(n, d, requires_grad=True), torch.randn(v, d, requires_grad=True)
labels = torch.randint(v, (n,))
linear_cross_entropy(hidden[:64], weight[:64], labels[:64] % 64).backward()
hidden.grad = weight.grad = None
status = lambda field: int(open("/proc/self/status").read().split(field)[1].split()[0]) * 1024
before = status("VmRSS:")
linear_cross_entropy(hidden, weight, labels, reduction="{reduction}").sum().backward()
print((status("VmHWM:") - before) / (4 * n * v))
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert float(run.stdout) < most, run.stderr
