r"""The output head and its losses without the N x V logits in memory.

Twins of :mod:`xent.reference.linear`. Leading axes of ``hidden`` and ``labels`` are free; per-token
results are float32, or float64 for float64 inputs.

*Accuracy.* The label's logit is left out of the sum and added at the end: :math:`\ell` keeps its
relative accuracy as :math:`p_y \to 1`, is never negative, and its gradient at the label is
:math:`-(1 - p_y)` without a cancellation. Forward and backward see the same logits.

*Determinism.* No atomics, no locks; states of slices, splits and ranks merge in a fixed order. Two
runs give the same bits. The Triton backend gives a token the same statistics, bit for bit, in any
batch; the torch backend and the products of backward do so as far as the BLAS library does.

*Backends.* "torch" runs on any device, in float64 too. "triton" has all ops and options in float32,
float16 and bfloat16, on CUDA devices and, for small shapes, in its interpreter on a CPU; one call
of it keeps at most four orders of entropies. "auto" is Triton on CUDA devices where that suffices,
else torch. A request that a backend cannot serve raises; it never falls back.

*Memory.* Beyond inputs and gradients, a few numbers per token, and one slice of logits (1024
columns on a CPU, 8192 on a GPU) or, for scalar reductions, one chunk of tokens (32 MiB of
logits, at least 128 tokens; on a GPU 4096). A half-precision head on a CPU is held in float32
while a chunked loss runs.
"""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from xent.ops import linear_arguments as check
from xent.ops.backend import choose
from xent.ops.linear_chunks import Objective, chunked_loss
from xent.ops.linear_group import placement
from xent.ops.linear_plan import TRITON_ORDERS, Inputs, Plan
from xent.ops.linear_state import MASKED
from xent.ops.linear_sweep import sweep
from xent.ops.softmax import reduce
from xent.reference import arguments
from xent.reference.linear import HeadStats, check_orders, check_statistics

REDUCTIONS = ("mean", "sum", "none")

__all__ = ["HeadStats", "head_stats", "linear_cross_entropy", "linear_kl", "linear_topk_kl"]


