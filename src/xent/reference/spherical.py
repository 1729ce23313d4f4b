r"""Losses that need three numbers of the output, and the head they can train at a cost without V.

A loss of outputs :math:`o = W h` is spherical when it depends on :math:`o_c`,
:math:`s = \sum_j o_j` and :math:`q = \sum_j o_j^2` alone. With :math:`\sum_j w_j` and
:math:`W^\top W` at hand, s and q cost D and D^2 operations, whatever the number of classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from xent.reference import arguments


def z_loss(outputs, labels, *, sharpness=1.0, target=5.0) -> np.ndarray:
    r"""Return the Z-loss :math:`\log(1 + e^{a (b - z_c)}) / a` of :math:`z_c = (o_c - \mu)/\sigma`.

    :math:`\mu` and :math:`\sigma` are the mean and the population standard deviation of the
    outputs of an example, so the loss does not change when they are shifted or scaled. As
    :math:`z_c \le \sqrt{V-1}`, it never falls below its value there.

    Args:
        outputs: scores ``(..., V)``, not all equal within an example; a common offset is taken
            out before anything is squared.
        labels: classes ``(...)``, integers in ``[0, V)``.
        sharpness: a > 0.
        target: b, the z-score aimed at.

    Returns:
        float64 array ``(...)``; no unit.

    Raises:
        ValueError: if shapes do not match, a row is constant, or a is not positive.
        TypeError: if the labels are not integers.
        IndexError: if a label is no class.

    Source: de Brebisson and Vincent (2016); chapter *Cross-entropy over large vocabularies*.
    """
    outputs = arguments.logits(arguments.finite(outputs, "outputs"), "outputs")
    if (np.ptp(outputs, axis=-1) == 0).any():
        raise ValueError("outputs must not all be equal within an example: they have no z-score")
    outputs = outputs - outputs.mean(axis=-1, keepdims=True)
    y = arguments.labels(labels, outputs.shape[:-1], outputs.shape[-1])
    at_label = np.take_along_axis(outputs, y[..., None], axis=-1)[..., 0]
    return z_loss_of_sums(
        at_label,
        outputs.sum(axis=-1),
        (outputs**2).sum(axis=-1),
        outputs.shape[-1],
        sharpness=sharpness,
        target=target,
    )


def z_loss_of_sums(at_label, total, squares, classes, *, sharpness=1.0, target=5.0) -> np.ndarray:
    r"""Return the Z-loss from :math:`o_c`, :math:`s = \sum_j o_j` and :math:`q = \sum_j o_j^2`.

    The variance is :math:`q/V - (s/V)^2`: where the mean of the outputs is :math:`10^k` times their
    deviation, 2k digits are lost.

    Args:
        at_label: o_c ``(...)``.
        total: s ``(...)``.
        squares: q ``(...)``.
        classes: V.
        sharpness: a > 0.
        target: b.

    Returns:
        float64 array ``(...)``.

    Raises:
        ValueError: if the outputs are constant, shapes do not match, or a is not positive.
        TypeError: if ``classes`` is no integer.

    Source: de Brebisson and Vincent (2016), Vincent, de Brebisson and Bouthillier (2015).
    """
    a = arguments.positive(sharpness, "sharpness")
    target = arguments.scalar(target, "target")
    score, _ = _score(at_label, total, squares, classes)
    return np.logaddexp(0.0, a * (target - score)) / a


def z_loss_slopes(at_label, total, squares, classes, *, sharpness=1.0, target=5.0):
    r"""Return :math:`\partial L/\partial o_c`, :math:`\partial L/\partial s`, and the one by q.

    The gradient by the outputs is then :math:`L_c e_c + L_s 1 + 2 L_q o`. It is orthogonal to 1
    and to o, the directions in which the loss does not change.

    Args:
        at_label: o_c ``(...)``.
        total: s ``(...)``.
        squares: q ``(...)``.
        classes: V.
        sharpness: a > 0.
        target: b.

    Returns:
        Three float64 arrays ``(...)``.

    Raises:
        ValueError: if the outputs are constant, shapes do not match, or a is not positive.
        TypeError: if ``classes`` is no integer.

    Source: chapter *Cross-entropy over large vocabularies*.
    """
    a = arguments.positive(sharpness, "sharpness")
    target = arguments.scalar(target, "target")
    score, deviation = _score(at_label, total, squares, classes)
    by_score = -expit(a * (target - score))
    mean = np.asarray(total) / classes
    by_label = by_score / deviation
    by_total = by_score * (score * mean / deviation - 1) / (classes * deviation)
    by_squares = -by_score * score / (2 * classes * deviation**2)
    return by_label, by_total, by_squares


@dataclass
class SphericalHead:
    r"""A head :math:`W = C U + 1 \omega^\top` that a spherical loss updates without touching W.

    Attributes:
        core: C ``(V, D)``, of which a step changes one row, in place.
        mixing: U ``(D, D)``.
        inverse: :math:`U^{-1}`.
        offset: omega ``(D,)``.
        total: :math:`\sum_j w_j` ``(D,)``.
        gram: :math:`W^\top W` ``(D, D)``.
    """

    core: np.ndarray
    mixing: np.ndarray
    inverse: np.ndarray
    offset: np.ndarray
    total: np.ndarray
    gram: np.ndarray

    def row(self, label: int) -> np.ndarray:
        """Return the weight ``(D,)`` of one class, an integer in ``[0, V)``."""
        return self.core[label] @ self.mixing + self.offset

    def weight(self) -> np.ndarray:
        """Return the whole of W ``(V, D)``, at the cost that the factors avoid."""
        return self.core @ self.mixing + self.offset


def spherical_head(weight) -> SphericalHead:
    """Return the factored form of a head.

    Args:
        weight: W ``(V, D)``, finite; copied.

    Returns:
        :class:`SphericalHead` with this weight.

    Raises:
        ValueError: if the weight is not a finite matrix.

    Source: Vincent, de Brebisson and Bouthillier (2015).
    """
    weight = arguments.finite(weight, "weight", ndim=2).copy()
    width = weight.shape[1]
    identity = np.eye(width)
    total, gram = weight.sum(axis=0), weight.T @ weight
    return SphericalHead(weight, identity, identity.copy(), np.zeros(width), total, gram)


def spherical_step(head: SphericalHead, hidden, label, *, rate, sharpness=1.0, target=5.0):
    r"""Return the loss, its gradient by ``hidden``, and take one step of gradient descent on W.

    With the slopes of the loss, :math:`W' = W (I - \alpha h h^\top) - u h^\top`,
    :math:`\alpha = 2 \eta L_q`, :math:`u = \eta (L_s 1 + L_c e_c)`: the first factor goes to the
    mixing and the offset, 1 to the offset, and :math:`e_c` to one row of the core. Every update
    costs D^2 operations.

    Args:
        head: the factored head, changed in place.
        hidden: h ``(D,)``.
        label: c, an integer in ``[0, V)``.
        rate: eta >= 0.
        sharpness: a > 0.
        target: b.

    Returns:
        The loss before the step and its gradient by ``hidden`` ``(D,)``.

    Raises:
        ValueError: if ``hidden`` has the wrong shape, an option is out of range, the outputs are
            all equal, or a step makes the mixing singular.
        TypeError: if ``head`` is no :class:`SphericalHead` or the label no integer.
        IndexError: if the label is no class.

    Source: Vincent, de Brebisson and Bouthillier (2015); chapter *Cross-entropy over large
    vocabularies*.
    """
    if not isinstance(head, SphericalHead):
        raise TypeError(f"head must be a SphericalHead, got {type(head).__name__}")
    h, rate = arguments.finite(hidden, "hidden", ndim=1), arguments.scalar(rate, "rate", low=0)
    classes = len(head.core)
    c = int(arguments.labels(label, (), classes, "label"))
    if h.shape != head.total.shape:
        raise ValueError(f"hidden must have shape {head.total.shape}, got {h.shape}")
    row, gram_h = head.row(c), head.gram @ h
    sums = row @ h, head.total @ h, h @ gram_h
    if sums[-1] <= 0:
        raise ValueError("hidden must give outputs with a positive sum of squares")
    options = {"sharpness": sharpness, "target": target}
    loss = z_loss_of_sums(*sums, classes, **options)
    by_label, by_total, by_squares = z_loss_slopes(*sums, classes, **options)
    by_hidden = by_label * row + by_total * head.total + 2 * by_squares * gram_h

    alpha = 2 * rate * by_squares
    shrink = 1 - alpha * (h @ h)
    if abs(shrink) < 1e-12:
        raise ValueError("rate makes the mixing singular in this step: take a smaller one")
    head.mixing -= alpha * np.outer(head.mixing @ h, h)
    head.inverse += (alpha / shrink) * np.outer(h, h @ head.inverse)
    head.offset -= alpha * (head.offset @ h) * h + rate * by_total * h
    head.core[c] -= rate * by_label * (h @ head.inverse)

    pull = rate * (by_total * head.total + by_label * row)  # W^T u
    length = rate**2 * (by_total**2 * classes + 2 * by_total * by_label + by_label**2)  # u^T u
    damped_gram = head.gram - alpha * (np.outer(h, gram_h) + np.outer(gram_h, h))
    damped_gram += (alpha**2 * (h @ gram_h) + length) * np.outer(h, h)
    damped_pull = pull - alpha * (pull @ h) * h
    head.gram = damped_gram - np.outer(damped_pull, h) - np.outer(h, damped_pull)
    head.total = head.total - alpha * (head.total @ h) * h
    head.total -= rate * (by_total * classes + by_label) * h
    return loss, by_hidden


def _score(at_label, total, squares, classes):
    at_label = arguments.finite(at_label, "at_label")
    total, squares = arguments.finite(total, "total"), arguments.finite(squares, "squares")
    arguments.broadcastable(at_label=at_label, total=total, squares=squares)
    mean = total / arguments.integer(classes, "classes", low=1)
    variance = squares / classes - mean**2
    if (variance <= 0).any():
        raise ValueError(
            "outputs must not all be equal within an example (squares above total^2 / classes): "
            "they have no z-score"
        )
    deviation = np.sqrt(variance)
    return (at_label - mean) / deviation, deviation
