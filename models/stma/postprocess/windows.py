"""The part of a frame that an object fills: work on it costs what the object costs, not what the frame does."""

from collections.abc import Iterator

import numpy as np

Window = tuple[slice, slice]


def object_windows(labels: np.ndarray, margin: int = 0) -> Iterator[tuple[int, Window]]:
    """Yield each object's id and its bounding box, ids ascending.

    Args:
        labels: (H, W) integer object ids, 0 = background.
        margin: pixels to add on each side, as far as the frame goes.
    """
    for object_id in np.unique(labels):
        if object_id == 0:
            continue
        inside = labels == object_id
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        yield (
            int(object_id),
            (
                slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
                slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
            ),
        )
