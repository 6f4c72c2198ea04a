"""What videos made of pictures have in common, whether these lie in a folder or in one file."""

import struct
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from stma.errors import VideoError
from stma_cli.frame_files import named_by_number
from stma_cli.note import Note
from stma_cli.video.levels import FULL, Levels, levels_of
from stma_cli.video.source import (
    DEFAULT_FOLDER_RATE,
    TRANSPARENCY_IGNORED,
    Frame,
    VideoInfo,
    VideoSource,
    check_range,
    start_beyond_end,
)
from stma_cli.wording import may_not_be_read

NO_RATE = "pictures have no frame rate"  # begins a note
_UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
)
_EXIF_ORIENTATION = 0x0112
_TRANSPOSED = {5, 6, 7, 8}
_ROTATION = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}
_PNG_SIGNATURE = 8  # bytes
_PNG_ORIENTATION = (
    b"eXIf",
    b"iTXtXML:com.adobe.xmp",
    b"tEXtRaw profile type exif",
    b"zTXtRaw profile type exif",
)


@dataclass
class PictureSource(VideoSource):
    """Pictures that are read one by one, in any order.

    Attributes:
        levels: what 16-bit values are shown as, the same in all frames.
    """

    levels: Levels = FULL

    @abstractmethod
    def _name(self, index: int) -> str:
        """Return the name of a frame."""

    @abstractmethod
    def _pixels(self, indices: range) -> Iterator[np.ndarray]:
        """Yield the pixels of these frames."""

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """See `VideoSource.frames`."""
        check_range(start, end)
        count = self._checked_count(start)
        if end is not None and end > count:
            has = f"{self.info.path} has {count} images{named_by_number(end, self.stems)}"
            self.add_note(Note("video", f"the range was to end at frame {end}, but {has}"))
        indices, step = range(count)[start:end], 1 / self.info.frame_rate
        for index, pixels in zip(indices, self._pixels(indices), strict=True):
            yield Frame(index, pixels, index * step, self._name(index), step)

    def frames_backward(self, start: int, end: int) -> Iterator[Frame]:
        """See `VideoSource.frames_backward`."""
        check_range(start, end)
        indices = range(self._checked_count(start))[start:end][::-1]
        for index, pixels in zip(indices, self._pixels(indices), strict=True):
            yield Frame(index, pixels, Fraction(0), self._name(index))

    def _checked_count(self, start: int) -> int:
        """Return the number of frames; refuse to begin at one that is not there."""
        count = self.count_frames()
        if start >= count:
            raise start_beyond_end(self.info.path, start, count, self.stems)
        return count

    def _require_size(self, pixels: np.ndarray, name: str) -> np.ndarray:
        height, width = pixels.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise VideoError(
                f"{name} is now {width}x{height} and not {self.info.width}x{self.info.height}",
                f"leave {self.info.path} unchanged while it is read, and start again",
            )
        return pixels


def describe(
    path: Path,
    kind: Literal["folder", "stack"],
    first: Path,
    size: tuple[int, int],
    count: int,
    frame_rate: Fraction | None,
) -> tuple[VideoInfo, Levels, list[Note]]:
    """Return what is known of pictures beforehand, the levels of all, and notes, from the first picture of a file.

    Raises:
        OSError, ValueError: it cannot be decoded.
    """
    notes = []
    if frame_rate is None:
        frame_rate = DEFAULT_FOLDER_RATE
        assumed = f"{float(frame_rate):g} frames per second are assumed"
        notes.append(
            Note("video", f"{NO_RATE}; {assumed}; segment, batch and overlay take another with --frame-rate")
        )
    with Image.open(first) as image:
        rotation = _ROTATION.get(_orientation(image, first), 0)
        codec = (image.format or "image").lower()
        transparent = image.has_transparency_data
    if transparent:
        notes.append(TRANSPARENCY_IGNORED)
    levels, said = levels_of(first)
    if said:
        notes.append(Note("video", said))
    info = VideoInfo(
        path=path,
        kind=kind,
        width=size[0],
        height=size[1],
        frame_rate=frame_rate,
        time_base=1 / frame_rate,
        frame_count_hint=count,
        rotation=rotation,
        codec=codec,
    )
    return info, levels, notes


def display_size(image: Image.Image, file: Path) -> tuple[int, int]:
    """Return width and height of an opened picture as it is shown; decodes it only where a TIFF is turned.

    Raises:
        VideoError: its pixels are floating-point numbers.
        OSError, ValueError: it cannot be decoded.
    """
    if image.mode == "F":
        raise VideoError(
            f"{file} has floating-point pixels, which have no defined range", "save as 8 or 16 bits"
        )
    turned = _orientation(image, file) in _TRANSPOSED
    if turned and image.format == "TIFF":
        image.load()  # turns it; before that, versions of Pillow differ in the size they name
        return image.size
    width, height = image.size
    return (height, width) if turned else (width, height)


@contextmanager
def decodable(file: Path, what: str, fix: str) -> Iterator[None]:
    """Turn what Pillow raises for a picture that it cannot read into a VideoError on `what` with its `fix`."""
    try:
        yield
    except PermissionError as error:
        raise VideoError(*may_not_be_read(file, error)) from error
    except _UNDECODABLE as error:
        raise VideoError(f"{what} cannot be read as an image ({error})", fix) from error


def _orientation(image: Image.Image, file: Path) -> int:
    """Return that of the EXIF data; the pixels are decoded only where a PNG may hold some behind them."""
    if image.format == "PNG" and not _orientation_follows_pixels(file):
        exif = Image.Image.getexif(image)  # that of PNG always decodes the pixels to look behind them
    else:
        exif = image.getexif()
    return int(exif.get(_EXIF_ORIENTATION, 1))


def _orientation_follows_pixels(file: Path) -> bool:
    """Whether a PNG has chunks that may hold an orientation behind its pixels."""
    position, in_pixels = _PNG_SIGNATURE, False
    with file.open("rb") as stream:
        while True:
            stream.seek(position)
            length, chunk = stream.read(4), stream.read(max(map(len, _PNG_ORIENTATION)))
            if not chunk:
                return False
            if in_pixels and chunk.startswith(_PNG_ORIENTATION):
                return True
            in_pixels |= chunk.startswith(b"IDAT")
            position += 12 + int.from_bytes(length)  # with the length itself, the name and a check sum