def linear_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    labels: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    tau: float = 1.0,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    class_weight: torch.Tensor | None = None,
    token_weight: torch.Tensor | None = None,
    softcap: float | None = None,
    temperature: float = 1.0,
    shift: int = 0,
    backend: str = "auto",
    group=None,
) -> torch.Tensor:
    r"""Return a comp-sum loss through the head: twin of the reference, at ``reduction="none"``.

    A scalar reduction computes its gradient on the way forward (three products of 2NDV
    operations, by the BLAS library; Triton turns logits into rows of the gradient). With
    ``group``, a differentiable ``token_weight``, an explicit "triton" beside smoothing, z-loss or
    cap, and for ``"none"``, backward recomputes the logits (four products) and takes any upstream
    gradient. The three-product path can be differentiated once. Determinism and memory: see the
    module.

    Args:
        hidden: hidden states ``(..., D)``, float64, float32, bfloat16 or float16.
        weight: the head ``(V, D)``; with ``group``, this rank's rows.
        labels: integer classes ``(...)`` in [0, V), or ``ignore_index``. They are checked, which
            on a GPU waits for the device.
        bias: ``(V,)`` or None.
        tau: member of the comp-sum family, >= 0.
        reduction: "mean", "sum" or "none". The mean divides by the sum of ``token_weight`` times
            ``class_weight`` of the labels, over the tokens that count.
        ignore_index: label of tokens that cost nothing and do not count.
        label_smoothing: in [0, 1], for ``tau = 1``.
        z_loss: >= 0, weight of the squared log-normalizer.
        class_weight: ``(V,)`` of all classes, a constant.
        token_weight: shape of ``labels``.
        softcap: c > 0 bounds the logits to (-c, c).
        temperature: T > 0, applied last.
        shift: k >= 0 pairs position i with label i + k; the last k positions are ignored.
        backend: "auto", "torch" or "triton".
        group: a ``torch.distributed`` group whose ranks hold blocks of rows, in rank order.

    Returns:
        Scalar, or a tensor of the shape of ``labels``, in nats.

    Raises:
        ValueError: if shapes, devices or dtypes do not match, an option is out of range, or a mean
            has nothing to average or no weight.
        TypeError: if an argument is no tensor or number of the right kind.
        IndexError: if a label is no class.
    """
    plan = _plan(temperature, softcap)
    arguments.choice(reduction, "reduction", REDUCTIONS)
    tau = check.number(tau, "tau", low=0.0, high=float("inf"), open_high=True)
    smoothing = check.number(label_smoothing, "label_smoothing", low=0.0, high=1.0)
    zeta = check.number(z_loss, "z_loss", low=0.0, high=float("inf"), open_high=True)
    if smoothing and tau != 1.0:
        raise ValueError(f"label_smoothing is defined for tau=1 only, got tau={tau}")
    check.head(hidden, weight, bias)
    plain = not (smoothing or zeta or softcap)  # what the kernel of rows knows
    keep_logits = reduction != "none" and group is None and (plain or backend != "triton")
    backend = choose(backend, hidden)
    offset, classes = placement(len(weight), group, weight.device)
    ids, counted = check.labels(labels, hidden, classes, ignore_index, shift)
    omega, tokens = check.class_weight(class_weight, classes, hidden), counted.to(_sums(hidden))
    if token_weight is not None:
        tokens = tokens * check.token_weight(token_weight, hidden)
    row = tokens if omega is None else tokens * omega[ids.clamp_min(0)]
    spread = None
    if smoothing:
        omega = hidden.new_ones(classes, dtype=_sums(hidden)) if omega is None else omega
        spread = (smoothing / classes) * omega
    scale = 1.0
    if reduction == "mean":
        if not counted.any():
            raise ValueError("reduction='mean' of no token: the batch is empty or all ignored")
        if row.sum() == 0:
            raise ValueError("reduction='mean' divides by the sum of the weights, which is 0")
        scale = 1.0 / row.sum()
    flat = hidden.reshape(-1, hidden.shape[-1])

    if keep_logits and not tokens.requires_grad:
        objective = Objective(
            plan=plan,
            labels=ids,
            weight=(1 - smoothing) * scale * row,
            tau=tau,
            square=zeta * scale * row if zeta else None,
            smooth=scale * tokens if smoothing else None,
            omega=spread,
            kernel=backend == "triton",
        )
        return chunked_loss(objective, flat, weight, bias)

    plan = _plan(temperature, softcap, total=bool(smoothing))
    part = None if spread is None else spread[offset : offset + len(weight)]
    inputs = Inputs(flat, weight, bias, ids=ids[:, None], omega=part)
    swept = sweep(inputs, plan, backend=backend, group=group)
    nll = _nll(swept, counted)
    phi = nll if tau == 1.0 else torch.expm1((1 - tau) * nll) / (1 - tau)
    losses = row * ((1 - smoothing) * phi)
    if zeta:
        losses = losses + row * zeta * swept.lse**2
    if smoothing:
        losses = losses + tokens * (spread.sum() * swept.lse - swept.total)
    losses = losses.where(counted, 0.0)
    return losses.reshape(labels.shape) if reduction == "none" else losses.sum() * scale


