"""Specks and pinholes of a label map: parts too small to have been meant."""

from dataclasses import dataclass

import numpy as np

from stma.labels import ids_in
from stma.postprocess.parts import connected_parts, find_holes
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


def find_specks(labels: np.ndarray) -> list[Spots]:
    """Return the small parts that lie apart from the rest of their object.

    Args:
        labels: (H, W) integer object ids, 0 = background, `LEAVE` = neither.
    """
    found = []
    for object_id in ids_in(labels)[:MOST_OBJECTS]:
        inside = labels == object_id
        pixels = int(np.count_nonzero(inside))
        parts, areas = connected_parts(inside, 8)
        specks = _spots(object_id, parts, (areas > 0) & (areas < _limit(labels, pixels)))
        found += [item for item in specks if 2 * item.pixels < pixels]  # else nothing solid would stay
    return found


def find_pinholes(labels: np.ndarray) -> list[Spots]:
    """Return the small bits of background that one object encloses.

    Args:
        labels: (H, W) integer object ids, 0 = background, `LEAVE` = neither.
    """
    parts, owners = find_holes(labels, _limit(labels, labels.size) - 1)
    return [spots for object_id in ids_in(owners) for spots in _spots(object_id, parts, owners == object_id)]


def solid_ids(labels: np.ndarray) -> set[int]:
    """Return the ids that fill a block of 3 x 3 pixels somewhere."""
    return set(ids_in(labels[in_solid_block(labels)]))


def _limit(labels: np.ndarray, object_pixels: int) -> int:
    """Return the number of pixels from which on a part is none to remove."""
    of_frame = max(SMALLEST_OBJECT, round(labels.size * SPECK_SHARE_OF_FRAME))
    return min(of_frame, int(object_pixels * SPECK_SHARE_OF_OBJECT))


def _spots(object_id: int, parts: np.ndarray, chosen: np.ndarray) -> list[Spots]:
    """Join the chosen ones, bool by number, of the numbered parts of a mask; nothing where none is."""
    if not chosen.any():
        return []
    where = chosen[parts]
    y, x = divmod(int(np.argmax(where)), where.shape[1])
    return [Spots(object_id, int(np.count_nonzero(chosen)), int(np.count_nonzero(where)), x, y, where)]
