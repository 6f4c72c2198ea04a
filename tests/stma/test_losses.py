"""Losses and what they are told: regions, disturbed masks."""

import numpy as np
import pytest
import torch

from stma.errors import SettingsError
from stma.training.config import LossConfig
from stma.training.disturb import disturb_masks
from stma.training.losses import bootstrapped_cross_entropy, dice, region_loss
from stma.training.regions import partition


def test_hardest_pixels_weigh_more() -> None:
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 0, :4] = 5.0
    target = torch.zeros(1, 8, 8, dtype=torch.int64)
    assert bootstrapped_cross_entropy(logits, target, 0.25) > bootstrapped_cross_entropy(logits, target, 1.0)


def test_dice_ignores_padding() -> None:
    masks = torch.zeros(1, 2, 4, 4)
    masks[0, 0, :2] = 1
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    target[0, :2] = 1
    assert dice(masks, target, torch.tensor([[True, False]])).item() == pytest.approx(0.0, abs=1e-6)


def test_region_loss_asks_for_the_same_region_where_it_is_known() -> None:
    target = torch.zeros(1, 3, 4, 4)
    target[0, 1, :2] = 1  # the lower half is unknown
    right, wrong = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    right[0, 1, :2] = 1
    right[0, 0, 2:] = 1
    wrong[0, 2] = 1
    assert region_loss(right, target).item() == pytest.approx(0.0, abs=1e-6)
    assert region_loss(wrong, target) > 5
    assert region_loss(right, torch.zeros_like(target)).item() == 0.0


def test_regions_cover_a_layer_and_keep_their_numbers() -> None:
    regions = partition(np.random.default_rng(0), 50, 70, 21, 3)
    assert regions.shape == (50, 70)
    assert set(np.unique(regions)) == {21, 22, 23}


def test_disturbed_masks_stay_masks_and_leave_the_others_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(16, 2, 32, 32)
    masks[:, 0, 8:20, 8:20] = 0.9
    valid = torch.tensor([[True, False]] * 16)
    assert disturb_masks(masks, valid, 0.0, generator) is masks
    disturbed = disturb_masks(masks, valid, 0.5, generator)
    assert disturbed.min() >= 0
    assert disturbed.sum(1).max() <= 1
    assert not disturbed[:, 1].any(), "padding gains nothing"
    changed = (disturbed != masks).flatten(1).any(1)
    assert changed.any()
    assert not changed.all()
    with pytest.raises(SettingsError, match="share of 0 to 1"):
        LossConfig(disturbed_share=1.5)


def test_a_shifted_mask_does_not_come_in_at_the_other_border() -> None:
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., 20:40, 56:] = 1
    touching = 0
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        disturbed = disturb_masks(masks, torch.ones(1, 1, dtype=torch.bool), 1.0, generator)
        assert disturbed.shape == masks.shape
        assert not disturbed[..., :40].any()
        touching += bool(disturbed[..., -1].any())
    assert touching > 30, "it goes on to its own border"
