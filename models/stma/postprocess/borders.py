"""Objects grown and shrunk by a distance in pixels."""

import cv2
import numpy as np

from stma.bounding import object_windows


def grow_objects(labels: np.ndarray, distance: int) -> np.ndarray:
    """Give background within `distance` pixels (Euclidean) of an object to the nearest one.

    Pixels of other objects are never taken. Where two objects are equally near, the smaller id wins.

    Args:
        labels: (H, W) integer object ids, 0 = background; not changed.
        distance: pixels.

    Returns:
        (H, W) of the same dtype.
    """
    result = labels.copy()
    nearest = np.where(labels == 0, np.float32(distance + 0.5), np.float32(0))
    for object_id, window in object_windows(labels, margin=distance):
        away = _distance(labels[window] != object_id)
        gained = (away <= distance) & (away < nearest[window])
        result[window][gained] = object_id
        nearest[window][gained] = away[gained]
    return result


def shrink_objects(labels: np.ndarray, distance: int) -> np.ndarray:
    """Take the pixels within `distance` (Euclidean) of its border from each object.

    The border of the frame is none of an object: it goes on outside.

    Args:
        labels: (H, W) integer object ids, 0 = background; not changed.
        distance: pixels.

    Returns:
        (H, W) of the same dtype; a thin object may be gone.
    """
    result = labels.copy()
    for object_id, window in object_windows(labels, margin=1):
        inside = labels[window] == object_id
        if not inside.all():
            result[window][inside & (_distance(inside) <= distance)] = 0
    return result


def _distance(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32: how far each pixel of a bool mask is from the nearest one outside of it, 0 outside."""
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
