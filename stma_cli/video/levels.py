"""Pixels of pictures as 8-bit RGB, and the one range of 16-bit values that all frames of a video are shown in."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

_WHITE = 65535
_FILLS = 8  # a first frame below this part of the range is of a 12-bit camera, or dim: nearly black in 8 bits
_OUTLIERS = 0.1  # percent at either end, such as hot pixels
_HEADROOM = 1.5  # later frames may be brighter
_COLOUR_16 = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH


@dataclass(frozen=True)
class Levels:
    """The values of 16-bit pictures that are shown as black and as white."""

    black: int = 0
    white: int = _WHITE

    def to_8_bits(self, values: np.ndarray) -> np.ndarray:
        """Return values as uint8, those beyond black and white as these."""
        above = np.clip(values, self.black, self.white).astype(np.float32) - self.black
        return np.asarray(above / ((self.white - self.black) / 255) + 0.5).astype(np.uint8)


FULL = Levels()


def levels_of(first: Path) -> tuple[Levels, str | None]:
    """Return the levels of a video with this first picture, and a note where they are not the full range.

    Only 16-bit pictures are decoded. Values that fill an eighth of the range or more are shown as they are.

    Raises:
        OSError, ValueError: it cannot be decoded.
    """
    with Image.open(first) as image:
        if image.mode.startswith("I"):
            values = np.asarray(image)
        elif _has_16_bit_colours(image):
            values = _colours(image)
        else:
            return FULL, None
    lowest, highest = int(values.min()), int(values.max())
    if highest >= (_WHITE + 1) // _FILLS or lowest == highest:
        return FULL, None
    black, bright = (int(value) for value in np.percentile(values, (_OUTLIERS, 100 - _OUTLIERS)))
    if black == bright:  # but for a few pixels the picture is of one value
        black, bright = lowest, highest
    white = black + math.ceil(_HEADROOM * (bright - black))
    note = (
        f"16-bit frames hold values {lowest} to {highest}, as the first shows: in all of them "
        f"{black} is shown as black and {white} as white"
    )
    return Levels(black, white), note


def read_rgb(image: Image.Image, levels: Levels) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of any picture in display orientation, without its transparency.

    Raises:
        OSError, ValueError: it cannot be decoded.
    """
    if levels != FULL and _has_16_bit_colours(image):
        return levels.to_8_bits(_colours(image))
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        grey = levels.to_8_bits(np.asarray(upright))
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.ascontiguousarray(upright.convert("RGB"))


def _has_16_bit_colours(image: Image.Image) -> bool:
    """Whether Pillow would halve the bits of a picture; known only until it is decoded."""
    if image.mode.startswith("I") or image.format not in ("PNG", "TIFF"):
        return False
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _colours(image: Image.Image) -> np.ndarray:
    """Return (H, W, 3) uint16 RGB in display orientation of the picture that a file stands at."""
    path = str(getattr(image, "filename", ""))
    read, pictures = cv2.imreadmulti(path, image.tell(), 1, flags=_COLOUR_16)
    if not read:
        raise OSError("its 16-bit colours cannot be decoded")
    return cv2.cvtColor(pictures[0], cv2.COLOR_BGR2RGB)