def head_stats(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    labels: torch.Tensor | None = None,
    *,
    want=("nll", "lse", "entropy"),
    renyi=(),
    tsallis=(),
    direction: torch.Tensor | None = None,
    teacher=None,
    bias: torch.Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    ignore_index: int = -100,
    backend: str = "auto",
    group=None,
) -> HeadStats:
    r"""Return statistics of the head's softmax per token, in one sweep: twin of the reference.

    Every field but ``argmax`` and ``teacher_entropy`` is differentiable, in any mix, with respect
    to hidden, weight, bias and direction (four products of 2NDV operations; two more with a
    direction or a teacher, again two more backward). ``pi / slope_spread`` bounds the radius of
    convergence of the loss along ``direction`` from below. Determinism and memory: see the module.

    Args:
        hidden: hidden states ``(..., D)``.
        weight: the head ``(V, D)``; with ``group``, this rank's rows.
        labels: ``(...)``, needed for ``nll`` and ``margin``.
        want: names among nll, lse, entropy, top2, margin, argmax.
        renyi: orders > 0, one column each.
        tsallis: orders > 0, one column each.
        direction: ``(..., D)``; adds the slopes.
        teacher: ``(hidden, weight)`` or ``(hidden, weight, bias)``, constants; adds both
            divergences and both entropies. With ``group``, ranks share its rows as the weight's.
        bias: ``(V,)`` or None.
        temperature: T > 0.
        softcap: c > 0; not with ``direction``.
        ignore_index: label of tokens whose ``nll`` and ``margin`` are 0.
        backend: "auto", "torch" or "triton".
        group: a ``torch.distributed`` group whose ranks hold blocks of rows, in rank order.

    Returns:
        :class:`~xent.reference.linear.HeadStats` of tensors.

    Raises:
        ValueError: if shapes, devices or dtypes do not match, a name is unknown, labels are
            needed, or a teacher requires a gradient.
        TypeError: if an argument is no tensor or number of the right kind.
        IndexError: if a label is no class.
    """
    check_statistics(want, labels)
    renyi, tsallis = check_orders(renyi, "renyi"), check_orders(tsallis, "tsallis")
    if direction is not None and softcap is not None:
        raise ValueError("direction needs logits linear in hidden: softcap must be None")
    orders = tuple(sorted({*renyi, *tsallis} - {1.0}))
    shannon = "entropy" in want or teacher is not None or 1.0 in (*renyi, *tsallis)
    plan = _plan(
        temperature,
        softcap,
        entropy=shannon,
        orders=orders,
        top2=any(name in want for name in ("top2", "margin", "argmax")),
        direction=direction is not None,
        teacher=teacher is not None,
    )
    check.head(hidden, weight, bias)
    too_many = backend == "auto" and len(orders) > TRITON_ORDERS
    backend = "torch" if too_many else choose(backend, hidden)
    classes = placement(len(weight), group, weight.device)[1]
    shape = hidden.shape[:-1]
    inputs = Inputs(hidden.reshape(-1, hidden.shape[-1]), weight, bias)
    counted = None
    if labels is not None and ("nll" in want or "margin" in want):
        ids, counted = check.labels(labels, hidden, classes, ignore_index)
        inputs = inputs._replace(ids=ids[:, None])
    if direction is not None:
        check.real(direction, "direction", hidden, hidden.shape)
        if direction.dtype != hidden.dtype:
            raise ValueError(f"direction must have the dtype of hidden, got {direction.dtype}")
        inputs = inputs._replace(direction=direction.reshape(inputs.hidden.shape))
    if teacher is not None:
        names = ("teacher_hidden", "teacher_weight", "teacher_bias")
        parts = check.teacher(teacher, hidden, weight)
        inputs = inputs._replace(**dict(zip(names, parts, strict=True)))
    s = sweep(inputs, plan, backend=backend, group=group)
    fields = {}
    if "nll" in want:
        fields["nll"] = _nll(s, counted)
    if "margin" in want:
        rival = s.rest_top.masked_fill(s.rest_top <= MASKED, -torch.inf)
        fields["margin"] = (s.chosen[:, 0] - rival).where(counted, 0.0)
    if "lse" in want:
        fields["lse"] = s.lse
    if "entropy" in want or teacher is not None:
        fields["entropy"] = s.entropy
    if "top2" in want:
        second = s.second.masked_fill(s.second <= MASKED, -torch.inf)
        fields["top2"] = torch.stack([s.top, second], dim=-1)
    if "argmax" in want:
        fields["argmax"] = s.top_id
    log_power = dict(zip(orders, s.log_powers if orders else (), strict=True))
    if renyi:
        values = [s.entropy if a == 1 else log_power[a] / (1 - a) for a in renyi]
        fields["renyi"] = torch.stack(values, dim=-1)
    if tsallis:
        values = [s.entropy if a == 1 else torch.expm1(log_power[a]) / (1 - a) for a in tsallis]
        fields["tsallis"] = torch.stack(values, dim=-1)
    if direction is not None:
        for name in ("slope_mean", "slope_variance", "slope_max", "slope_min"):
            fields[name] = getattr(s, name)
        fields["slope_spread"] = s.slope_max - s.slope_min
    if teacher is not None:
        fields |= {"kl": s.kl, "reverse_kl": s.reverse_kl}
        fields["teacher_entropy"] = s.teacher_entropy
    return HeadStats(**{k: v.reshape(*shape, *v.shape[1:]) for k, v in fields.items()})


