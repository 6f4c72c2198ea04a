"""Losses by hand: what they are where everything is right or wrong, and that padded objects do not count."""

import math

import pytest
import torch
from torch import Tensor

from stma.training.losses import (
    bootstrapped_cross_entropy,
    coarse_loss,
    dice,
    iou_loss,
    label_loss,
    region_loss,
)

TARGET = torch.tensor([[[0, 1], [2, 1]]])  # (1, 2, 2): two objects
MASKS = torch.stack([TARGET == 1, TARGET == 2], dim=1).float()  # (1, 2, 2, 2)
BOTH, FIRST = torch.tensor([[True, True]]), torch.tensor([[True, False]])


def logits_of(right: float) -> Tensor:
    """(1, 3, 2, 2) logits that give this probability to the right map of every pixel."""
    others = (1 - right) / 2
    truth = torch.stack([number == TARGET for number in range(3)], dim=1)
    return torch.where(truth, right, others).log()


def test_cross_entropy_is_that_of_the_hardest_pixels() -> None:
    logits = logits_of(0.8)
    assert bootstrapped_cross_entropy(logits, TARGET, 1.0) == pytest.approx(-math.log(0.8))
    hard = logits.clone()
    hard[0, :, 0, 0] = torch.tensor([0.5, 0.25, 0.25]).log()
    assert bootstrapped_cross_entropy(hard, TARGET, 0.25) == pytest.approx(-math.log(0.5))
    assert bootstrapped_cross_entropy(hard, TARGET, 0.5) == pytest.approx(-math.log(0.5 * 0.8) / 2)


def test_dice_is_none_for_the_truth_and_of_real_objects_alone() -> None:
    assert dice(MASKS, TARGET, BOTH) == pytest.approx(0)
    wrong = MASKS.flip(1)
    expected = [1 - 1 / (2 + 1 + 1), 1 - 1 / (1 + 2 + 1)]  # 1 - (2 * 0 + 1) / (p + g + 1)
    assert dice(wrong, TARGET, BOTH) == pytest.approx(sum(expected) / 2)
    half = torch.cat([MASKS[:, :1] / 2, wrong[:, 1:]], dim=1)
    assert dice(half, TARGET, FIRST) == pytest.approx(1 - (2 * 1 + 1) / (1 + 2 + 1))


def test_propagated_labels_are_scored_with_their_background() -> None:
    assert label_loss(MASKS, MASKS, BOTH) == pytest.approx(0)
    assert label_loss(0.5 * MASKS, MASKS, BOTH) == pytest.approx(0.75 * math.log(2))
    # what belongs to padding is background for both
    assert label_loss(
        torch.cat([MASKS[:, :1], torch.ones(1, 1, 2, 2)], dim=1), MASKS, FIRST
    ) == pytest.approx(0)


def test_the_coarse_loss_sees_pixels_and_areas() -> None:
    logits = 4 * (2 * MASKS - 1)
    probability = 1 / (1 + math.exp(-4))
    pixels = -math.log(probability)
    areas = [
        1
        - (2 * count * probability + 1) / (count * probability + (4 - count) * (1 - probability) + count + 1)
        for count in (2, 1)
    ]
    assert coarse_loss(logits, MASKS, BOTH) == pytest.approx(pixels + sum(areas) / 2, rel=1e-4)
    spoilt = logits.clone()
    spoilt[:, 1] = torch.nan
    assert coarse_loss(spoilt, MASKS, FIRST) == pytest.approx(pixels + areas[0], rel=1e-4)


def test_regions_count_where_they_are_known() -> None:
    known = MASKS * torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)  # the left column
    assert region_loss(0.5 * MASKS, known) == pytest.approx(math.log(2))
    assert region_loss(torch.zeros_like(MASKS), torch.zeros_like(MASKS)) == 0


def test_the_expected_iou_is_scored_of_real_objects_alone() -> None:
    logits = torch.tensor([[2.0, torch.nan]])
    right = 1 / (1 + math.exp(-2))
    expected = -(0.7 * math.log(right) + 0.3 * math.log(1 - right))
    assert iou_loss(logits, torch.tensor([[0.7, 0.0]]), FIRST) == pytest.approx(expected)
