"""The torch twins of the histogram losses: gradients, precision, and that a network learns."""

import pytest
import torch

from xent.ops import histogram

EDGES = torch.linspace(-2, 2, 18, dtype=torch.float64)


def problem(count=5):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, 17, generator=generator, dtype=torch.float64)
    values = 4 * torch.rand(count, generator=generator, dtype=torch.float64) - 2
    return logits.requires_grad_(), values


def test_gradients_are_right_twice():
    logits, values = problem(3)
    assert torch.autograd.gradcheck(
        lambda z: histogram.hl_gauss_loss(z, values, EDGES, 0.2), logits, atol=1e-6
    )
    assert torch.autograd.gradgradcheck(
        lambda z: histogram.hl_gauss_loss(z, values, EDGES, 0.2), logits, atol=1e-6
    )
    assert torch.autograd.gradcheck(lambda z: histogram.histogram_mean(z, EDGES), logits)


def test_the_gradient_is_the_softmax_minus_the_target_and_bounded():
    logits, values = problem()
    histogram.hl_gauss_loss(1e4 * logits, values, EDGES, 0.2, reduction="sum").backward()
    slope = logits.grad / 1e4
    assert slope.abs().max() <= 1 and slope.sum(-1).abs().max() < 1e-12


def test_a_wide_gaussian_keeps_its_target_in_float32():
    logits, values = problem()
    single = logits.detach().float(), values.float(), EDGES.float()
    narrow = histogram.hl_gauss_loss(*single, 1e4)
    wide = histogram.hl_gauss_loss(logits, values, EDGES, 1e4)
    assert narrow.item() == pytest.approx(wide.item(), rel=1e-6)


def test_reductions_agree_and_an_empty_mean_is_refused():
    logits, values = problem()
    each = histogram.hl_gauss_loss(logits, values, EDGES, 0.2, reduction="none")
    assert each.shape == values.shape
    assert torch.allclose(histogram.hl_gauss_loss(logits, values, EDGES, 0.2), each.mean())
    with pytest.raises(ValueError, match="reduction='mean' of no example"):
        histogram.hl_gauss_loss(logits[:0], values[:0], EDGES, 0.2)


def test_a_network_learns_a_function_through_bins():
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 200)[:, None]
    y = torch.sin(4 * x[:, 0])
    model = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 17))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(300):
        optimizer.zero_grad()
        histogram.hl_gauss_loss(model(x), y, EDGES.float(), 0.18).backward()
        optimizer.step()
    error = histogram.histogram_mean(model(x), EDGES.float()) - y
    assert error.abs().mean() < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": torch.full((5,), 2.1, dtype=torch.float64)}, "values must lie in"),
        ({"values": torch.zeros(4, dtype=torch.float64)}, "values must have shape"),
        ({"edges": EDGES[:-1]}, "edges must have shape"),
        ({"edges": EDGES.flip(0)}, "edges must be finite and increase"),
        ({"sigma": 0.0}, "sigma must"),
        ({"sigma": 1e17}, "sigma must not dwarf"),
        ({"reduction": "max"}, "reduction"),
        ({"backend": "cuda"}, "backend"),
    ],
)
def test_bad_input_is_named(change, message):
    logits, values = problem()
    arguments = {"logits": logits, "values": values, "edges": EDGES, "sigma": 0.2}
    with pytest.raises(ValueError, match=message):
        histogram.hl_gauss_loss(**arguments | change)
