"""Regions of interest: where an object may be, found at stride 16, so that finer strides look nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stma.bounding import bounding_window

LEAST_PROBABILITY = 0.05  # probability or share of a cell from which on an object may be there
MARGIN = 2  # cells of 16 pixels around them: more than an outline is off at stride 16
SIDES = 2  # cells, of which sides of boxes are multiples: oneDNN prepares convolutions of each new size anew


@dataclass(frozen=True)
class Box:
    """Cells of a map: rows `top` up to `bottom` and columns `left` up to `right`, the last ones exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def at(self, factor: int) -> tuple[slice, slice]:
        """Rows and columns in a map of `factor` times as many: of a box at stride 16, 2 at stride 8, 4 at stride 4."""
        return (
            slice(self.top * factor, self.bottom * factor),
            slice(self.left * factor, self.right * factor),
        )


def boxes_of_interest(coarse: Tensor, newest: Tensor) -> tuple[Box, ...]:
    """Where each object may be: around what the readout finds, and around where it was on the frame before; anywhere
    when there is neither, so that an object that is away is looked for on the whole frame.

    Args:
        coarse: (K, h, w) logits of the readout alone at stride 16, see `Decoded`.
        newest: (K, h, w) soft masks in 0..1 of the newest remembered frame at stride 16.

    Returns:
        A box for each of the K objects, its sides multiples of `SIDES` unless the frame ends; the host waits for them.
    """
    seeds = (torch.sigmoid(coarse) > LEAST_PROBABILITY) | (newest > LEAST_PROBABILITY)
    near = functional.max_pool2d(seeds.float(), 2 * MARGIN + 1, stride=1, padding=MARGIN) > 0
    return tuple(_bounds(cells) for cells in near.cpu().numpy())


def _bounds(cells: np.ndarray) -> Box:
    height, width = cells.shape
    found = extent(cells) or Box(0, height, 0, width)
    return Box(
        *widened(found.top, found.bottom, height, SIDES), *widened(found.left, found.right, width, SIDES)
    )


def rounded_up(count: int, multiple: int) -> int:
    """The number itself where it is a multiple, or the next one."""
    return -(-count // multiple) * multiple


def widened(first: int, last: int, length: int, multiple: int) -> tuple[int, int]:
    """Grow a range of cells to a multiple of so many, to the end of the frame at most."""
    size = min(length, rounded_up(last - first, multiple))
    start = min(first, length - size)
    return start, start + size


def extent(cells: np.ndarray) -> Box | None:
    """The smallest box that holds all true cells of (h, w) bool, None where there is none."""
    window = bounding_window(cells)
    if window is None:
        return None
    rows, columns = window
    return Box(rows.start, rows.stop, columns.start, columns.stop)


def covered(boxes: Sequence[Box], height: int, width: int, factor: int) -> np.ndarray:
    """(height, width) bool: the cells of a map, of `factor` times those of stride 16, that lie in any of the boxes."""
    cells = np.zeros((height, width), dtype=bool)
    for box in boxes:
        cells[box.at(factor)] = True
    return cells
