"""The enumerable task: its rules, its samples against the enumeration, and one training run."""

import numpy as np
import pytest
import torch

from xent import verifiable


@pytest.fixture
def task():
    return verifiable.ResidueTask(3, 3, 4, copies=(1,), seed=1)


def test_correct_responses_obey_rule_and_copies(task):
    digits = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)))
    assert not task.correct[:, digits[1] != digits[0]].any()
    assert (task.correct.sum(axis=1) == 3).all()


def test_probabilities_of_all_responses_sum_to_one(task):
    torch.manual_seed(0)
    logp = verifiable.response_logprobs(verifiable.PrefixPolicy(task, copy_bias=4.0)())
    assert torch.allclose(logp.exp().sum(1), torch.ones(4), atol=1e-5)


def test_copy_bias_makes_copies_likely(task):
    torch.manual_seed(0)
    logp = verifiable.response_logprobs(verifiable.PrefixPolicy(task, copy_bias=6.0)())
    digits = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)))
    copied = torch.from_numpy(digits[1] == digits[0])
    assert (logp.exp()[:, copied].sum(1) > 0.95).all()


def test_sampled_tokens_carry_their_probability_and_reward(task):
    torch.manual_seed(0)
    levels = verifiable.PrefixPolicy(task)()
    generator = torch.Generator().manual_seed(0)
    batch = verifiable.gather(task, levels, verifiable.draw(task, levels, 6, generator))
    index = (batch.tokens * torch.tensor([9, 3, 1])).sum(-1)
    expected = verifiable.response_logprobs(levels).gather(1, index)
    assert torch.allclose(batch.logprobs.sum(-1), expected, atol=1e-5)
    assert torch.equal(batch.rewards.bool(), torch.from_numpy(task.correct).gather(1, index))
    assert batch.logits.shape == (4, 6, 3, 3)


def test_training_raises_the_reward_and_repeats(task):
    histories = []
    for _ in range(2):
        torch.manual_seed(0)
        policy = verifiable.PrefixPolicy(task, width=16)
        histories.append(verifiable.train(policy, steps=150, learning_rate=1e-2))
    first, second = histories
    assert first.reward[-1] > 0.9 > 0.3 > first.reward[0]
    assert first.solved.shape == (4,)
    assert np.array_equal(first.reward, second.reward)
    assert 1 <= first.solutions[-1] <= first.solutions[0] <= 3


@pytest.mark.parametrize("options", [{"base": 1}, {"prompts": 0}, {"copies": (0,)}])
def test_bad_tasks_are_named(options):
    with pytest.raises(ValueError, match="must"):
        verifiable.ResidueTask(**{"base": 3, "length": 2, "prompts": 1, **options})


def test_branched_responses_share_their_prefix_up_to_the_fork(task):
    torch.manual_seed(0)
    levels = verifiable.PrefixPolicy(task, copy_bias=3.0)()
    chosen = verifiable.draw_branched(task, levels, 200, torch.Generator().manual_seed(0))
    batch = verifiable.gather(task, levels, chosen)
    first, second = batch.tokens.split(100, dim=1)
    fork = batch.entropies[:, :100].argmax(-1)
    before = torch.arange(3) < fork[..., None]
    assert before.any()
    assert torch.equal(first[before], second[before])
    assert (first != second).any()
