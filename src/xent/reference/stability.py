r"""Measures of training stability."""

from __future__ import annotations

import numpy as np

from xent.reference import arguments


def learning_rate_sensitivity(losses, initial_loss) -> np.ndarray:
    r"""Average loss above the best, over learning rates spaced evenly in their logarithm.

    .. math:: \mathbb{E}_{\eta}\big[\min(\ell(\eta), \ell_0)\big] - \min_\eta \ell(\eta)

    A run that ends above its initial loss, or diverges, counts as the initial loss.

    Args:
        losses: Final loss per learning rate, shape (..., N), nats; ``inf`` for a diverged run.
        initial_loss: Loss before training, shape (...) or scalar, nats.

    Returns:
        Sensitivity, shape (...), nats; zero if every rate is as good as the best.

    Raises:
        ValueError: If there is no learning rate, a NaN, shapes that do not match, or a diverged
            run is the best one.

    Source: Small-scale proxies for large-scale Transformer training instabilities; chapter
    "training-instabilities".
    """
    losses = arguments.array(losses, "losses")
    initial = arguments.finite(initial_loss, "initial_loss")
    if losses.ndim == 0 or losses.shape[-1] == 0:
        raise ValueError(f"losses must have at least one learning rate, got shape {losses.shape}")
    best = losses.min(-1)
    arguments.broadcastable(losses=best, initial_loss=initial)
    if not np.isfinite(best).all():
        raise ValueError("losses must be finite for at least one learning rate")
    return np.minimum(losses, initial[..., None]).mean(-1) - np.minimum(best, initial)
