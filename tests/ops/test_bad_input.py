"""Every public op against bad input: an error that names an argument, or a value; NaN never hides.

``CALLS`` holds one good call of each op; each argument is then spoiled in turn. An op without a
call here fails, so that a new one is swept from its first day.
"""

import importlib
import inspect
import pkgutil
import re

import pytest
import torch

import xent.ops

Z = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 2, 3])
P = Z.softmax(-1)
LOGPROBS = Z.log_softmax(-1)[:2]
OLD = LOGPROBS - 0.1
REWARDS = torch.tensor([1.0, 0.0])
EDGES = torch.linspace(-1, 1, 5)
LOSS = dict(logprobs=LOGPROBS, old_logprobs=OLD, rewards=REWARDS)

CALLS = {
    "comp_sum.comp_sum_loss": dict(logits=Z, labels=Y, tau=0.5),
    "comp_sum.smooth_adversarial_comp_sum": dict(logits=Z, perturbed_logits=Z + 0.1, labels=Y),
    "entropy.entropy": dict(p=P),
    "entropy.cross_entropy": dict(p=P, q=P.flip(0)),
    "entropy.kl_divergence": dict(p=P, q=P.flip(0)),
    "entropy.js_divergence": dict(p=P, q=P.flip(0)),
    "entropy.entropy_from_logits": dict(logits=Z),
    "entropy.kl_from_logits": dict(p_logits=Z, q_logits=Z + 1),
    "histogram.hl_gauss_loss": dict(logits=Z, values=Z[:, 0] / 4, edges=EDGES, sigma=0.3),
    "histogram.histogram_mean": dict(logits=Z, edges=EDGES),
    "ldr.ldr_kl_loss": dict(logits=Z, labels=Y, lam=torch.tensor([0.5, 1.0, 2.0])),
    "ldr.optimal_temperature": dict(logits=Z, labels=Y),
    "ldr.aldr_kl_loss": dict(logits=Z, labels=Y),
    "policy.token_logprob_entropy": dict(logits=Z, tokens=Y),
    "policy.token_entropy_change": dict(logits=Z, tokens=Y, advantages=Z[:, 0]),
    "policy.group_relative_advantages": dict(rewards=Z),
    "policy.policy_loss": dict(logprobs=LOGPROBS, old_logprobs=OLD, advantages=-OLD),
    "policy.grpo_loss": LOSS,
    "policy.rloo_loss": LOSS,
    "policy.reinforce_loss": LOSS,
    "policy.token_covariance": dict(logprobs=LOGPROBS, advantages=OLD),
    "policy.clip_cov_mask": dict(covariances=-3 * LOGPROBS, priority=OLD),
    "policy.kl_cov_mask": dict(covariances=LOGPROBS),
    "policy.kl_cov_penalty": dict(logprobs=LOGPROBS, old_logprobs=OLD, selected=LOGPROBS > -1),
    "policy.steer_entropy_change": dict(logprobs=LOGPROBS, entropies=-OLD, advantages=OLD),
    "policy.steer_weights": dict(changes=LOGPROBS),
    "policy.high_entropy_mask": dict(entropies=-LOGPROBS),
    "policy.nucleus_mask": dict(logits=Z),
    "policy.nucleus_entropy": dict(logits=Z),
    "policy.anchored_penalty": dict(entropies=-LOGPROBS, mask=LOGPROBS > -1, anchor=0.5),
}
ELSEWHERE = ("arguments", "attention", "backend", "linear")  # tested in files of their own
MEASURED = ("ghosts", "softmax")  # long or timed records freeze their code


def functions():
    for found in pkgutil.iter_modules(xent.ops.__path__):
        if found.name in ELSEWHERE + MEASURED or found.name.startswith("linear_"):
            continue
        module = importlib.import_module(f"xent.ops.{found.name}")
        for name, value in sorted(vars(module).items()):
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                if not name.startswith("_"):
                    yield f"{found.name}.{name}", value


FUNCTIONS = dict(functions())


def replaced(tensor, value):
    result = tensor.clone()
    result.view(-1)[0] = value
    return result


def refused(value):
    """What no argument of this kind may be."""
    yield from ("a text", object())
    if isinstance(value, torch.Tensor):
        yield from (value.numpy(), value.tolist(), value + 1j)
        if value.is_floating_point():
            yield from (value.long(), value > 0)
        else:
            yield value.float()
        if value.dtype == torch.bool:
            yield value.long()
        if value.dtype == torch.int64:
            yield from (value > 0, replaced(value, -1), replaced(value, 4))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from (1j, float("nan"), [value, value], torch.tensor([value, value]))
        if isinstance(value, int):
            yield from (value + 0.5, True)
    elif isinstance(value, str):
        yield from ([value], value.upper())


def doubtful(value):
    """What may be refused, but if not, must give numbers."""
    if isinstance(value, torch.Tensor):
        yield from (value[None], value[:0], value[:1], value[..., :-1], value[..., :0])
        yield value.reshape(-1)[0]
        if value.is_floating_point():
            yield from (value.half(), value.bfloat16(), value.double(), (10 * value).half())
            yield from (0 * value, 1e-30 * value)
        elif value.dtype == torch.int64:
            yield from (value.int(), value.byte(), replaced(value, -100))
    elif isinstance(value, float):
        infinity = float("inf")
        yield from (infinity, -infinity, 0.0, -1.0, 1.0, 2.0, 1e300, -1e300, 1e-300, 1e30, 1e-30)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from (0, 1, -1, -7)


def spoiled(function, good):
    """Every (argument, bad value, whether it must be refused)."""
    for name, parameter in inspect.signature(function).parameters.items():
        value = good.get(name, parameter.default)
        yield name, None, True
        yield from ((name, bad, True) for bad in refused(value))
        yield from ((name, bad, False) for bad in doubtful(value))


def outputs(result):
    return result if isinstance(result, tuple) else (result,)


def has_nan(result):
    return any(bool(output.isnan().any()) for output in outputs(result))


def narrowed(value, dtype, kept=None):
    """A floating tensor rounded to ``dtype`` and held in it, or in ``kept``."""
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(dtype).to(kept or dtype) if floating else value


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_input_is_named_and_never_becomes_nan(name):
    function, good = FUNCTIONS[name], CALLS[name]
    assert not has_nan(function(**good))
    for argument, bad, must_raise in spoiled(function, good):
        case = f"{name}({argument}={bad!r})"
        try:
            result = function(**good | {argument: bad})
        except (TypeError, ValueError, IndexError) as error:
            words = inspect.signature(function).parameters
            assert any(re.search(rf"\b{p}\b", str(error)) for p in words), f"{case}: {error}"
        else:
            assert not must_raise, f"{case} gave {result}"
            assert not has_nan(result), f"{case} gave {result}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_nan_raises_or_shows(name):
    function, good = FUNCTIONS[name], CALLS[name]
    for argument, value in good.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            try:
                result = function(**good | {argument: replaced(value, float("nan"))})
            except ValueError as error:
                assert re.search(rf"\b{argument}\b", str(error))
            else:
                assert has_nan(result), argument


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_half_precision_is_computed_in_float32(name, dtype):
    function, good = FUNCTIONS[name], CALLS[name]
    rounded = {k: narrowed(v, dtype) for k, v in good.items()}
    exact = {k: narrowed(v, dtype, torch.float32) for k, v in good.items()}
    assert all(map(torch.equal, outputs(function(**rounded)), outputs(function(**exact))))
