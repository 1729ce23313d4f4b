"""Language models: shapes, causality, parameter counts, and that they learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from xent import models
from xent.sources import MarkovSource


def transformer(vocab=5):
    torch.manual_seed(0)
    return models.DecoderTransformer(vocab, 12, width=8, layers=2, heads=2)


def mlp(vocab=5):
    torch.manual_seed(0)
    return models.MLPLanguageModel(vocab, 3, width=4, hidden=16)


@pytest.mark.parametrize("make", [transformer, mlp])
def test_a_later_token_never_changes_an_earlier_prediction(make):
    model = make()
    tokens = torch.randint(5, (2, 9))
    changed = tokens.clone()
    changed[:, 6] = (tokens[:, 6] + 1) % 5
    before, after = model(tokens), model(changed)
    assert before.shape == (2, 9, 5)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize("make", [transformer, mlp])
def test_a_short_training_reaches_the_entropy_rate(make):
    source = MarkovSource([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    data = torch.from_numpy(source.sample(np.random.default_rng(0), 12_000)).view(-1, 12)
    model = make(3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(120):
        batch = data[(step * 64) % 900 :][:64]
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held_out = data[-60:]
    with torch.no_grad():
        loss = F.cross_entropy(model(held_out[:, :-1]).flatten(0, 1), held_out[:, 1:].flatten())
    assert loss.item() == pytest.approx(source.entropy_rate, abs=0.1)


def test_parameters_are_counted_without_tables():
    model = transformer()
    block = 8 * 24 + 24 + 8 * 8 + 8 + 8 * 32 + 32 + 32 * 8 + 8 + 4 * 8
    assert models.count_parameters(model) == 2 * block + 2 * 8
    tables = 5 * 8 + 12 * 8 + 8 * 5 + 5
    assert models.count_parameters(model, embeddings=True) == 2 * block + 16 + tables
    assert models.count_parameters(mlp()) == 3 * 4 * 16 + 16


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="width"):
        models.DecoderTransformer(5, 4, width=7, heads=2)
    with pytest.raises(ValueError, match="vocab"):
        models.MLPLanguageModel(0, 3, width=4, hidden=8)
    with pytest.raises(ValueError, match="context"):
        transformer()(torch.zeros((1, 13), dtype=torch.int64))


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: models.MLPLanguageModel(5, 3, width=-4, hidden=8), ValueError, "width"),
        (lambda: models.MLPLanguageModel(5, 3, width=4.0, hidden=8), TypeError, "width"),
        (lambda: models.GatedMLP(4, 0, 3), ValueError, "width"),
        (lambda: models.RowTransformer(width=6), ValueError, "width"),
        (lambda: models.RowTransformer(layers=-1), ValueError, "layers"),
        (lambda: models.RowBlock(8, -2), ValueError, "heads"),
        (lambda: models.digit_classifier("mlp", width=0), ValueError, "width"),
        (lambda: models.digit_classifier("mlp", width=True), TypeError, "width"),
        (lambda: models.digit_classifier("tree"), ValueError, "name"),
        (lambda: models.count_parameters("mlp"), TypeError, "model"),
    ],
)
def test_sizes_of_no_network_are_refused(make, error, name):
    with pytest.raises(error, match=f"{name} must"):
        make()
