"""What the values of a label map mean besides object ids, and what holds them: 0 is background."""

from collections.abc import Iterable

import cv2
import numpy as np

EXACT = 1 << 24  # whole numbers below are exact in float32
VOID = 255  # in 8-bit pictures, as of DAVIS: the pixel belongs to nobody
LARGEST_ID = 65535  # what a 16-bit PNG can hold


class _Leave(int):
    """A number that NumPy gives a type that holds it: a plain -1 would become 255 in `np.where` with a uint8 mask."""


# in a mask given for a frame: this pixel stays as predicted, whatever object it belongs to
LEAVE = _Leave(-1)


def id_dtype(largest: int) -> type[np.uint8] | type[np.uint16]:
    """The type of label maps whose ids go up to this one."""
    return np.uint8 if largest <= 255 else np.uint16


def ids_in(labels: np.ndarray) -> tuple[int, ...]:
    """The object ids in an integer label map of any shape, ascending, without 0 and `LEAVE`."""
    found = np.flatnonzero(_byte_counts(labels)) if labels.dtype == np.uint8 else np.unique(labels)
    return tuple(int(value) for value in found if value > 0)


def counts_in(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values in an integer label map of any shape, ascending, and how many pixels have each."""
    if labels.dtype != np.uint8 or labels.size >= EXACT:
        values, counts = np.unique(labels, return_counts=True)
        return values, counts
    counts = _byte_counts(labels)
    values = np.flatnonzero(counts)
    return values, counts[values].astype(np.int64)


def areas(labels: np.ndarray, object_ids: Iterable[int]) -> dict[int, int]:
    """Pixels of each of these objects in a label map of bytes or 16-bit numbers."""
    exact = labels.dtype == np.uint8 and labels.size < EXACT
    counts = _byte_counts(labels) if exact else np.bincount(labels.ravel())
    return {i: int(counts[i]) if i < len(counts) else 0 for i in object_ids}


def _byte_counts(labels: np.ndarray) -> np.ndarray:
    """How often each byte occurs, in float32; OpenCV counts in a tenth of the time."""
    return np.asarray(cv2.calcHist([labels.ravel()], [0], None, [256], [0, 256])).ravel()
