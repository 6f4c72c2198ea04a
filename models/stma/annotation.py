"""What a person says about a frame, and how it is put over what was predicted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stma.labels import LEAVE
from stma.resize import resize_labels


@dataclass(frozen=True)
class Annotation:
    """What a person says about a frame: (H, W) ids, 0 and `LEAVE` as `Segmenter.step` has them, and whose they are."""

    labels: np.ndarray
    object_ids: tuple[int, ...]


def imposed_masks(
    masks: Tensor, annotation: Annotation, object_ids: Sequence[int], size: tuple[int, int]
) -> Tensor:
    """Put an annotation over predicted masks.

    Args:
        masks: (1, k, h, w) float32 in 0..1 at stride 4, of the first k objects.
        annotation: of the frame, at any size.
        object_ids: all K objects, those that it names among them.
        size: (height, width) that the model works at.

    Returns:
        (1, K, h, w) float32 masks in 0..1; `masks` themselves where it names no object.
    """
    annotated = resize_labels(annotation.labels, *size)
    columns = [object_ids.index(i) for i in annotation.object_ids]
    if not columns:
        return masks
    exact = torch.from_numpy(np.stack([annotated == i for i in annotation.object_ids]))
    exact = functional.avg_pool2d(exact.to(masks.device, torch.float32)[None], 4)
    covered = exact.sum(1, keepdim=True)
    predicted = masks.new_zeros((1, len(object_ids), *masks.shape[2:]))
    predicted[:, : masks.shape[1]] = masks
    result = predicted * (1 - covered)
    result[:, columns] = exact
    if (annotated == LEAVE).any():
        left = torch.from_numpy(annotated == LEAVE).to(masks.device, torch.float32)
        result[:, columns] += predicted[:, columns] * functional.avg_pool2d(left[None, None], 4)
    return result


def impose_labels(labels: np.ndarray, annotation: Annotation) -> set[int]:
    """Write an annotation over (H, W) predicted ids, in place; returns the objects that it leaves no doubt about."""
    given = annotation.labels
    left = given == LEAVE
    labels[np.isin(labels, annotation.object_ids) & ~left] = 0
    labels[given > 0] = given[given > 0]
    return set(annotation.object_ids) - set(np.unique(labels[left]).tolist())
