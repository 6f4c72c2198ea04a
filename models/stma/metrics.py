"""The two measures of the DAVIS benchmark for one object in one frame.

J, region similarity: intersection over union of two masks.
F, contour accuracy: harmonic mean of precision and recall of the boundary pixels, where a boundary pixel is
found when one of the other mask's lies within 0.008 of the image diagonal (Perazzi et al., CVPR 2016, with
the morphological matching of the published evaluation code).
"""

import math
from functools import lru_cache

import cv2
import numpy as np

from stma.boundaries import boundary_map
from stma.bounding import bounding_window
from stma.errors import SettingsError

BOUNDARY_TOLERANCE = (
    0.008  # distance of boundaries that match, of the image diagonal; rounded up to whole pixels
)


def region_similarity(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return J, the intersection over union of two masks of one object.

    Args:
        prediction: (H, W) bool or integer array; non-zero is the object.
        truth: the same, of the same size.

    Returns:
        J in 0..1; two empty masks agree, J = 1.

    Raises:
        SettingsError: when the arrays are not two planes of one size.
    """
    predicted, true = _as_masks(prediction, truth)
    union = np.count_nonzero(predicted | true)
    if union == 0:
        return 1.0
    return float(np.count_nonzero(predicted & true) / union)


def boundary_accuracy(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return F, the F-measure of the boundary pixels of two masks of one object.

    A mask without boundary pixels (empty, or covering the whole picture) has precision 1 and recall 0
    against one with boundary pixels, the other way round when it is the truth, so F = 0; two masks
    without boundary pixels have F = 1.

    Args:
        prediction: (H, W) bool or integer array; non-zero is the object.
        truth: the same, of the same size.

    Returns:
        F in 0..1.

    Raises:
        SettingsError: when the arrays are not two planes of one size.
    """
    predicted, true = _as_masks(prediction, truth)
    radius = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*true.shape))
    predicted_boundary, true_boundary = boundary_map(predicted), boundary_map(true)
    predicted_count = np.count_nonzero(predicted_boundary)
    true_count = np.count_nonzero(true_boundary)
    if predicted_count == 0 or true_count == 0:
        return 1.0 if predicted_count == true_count else 0.0

    # Nothing outside the rectangle around both boundaries can match, and nothing there can be matched.
    window = bounding_window(predicted_boundary | true_boundary)
    assert window is not None
    predicted_boundary, true_boundary = predicted_boundary[window], true_boundary[window]
    precision = np.count_nonzero(predicted_boundary & _grow(true_boundary, radius)) / predicted_count
    recall = np.count_nonzero(true_boundary & _grow(predicted_boundary, radius)) / true_count
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def _as_masks(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if prediction.ndim != 2 or prediction.shape != truth.shape:
        raise SettingsError(
            f"masks of shape {prediction.shape} and {truth.shape} cannot be compared",
            "give two arrays of one shape (H, W)",
        )
    return prediction != 0, truth != 0


@lru_cache(maxsize=16)
def _disk(radius: int) -> np.ndarray:
    offsets = np.arange(-radius, radius + 1)
    inside = np.add.outer(offsets**2, offsets**2) <= radius**2
    return inside.astype(np.uint8)


def _grow(mask: np.ndarray, radius: int) -> np.ndarray:
    grown = cv2.dilate(mask.astype(np.uint8), _disk(radius))
    return np.asarray(grown, dtype=bool)
