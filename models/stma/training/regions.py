"""Random partitions of a layer into regions: known correspondence between the frames of a synthetic clip."""

import numpy as np

BACKGROUND_REGIONS = 20  # about the size of a small object each
CUT_OUT_REGIONS = 3  # parts of one object must not be mistaken for each other either
CUT_OUTS = 4  # up to three objects and one distractor
REGIONS = BACKGROUND_REGIONS + CUT_OUT_REGIONS * CUT_OUTS
COARSE = 4  # pixels: finer borders cost time and teach nothing at stride 8


def partition(rng: np.random.Generator, height: int, width: int, first: int, count: int) -> np.ndarray:
    """Voronoi cells of random points.

    Returns:
        (height, width) uint8 with the region numbers `first` up to `first + count - 1`.
    """
    rows, columns = -(-height // COARSE), -(-width // COARSE)
    y, x = rng.uniform(0, rows, count), rng.uniform(0, columns, count)
    across = (np.arange(columns)[None, :, None] - x) ** 2  # (1, columns, count)
    down = (np.arange(rows)[:, None, None] - y) ** 2
    nearest = (across + down).argmin(axis=2).astype(np.uint8) + np.uint8(first)
    return np.ascontiguousarray(nearest.repeat(COARSE, 0).repeat(COARSE, 1)[:height, :width])
