"""The part of a frame that something fills: work on it costs what that costs, not what the frame does."""

from collections.abc import Iterator

import numpy as np

from stma.labels import ids_in

Window = tuple[slice, slice]


def bounding_window(inside: np.ndarray, margin: int = 0) -> Window | None:
    """Return the rows and columns of the smallest rectangle that holds all true pixels, None where there are none.

    Args:
        inside: (H, W) bool.
        margin: pixels to add on each side, as far as the frame goes.
    """
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    height, width = inside.shape
    return (
        slice(max(0, int(rows[0]) - margin), min(height, int(rows[-1]) + 1 + margin)),
        slice(max(0, int(columns[0]) - margin), min(width, int(columns[-1]) + 1 + margin)),
    )


def object_windows(labels: np.ndarray, margin: int = 0) -> Iterator[tuple[int, Window]]:
    """Yield each object's id and its bounding box, ids ascending.

    Args:
        labels: (H, W) integer object ids, 0 = background.
        margin: pixels to add on each side, as far as the frame goes.
    """
    for object_id in ids_in(labels):
        window = bounding_window(labels == object_id, margin)
        assert window is not None
        yield object_id, window
