"""What the values of a label map mean besides object ids, and what holds them: 0 is background."""

import cv2
import numpy as np

LARGEST_ID = 65535  # what a 16-bit PNG can hold
LEAVE = -1  # in a mask given for a frame: this pixel stays as predicted, whatever object it belongs to


def id_dtype(largest: int) -> type[np.uint8] | type[np.uint16]:
    """The type of label maps whose ids go up to this one."""
    return np.uint8 if largest <= 255 else np.uint16


def ids_in(labels: np.ndarray) -> tuple[int, ...]:
    """The object ids in an integer label map of any shape, ascending, without 0 and `LEAVE`."""
    if labels.dtype == np.uint8:  # OpenCV counts bytes in a tenth of the time
        found = np.flatnonzero(cv2.calcHist([labels.ravel()], [0], None, [256], [0, 256]))
    else:
        found = np.unique(labels)
    return tuple(int(value) for value in found if value > 0)
