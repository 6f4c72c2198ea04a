"""Losses on predicted soft masks."""

import torch
from torch import Tensor
from torch.nn import functional


def one_hot(labels: Tensor, objects: int) -> Tensor:
    """(..., H, W) integer labels to (..., K, H, W) float32 masks of the objects 1..K."""
    index = torch.arange(1, objects + 1, device=labels.device).view(-1, 1, 1)
    return (labels[..., None, :, :] == index).float()


def bootstrapped_cross_entropy(logits: Tensor, target: Tensor, share: float) -> Tensor:
    """Cross entropy over the hardest pixels (XMem, arXiv 2207.07115).

    Args:
        logits: (B, K+1, H, W) aggregated logits.
        target: (B, H, W) int64 object index, 0 = background.
        share: share of pixels kept per clip, 0..1.
    """
    loss = functional.cross_entropy(logits, target, reduction="none").flatten(1)  # (B, H*W)
    if share < 1.0:
        loss = loss.topk(int(loss.shape[1] * share), dim=1, sorted=False).values
    return loss.mean()


def dice(masks: Tensor, target: Tensor, object_valid: Tensor) -> Tensor:
    """Dice loss, averaged over the real objects.

    Args:
        masks: (B, K, H, W) float32 soft masks in 0..1.
        target: (B, H, W) int64 object index, 0 = background.
        object_valid: (B, K) bool.
    """
    return _mean(_dice(masks, one_hot(target, masks.shape[1])), object_valid)


def _dice(masks: Tensor, truth: Tensor) -> Tensor:
    """(B, K) dice losses 1 - (2 sum pg + 1) / (sum p + sum g + 1) of (B, K, H, W) soft masks."""
    overlap = (masks * truth).sum((2, 3))
    return 1 - (2 * overlap + 1) / (masks.sum((2, 3)) + truth.sum((2, 3)) + 1)


def label_loss(propagated: Tensor, target: Tensor, object_valid: Tensor) -> Tensor:
    """Cross entropy of the propagated labels against area-averaged masks.

    Args:
        propagated: (B, K, h, w) soft masks in 0..1.
        target: (B, K, h, w) soft truth at the same stride.
        object_valid: (B, K) bool.
    """
    propagated = propagated.float() * object_valid[:, :, None, None]
    target = target * object_valid[:, :, None, None]
    background = (1 - propagated.sum(1, keepdim=True)).clamp(0, 1)
    distribution = torch.cat([background, propagated], dim=1).clamp(1e-4, 1)
    truth = torch.cat([(1 - target.sum(1, keepdim=True)).clamp(0, 1), target], dim=1)
    return -(truth * distribution.log()).sum(1).mean()


def coarse_loss(logits: Tensor, target: Tensor, object_valid: Tensor) -> Tensor:
    """Binary cross entropy plus dice of what the readout alone says, averaged over the real objects.

    Args:
        logits: (B, K, h, w) per-object logits at stride 16.
        target: (B, K, h, w) soft truth at the same stride.
        object_valid: (B, K) bool.
    """
    wrong = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((2, 3))
    return _mean(wrong + _dice(torch.sigmoid(logits), target), object_valid)


def _mean(values: Tensor, object_valid: Tensor) -> Tensor:
    """Mean over the real objects, without waiting for the device to count them."""
    return values.where(object_valid, 0.0).sum() / object_valid.sum().clamp(min=1)


def region_loss(propagated: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of propagated regions where the region is known: dense correspondence, not only objects.

    Args:
        propagated: (B, R, h, w) soft shares of the regions in 0..1.
        target: (B, R, h, w) one-hot regions, all zero where unknown.
    """
    likely = (propagated.float() * target).sum(1)  # (B, h, w)
    known = target.sum(1)
    return -(likely.clamp(min=1e-4).log() * known).sum() / known.sum().clamp(min=1)


def iou_loss(logits: Tensor, iou: Tensor, object_valid: Tensor) -> Tensor:
    """Binary cross entropy of the expected IoU against the real one, averaged over the real objects.

    Args:
        logits: (B, K) of the expected IoU.
        iou: (B, K) of the hard masks, 0..1.
        object_valid: (B, K) bool.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, iou, reduction="none")
    return _mean(loss, object_valid)
