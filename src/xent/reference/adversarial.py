r"""Worst cases around a softmax classifier: inputs, score vectors, examples, predictors, words.

What an adversary can do exactly, where that is known: move the input of a linear classifier,
choose the weights of the examples, replace one predictor of an ensemble, substitute words of a
document. Losses are in nats.
"""

from __future__ import annotations

import numpy as np

from xent.reference import arguments
from xent.reference.comp_sum import from_cross_entropy
from xent.reference.softmax import logsumexp, softmax


def linear_worst_margins(weights, bias, inputs, labels, radius: float) -> np.ndarray:
    r"""Return the least margin of a linear classifier in the max-norm ball within the unit box.

    :math:`\min_{j\ne y}\min_{x'} (w_y-w_j)\cdot x' + b_y-b_j` over
    :math:`\|x'-x\|_\infty\le\gamma`, :math:`x'\in[0,1]^d`: for a given rival every coordinate goes
    to one end of its interval.

    Args:
        weights: array ``(n, d)``.
        bias: array ``(n,)``.
        inputs: array ``(N, d)`` with entries in [0, 1].
        labels: integers ``(N,)`` in ``[0, n)``.
        radius: :math:`\gamma \ge 0`.

    Returns:
        float64 array ``(N,)``; positive where no input of the ball is misclassified.

    Raises:
        ValueError: for shapes that do not match, inputs outside [0, 1] or a negative radius.
        TypeError: for labels that are not integers.
        IndexError: for labels out of range.

    Source: chapter *Adversarial robustness*, equation (exact).
    """
    w, b = arguments.finite(weights, "weights", ndim=2), arguments.finite(bias, "bias", ndim=1)
    x = arguments.finite(inputs, "inputs", ndim=2, low=0, high=1)
    if len(b) != len(w):
        raise ValueError(f"bias must have {len(w)} entries, one per row of weights, got {len(b)}")
    if x.shape[1] != w.shape[1]:
        raise ValueError(f"inputs must have {w.shape[1]} columns as weights, got {x.shape[1]}")
    y = arguments.labels(labels, x.shape[:1], len(w))
    radius = arguments.scalar(radius, "radius", low=0)
    low, high = np.maximum(x - radius, 0)[:, None], np.minimum(x + radius, 1)[:, None]
    direction = w[y][:, None] - w  # (N, n, d); zero at the label
    worst = np.sum(np.where(direction > 0, low, high) * direction, axis=-1) + b[y][:, None] - b
    worst[np.arange(len(y)), y] = np.inf
    return worst.min(axis=-1)


def best_margin_risk(p, tau: float = 1.0) -> np.ndarray:
    r"""Return :math:`\sum_k p_{(k)}\Phi^\tau(k-1)`, the least :math:`\rho`-margin risk at an input.

    :math:`p_{(1)}\ge p_{(2)}\ge\dots` are the sorted label probabilities; it is reached by scores
    that separate all classes by at least :math:`\rho`, and does not depend on :math:`\rho`.

    Args:
        p: label probabilities ``(..., n)``.
        tau: index of the family, at least 0.

    Returns:
        float64 array of the leading axes, nats.

    Raises:
        ValueError: if ``p`` is no distribution or ``tau`` is below 0.

    Source: chapter *Adversarial robustness*, theorem "one input" (ours).
    """
    p = arguments.distribution(p, "p")
    costs = from_cross_entropy(np.log(np.arange(1.0, p.shape[-1] + 1)), tau)
    return np.sum(-np.sort(-p, axis=-1) * costs, axis=-1)


def instance_weights(losses, strength: float) -> np.ndarray:
    r"""Return the worst-case weights of examples, :math:`\operatorname{softmax}(\ell/r)`.

    The maximizer of :math:`\sum_i p_i\ell_i - r\sum_i p_i\log(m p_i)` over the simplex.

    Args:
        losses: array ``(m,)``.
        strength: :math:`r > 0`; large values give equal weights, small ones the worst example.

    Returns:
        float64 array ``(m,)`` that sums to 1.

    Raises:
        ValueError: for no losses, losses that are not finite, or ``strength`` not positive.

    Source: *Doubly Robust Instance-Reweighted Adversarial Training*; chapter *Adversarial
    robustness*, equation (weights).
    """
    losses = _examples(losses)
    return softmax((losses - losses.max()) / arguments.positive(strength, "strength"))


