"""Learning-rate sensitivity by hand."""

import numpy as np
import pytest

from xent.reference import stability


def test_average_above_the_best_with_divergence_as_the_initial_loss():
    losses = [0.5, 0.1, 0.3, np.inf, 9.0]
    found = stability.learning_rate_sensitivity(losses, 2.3)
    assert found == pytest.approx((0.5 + 0.1 + 0.3 + 2.3 + 2.3) / 5 - 0.1)


def test_rows_are_independent_and_never_negative():
    rng = np.random.default_rng(0)
    losses, initial = rng.uniform(0, 3, (4, 6)), rng.uniform(1, 2, 4)
    found = stability.learning_rate_sensitivity(losses, initial)
    for row, start, value in zip(losses, initial, found, strict=True):
        assert value == pytest.approx(stability.learning_rate_sensitivity(row, start))
    assert (found >= 0).all()
    assert stability.learning_rate_sensitivity([1.0, 1.0], 2.0) == 0


@pytest.mark.parametrize("losses", [[], [np.inf, np.inf], [np.nan, 1.0]])
def test_bad_losses_are_refused(losses):
    with pytest.raises(ValueError, match="losses"):
        stability.learning_rate_sensitivity(losses, 2.0)
