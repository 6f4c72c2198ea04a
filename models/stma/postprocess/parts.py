"""Connected parts of objects and of the background inside them: specks, holes, the largest part."""

from collections.abc import Iterator

import cv2
import numpy as np

from stma.bounding import Window, object_windows


def remove_specks(labels: np.ndarray, smallest: int) -> np.ndarray:
    """Turn parts with fewer than `smallest` pixels to background.

    The largest part of an object always stays, however small, so that no object is lost; diagonal neighbours
    belong together.

    Args:
        labels: (H, W) integer object ids, 0 = background; not changed.
        smallest: pixels that a part must have to stay.

    Returns:
        (H, W) of the same dtype.
    """
    result = labels.copy()
    for window, inside in _objects(labels):
        parts, areas = connected_parts(inside, 8)
        stays = areas >= smallest
        stays[np.argmax(areas)] = True
        result[window][inside & ~stays[parts]] = 0
    return result


def keep_largest_parts(labels: np.ndarray) -> np.ndarray:
    """Turn all but the largest connected part of each object to background.

    Of equally large parts the first stays, row by row from the top left; diagonal neighbours belong together.

    Args:
        labels: (H, W) integer object ids, 0 = background; not changed.

    Returns:
        (H, W) of the same dtype.
    """
    result = labels.copy()
    for window, inside in _objects(labels):
        parts, areas = connected_parts(inside, 8)
        result[window][inside & (parts != np.argmax(areas))] = 0
    return result


def fill_holes(labels: np.ndarray, largest: int) -> np.ndarray:
    """Give holes of up to `largest` pixels, as of `find_holes`, to the object around them.

    Args:
        labels: (H, W) integer object ids, 0 = background; not changed.
        largest: pixels that a hole may have.

    Returns:
        (H, W) of the same dtype.
    """
    parts, owners = find_holes(labels, largest)
    if not owners.any():
        return labels
    filled = (owners > 0)[parts]
    result = labels.copy()
    result[filled] = owners[parts[filled]].astype(labels.dtype)
    return result


def find_holes(labels: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Find background that one object alone encloses: it touches neither the border of the frame nor a second object.

    Diagonal neighbours do not belong together, so that a gap in a diagonal line leaks nothing.

    Args:
        labels: (H, W) integer object ids, 0 = background.
        largest: pixels that a hole may have.

    Returns:
        (H, W) numbers of the parts of the background, 0 in objects, and, by number, the int64 id of the object whose
        hole the part is, 0 of what is none.
    """
    parts, areas = connected_parts(labels == 0, 4)
    is_hole = (areas > 0) & (areas <= largest)
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    is_hole[border] = False
    lowest, highest = np.full(len(areas), 1 << 30), np.zeros(len(areas), np.int64)
    for along in (0, 1):
        before, after = (
            (slice(None),) * along + (slice(None, -1),),
            (slice(None),) * along + (slice(1, None),),
        )
        for here, there in ((before, after), (after, before)):
            touching = (parts[here] > 0) & (labels[there] != 0)
            number, neighbour = parts[here][touching], labels[there][touching].astype(np.int64)
            np.minimum.at(lowest, number, neighbour)
            np.maximum.at(highest, number, neighbour)
    return parts, np.where(is_hole & (lowest == highest), highest, 0)


def connected_parts(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the connected parts of an (H, W) bool mask from 1; returns numbers and pixels by number.

    Number 0 is what is not in the mask; its count is given as 0.
    """
    _, parts, rows, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    areas = rows[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0
    return np.asarray(parts), areas


def _objects(labels: np.ndarray) -> Iterator[tuple[Window, np.ndarray]]:
    """Yield, for each object, the window that it fills and where it is inside of that window."""
    for object_id, window in object_windows(labels):
        yield window, labels[window] == object_id
