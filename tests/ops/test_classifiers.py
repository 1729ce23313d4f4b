"""The small classifiers: shapes, determinism and names."""

import pytest
import torch

from xent import models

NAMES = ("linear", "mlp", "mlp-norm", "gated-mlp", "cnn-norm", "transformer")


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_one_row_per_image_and_gradients_reach_every_parameter(name):
    torch.manual_seed(0)
    model = models.digit_classifier(name)
    logits = model(torch.rand(5, 64))
    assert logits.shape == (5, 10)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("activation", models.ACTIVATIONS)
def test_activations_are_used(activation):
    model = models.digit_classifier("mlp", activation=activation)
    assert sum(isinstance(m, models.ACTIVATIONS[activation]) for m in model) == 2


def test_transformer_rows_attend_to_each_other():
    torch.manual_seed(0)
    model, image = models.digit_classifier("transformer"), torch.zeros(1, 64)
    changed = image.clone()
    changed[0, 63] = 1.0
    assert not torch.allclose(model(image), model(changed))


def test_normalized_queries_and_keys_bound_the_attention_logits():
    torch.manual_seed(0)
    for qk_norm in (False, True):
        model = models.RowTransformer(qk_norm=qk_norm)
        for p in model.parameters():
            p.data *= 30.0
        model(torch.rand(4, 64))
        bound = 8**0.5  # norms sqrt(8) of both, over the root of the head's width 8
        assert (float(model.blocks[0].largest_score) <= bound + 1e-4) == qk_norm


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="name"):
        models.digit_classifier("resnet")
    with pytest.raises(ValueError, match="activation"):
        models.digit_classifier("mlp", activation="swish")
