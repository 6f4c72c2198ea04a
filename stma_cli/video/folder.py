"""Folders of images as videos: one file per frame, in natural order."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image, ImageOps

from stma.errors import VideoError
from stma_cli.natural_order import files_in, named_by_number
from stma_cli.reading import may_not_be_read
from stma_cli.video.colour import ColourTags
from stma_cli.video.source import Frame, VideoInfo, VideoSource, check_range, start_beyond_end

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_EXIF_ORIENTATION = 0x0112
_TRANSPOSED = {5, 6, 7, 8}
_ROTATION = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}
_SEVERAL_PICTURES = {"TIFF", "WEBP", "PNG", "GIF"}  # formats where a second picture is another frame
_ANIMATIONS = {"WEBP", "PNG", "GIF"}
_PNG_SIGNATURE = 8  # bytes
_PNG_ORIENTATION = (
    b"eXIf",
    b"iTXtXML:com.adobe.xmp",
    b"tEXtRaw profile type exif",
    b"zTXtRaw profile type exif",
)


@dataclass
class FolderSource(VideoSource):
    """A folder with one image per frame.

    Attributes:
        files: the images in natural order: frame2.jpg before frame10.jpg.
    """

    files: tuple[Path, ...] = ()

    @classmethod
    def open(cls, path: Path, frame_rate: Fraction) -> Self:
        """List the images and check that they have one size, from their headers.

        Raises:
            VideoError: no images, images of several sizes, two with the same stem, or one unreadable.
        """
        files, masks = _frames_and_masks(_images_in(path))
        _refuse_equal_stems(path, files)
        sizes = [_display_size(file) for file in files]
        for file, size in zip(files, sizes, strict=True):
            if size != sizes[0]:
                raise VideoError(
                    f"{path} mixes image sizes: {files[0].name} is {sizes[0][0]}x{sizes[0][1]} "
                    f"but {file.name} is {size[0]}x{size[1]}; "
                    "keep the frames of one video in the folder, all of one size"
                )
        width, height = sizes[0]
        with Image.open(files[0]) as image:
            rotation = _ROTATION.get(_exif(image, files[0]).get(_EXIF_ORIENTATION, 1), 0)
            codec = (image.format or "image").lower()
        info = VideoInfo(
            path=path,
            kind="folder",
            width=width,
            height=height,
            frame_rate=frame_rate,
            time_base=1 / frame_rate,
            frame_count_hint=len(files),
            variable_frame_rate=False,
            rotation=rotation,
            sample_aspect_ratio=Fraction(1),
            colour=ColourTags(),
            has_audio=False,
            start_time=Fraction(0),
            codec=codec,
        )
        notes = [f"a folder has no frame rate; {float(frame_rate):g} frames per second are assumed"]
        if masks:
            notes.append(f"{masks} indexed PNG beside the JPEG files are taken for masks, not frames")
        return cls(info=info, notes=notes, files=files)

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """See `VideoSource.frames`; frames are named after their files."""
        check_range(start, end)
        if start >= len(self.files):
            raise start_beyond_end(self.info.path, start, len(self.files), self.stems)
        if end is not None and end > len(self.files):
            self.add_note(
                f"the range was to end at frame {end}, but the folder has {len(self.files)} images"
                + named_by_number(end, self.stems)
            )
        step = 1 / self.info.frame_rate
        for index, file in list(enumerate(self.files))[start:end]:
            yield Frame(index, self._read(file), index * step, file.stem, step)

    def frames_backward(self, start: int, end: int) -> Iterator[Frame]:
        """See `VideoSource.frames_backward`."""
        check_range(start, end)
        if start >= len(self.files):
            raise start_beyond_end(self.info.path, start, len(self.files), self.stems)
        for index in range(min(end, len(self.files)) - 1, start - 1, -1):
            file = self.files[index]
            yield Frame(index, self._read(file), Fraction(0), file.stem)

    @property
    def stems(self) -> list[str]:
        """The names of the frames: those of their files without ending."""
        return [file.stem for file in self.files]

    def count_frames(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def _read(self, file: Path) -> np.ndarray:
        try:
            with Image.open(file) as image:
                pixels = np.ascontiguousarray(_as_rgb(ImageOps.exif_transpose(image)))
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise _unreadable(file, error) from error
        height, width = pixels.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise VideoError(
                f"{file} is now {width}x{height} and not {self.info.width}x{self.info.height}; "
                "leave the folder unchanged while it is read, and start again"
            )
        return pixels


def frame_files(path: Path) -> tuple[Path, ...]:
    """Return the images of a folder that are the frames of its video, in natural order.

    Raises:
        VideoError: the folder has no images or cannot be read.
    """
    return _frames_and_masks(_images_in(path))[0]


def animation_format(file: Path) -> str | None:
    """Return "PNG", "WEBP" or "GIF" for an animation, whatever its name ends with; None for anything else."""
    try:
        with Image.open(file) as image:
            moves = image.format in _ANIMATIONS and getattr(image, "n_frames", 1) > 1
            return image.format if moves else None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None


def _images_in(path: Path) -> tuple[Path, ...]:
    try:
        found = files_in(path, *IMAGE_SUFFIXES)
    except OSError as error:
        raise VideoError(may_not_be_read(path, error)) from error
    if not found:
        known = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        raise VideoError(
            f"the folder {path} has no images; give a folder with the frames as {known}, or a video file"
        )
    return tuple(found)


def _frames_and_masks(files: tuple[Path, ...]) -> tuple[tuple[Path, ...], int]:
    """Frames of a folder, and how many masks lie among them: palette PNG beside JPEG, as data sets have it."""
    if not any(file.suffix.lower() in (".jpg", ".jpeg") for file in files):
        return files, 0
    frames = tuple(file for file in files if not _is_palette_png(file))
    return frames, len(files) - len(frames)


def _is_palette_png(file: Path) -> bool:
    if file.suffix.lower() != ".png":
        return False
    try:
        with Image.open(file) as image:
            return image.mode == "P"
    except (OSError, SyntaxError, ValueError):
        return False  # refused with its own message when its size is read


def _refuse_equal_stems(path: Path, files: tuple[Path, ...]) -> None:
    by_stem: dict[str, Path] = {}
    for file in files:
        other = by_stem.setdefault(file.stem, file)
        if other is not file:
            raise VideoError(
                f"{other.name} and {file.name} in {path} would give results of the same name; "
                "rename one, or move the images that are not frames elsewhere"
            )


def _display_size(file: Path) -> tuple[int, int]:
    """Return width and height after EXIF orientation, without decoding the pixels."""
    try:
        with Image.open(file) as image:
            width, height = image.size
            turned = _exif(image, file).get(_EXIF_ORIENTATION, 1) in _TRANSPOSED
            pictures = getattr(image, "n_frames", 1) if image.format in _SEVERAL_PICTURES else 1
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise _unreadable(file, error) from error
    if pictures > 1:
        raise VideoError(f"{file} holds {pictures} pictures; save each as a file of its own")
    return (height, width) if turned else (width, height)


def _exif(image: Image.Image, file: Path) -> Image.Exif:
    """Return the EXIF data; the pixels are decoded only where a PNG may hold some behind them."""
    if image.format == "PNG" and not _orientation_follows_pixels(file):
        return Image.Image.getexif(image)  # that of PNG always decodes the pixels to look behind them
    return image.getexif()


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


def _as_rgb(image: Image.Image) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of any image; 16-bit values scaled to 8 bits, no transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F":
            raise ValueError("floating-point pixels have no defined range")
        grey = (np.clip(values, 0, 65535).astype(np.float32) / 257 + 0.5).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def _unreadable(file: Path, error: Exception) -> VideoError:
    if isinstance(error, PermissionError):
        return VideoError(may_not_be_read(file, error))
    return VideoError(
        f"{file} cannot be read as an image ({error}); replace it, or move it away if it is no frame"
    )
