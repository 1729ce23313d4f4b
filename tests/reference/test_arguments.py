import numpy as np
import pytest
import torch

from xent.reference import (
    adversarial,
    arguments,
    comp_sum,
    entropy,
    ldr,
    policy,
    shaping,
    spherical,
)
from xent.reference.softmax import (
    cross_entropy_with_logits,
    hl_gauss_targets,
    logsumexp,
    merge_extended,
    merge_leave_max_out,
    merge_logsumexp,
)


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


def test_shapes_that_do_not_broadcast_are_named():
    uniform = np.full((3, 5), 0.2)
    for distance in (entropy.cross_entropy, entropy.kl_divergence, entropy.total_variation):
        with pytest.raises(ValueError, match=r"got p \(2, 5\), q \(3, 5\)"):
            distance(uniform[:2], uniform)
    with pytest.raises(ValueError, match=r"got p \(2, 5\), s \(3, 5\)"):
        comp_sum.conditional_risk(uniform[:2], uniform, 1.5)
    with pytest.raises(ValueError, match=r"got p \(2, 5\), logits \(3, 5\)"):
        comp_sum.conditional_regret(uniform[:2], uniform, 1.5)
    with pytest.raises(ValueError, match="scores must have 5 classes"):
        ldr.top_k_preserving(uniform, np.ones((3, 4)), 2)


def test_one_axis_cannot_mean_two():
    square, row = np.full((5, 5), 0.2), np.full(5, 0.2)
    with pytest.raises(ValueError, match="axis must be negative where p and q differ"):
        entropy.kl_divergence(square, row, 0)
    assert entropy.kl_divergence(square, row).shape == (5,)


def test_a_large_index_gives_the_limit_of_the_transform():
    assert comp_sum.h_consistency_transform(0.5, 1e4, 4) == 0.0
    assert comp_sum.h_consistency_transform(0.5, 3.0, 4) == 0.5 / 2 / 16


@pytest.mark.parametrize("state", [None, (), (1.0,), "ab", ("x", 1.0), (np.nan, 1.0)])
def test_states_are_pairs_of_numbers(state):
    for merge in (merge_logsumexp, merge_leave_max_out, merge_extended):
        with pytest.raises((TypeError, ValueError), match="^b"):
            merge((0.0, 1.0), state)


def test_sums_of_a_spherical_loss_are_numbers():
    with pytest.raises(ValueError, match="total contains NaN"):
        spherical.z_loss_slopes(1.0, np.nan, 5.0, 5)
    with pytest.raises(TypeError, match="classes must be an integer"):
        spherical.z_loss_of_sums(1.0, 2.0, 5.0, 5.5)
    with pytest.raises(ValueError, match="target must lie in"):
        spherical.z_loss(np.eye(3), [0, 1, 2], target=np.nan)


def test_trees_are_lists_of_levels():
    with pytest.raises(TypeError, match="logits must be a list of levels"):
        policy.tree_entropy(None)
    with pytest.raises(TypeError, match="delta must be a list of levels"):
        policy.tree_covariance_term([np.zeros((1, 2))], None)


def test_no_classes_are_named():
    with pytest.raises(ValueError, match="logits has no classes"):
        adversarial.crossmax(np.zeros((3, 2, 0)), 1)
    with pytest.raises(ValueError, match="logits has no classes"):
        ldr.label_losses(np.zeros((3, 0)))


def test_a_smoothing_without_shape_is_refused():
    with pytest.raises(ValueError, match="sigma must not dwarf"):
        hl_gauss_targets([0.5], np.linspace(0, 1, 6), 1e50)


def test_a_flow_starts_from_one_law():
    with pytest.raises(ValueError, match="p must have 1 axes"):
        shaping.frequency_flow([[0.5, 0.5]], [0.0, 1.0])


@pytest.mark.parametrize("value", [True, np.bool_(False)])
def test_a_truth_value_is_no_number(value):
    with pytest.raises(TypeError, match="tau must be a real number, got bool"):
        arguments.scalar(value, "tau")