def instance_reweighted_risk(losses, strength: float) -> float:
    r"""Return :math:`r\log\frac1m\sum_i e^{\ell_i/r}`, the value at the worst-case weights.

    Args:
        losses: array ``(m,)``.
        strength: :math:`r > 0`.

    Returns:
        A number between the mean and the maximum of the losses.

    Raises:
        ValueError: for no losses, losses that are not finite, or ``strength`` not positive.

    Source: as :func:`instance_weights`.
    """
    losses, r = _examples(losses), arguments.positive(strength, "strength")
    excess = logsumexp((losses - losses.max()) / r)
    return float(losses.max() + r * (excess - np.log(len(losses))))


def crossmax(logits, rank: int = 3) -> np.ndarray:
    r"""Return CrossMax: the ``rank``-th highest of logits centered by predictor, then by class.

    Each predictor's largest logit is subtracted from its logits, then each class's largest value
    over the predictors.

    Args:
        logits: finite array ``(M, ..., n)``: predictors first, classes last.
        rank: in ``[1, M]``; the official code takes 3.

    Returns:
        float64 array ``(..., n)``, at most 0.

    Raises:
        ValueError: for logits that are not finite or have fewer than 2 axes, or a bad rank.
        TypeError: if ``rank`` is not an integer.

    Source: *Ensemble everything everywhere*; chapter *Adversarial robustness*, equation (crossmax).
    """
    z = arguments.logits(arguments.finite(logits, "logits"))
    if z.ndim < 2:
        raise ValueError(f"logits must have predictors first, classes last, got shape {z.shape}")
    rank = arguments.integer(rank, "rank")
    if not 1 <= rank <= len(z):
        raise ValueError(f"rank must lie in [1, {len(z)}], the number of predictors, got {rank}")
    z = z - z.max(axis=-1, keepdims=True)
    z = z - z.max(axis=0)
    return np.sort(z, axis=0)[-rank]


def substitution_bound(score, overlaps, changes: int) -> np.ndarray:
    r"""Return an upper bound on a smoothed score after at most ``changes`` substituted words.

    The ranker is smoothed by replacing every word by a uniform draw from its set. If the sets of
    a word and of any allowed substitute share at least the fraction :math:`q_i`, the two laws of
    documents overlap by :math:`\prod q_i` over the changed words, so that a score in [0, 1] rises
    by at most :math:`1-\prod q_i`; the worst choice takes the smallest :math:`q_i`.

    Args:
        score: smoothed scores in [0, 1], of a shape that broadcasts with ``(...)``.
        overlaps: array ``(..., L)`` of :math:`q_i` in [0, 1], one per word.
        changes: number of words the attacker may change, at least 0.

    Returns:
        float64 array, at most 1.

    Raises:
        ValueError: for entries outside [0, 1], shapes that do not match, or a negative number of
            changes.
        TypeError: if ``changes`` is not an integer.

    Source: after *Certified Robustness to Word Substitution Ranking Attack*; chapter *Adversarial
    robustness*, equation (certificate).
    """
    score = arguments.finite(score, "score", low=0, high=1)
    q = arguments.finite(overlaps, "overlaps", low=0, high=1)
    if q.ndim == 0:
        raise ValueError("overlaps must have at least one axis (the words), got a scalar")
    worst = np.sort(q, axis=-1)[..., : arguments.integer(changes, "changes", low=0)]
    kept = worst.prod(axis=-1)
    arguments.broadcastable(score=score, overlaps=kept)
    return np.minimum(score + 1 - kept, 1.0)


def _examples(losses):
    losses = arguments.finite(losses, "losses", ndim=1)
    if losses.size == 0:
        raise ValueError("losses must hold at least one example")
    return losses
