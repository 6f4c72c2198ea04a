"""COCO's compressed run lengths of one object, as JSON stores them."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class EncodedMask:
    """One object on one frame.

    Attributes:
        segmentation: {"size": [height, width], "counts": str}.
        box: [left, top, width, height] in pixels.
        area: pixels.
    """

    segmentation: dict[str, Any]
    box: list[float]
    area: int


def encode(labels: np.ndarray, object_id: int) -> EncodedMask:
    """Encode the pixels of (H, W) `labels` that have `object_id`."""
    from pycocotools import mask as coco_mask

    runs = coco_mask.encode(np.asfortranarray(labels == object_id, dtype=np.uint8))
    return EncodedMask(
        {"size": list(labels.shape), "counts": runs["counts"].decode("ascii")},
        [float(value) for value in coco_mask.toBbox(runs)],
        int(coco_mask.area(runs)),
    )


def categories(names: dict[int, str]) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """Return the category rows, one per different name from 1 on, and the category id of every object."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()), start=1)}
    rows = [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()]
    return rows, {object_id: numbers[name] for object_id, name in names.items()}
