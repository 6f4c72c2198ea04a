"""Colour: from the YUV of a video to RGB and back, by the matrix and range that the video is tagged with.

A video without tags follows the usual convention: BT.709 for HD (1280 or more pixels wide, or more than 576
high), BT.601 below, limited range. Transfer and primaries are passed on as tags; pixel values are not
tone-mapped, so an HDR video gives the RGB code values it stores, rounded to 8 bits.
"""

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

UNSPECIFIED = 2  # of matrix, primaries and transfer in ITU-T H.273
BT709 = 1
BT601 = 6  # the 525-line variant; its matrix is that of 5, the 625-line variant
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}

# From the matrix codes of H.273 to the codes of swscale.
_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_HD_WIDTH = 1280
_SD_HEIGHT = 576

# Exact to one step of 8 bits; the default flags are several steps off in saturated colours.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class ColourTags:
    """How stored pixels relate to colours; the numbers are those of ITU-T H.273.

    Attributes:
        matrix: of the YUV values: 1 BT.709, 5 or 6 BT.601, 9 BT.2020; never unspecified.
        full_range: True when 8-bit luma fills 0..255, False for 16..235.
        primaries, transfer: as tagged, 2 when unspecified.
        guessed: True when the video had no usable matrix tag and the convention by size was followed.
    """

    matrix: int = BT709
    full_range: bool = False
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    guessed: bool = True


def read_tags(frame: av.VideoFrame) -> ColourTags:
    """Return the colour tags of a decoded frame, with the convention by size where they are absent."""
    matrix = int(frame.colorspace)
    guessed = matrix not in _SWSCALE_MATRIX
    if guessed:
        is_hd = frame.width >= _HD_WIDTH or frame.height > _SD_HEIGHT
        matrix = BT709 if is_hd else BT601
    full_range = int(frame.color_range) == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return ColourTags(matrix, full_range, int(frame.color_primaries), int(frame.color_trc), guessed)


class ToRgb:
    """Converts decoded frames of one video to RGB; keeps the converter's tables between frames."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB in the stored orientation; any bit depth and chroma layout goes in."""
        tags = read_tags(frame)
        converted = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=None if frame.format.is_rgb else _SWSCALE_MATRIX[tags.matrix],
            src_color_range=ColorRange.JPEG if tags.full_range or frame.format.is_rgb else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_EXACT,
            threads=1,
        )
        return converted.to_ndarray()


class FromRgb:
    """Converts RGB pictures to YUV, limited range, for an encoder; alpha stays as it is."""

    def __init__(self, matrix: int, pixel_format: str = "yuv420p") -> None:
        """Prepare a converter.

        Args:
            matrix: of the YUV values, as in `ColourTags`.
            pixel_format: of the encoder, in FFmpeg's words.
        """
        self._matrix = _SWSCALE_MATRIX[matrix]
        self._format = pixel_format
        self._reformatter = VideoReformatter()

    def __call__(self, pixels: np.ndarray) -> av.VideoFrame:
        """Return a frame of (H, W, 3) RGB or (H, W, 4) RGBA uint8 pixels; 4:2:0 wants H and W even."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels), format="rgba" if pixels.shape[2] == 4 else "rgb24"
            ),
            format=self._format,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=self._matrix,
            dst_color_range=ColorRange.MPEG,
            interpolation=_EXACT,
            threads=1,
        )


def output_tags(source: ColourTags) -> ColourTags:
    """Return the tags for a limited-range YUV copy of a video, so that it decodes to the same RGB.

    The matrix stays that of the source; primaries and transfer are the source's, since RGB values were not
    converted between them.
    """
    matrix = source.matrix if source.matrix in (1, 5, 6, 9) else BT709
    return ColourTags(matrix, False, source.primaries, source.transfer, guessed=False)
