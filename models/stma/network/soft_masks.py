"""Soft masks: what comes of the network's logits, and what of it is remembered."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from stma.network.label_propagation import MATCH_SCALE

# Right after a cut the best tenth of an object's cells match by more than 1e-3 where it is there, and by less than
# 7e-5 where it is not.
FAINT_MATCH, LEAST_KNOWN = 1e-4, 0.1
# What looks like nothing remembered by more than 4.5e-5 is a thing of its own where it is 48 pixels from the object.
STRANGE_MATCH = 4.5e-5
NEW_PARTS_WITHIN = 3  # cells of 16 pixels; those of a bird that opens its wings are nearer
SHOWN = 0.25  # of a cell of 8 pixels: that much of an object is in sight
LEAST_CERTAINTY = 1e-6  # next to nothing, and its logarithm is finite


def masks_from_logits(logits: Tensor, object_valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Aggregate per-object logits.

    Args:
        logits: (B, K, h, w) per-object logits.
        object_valid: (B, K) bool, False for padding; None when all are real.

    Returns:
        aggregated (B, K+1, h, w) logits with background first, and (B, K, h, w) soft masks.
    """
    probabilities = torch.sigmoid(logits)
    if object_valid is not None:
        probabilities = probabilities * object_valid[:, :, None, None]
    aggregated = soft_aggregation(probabilities)
    return aggregated, aggregated.softmax(dim=1)[:, 1:]


def unlike(logits: Tensor, match: Tensor) -> Tensor:
    """Objects that were found where nearly nothing looks as they are remembered.

    Args:
        logits: (B, K, H/4, W/4) per-object logits.
        match: (B, K, 3, H/8, W/8) as of `PropagatedLabels`.

    Returns:
        (B, K) bool; False where an object was found nowhere.
    """
    inside = functional.avg_pool2d(logits, 2) > 0  # (B, K, H/8, W/8)
    known = _best(match) > _scaled(FAINT_MATCH)
    return (inside & known).sum((2, 3)) < LEAST_KNOWN * inside.sum((2, 3))


def strange(match: Tensor, before: Tensor) -> Tensor:
    """Cells that look like nothing remembered and are far from where the object was: something else came into the
    picture, since a part of the object that was not seen before shows next to it.

    Args:
        match: (B, K, 3, H/8, W/8) as of `PropagatedLabels`.
        before: (B, K, H/8, W/8) soft masks in 0..1 of the frame before. An object that it does not show may come back
            anywhere.

    Returns:
        (B, K, H/8, W/8) bool.
    """
    shown = (functional.max_pool2d(before, 2) > SHOWN).float()
    side = 2 * NEW_PARTS_WITHIN + 1
    rows = functional.max_pool2d(shown, (side, 1), stride=1, padding=(NEW_PARTS_WITHIN, 0))
    near = functional.max_pool2d(rows, (1, side), stride=1, padding=(0, NEW_PARTS_WITHIN)) > 0
    far = ~near & near.any(-1).any(-1)[..., None, None]  # (B, K, H/16, W/16)
    return (_best(match) < _scaled(STRANGE_MATCH)) & far.repeat_interleave(2, 2).repeat_interleave(2, 3)


def _best(match: Tensor) -> Tensor:
    """How well annotated frames or others match a cell, whichever do better: (B, K, H/8, W/8)."""
    return torch.maximum(match[:, :, 0], match[:, :, 1])


def _scaled(weight: float) -> float:
    return math.log(weight) / MATCH_SCALE


def sharpen_foreground(masks: Tensor, sharpness: float) -> Tensor:
    """Move what all objects cover together towards 0 or 1 and keep their shares of it.

    Which of two look-alikes a pixel belongs to may stay open; whether it belongs to any may not, or a soft edge
    grows softer with every frame that is remembered.

    Args:
        masks: (B, K, h, w) soft masks in 0..1 with a sum of at most 1 over K.
        sharpness: power of the odds of foreground and background; 1 changes nothing.

    Returns:
        (B, K, h, w) soft masks in 0..1.
    """
    if sharpness == 1:
        return masks
    foreground = masks.sum(1, keepdim=True).clamp(0, 1)  # (B, 1, h, w)
    background = 1 - foreground
    odds = foreground**sharpness + background**sharpness
    return masks * (foreground ** (sharpness - 1) / odds)


def certainty_of(masks: Tensor, power: float) -> Tensor:
    """How much a remembered cell counts when objects are looked for: what was a guess between foreground and background
    would otherwise be repeated as if it had been seen.

    Args:
        masks: (B, K, h, w) soft masks in 0..1 with a sum of at most 1 over K, as they are remembered.
        power: of the difference between foreground and background; 0 lets all cells count alike.

    Returns:
        (B, 1, h, w) weights in 0..1, above 0; without gradient.
    """
    foreground = masks.detach().sum(1, keepdim=True).clamp(0, 1)  # (B, 1, h, w)
    return ((2 * foreground - 1).abs() ** power).clamp(min=LEAST_CERTAINTY)


def soft_aggregation(probabilities: Tensor) -> Tensor:
    """Soft aggregation with background (STM, arXiv 1904.00607, equation 4).

    Args:
        probabilities: (B, K, h, w) per-object probabilities in 0..1.

    Returns:
        (B, K+1, h, w) float32 logits of a distribution over background (first) and objects;
        their softmax sums to one.
    """
    probabilities = probabilities.float()
    background = torch.prod(1 - probabilities, dim=1, keepdim=True)
    return torch.logit(torch.cat([background, probabilities], dim=1).clamp(1e-6, 1 - 1e-6))
