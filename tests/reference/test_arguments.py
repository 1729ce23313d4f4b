import numpy as np
import pytest
import torch

from xent.reference import arguments
from xent.reference.softmax import cross_entropy_with_logits, logsumexp


@pytest.mark.parametrize(
    "value", ["3", ["1", "2"], [1 + 1j], [[1, 2], [3]], torch.ones(2, requires_grad=True)]
)
def test_only_real_numbers_become_arrays(value):
    with pytest.raises(TypeError, match="weights must be an array of real numbers"):
        arguments.array(value, "weights")


@pytest.mark.parametrize("value", ["3", [1.0], np.ones((2, 2)), 1j, None])
def test_only_one_real_number_becomes_a_scalar(value):
    with pytest.raises(TypeError, match="tau must be a real number"):
        arguments.scalar(value, "tau")


@pytest.mark.parametrize("value", [np.array(2.0), np.float16(2), torch.tensor(2.0), 2])
def test_scalars_of_every_library_are_taken(value):
    assert arguments.scalar(value, "tau") == 2.0


@pytest.mark.parametrize("axis", [None, 0.5, "a", True])
def test_an_axis_is_an_integer(axis):
    with pytest.raises(TypeError, match="axis must be an integer"):
        logsumexp(np.ones((2, 3)), axis)
    with pytest.raises(TypeError, match="axis must be an integer"):
        arguments.distribution(np.full((2, 2), 0.5), "p", axis=axis)


@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_exists(axis):
    with pytest.raises(ValueError, match=r"axis must lie in \[-2, 2\)"):
        arguments.distribution(np.full((2, 2), 0.5), "p", axis=axis)


def test_labels_are_an_array_of_integers_and_so_is_the_ignored_one():
    with pytest.raises(TypeError, match="labels must be an array of integers"):
        cross_entropy_with_logits(np.ones((2, 3)), [[0, 1], [2]])
    with pytest.raises(TypeError, match="ignore_index must be an integer"):
        cross_entropy_with_logits(np.ones((2, 3)), [0, 1], ignore_index=float("nan"))


@pytest.mark.parametrize("value", [np.array(["mean", "sum"]), ["mean"], None, 3])
def test_a_choice_is_one_word(value):
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'sum'"):
        arguments.choice(value, "reduction", ("mean", "sum"))
