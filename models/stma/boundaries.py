"""Where the labels of a map change from one pixel, or cell, to the next; main memory needs no torch for it."""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Labels = TypeVar("Labels", np.ndarray, "Tensor")


def boundary_map(labels: np.ndarray) -> np.ndarray:
    """Return the one pixel wide boundary, by the rule of the Berkeley benchmark (seg2bmap).

    A pixel is boundary when it differs from its right, lower or lower right neighbour, so the line lies half
    a pixel towards the origin. The picture's own border is no boundary.

    Args:
        labels: (H, W) labels, or the bool mask of one object.

    Returns:
        (H, W) bool array.
    """
    return differing(np.pad(labels, ((0, 1), (0, 1)), mode="edge"))


def differing(padded: Labels) -> Labels:
    """The same of labels that are repeated beyond their last row and column: (H+1, W+1) to (H, W) bool."""
    here = padded[:-1, :-1]
    boundary: Labels = (here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:])
    return boundary