def linear_kl(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    teacher_hidden: torch.Tensor,
    teacher_weight: torch.Tensor,
    *,
    direction: str = "forward",
    bias: torch.Tensor | None = None,
    teacher_bias: torch.Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
    backend: str = "auto",
    group=None,
) -> torch.Tensor:
    r"""Return the divergence between a teacher's and a student's head: twin of the reference.

    Both heads are swept tile by tile; neither's logits are stored. Where teacher and student are
    close the divergence and its gradient keep their relative accuracy. The teacher is a constant.

    Args:
        hidden: the student's hidden states ``(..., D)``.
        weight: the student's head ``(V, D)``.
        teacher_hidden: ``(..., E)``.
        teacher_weight: ``(V, E)``.
        direction: "forward" for :math:`D(q \| p)`, "reverse" for :math:`D(p \| q)`.
        bias: ``(V,)`` or None.
        teacher_bias: ``(V,)`` or None.
        temperature: T > 0 of both heads.
        softcap: bound of both heads' logits, or None.
        reduction: "mean", "sum" or "none".
        backend: "auto", "torch" or "triton".
        group: as for :func:`head_stats`.

    Returns:
        Scalar or ``(...)``, in nats.

    Raises:
        ValueError: if shapes, devices or dtypes do not match, an option is out of range, or a
            teacher requires a gradient.
        TypeError: if a tensor is not floating.
    """
    arguments.choice(direction, "direction", ("forward", "reverse"))
    arguments.choice(reduction, "reduction", REDUCTIONS)
    stats = head_stats(
        hidden,
        weight,
        want=(),
        teacher=(teacher_hidden, teacher_weight, teacher_bias),
        bias=bias,
        temperature=temperature,
        softcap=softcap,
        backend=backend,
        group=group,
    )
    losses = stats.kl if direction == "forward" else stats.reverse_kl
    return reduce(losses, torch.ones_like(losses, dtype=torch.bool), reduction)


def linear_topk_kl(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    ids: torch.Tensor,
    log_q: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
    backend: str = "auto",
    group=None,
) -> torch.Tensor:
    r"""Return the divergence from a teacher known on K classes: twin of the reference.

    The K classes are left out of the sweep's sum, so the model's mass outside them is exact, not
    one minus a sum. ``log_q`` is a constant. In Triton a tile works only for the classes found in
    it: the cost of K classes grows with those that meet, not with K.

    Args:
        hidden: hidden states ``(..., D)``.
        weight: the head ``(V, D)``.
        ids: distinct classes ``(..., K)``.
        log_q: the teacher's log-probabilities ``(..., K)``, of total mass at most one.
        bias: ``(V,)`` or None.
        temperature: T > 0 of the student.
        softcap: bound of the logits, or None.
        reduction: "mean", "sum" or "none".
        backend: "auto", "torch" or "triton".
        group: as for :func:`head_stats`.

    Returns:
        Scalar or ``(...)``, in nats.

    Raises:
        ValueError: if shapes or devices do not match, ids repeat, or masses exceed one or are NaN.
        TypeError: if a tensor has the wrong kind of numbers.
        IndexError: if an id is no class.
    """
    arguments.choice(reduction, "reduction", REDUCTIONS)
    plan = _plan(temperature, softcap)
    check.head(hidden, weight, bias)
    backend = choose(backend, hidden)
    classes = placement(len(weight), group, weight.device)[1]
    ids, log_q, q = check.known(ids, log_q, hidden, classes)
    inputs = Inputs(hidden.reshape(-1, hidden.shape[-1]), weight, bias, ids=ids)
    s = sweep(inputs, plan, backend=backend, group=group)
    chosen = s.chosen - s.chosen.amax(1, keepdim=True)
    log_p = torch.cat([chosen, s.gap[:, None]], dim=1).log_softmax(1)
    losses = torch.where(q > 0, q * (log_q - log_p), 0.0).sum(1).reshape(hidden.shape[:-1])
    return reduce(losses, torch.ones_like(losses, dtype=torch.bool), reduction)


def _plan(temperature, softcap, **asked) -> Plan:
    temperature = check.positive(temperature, "temperature")
    softcap = None if softcap is None else check.positive(softcap, "softcap")
    return Plan(temperature, softcap, **asked)


def _nll(swept, counted):
    return -logsigmoid(-swept.gap).where(counted, 0.0)


def _sums(tensor):
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
