"""Specks and pinholes of a label map: parts too small to have been meant."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stma.labels import ids_in
from stma_cli.masks.colours import in_solid_block
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


@dataclass(frozen=True)
class _Part:
    """A connected part: its pixels within a box that begins at (left, top)."""

    left: int
    top: int
    inside: np.ndarray

    @property
    def box(self) -> tuple[slice, slice]:
        height, width = self.inside.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def find_specks(labels: np.ndarray) -> list[Spots]:
    """Return the small parts that lie apart from the rest of their object.

    Args:
        labels: (H, W) integer object ids, 0 = background, `LEAVE` = neither.
    """
    found = []
    for object_id in ids_in(labels)[:MOST_OBJECTS]:
        inside = labels == object_id
        pixels = int(np.count_nonzero(inside))
        spots = _together(object_id, list(_small_parts(inside, _limit(labels, pixels), 8)), labels)
        found += [item for item in spots if 2 * item.pixels < pixels]  # else nothing solid would stay
    return found


def find_pinholes(labels: np.ndarray) -> list[Spots]:
    """Return the small bits of background that one object encloses.

    Args:
        labels: (H, W) integer object ids, 0 = background, `LEAVE` = neither.
    """
    parts: dict[int, list[_Part]] = {}
    for part in _small_parts(labels == 0, _limit(labels, labels.size), 4):
        rows, columns = part.box
        if not (rows.start > 0 and rows.stop < labels.shape[0]):
            continue
        if not (columns.start > 0 and columns.stop < labels.shape[1]):
            continue
        wider = labels[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1]
        around = np.unique(wider[~np.pad(part.inside, 1)])
        if len(around) == 1 and around[0] > 0:
            parts.setdefault(int(around[0]), []).append(part)
    return [spots for object_id in sorted(parts) for spots in _together(object_id, parts[object_id], labels)]


def solid_ids(labels: np.ndarray) -> set[int]:
    """Return the ids that fill a block of 3 x 3 pixels somewhere."""
    return set(ids_in(labels[in_solid_block(labels)]))


def _limit(labels: np.ndarray, object_pixels: int) -> int:
    """Return the number of pixels from which on a part is none to remove."""
    of_frame = max(SMALLEST_OBJECT, round(labels.size * SPECK_SHARE_OF_FRAME))
    return min(of_frame, int(object_pixels * SPECK_SHARE_OF_OBJECT))


def _small_parts(mask: np.ndarray, limit: int, connectivity: int) -> Iterator[_Part]:
    """Yield each connected part of an (H, W) bool mask that has fewer than `limit` pixels."""
    import cv2

    _, parts, rows, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    for number in np.flatnonzero(rows[:, cv2.CC_STAT_AREA] < limit):
        if number == 0:  # everything outside `mask`
            continue
        left, top, width, height = (int(value) for value in rows[number, :4])
        yield _Part(left, top, parts[top : top + height, left : left + width] == number)


def _together(object_id: int, parts: list[_Part], labels: np.ndarray) -> list[Spots]:
    if not parts:
        return []
    where = np.zeros(labels.shape, dtype=bool)
    for part in parts:
        where[part.box] |= part.inside
    x = parts[0].left + int(np.argmax(parts[0].inside[0]))
    return [Spots(object_id, len(parts), int(np.count_nonzero(where)), x, parts[0].top, where)]
