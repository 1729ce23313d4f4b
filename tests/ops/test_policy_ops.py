"""What parity does not cover: gradients of losses and penalties, bad input, padding."""

import numpy as np
import pytest
import torch

from xent.ops import policy
from xent.reference import policy as reference


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_on_policy_gradient_of_grpo_is_the_policy_gradient():
    logits = torch.randn(2, 4, 3, 7, dtype=torch.float64, generator=generator())
    tokens = torch.randint(7, (2, 4, 3), generator=generator(1))
    rewards = torch.tensor([[1.0, 0, 0, 1], [1, 1, 1, 1]], dtype=torch.float64)
    logits.requires_grad_()
    logprobs, _ = policy.token_logprob_entropy(logits, tokens)
    loss = policy.grpo_loss(logprobs, logprobs.detach(), rewards, reduction="sum")
    (found,) = torch.autograd.grad(loss, logits)
    advantages = policy.group_relative_advantages(rewards)[..., None, None]
    onehot = torch.nn.functional.one_hot(tokens, 7)
    expected = -advantages * (onehot - torch.softmax(logits, -1))
    assert torch.allclose(found, expected)
    assert not found[1].any()


def test_entropy_gradient_reaches_only_the_nucleus():
    logits = torch.tensor([[2.0, 1.0, 0.5, -3.0]], requires_grad=True)
    policy.nucleus_entropy(logits, top_p=0.9).sum().backward()
    assert torch.equal(logits.grad[0] != 0, torch.tensor([True, True, False, False]))


def test_anchored_penalty_pulls_back_to_the_anchor():
    entropies = torch.tensor([0.2, 1.0, 1.4], requires_grad=True)
    mask = torch.tensor([False, True, True])
    penalty = policy.anchored_penalty(entropies, mask, 1.0)
    penalty.backward()
    assert penalty.item() == pytest.approx(0.04)
    assert entropies.grad.tolist() == pytest.approx([0.0, 0.2, 0.2])


def test_kl_cov_penalty_has_no_gradient_on_the_first_step():
    logprobs = torch.tensor([-1.0, -2.0], requires_grad=True)
    selected = torch.tensor([True, False])
    policy.kl_cov_penalty(logprobs, logprobs.detach(), selected).backward()
    assert logprobs.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("loss", [policy.grpo_loss, policy.rloo_loss, policy.reinforce_loss])
def test_reductions_agree(loss):
    logprobs = torch.randn(3, 4, 5, generator=generator()) - 2
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0]] * 3)
    each = loss(logprobs, logprobs + 0.1, rewards, reduction="none")
    assert torch.allclose(loss(logprobs, logprobs + 0.1, rewards), each.mean())
    assert torch.allclose(loss(logprobs, logprobs + 0.1, rewards, reduction="sum"), each.sum())


ZEROS = torch.zeros(2, 3)


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda: policy.token_logprob_entropy(torch.zeros(2, 3, dtype=int), ZEROS), TypeError),
        (lambda: policy.token_logprob_entropy(ZEROS, torch.zeros(2)), TypeError),
        (lambda: policy.token_logprob_entropy(ZEROS, torch.zeros(3, dtype=int)), ValueError),
        (lambda: policy.token_logprob_entropy(ZEROS, torch.tensor([0, 3])), IndexError),
        (lambda: policy.group_relative_advantages(torch.tensor(1.0)), ValueError),
        (lambda: policy.group_relative_advantages(ZEROS, baseline="mode"), ValueError),
        (
            lambda: policy.group_relative_advantages(ZEROS[:, :1], baseline="leave-one-out"),
            ValueError,
        ),
        (lambda: policy.policy_loss(ZEROS, ZEROS, ZEROS[0]), ValueError),
        (lambda: policy.policy_loss(ZEROS, ZEROS, ZEROS, clip_low=None), ValueError),
        (lambda: policy.policy_loss(ZEROS, ZEROS, ZEROS, reduction="max"), ValueError),
        (lambda: policy.grpo_loss(ZEROS, ZEROS, torch.zeros(3)), ValueError),
        (lambda: policy.token_covariance(ZEROS[:0], ZEROS[:0]), ValueError),
        (lambda: policy.clip_cov_mask(ZEROS, ZEROS, low=5.0, high=1.0), ValueError),
        (lambda: policy.clip_cov_mask(ZEROS, ZEROS, fraction=0.0), ValueError),
        (lambda: policy.kl_cov_penalty(ZEROS, ZEROS, ZEROS > 0, beta=0.0), ValueError),
        (lambda: policy.steer_weights(ZEROS, lowest=0.0), ValueError),
        (lambda: policy.steer_weights(ZEROS, floor=0.0), ValueError),
        (lambda: policy.nucleus_mask(ZEROS, top_p=0.0), ValueError),
        (lambda: policy.anchored_penalty(ZEROS, ZEROS > 0, 1.0), ValueError),
    ],
)
def test_bad_input_is_named(call, error):
    with pytest.raises(error, match="must|got"):
        call()


@pytest.mark.parametrize("value", [0.1, 0.7, 1 / 3])
@pytest.mark.parametrize("size", [2, 3, 6, 7, 12])
def test_equal_rewards_have_no_advantage_in_either_twin(value, size):
    rewards = torch.full((2, size), value, requires_grad=True)
    advantages = policy.group_relative_advantages(rewards)
    assert not advantages.any()
    advantages.sum().backward()
    assert not rewards.grad.any()
    assert not reference.group_relative_advantages([value] * size).any()


def test_tiny_and_large_half_rewards_are_standardized():
    for scale, dtype in ((1e-30, torch.float32), (3e4, torch.float16), (1e-7, torch.float16)):
        rewards = (scale * torch.tensor([1.0, 0.0, 0.0, 1.0])).to(dtype)
        found = policy.group_relative_advantages(rewards)
        assert torch.allclose(found, torch.tensor([1.0, -1.0, -1.0, 1.0]))
    assert np.allclose(reference.group_relative_advantages([1e-90, 0.0]), [1.0, -1.0])


def test_clips_are_not_negative():
    for clips in (dict(clip_low=-0.1), dict(clip_high=-0.1), dict(clip_low=float("nan"))):
        with pytest.raises(ValueError, match="clip_(low|high) must lie in"):
            policy.policy_loss(ZEROS, ZEROS, ZEROS, **clips)
