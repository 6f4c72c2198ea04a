"""Smoothed edges made hard again: every pixel takes the nearest of the picture's main colours round it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stma_cli.masks.colours import in_solid_block
from stma_cli.masks.image_file import MaskPicture
from stma_cli.masks.label_image import SMALLEST_OBJECT

MOST_COLOURS = 64  # main colours of a mask
SOLID_SHARE = 0.25  # of a main colour's pixels fill blocks of 3 x 3; smoothed edges have lines instead
MOST_BETWEEN = 0.25  # of all pixels may be of other colours; a photograph has far more
SAME_COLOUR = 24.0  # distance in RGB below which a colour is a bigger one that compression has changed
REACH = 9  # pixels across; how far edges are smoothed


@dataclass(frozen=True)
class Snapped:
    """A picture of its main colours only.

    Attributes:
        classes: (H, W) int32 index into `colours`.
        colours: (N,) the values of the main colours, as they were given.
        changed: pixels that had another colour.
        others: how many other colours there were.
    """

    classes: np.ndarray
    colours: np.ndarray
    changed: int
    others: int


def read_lossy(path: Path) -> MaskPicture | None:
    """Return a JPEG as a colour picture, None when it is none; its colours are only nearly right."""
    try:
        with Image.open(path) as image:
            if image.format != "JPEG":
                return None
            return MaskPicture("colour", np.asarray(image.convert("RGBA")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def snap(values: np.ndarray, rgb_of: np.ndarray, pixels: np.ndarray, merge: bool) -> Snapped | None:
    """Give every pixel the nearest main colour that occurs close to it.

    Only colours close by are compared: half-way between white and black lies a grey that may well be another
    object elsewhere in the picture.

    Args:
        values: (N,) the distinct values of the picture, ascending.
        rgb_of: (N, 3) float, their colours.
        pixels: (H, W) int index into `values`.
        merge: take colours that are nearly the same for one.

    Returns:
        None when the picture has no main colours, or too much besides them, as a photograph.
    """
    import cv2

    mains = _main_colours(rgb_of, pixels, merge)
    if not 0 < len(mains) <= MOST_COLOURS:
        return None
    exact = np.isin(pixels, mains)
    between = int(np.count_nonzero(~exact))
    others = len(values) - len(mains)
    if between > MOST_BETWEEN * pixels.size:
        return None
    near = np.full(pixels.shape, np.inf, dtype=np.float32)
    nearest = np.full(pixels.shape, np.inf, dtype=np.float32)
    chosen_near = np.zeros(pixels.shape, dtype=np.int32)
    chosen = np.zeros(pixels.shape, dtype=np.int32)
    window = np.ones((REACH, REACH), np.uint8)
    for number, main in enumerate(mains):
        distance = np.linalg.norm(rgb_of - rgb_of[main], axis=1).astype(np.float32)[pixels]
        close = cv2.dilate((pixels == main).astype(np.uint8), window) > 0
        for best, choice, allowed in ((near, chosen_near, close), (nearest, chosen, True)):
            better = (distance < best) & allowed
            best[better] = distance[better]
            choice[better] = number
    classes = np.where(np.isfinite(near), chosen_near, chosen).astype(np.int32)
    return Snapped(classes, values[mains], between, others)


def _main_colours(rgb_of: np.ndarray, pixels: np.ndarray, merge: bool) -> list[int]:
    """Return the indices of the colours that fill areas, the largest first."""
    solid = np.bincount(pixels[in_solid_block(pixels)], minlength=len(rgb_of))
    area = np.bincount(pixels.ravel(), minlength=len(rgb_of))
    fills = (area >= SMALLEST_OBJECT) & (solid >= SOLID_SHARE * area)
    mains: list[int] = []
    for index in sorted(np.flatnonzero(fills).tolist(), key=lambda item: -area[item]):
        distances = np.linalg.norm(rgb_of[mains] - rgb_of[index], axis=1)
        if not merge or not len(mains) or distances.min() >= SAME_COLOUR:
            mains.append(index)
    return mains
