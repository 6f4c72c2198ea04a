"""Specks and pinholes of a label map: parts too small to have been meant."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stma_cli.masks.annotation import ids_in
from stma_cli.masks.label_image import SMALLEST_OBJECT

SPECK_SHARE_OF_FRAME = 5e-5  # 20 pixels of a 854x480 frame
SPECK_SHARE_OF_OBJECT = 0.05
MOST_OBJECTS = 256  # a picture with more ids is no mask, and searching it would take minutes


@dataclass(frozen=True)
class Spots:
    """The specks or pinholes of one object.

    Attributes:
        object_id: the object.
        count: how many there are.
        pixels: how many pixels they have together.
        x, y: a pixel of the first one.
        where: (H, W) bool, all of them.
    """

    object_id: int
    count: int
    pixels: int
    x: int
    y: int
    where: np.ndarray


def find_specks(labels: np.ndarray) -> list[Spots]:
    """Return the small parts that lie apart from the rest of their object.

    Args:
        labels: (H, W) integer object ids, 0 = background.
    """
    found = []
    for object_id in ids_in(labels)[:MOST_OBJECTS]:
        inside = labels == object_id
        pixels = int(np.count_nonzero(inside))
        parts = [part for part, _ in _small_parts(inside, _limit(labels, pixels), 8)]
        spots = _together(object_id, parts, labels)
        found += [item for item in spots if 2 * item.pixels < pixels]  # else nothing solid would stay
    return found


def find_pinholes(labels: np.ndarray) -> list[Spots]:
    """Return the small bits of background that one object encloses.

    Args:
        labels: (H, W) integer object ids, 0 = background.
    """
    height, width = labels.shape
    parts: dict[int, list[np.ndarray]] = {}
    for part, (left, top, right, bottom) in _small_parts(labels == 0, _limit(labels, labels.size), 4):
        if left == 0 or top == 0 or right == width or bottom == height:
            continue
        box = (slice(top - 1, bottom + 1), slice(left - 1, right + 1))
        around = np.unique(labels[box][~part[box]])
        if len(around) == 1 and around[0] != 0:
            parts.setdefault(int(around[0]), []).append(part)
    return [spots for object_id in sorted(parts) for spots in _together(object_id, parts[object_id], labels)]


def solid_ids(labels: np.ndarray) -> set[int]:
    """Return the ids that fill a block of 3 x 3 pixels somewhere."""
    import cv2

    plane, block = labels.astype(np.float32), np.ones((3, 3), np.uint8)
    return set(ids_in(labels[cv2.erode(plane, block) == cv2.dilate(plane, block)]))


def _limit(labels: np.ndarray, object_pixels: int) -> int:
    """Return the number of pixels from which on a part is none to remove."""
    of_frame = max(SMALLEST_OBJECT, round(labels.size * SPECK_SHARE_OF_FRAME))
    return min(of_frame, int(object_pixels * SPECK_SHARE_OF_OBJECT))


def _small_parts(
    mask: np.ndarray, limit: int, connectivity: int
) -> Iterator[tuple[np.ndarray, tuple[int, int, int, int]]]:
    """Yield (H, W) bool and the box (left, top, right, bottom) of each connected part below `limit` pixels."""
    import cv2

    _, parts, rows, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    for number in np.flatnonzero(rows[:, cv2.CC_STAT_AREA] < limit):
        if number == 0:  # everything outside `mask`
            continue
        left, top, width, height = (int(value) for value in rows[number, :4])
        yield parts == number, (left, top, left + width, top + height)


def _together(object_id: int, parts: list[np.ndarray], labels: np.ndarray) -> list[Spots]:
    if not parts:
        return []
    y, x = (int(value) for value in np.argwhere(parts[0])[0])
    where = np.zeros(labels.shape, dtype=bool)
    for part in parts:
        where |= part
    return [Spots(object_id, len(parts), int(np.count_nonzero(where)), x, y, where)]
