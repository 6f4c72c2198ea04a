"""The one place where frames and label maps change size."""

import cv2
import numpy as np

from stma.config import USUAL_SIZE
from stma.errors import SettingsError

STRIDE = 16  # pixels of a cell, the coarsest that the network has
MINIMUM_SIDE = 16
NEARLY = 1 / 64  # of a side: reduced by less, averages are what interpolation gives, at three times the cost
LARGEST_ENLARGEMENT = 3  # 2.7 times: 1.7 points of J&F over twice on clips of 320x180; more was not tried
SMALL_SIDE = 70.0  # pixels, mean side of the objects below which a larger picture gains more than it costs
MAGNIFIED = 1.25  # times as large then: 1.5 gained little more and cost blurred objects twice as much


def _nearest_source(source: int, target: int) -> np.ndarray:
    """Return for each of `target` pixels the index of the source pixel under its centre."""
    positions = np.arange(target, dtype=np.int64)
    return ((2 * positions + 1) * source) // (2 * target)  # floor((i + 0.5) * source / target), exactly


def resize_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a label map; every output pixel takes the id of the source pixel under its centre.

    No id is ever mixed or made up, and there is no half-pixel shift ("nearest-exact").

    Args:
        labels: (H, W) array of object ids, any integer or bool dtype.
        height: rows of the result, 1 or more.
        width: columns of the result, 1 or more.

    Returns:
        (height, width) array of the same dtype; `labels` itself where the size is already right.

    Raises:
        SettingsError: when `labels` is not a plane or the size is below 1.
    """
    _require_size(height, width)
    if labels.ndim != 2 or labels.size == 0:
        raise SettingsError(
            f"a label map of shape {labels.shape} cannot be scaled", "give a non-empty array of shape (H, W)"
        )
    if labels.shape == (height, width):
        return labels
    rows = _nearest_source(labels.shape[0], height)
    columns = _nearest_source(labels.shape[1], width)
    return np.ascontiguousarray(labels[rows][:, columns])


def resize_frame(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a picture: area average when it shrinks, bilinear when either side grows or both hardly change.

    Args:
        frame: (H, W, 3) uint8 RGB, 0 to 255.
        height: rows of the result, 1 or more.
        width: columns of the result, 1 or more.

    Returns:
        (height, width, 3) uint8 RGB; `frame` itself where the size is already right.

    Raises:
        SettingsError: when `frame` is not (H, W, 3) uint8 or the size is below 1.
    """
    _require_size(height, width)
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise SettingsError(
            f"a frame of shape {frame.shape} and type {frame.dtype} cannot be scaled",
            "give a non-empty RGB array of shape (H, W, 3) and type uint8",
        )
    if frame.shape[:2] == (height, width):
        return frame
    if not averages(frame.shape[:2], (height, width)):
        return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    squares = whole_squares(frame.shape[:2], (height, width))
    if squares > 1:  # averages of whole pixels take a tenth of the time of others, and leave less to those
        smaller = frame.shape[1] // squares, frame.shape[0] // squares
        frame = np.asarray(cv2.resize(frame, smaller, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def covered_shares(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a mask down: how much of each pixel it covers, so that no object is too small to leave something.

    Args:
        mask: (H, W) bool.
        height: rows of the result, 1 to H.
        width: columns of the result, 1 to W.

    Returns:
        (height, width) float32 in 0..1.
    """
    shares = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.minimum(shares, 1), dtype=np.float32)


def averages(source: tuple[int, ...], target: tuple[int, int]) -> bool:
    """Whether a picture of one (height, width) is averaged, and not interpolated, to become one of another."""
    factors = [before / after for before, after in zip(source, target, strict=True)]
    return min(factors) >= 1 and max(factors) > 1 + NEARLY


def whole_squares(source: tuple[int, ...], target: tuple[int, int]) -> int:
    """Side in pixels of the squares that are averaged first on the way from one (height, width) to a smaller one: the
    largest that both sides of the source are made of, 1 for none."""
    most = min(before // after for before, after in zip(source, target, strict=True))
    return max(
        (side for side in range(2, most + 1) if not any(length % side for length in source)), default=1
    )


def working_size(height: int, width: int, shorter_side: int | None) -> tuple[int, int]:
    """Return the size at which a frame is processed.

    The shorter side becomes exactly `shorter_side` (smaller pictures are enlarged too) and the other
    follows the aspect ratio, rounded to whole pixels; both are at least 16.

    Args:
        height: rows of the frame, 1 or more.
        width: columns of the frame, 1 or more.
        shorter_side: length of the shorter side in pixels, or None to keep the size.

    Returns:
        (height, width) in pixels.

    Raises:
        SettingsError: when a size is below 1.
    """
    _require_size(height, width)
    if shorter_side is None:
        return max(MINIMUM_SIDE, height), max(MINIMUM_SIDE, width)
    if shorter_side < 1:
        raise SettingsError(
            f"the working size {shorter_side} is impossible", "give the shorter side in pixels, such as 480"
        )
    shorter = min(height, width)
    scaled_height, scaled_width = (
        max(MINIMUM_SIDE, (2 * side * shorter_side + shorter) // (2 * shorter)) for side in (height, width)
    )
    return scaled_height, scaled_width


def model_size(height: int, width: int, size: int | None) -> tuple[int, int]:
    """Return the size that the model works at: the frame scaled to `size`, in multiples of 16.

    Rounding changes the aspect ratio by a few pixels, which spares padding and its artefacts at the border. A small
    video is enlarged, since the finest cells are 8 pixels wide and thin parts fall between them, but no more than
    `LARGEST_ENLARGEMENT` times.

    Args:
        height: rows of the frame.
        width: columns of the frame.
        size: length of the shorter side in pixels, or None to keep the frame's own.

    Returns:
        (height, width) in pixels.
    """
    sides = working_size(
        height, width, None if size is None else min(size, LARGEST_ENLARGEMENT * min(height, width))
    )
    rounded = [max(STRIDE, (side + STRIDE // 2) // STRIDE * STRIDE) for side in sides]
    return rounded[0], rounded[1]


def size_for_objects(labels: np.ndarray) -> int:
    """Return the working size for the objects of a first mask: a quarter more than usual where they are small.

    The finest cells are 8 pixels wide, so what is small on the picture that the model sees loses its outline. The side
    of an object is the root of its area; the mean of all sides counts.

    Args:
        labels: (H, W) integer object ids of the first marked frame, 0 = background.

    Returns:
        Length of the shorter side in pixels, as `SegmenterConfig.size` takes it.
    """
    counts = np.unique(labels[labels > 0], return_counts=True)[1]
    if not len(counts):
        return USUAL_SIZE
    height, width = model_size(labels.shape[0], labels.shape[1], USUAL_SIZE)
    side = float(np.sqrt(counts * (height * width / labels.size)).mean())
    return round(USUAL_SIZE * MAGNIFIED) if side < SMALL_SIDE else USUAL_SIZE


def fitted_size(height: int, width: int, longest_side: int) -> tuple[int, int]:
    """Return the (height, width) of a picture made smaller, if need be, so that neither side is longer than this."""
    scale = min(1.0, longest_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _require_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise SettingsError(
            f"the size {width}x{height} is impossible", "give a width and a height of 1 or more"
        )
