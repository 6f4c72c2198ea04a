"""The differentiable run over one batch of clips: the same steps as inference, on a short memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stma.network.association import LabelEntry
from stma.network.embedding import Features
from stma.network.model import STMA, MemoryEntry, Readout, join_entries, masks_from_logits
from stma.training.losses import bootstrapped_cross_entropy, dice, label_loss


@dataclass(frozen=True)
class ClipLoss:
    """Losses of one batch; `total` carries the gradient, `iou` is the training IoU of the hard masks."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    labels: Tensor
    iou: Tensor


def one_hot(labels: Tensor, objects: int) -> Tensor:
    """(..., H, W) integer labels to (..., K, H, W) float32 masks of the objects 1..K."""
    index = torch.arange(1, objects + 1, device=labels.device).view(-1, 1, 1)
    return (labels[..., None, :, :] == index).float()


def run_clip(
    model: STMA, frames: Tensor, labels: Tensor, object_valid: Tensor, hard_share: float, label_weight: float
) -> ClipLoss:
    """Follow the objects of the first frame through the clip and score every later frame.

    Args:
        model: the network in training mode.
        frames: (B, T, 3, H, W) uint8 RGB.
        labels: (B, T, H, W) uint8 object index, 0 = background.
        object_valid: (B, K) bool, False for padding.
        hard_share: share of hardest pixels in the cross entropy.
        label_weight: weight of the auxiliary loss on the propagated labels.
    """
    batch, length = frames.shape[:2]
    objects = object_valid.shape[1]
    every = model.embed(frames.transpose(0, 1).flatten(0, 1).float() / 255.0)  # frame-major: T*B

    def at(time: int) -> Features:
        return every.frames(time * batch, (time + 1) * batch)

    truth = one_hot(labels, objects)  # (B, T, K, H, W)
    first = model.remember_first(at(0), functional.avg_pool2d(truth[:, 0], 4), object_valid)
    entries: list[MemoryEntry] = [first]
    cross_entropy = dice_loss = labels_loss = frames.new_zeros((), dtype=torch.float32)
    overlap = union = torch.zeros(batch, objects, device=frames.device)
    for time in range(1, length):
        references = entries[:1] if time == 1 else [entries[0], entries[-1]]
        cache = model.encode_references(references, object_valid[:, None].expand(-1, len(references), -1))
        test = model.encode_test(at(time), cache)
        readout: Readout = model.read(test, join_entries(entries))
        logits = model.decode(test, readout)
        aggregated, masks = masks_from_logits(logits, object_valid)
        full = functional.interpolate(aggregated, scale_factor=4.0, mode="bilinear", align_corners=False)
        target = labels[:, time].long()
        cross_entropy = cross_entropy + bootstrapped_cross_entropy(full, target, hard_share)
        full_masks = full.softmax(dim=1)[:, 1:]
        dice_loss = dice_loss + dice(full_masks, target, object_valid)
        truth8 = functional.avg_pool2d(truth[:, time], 8)
        labels_loss = labels_loss + label_loss(readout.labels, truth8, object_valid)
        with torch.no_grad():
            hard = one_hot(aggregated.argmax(dim=1), objects) * object_valid[:, :, None, None]
            coarse = truth[:, time, :, 2::4, 2::4]  # counting at stride 4 is a sixteenth of the work
            overlap = overlap + (hard * coarse).sum((2, 3))
            union = union + ((hard + coarse) > 0).sum((2, 3))
        if time + 1 < length:
            entries.append(model.remember(test, masks, readout))
    scored = length - 1
    cross_entropy, dice_loss, labels_loss = (x / scored for x in (cross_entropy, dice_loss, labels_loss))
    iou = ((overlap + 1e-6) / (union + 1e-6))[object_valid].mean()
    return ClipLoss(
        cross_entropy + dice_loss + label_weight * labels_loss,
        cross_entropy.detach(),
        dice_loss.detach(),
        labels_loss.detach(),
        iou,
    )
