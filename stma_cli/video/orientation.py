"""Display orientation: the quarter turns and mirrorings that a container asks players to apply."""

from dataclasses import dataclass
from typing import Any, cast

import av
import cv2
import numpy as np


@dataclass(frozen=True)
class Orientation:
    """Transpose first (swap rows and columns), then mirror left-right, then top-bottom."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise, 0, 90, 180 or 270; for a mirrored picture the turn before mirroring."""
        mirrored = self.transpose ^ self.mirror_x ^ self.mirror_y
        mirror_x = self.mirror_x ^ mirrored
        if self.transpose:
            return 90 if mirror_x else 270
        return 180 if mirror_x else 0

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Return (H, W, 3) pixels in display orientation, contiguous."""
        if self.transpose:
            pixels = cv2.transpose(pixels)
        if self.mirror_x and self.mirror_y:
            return cv2.flip(pixels, -1)
        if self.mirror_x:
            return cv2.flip(pixels, 1)
        if self.mirror_y:
            return cv2.flip(pixels, 0)
        return pixels


UPRIGHT = Orientation()


def from_matrix(matrix: np.ndarray) -> Orientation | None:
    """Return the orientation of a display matrix, or None when it is not made of quarter turns.

    Args:
        matrix: 9 int32 numbers as in ISO/IEC 14496-12: a point (x, y) goes to (a x + c y, b x + d y)
            where a, b, c, d are entries 0, 1, 3, 4.
    """
    a, b, c, d = (float(matrix[index]) for index in (0, 1, 3, 4))
    scale = max(abs(a), abs(b), abs(c), abs(d))
    if scale == 0:
        return UPRIGHT
    small = 0.01 * scale
    if abs(b) <= small and abs(c) <= small:
        return Orientation(False, mirror_x=a < 0, mirror_y=d < 0)
    if abs(a) <= small and abs(d) <= small:
        return Orientation(True, mirror_x=c < 0, mirror_y=b < 0)
    return None


def of_frame(frame: av.VideoFrame) -> Orientation | None:
    """Return the orientation a decoded frame asks for, None for a turn that is not a quarter turn."""
    try:
        side_data = cast(Any, frame.side_data).get("DISPLAYMATRIX")
    except ValueError:  # PyAV has no name for one kind of it, such as the EXIF data of Motion JPEG
        return _from_angle(frame.rotation)
    if side_data is None:
        return UPRIGHT
    matrix = np.frombuffer(bytes(side_data), dtype=np.int32)
    return from_matrix(matrix) if matrix.size >= 9 else UPRIGHT


def _from_angle(degrees: int) -> Orientation | None:
    """Return the orientation of a turn counterclockwise; mirroring does not show in it."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return from_matrix(np.array([cosine, -sine, 0, sine, cosine, 0, 0, 0, 1]))
