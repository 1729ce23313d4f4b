"""The kernel of log-probability and entropy where cancellation or tiles could hurt."""

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is not installable on this platform")

from xent.kernels import policy as kernels
from xent.reference import policy as reference


@pytest.mark.parametrize("gap", [10.0, 30.0, 60.0])
def test_entropy_of_a_nearly_certain_policy_keeps_its_relative_accuracy(gap):
    z = np.zeros((1, 300), dtype=np.float32)
    z[0, 130] = gap
    logprob, entropy = kernels.token_logprob_entropy(torch.from_numpy(z), torch.tensor([130]))
    rest = 299 * np.exp(-gap)
    expected = np.log1p(rest) + gap * rest / (1 + rest)
    assert entropy.item() == pytest.approx(expected, rel=1e-5)
    assert logprob.item() == pytest.approx(-np.log1p(rest), rel=1e-5)


@pytest.mark.parametrize("classes", [1, 127, 128, 129, 257])
def test_uniform_rows_of_every_tile_count(classes):
    z = torch.full((2, classes), -40.0)
    logprob, entropy = kernels.token_logprob_entropy(z, torch.tensor([0, classes - 1]))
    assert np.allclose(entropy, np.log(classes), rtol=1e-6, atol=1e-7)
    assert np.allclose(logprob, -np.log(classes), rtol=1e-6, atol=1e-7)


def test_rows_are_read_through_their_strides():
    wide = torch.randn(3, 200, 2, generator=torch.Generator().manual_seed(0))
    view, tokens = wide[..., 0], torch.tensor([0, 100, 199])
    logprob, entropy = kernels.token_logprob_entropy(view, tokens)
    expected = reference.token_logprob_entropy(view.numpy(), tokens.numpy())
    assert np.allclose(logprob, expected[0], atol=1e-5)
    assert np.allclose(entropy, expected[1], atol=1e-5)
