"""From logits at a quarter of the working size to one label per pixel of the frame, without maps of that size.

A bilinear sample lies between its four cells: where they agree on the largest map, so does every pixel between
them. Only pixels between cells that differ, at the borders of objects, are interpolated.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional

from stma.boundaries import boundary_map


@dataclass(frozen=True)
class Samples:
    """Where the pixels of one axis lie among its cells: between `first` and `second`, `share` of the way."""

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray

    @property
    def places(self) -> np.ndarray:
        """Where the pixels lie, in cells: float32."""
        places: np.ndarray = self.first.astype(np.float32) + self.share
        return places


def hard_labels(logits: np.ndarray, height: int, width: int) -> np.ndarray:
    """Label every pixel with the map that is largest there after bilinear upsampling.

    Args:
        logits: (L, h, w) float32, background first.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        (height, width) index of the map, as of `largest_map`.
    """
    cells = largest_map(logits)
    rows, columns = samples(logits.shape[1], height), samples(logits.shape[2], width)
    labels = repeated(cells, rows, columns)
    pixels = np.flatnonzero(repeated(boundary_map(cells), rows, columns))
    row, column = np.divmod(pixels, width)
    top, bottom = rows.first[row] * cells.shape[1], rows.second[row] * cells.shape[1]
    left, right = columns.first[column], columns.second[column]
    down, along = rows.share[row], columns.share[column]
    values = [
        _between(
            _between(plane[top + left], plane[top + right], along),
            _between(plane[bottom + left], plane[bottom + right], along),
            down,
        )
        for plane in logits.reshape(len(logits), -1)
    ]
    labels.ravel()[pixels] = largest_map(np.stack(values))
    return labels


def hard_labels_on_device(logits: Tensor, height: int, width: int) -> Tensor:
    """As `hard_labels`, where an operation on a whole frame costs nothing: (L, h, w) to (height, width) int64."""
    full = functional.interpolate(logits[None], size=(height, width), mode="bilinear", align_corners=False)
    return full[0].argmax(0)


def largest_map(maps: np.ndarray) -> np.ndarray:
    """Index of the largest along the first axis, the lowest where several are equal: uint8, of more than 256 uint16."""
    largest = maps[0].copy()
    index = np.zeros(largest.shape, np.uint8 if len(maps) <= 256 else np.uint16)
    for number, plane in enumerate(maps[1:], start=1):
        np.copyto(index, number, where=plane > largest)
        np.maximum(largest, plane, out=largest)
    return index


def repeated(cells: np.ndarray, rows: Samples, columns: Samples) -> np.ndarray:
    """The first cell of every pixel, one contiguous array."""
    across = cells.take(columns.first, axis=1)  # first, since whole rows are copied fast
    result: np.ndarray = across.take(rows.first, axis=0)
    return result


def samples(cells: int, pixels: int) -> Samples:
    """Half-pixel centres, clamped at the border, as `functional.interpolate` has them without aligned corners."""
    scale = np.float32(cells / pixels)
    centres = np.arange(pixels, dtype=np.float32) + np.float32(0.5)
    position = np.maximum(centres * scale - np.float32(0.5), np.float32(0))
    first = np.minimum(position.astype(np.intp), cells - 1)
    return Samples(first, np.minimum(first + 1, cells - 1), position - first.astype(np.float32))


def _between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    result: np.ndarray = first + (second - first) * share
    return result
