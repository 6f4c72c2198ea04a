"""What a person says about a frame, and how it is put over what was predicted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stma.labels import LEAVE
from stma.resize import averages, covered_shares, resize_labels


@dataclass(frozen=True)
class CheckedMask:
    """What a person says about a frame: (H, W) ids, 0 and `LEAVE` as `Segmenter.step` has them, and whose they are."""

    labels: np.ndarray
    object_ids: tuple[int, ...]


def imposed_masks(
    masks: Tensor, annotation: CheckedMask, object_ids: Sequence[int], size: tuple[int, int]
) -> Tensor:
    """Put an annotation over predicted masks.

    Args:
        masks: (1, k, h, w) float32 in 0..1 at stride 4, of the first k objects.
        annotation: of the frame, at any size; it names an object.
        object_ids: all K objects, those that it names among them.
        size: (height, width) that the model works at.

    Returns:
        (1, K, h, w) float32 masks in 0..1.
    """
    columns = [object_ids.index(i) for i in annotation.object_ids]
    exact = _at_stride_4(annotation.labels, annotation.object_ids, size, masks.device)
    covered = exact.sum(1, keepdim=True).clamp(max=1)
    predicted = masks.new_zeros((1, len(object_ids), *masks.shape[2:]))
    predicted[:, : masks.shape[1]] = masks
    result = predicted * (1 - covered)
    result[:, columns] = exact
    if (annotation.labels == LEAVE).any():
        left = _at_stride_4(annotation.labels, (LEAVE,), size, masks.device)
        result[:, columns] += predicted[:, columns] * left
    return result


def _at_stride_4(
    labels: np.ndarray, values: Sequence[int], size: tuple[int, int], device: torch.device
) -> Tensor:
    """(1, N, h, w) float32 shares of the cells at stride 4 that the pixels of each of N values cover.

    Where the model sees averages of the frame's pixels, these are of all pixels too, or a small object might fall
    between those that are looked at.
    """
    height, width = size
    if averages(labels.shape, size):
        shares = [covered_shares(labels == value, height // 4, width // 4) for value in values]
        return torch.from_numpy(np.stack(shares)).to(device)[None]
    labels = resize_labels(labels, height, width)
    pixels = torch.from_numpy(np.stack([labels == value for value in values]))
    return functional.avg_pool2d(pixels.to(device, torch.float32)[None], 4)


def impose_labels(labels: np.ndarray, annotation: CheckedMask) -> set[int]:
    """Write an annotation over (H, W) predicted ids, in place; returns the objects that it leaves no doubt about."""
    given = annotation.labels
    left = given == LEAVE
    labels[np.isin(labels, annotation.object_ids) & ~left] = 0
    labels[given > 0] = given[given > 0]
    return set(annotation.object_ids) - set(np.unique(labels[left]).tolist())
