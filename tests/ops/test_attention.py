"""xent.ops.attention: gradients of every output, causality, determinism, memory, refusals."""

import pytest
import torch

from xent.ops import attention as ops


def qkv(n=5, m=6, d=3, e=2, dtype=torch.float64, lead=()):
    g = torch.Generator().manual_seed(0)
    shapes = (*lead, n, d), (*lead, m, d), (*lead, m, e)
    return [torch.randn(s, generator=g, dtype=dtype).requires_grad_() for s in shapes]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("field", ops.Attention._fields)
def test_gradcheck_of_every_output(field, causal, monkeypatch):
    monkeypatch.setattr(ops, "ROWS", 2)

    def output(*tensors):
        return getattr(ops.attention_with_entropy(*tensors, causal=causal, scale=0.9), field)

    assert torch.autograd.gradcheck(output, qkv())


def test_gradcheck_of_a_mix_over_heads():
    def mix(*tensors):
        found = ops.attention_with_entropy(*tensors, causal=True)
        rows = found.entropy + 0.5 * found.lse**2 - 0.1 * found.maximum
        return found.output * rows[..., None]

    assert torch.autograd.gradcheck(mix, qkv(3, 3, 2, 2, lead=(2, 2)))


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_the_output_is_pytorchs(backend):
    if backend == "triton":
        pytest.importorskip("triton", reason="triton is not installable on this platform")
    q, k, v = qkv(18, 18, 8, 8, torch.float32, lead=(1, 2))
    found = ops.attention_with_entropy(q, k, v, causal=True, backend=backend).output
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_a_causal_row_ignores_later_keys_and_two_runs_agree(backend):
    if backend == "triton":
        pytest.importorskip("triton", reason="triton is not installable on this platform")
    q, k, v = (t.detach() for t in qkv(20, 20, 4, 4, torch.float32))
    first = ops.attention_with_entropy(q, k, v, causal=True, backend=backend)
    again = ops.attention_with_entropy(q, k, v, causal=True, backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    k[-1], v[-1] = 9.0, 9.0
    changed = ops.attention_with_entropy(q, k, v, causal=True, backend=backend)
    for a, b in zip(first, changed, strict=True):
        assert torch.equal(a[:-1], b[:-1]) and not torch.equal(a[-1], b[-1])


def test_bad_input_is_named():
    q, k, v = qkv()
    with pytest.raises(TypeError, match="q must be a floating"):
        ops.attention_with_entropy(q.long(), k, v)
    with pytest.raises(ValueError, match="k must have the dtype"):
        ops.attention_with_entropy(q, k.float(), v)
    with pytest.raises(ValueError, match="k must be on the device of q"):
        ops.attention_with_entropy(q, k.to("meta"), v)
    with pytest.raises(TypeError, match="v must be a floating tensor.*got ndarray"):
        ops.attention_with_entropy(q, k, v.detach().numpy())
    with pytest.raises(ValueError, match="same width"):
        ops.attention_with_entropy(q[:, :2], k, v)
    wide = torch.zeros(2, 130)
    with pytest.raises(ValueError, match="widths up to 128"):
        ops.attention_with_entropy(wide, wide, wide, backend="triton")
    with pytest.raises(ValueError, match="backend must be one of"):
        ops.attention_with_entropy(q, k, v, backend="cuda")


@pytest.mark.parametrize(
    ("option", "error", "match"),
    [
        ({"scale": float("nan")}, ValueError, "scale must lie in"),
        ({"scale": 0.0}, ValueError, "scale must lie in"),
        ({"scale": True}, TypeError, "scale must be a real number"),
        ({"scale": torch.ones(2)}, TypeError, "scale must be a real number"),
        ({"causal": 1}, TypeError, "causal must be True or False"),
        ({"causal": None}, TypeError, "causal must be True or False"),
    ],
    ids=str,
)
def test_bad_options_are_named(option, error, match):
    with pytest.raises(error, match=match):
        ops.attention_with_entropy(*qkv(), **option)
