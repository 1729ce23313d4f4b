r"""The output head of a language model and its losses, straight from the logits.

A head maps hidden states :math:`h_i` to logits :math:`z_{ij} = w_j^\top h_i + b_j`, softmax gives
:math:`p_{ij}`, and everything here is a function of those logits. The references form all N x V
of them; the twins in :mod:`xent.ops.linear` never do.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from scipy.special import entr, logsumexp, rel_entr, softmax

from xent.reference import arguments
from xent.reference.entropy import kl_from_logits

STATISTICS = ("nll", "lse", "entropy", "top2", "margin", "argmax")


class HeadStats(NamedTuple):
    """What one sweep over the vocabulary can say about each token; None where not asked for.

    ``nll`` and ``margin`` are 0 where the label is ignored. ``1 - p_y`` is ``-expm1(-nll)``.
    """

    nll: object = None
    lse: object = None
    entropy: object = None
    renyi: object = None
    tsallis: object = None
    top2: object = None
    margin: object = None
    argmax: object = None
    slope_mean: object = None
    slope_variance: object = None
    slope_max: object = None
    slope_min: object = None
    slope_spread: object = None
    kl: object = None
    reverse_kl: object = None
    teacher_entropy: object = None


def head_logits(hidden, weight, *, bias=None, temperature=1.0, softcap=None) -> np.ndarray:
    r"""Return the logits :math:`z = c \tanh((h W^\top + b)/c) / T`; without a cap, :math:`/T` only.

    Args:
        hidden: hidden states ``(..., D)``.
        weight: the head ``(V, D)``, one row per class.
        bias: ``(V,)`` or None.
        temperature: T > 0, applied last.
        softcap: c > 0 bounds the logits to (-c, c) before the temperature; None for no bound.

    Returns:
        float64 array ``(..., V)``.

    Raises:
        ValueError: if shapes do not match, an entry is not finite, or T or c is not positive.

    Source: chapter *Cross-entropy over large vocabularies*.
    """
    hidden = arguments.finite(hidden, "hidden")
    weight = arguments.finite(weight, "weight", ndim=2)
    if hidden.ndim == 0 or hidden.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"hidden must have {weight.shape[1]} entries on its last axis, as weight does; "
            f"got shape {hidden.shape}"
        )
    if weight.shape[0] == 0:
        raise ValueError("weight has no rows; at least one class is needed")
    logits = hidden @ weight.T
    if bias is not None:
        bias = arguments.finite(bias, "bias", ndim=1)
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"bias must have shape {weight.shape[:1]}, got {bias.shape}")
        logits = logits + bias
    if softcap is not None:
        softcap = arguments.positive(softcap, "softcap")
        logits = softcap * np.tanh(logits / softcap)
    return logits / arguments.positive(temperature, "temperature")


def linear_cross_entropy(
    hidden,
    weight,
    labels,
    *,
    bias=None,
    tau=1.0,
    ignore_index=-100,
    label_smoothing=0.0,
    z_loss=0.0,
    class_weight=None,
    token_weight=None,
    softcap=None,
    temperature=1.0,
    shift=0,
) -> np.ndarray:
    r"""Return a comp-sum loss of every token through the head, by default the cross-entropy.

    With :math:`\ell = -\log p_y`, class weights :math:`c`, token weight :math:`t`, smoothing
    :math:`\varepsilon` and z-loss :math:`\zeta`, the loss is

    .. math::
        t \Bigl( c_y \bigl[ (1-\varepsilon)\, \Phi_\tau(\ell)
        + \zeta \operatorname{lse}(z)^2 \bigr]
        + \frac{\varepsilon}{V} \sum_k c_k (\operatorname{lse}(z) - z_k) \Bigr), \qquad
        \Phi_\tau(\ell) = \frac{e^{(1-\tau)\ell} - 1}{1-\tau}, \quad \Phi_1(\ell) = \ell.

    Args:
        hidden: hidden states ``(..., D)``.
        weight: the head ``(V, D)``.
        labels: classes ``(...)`` in [0, V), or ``ignore_index``.
        bias: ``(V,)`` or None.
        tau: member of the comp-sum family, >= 0: 0 sum-exponential, 1 cross-entropy, 2 MAE.
        ignore_index: label of tokens that do not count; their loss is 0.
        label_smoothing: epsilon in [0, 1]; only for ``tau = 1``.
        z_loss: zeta >= 0.
        class_weight: ``(V,)`` non-negative, or None for ones.
        token_weight: shape of ``labels``, or None for ones.
        softcap: bound of the logits, see :func:`head_logits`.
        temperature: T > 0.
        shift: k >= 0 pairs position i of the last axis with label i + k; the last k positions
            have no label and are ignored.

    Returns:
        float64 array of the shape of ``labels``, in nats.

    Raises:
        ValueError: if shapes do not match or an option is out of range.
        TypeError: if labels are not integers.
        IndexError: if a label is no class.

    Source: Mao, Mohri and Zhong (2023) for the family; chapter *Cross-entropy over large
    vocabularies*.
    """
    z = head_logits(hidden, weight, bias=bias, temperature=temperature, softcap=softcap)
    tau = arguments.scalar(tau, "tau", low=0.0, high=np.inf, open_high=True)
    smoothing = arguments.scalar(label_smoothing, "label_smoothing", low=0.0, high=1.0)
    if smoothing and tau != 1.0:
        raise ValueError(f"label_smoothing is defined for tau=1 only, got tau={tau}")
    zeta = arguments.scalar(z_loss, "z_loss", low=0.0)
    y, counted = _shifted_labels(labels, z.shape, ignore_index, shift)
    classes = _weights(class_weight, "class_weight", z.shape[-1:])
    tokens = _weights(token_weight, "token_weight", z.shape[:-1])

    lse = logsumexp(z, axis=-1)
    nll = _nll(z, y)
    uniform = (classes * (lse[..., None] - z)).mean(axis=-1)
    hard = (1 - smoothing) * _comp_sum(nll, tau) + zeta * lse**2
    return np.where(counted, tokens * (classes[y] * hard + smoothing * uniform), 0.0)


def head_stats(
    hidden,
    weight,
    labels=None,
    *,
    want=("nll", "lse", "entropy"),
    renyi=(),
    tsallis=(),
    direction=None,
    teacher=None,
    bias=None,
    temperature=1.0,
    softcap=None,
    ignore_index=-100,
) -> HeadStats:
    r"""Return statistics of the head's softmax for every token.

    ==================  =====================================================================
    field               value
    ==================  =====================================================================
    nll                 :math:`-\log p_y`
    lse                 :math:`\log \sum_j e^{z_j}`
    entropy             :math:`H = -\sum_j p_j \log p_j`
    renyi               :math:`\log(\sum_j p_j^\alpha)/(1-\alpha)`, one column per order
    tsallis             :math:`(\sum_j p_j^\alpha - 1)/(1-\alpha)`, one column per order
    top2                the two largest logits, largest first
    margin              :math:`z_y - \max_{j \ne y} z_j`
    argmax              class of the largest logit, the first of ties
    slope_mean, ...     of :math:`a_j = \delta^\top w_j / T` under p: mean, variance; and over
                        all classes max, min, spread = max - min
    kl, reverse_kl      :math:`D(q \| p)` and :math:`D(p \| q)`, q the teacher's softmax
    teacher_entropy     :math:`H(q)`
    ==================  =====================================================================

    Args:
        hidden: hidden states ``(..., D)``.
        weight: the head ``(V, D)``.
        labels: ``(...)``, needed for ``nll`` and ``margin``.
        want: names among nll, lse, entropy, top2, margin, argmax.
        renyi: orders > 0; order 1 is the Shannon entropy.
        tsallis: orders > 0; order 1 is the Shannon entropy.
        direction: ``(..., D)``, a change of the hidden states; adds the slopes.
        teacher: ``(hidden, weight)`` or ``(hidden, weight, bias)`` of another head over the same
            classes, under the same temperature and cap; adds both divergences and both entropies.
        bias: ``(V,)`` or None.
        temperature: T > 0.
        softcap: bound of the logits; excludes ``direction``, whose logits must be linear.
        ignore_index: label of tokens without ``nll`` and ``margin``.

    Returns:
        :class:`HeadStats` of float64 arrays.

    Raises:
        ValueError: if shapes do not match, a name is unknown, or labels are needed.
        TypeError: if labels are not integers.
        IndexError: if a label is no class.

    Source: chapter *Cross-entropy over large vocabularies*; the slopes, chapter *Complex
    singularities of the log-partition function*.
    """
    z = head_logits(hidden, weight, bias=bias, temperature=temperature, softcap=softcap)
    check_statistics(want, labels)
    p = softmax(z, axis=-1)
    found = {"lse": logsumexp(z, axis=-1), "entropy": entr(p).sum(axis=-1)}
    found["argmax"] = z.argmax(axis=-1)
    found["top2"] = _largest_two(z)
    if labels is not None:
        y, counted = _shifted_labels(labels, z.shape, ignore_index, 0)
        found["nll"] = np.where(counted, _nll(z, y), 0.0)
        others = _without(z, y).max(axis=-1, initial=-np.inf)
        found["margin"] = np.where(counted, _pick(z, y) - others, 0.0)
    asked = {name: found[name] for name in want}
    if orders := check_orders(renyi, "renyi"):
        asked["renyi"] = np.stack([_renyi(p, order) for order in orders], axis=-1)
    if orders := check_orders(tsallis, "tsallis"):
        asked["tsallis"] = np.stack([_tsallis(p, order) for order in orders], axis=-1)
    if direction is not None:
        asked |= _slopes(p, direction, weight, temperature, softcap)
    if teacher is not None:
        u = _teacher_logits(teacher, z.shape, temperature, softcap)
        q = softmax(u, axis=-1)
        asked["kl"], asked["reverse_kl"] = kl_from_logits(u, z), kl_from_logits(z, u)
        asked["entropy"], asked["teacher_entropy"] = found["entropy"], entr(q).sum(axis=-1)
    return HeadStats(**asked)


def linear_kl(
    hidden,
    weight,
    teacher_hidden,
    teacher_weight,
    *,
    direction="forward",
    bias=None,
    teacher_bias=None,
    temperature=1.0,
    softcap=None,
) -> np.ndarray:
    r"""Return the divergence between a teacher's and a student's head, per token.

    With q the teacher's and p the student's softmax, "forward" is :math:`D(q \| p)` and
    "reverse" is :math:`D(p \| q)`.

    Args:
        hidden: the student's hidden states ``(..., D)``.
        weight: the student's head ``(V, D)``.
        teacher_hidden: ``(..., E)``; the width may differ from the student's.
        teacher_weight: ``(V, E)``.
        direction: "forward" or "reverse".
        bias: ``(V,)`` or None.
        teacher_bias: ``(V,)`` or None.
        temperature: T > 0 of both heads.
        softcap: bound of both heads' logits, or None.

    Returns:
        float64 array ``(...)`` in nats, >= 0.

    Raises:
        ValueError: if shapes do not match or ``direction`` is unknown.

    Source: chapter *Cross-entropy over large vocabularies*.
    """
    direction = arguments.choice(direction, "direction", ("forward", "reverse"))
    options = {"temperature": temperature, "softcap": softcap}
    z = head_logits(hidden, weight, bias=bias, **options)
    u = _teacher_logits((teacher_hidden, teacher_weight, teacher_bias), z.shape, **options)
    return kl_from_logits(u, z) if direction == "forward" else kl_from_logits(z, u)


def linear_topk_kl(
    hidden, weight, ids, log_q, *, bias=None, temperature=1.0, softcap=None
) -> np.ndarray:
    r"""Return the divergence from a teacher known on K classes, the rest lumped into one bucket.

    With :math:`q_0 = 1 - \sum_k q_k` and :math:`p_0` the model's mass outside ``ids``,

    .. math:: \sum_k q_k \log \frac{q_k}{p_{\mathrm{id}_k}} + q_0 \log \frac{q_0}{p_0},

    which by the data-processing inequality never exceeds the full divergence.

    Args:
        hidden: hidden states ``(..., D)``.
        weight: the head ``(V, D)``.
        ids: distinct classes ``(..., K)``.
        log_q: the teacher's log-probabilities ``(..., K)``, summing to at most one.
        bias: ``(V,)`` or None.
        temperature: T > 0 of the student; ``log_q`` is used as given.
        softcap: bound of the logits, or None.

    Returns:
        float64 array ``(...)`` in nats, >= 0.

    Raises:
        ValueError: if shapes do not match, ids repeat, or the masses sum to more than one.
        IndexError: if an id is no class.

    Source: chapter *Cross-entropy over large vocabularies*.
    """
    z = head_logits(hidden, weight, bias=bias, temperature=temperature, softcap=softcap)
    log_q = arguments.array(log_q, "log_q")
    if log_q.ndim != z.ndim or log_q.shape[:-1] != z.shape[:-1] or log_q.shape[-1] == 0:
        shape = f"{z.shape[:-1]} + (K,) with K >= 1"
        raise ValueError(f"log_q must have shape {shape}, got {log_q.shape}")
    ids = arguments.labels(ids, log_q.shape, z.shape[-1])
    if (np.diff(np.sort(ids, axis=-1), axis=-1) == 0).any():
        raise ValueError("ids must be distinct within a token")
    q = np.exp(log_q)
    rest = 1.0 - q.sum(axis=-1)
    if (rest < -1e-6).any():
        raise ValueError(f"log_q must hold at most total mass 1, it exceeds it by {-rest.min():g}")
    rest = np.maximum(rest, 0.0) * (ids.shape[-1] < z.shape[-1])
    p = softmax(z, axis=-1)
    outside = np.ones(z.shape, dtype=bool)
    np.put_along_axis(outside, ids, False, axis=-1)
    p_rest = np.where(outside, p, 0.0).sum(axis=-1)
    chosen = np.take_along_axis(p, ids, axis=-1)
    return rel_entr(q, chosen).sum(axis=-1) + rel_entr(rest, p_rest)


def check_statistics(want, labels) -> None:
    """Check names of statistics, and that there are labels where one needs them.

    Args:
        want: a collection of names.
        labels: the labels, or None.

    Raises:
        TypeError: if ``want`` is no collection.
        ValueError: if a name is unknown or needs labels.
    """
    if isinstance(want, str) or not isinstance(want, Collection):
        raise TypeError(f"want must be a collection of names such as ('nll',), got {want!r}")
    for name in want:
        arguments.choice(name, "want", STATISTICS)
        if name in ("nll", "margin") and labels is None:
            raise ValueError(f"want={name!r} needs labels")


def check_orders(value, name: str) -> list[float]:
    """Return the orders of an entropy as floats.

    Args:
        value: a collection of numbers > 0.
        name: what the argument is called.

    Raises:
        TypeError: if it is no collection of real numbers.
        ValueError: if an order is not positive and finite.
    """
    if isinstance(value, str) or not isinstance(value, Collection):
        raise TypeError(f"{name} must be a collection of orders such as (2,), got {value!r}")
    if any(isinstance(order, bool) for order in value):
        raise TypeError(f"{name} must hold real numbers, got bool")
    return [arguments.positive(order, name) for order in value]


def _comp_sum(nll, tau):
    if tau == 1.0:
        return nll
    with np.errstate(over="ignore"):  # tau < 1 grows exponentially: infinite is the right value
        return np.expm1((1 - tau) * nll) / (1 - tau)


def _pick(z, y):
    return np.take_along_axis(z, y[..., None], axis=-1)[..., 0]


def _without(z, y):
    others = z.copy()
    np.put_along_axis(others, y[..., None], -np.inf, axis=-1)
    return others


def _nll(z, y):
    """-log p_y without the difference lse - z_y, which cancels as p_y goes to one."""
    if z.shape[-1] == 1:
        return np.zeros(z.shape[:-1])
    return np.logaddexp(0.0, logsumexp(_without(z, y), axis=-1) - _pick(z, y))


def _largest_two(z):
    if z.shape[-1] == 1:
        return np.concatenate([z, np.full_like(z, -np.inf)], axis=-1)
    return -np.sort(np.partition(-z, 1, axis=-1)[..., :2], axis=-1)


def _renyi(p, order):
    return entr(p).sum(axis=-1) if order == 1 else np.log((p**order).sum(axis=-1)) / (1 - order)


def _tsallis(p, order):
    return entr(p).sum(axis=-1) if order == 1 else ((p**order).sum(axis=-1) - 1) / (1 - order)


def _slopes(p, direction, weight, temperature, softcap):
    if softcap is not None:
        raise ValueError("direction needs logits linear in hidden: softcap must be None")
    a = head_logits(direction, weight, temperature=temperature)
    if a.shape != p.shape:
        raise ValueError(f"direction must have the shape of hidden, got {np.shape(direction)}")
    mean = (p * a).sum(axis=-1)
    return {
        "slope_mean": mean,
        "slope_variance": (p * (a - mean[..., None]) ** 2).sum(axis=-1),
        "slope_max": a.max(axis=-1),
        "slope_min": a.min(axis=-1),
        "slope_spread": a.max(axis=-1) - a.min(axis=-1),
    }


def _teacher_logits(teacher, shape, temperature, softcap):
    if len(teacher) not in (2, 3):
        raise ValueError(f"teacher must be (hidden, weight[, bias]), got {len(teacher)} entries")
    bias = teacher[2] if len(teacher) == 3 else None
    u = head_logits(teacher[0], teacher[1], bias=bias, temperature=temperature, softcap=softcap)
    if u.shape != shape:
        raise ValueError(f"the teacher's logits must have shape {shape}, got {u.shape}")
    return u


def _weights(value, name, shape):
    if value is None:
        return np.ones(shape)
    value = arguments.finite(value, name)
    if value.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {value.shape}")
    if name == "class_weight" and (value < 0).any():
        raise ValueError("class_weight has a negative entry; weights must be >= 0")
    return value


def _shifted_labels(labels, shape, ignore_index, shift):
    """Labels to index with, and which of them count."""
    shift = arguments.integer(shift, "shift", low=0)
    y = arguments.labels(labels, shape[:-1], shape[-1], ignore_index=ignore_index)
    if shift:
        if y.ndim == 0 or shift > y.shape[-1]:
            raise ValueError(f"shift must be at most the number of positions, got {shift}")
        missing = np.full((*y.shape[:-1], shift), ignore_index)
        y = np.concatenate([y[..., shift:], missing], axis=-1)
    return np.where(y == ignore_index, 0, y), y != ignore_index
