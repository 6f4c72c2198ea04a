"""Textured frames that move, with the objects' true masks: input for measurements without any file."""

import cv2
import numpy as np


class SyntheticScene:
    """A panning textured background with textured ellipses that swing over it; the same for the same arguments."""

    def __init__(self, height: int, width: int, objects: int, seed: int = 0) -> None:
        """Make the textures.

        Args:
            height, width: pixels of the frames.
            objects: number of ellipses, with the ids 1 to `objects`.
            seed: of the textures.
        """
        self.height, self.width, self.objects = height, width, objects
        generator = np.random.default_rng(seed)
        self._reach = max(1, min(height, width) // 8)  # pixels that the background pans
        self._background = _texture(generator, height + self._reach, width + self._reach)
        self._foreground = 255 - _texture(generator, height, width)
        self._columns = max(1, round((objects * width / height) ** 0.5))
        self._rows = -(-objects // self._columns)

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 RGB frame and its (H, W) int32 object ids, 0 = background."""
        pan = _swing(index, self._reach)
        pixels = self._background[pan : pan + self.height, pan : pan + self.width].copy()
        labels = np.zeros((self.height, self.width), np.int32)
        cell_height, cell_width = self.height // max(1, self._rows), self.width // self._columns
        axes = (max(1, cell_width // 4), max(1, cell_height // 4))
        for place in range(self.objects):
            row, column = divmod(place, self._columns)
            shift = _swing(index + 7 * place, max(1, cell_width // 4))
            centre = (column * cell_width + 3 * cell_width // 8 + shift, row * cell_height + cell_height // 2)
            cv2.ellipse(labels, centre, axes, 0.0, 0.0, 360.0, place + 1, -1)
        pixels[labels > 0] = self._foreground[labels > 0]
        return pixels, labels


def _swing(index: int, reach: int) -> int:
    """A position that goes from 0 to `reach` and back, one pixel per step."""
    return reach - abs(reach - index % (2 * reach))


def _texture(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise at three scales, as photographs have: (height, width, 3) uint8."""
    total = np.zeros((height, width, 3), np.float32)
    for cell, strength in ((64, 110.0), (16, 90.0), (4, 55.0)):
        shape = (height // cell + 2, width // cell + 2, 3)
        total += cv2.resize(generator.random(shape, dtype=np.float32) * strength, (width, height))
    return total.astype(np.uint8)
