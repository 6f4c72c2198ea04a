"""Folders of images as videos: one file per frame, in natural order."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from stma.errors import VideoError
from stma_cli.frame_files import files_in
from stma_cli.note import Note
from stma_cli.video.levels import read_rgb
from stma_cli.video.pictures import PictureSource, decodable, describe, display_size
from stma_cli.wording import may_not_be_read

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_SEVERAL_PICTURES = {"TIFF", "WEBP", "PNG", "GIF"}  # formats where a second picture is another frame
_ANIMATIONS = {"WEBP", "PNG", "GIF"}


@dataclass
class FolderSource(PictureSource):
    """A folder with one image per frame.

    Attributes:
        files: the images in natural order: frame2.jpg before frame10.jpg.
    """

    files: tuple[Path, ...] = ()

    @classmethod
    def open(cls, path: Path, frame_rate: Fraction | None) -> Self:
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
                    f"but {file.name} is {size[0]}x{size[1]}",
                    "keep the frames of one video in the folder, all of one size",
                )
        with _decodable(files[0]):
            info, levels, notes = describe(path, "folder", files[0], sizes[0], len(files), frame_rate)
        if masks:
            said = f"{masks} indexed PNG beside the JPEG files are taken for masks, not frames"
            notes.append(Note("video", said))
        return cls(info=info, notes=notes, levels=levels, files=files)

    @property
    def stems(self) -> list[str]:
        """See `VideoSource.stems`."""
        return [file.stem for file in self.files]

    def count_frames(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def _name(self, index: int) -> str:
        return self.files[index].stem

    def _pixels(self, indices: range) -> Iterator[np.ndarray]:
        for index in indices:
            file = self.files[index]
            with _decodable(file), Image.open(file) as image:
                pixels = read_rgb(image, self.levels)
            yield self._require_size(pixels, str(file))


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
        raise VideoError(*may_not_be_read(path, error)) from error
    if not found:
        known = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        raise VideoError(
            f"the folder {path} has no images", f"give a folder with the frames as {known}, or a video file"
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
                f"{other.name} and {file.name} in {path} would give results of the same name",
                "rename one, or move the images that are not frames elsewhere",
            )


def _display_size(file: Path) -> tuple[int, int]:
    with _decodable(file), Image.open(file) as image:
        pictures = getattr(image, "n_frames", 1) if image.format in _SEVERAL_PICTURES else 1
        if pictures > 1:
            alone = "give that file alone as the video, or " if image.format == "TIFF" else ""
            raise VideoError(f"{file} holds {pictures} pictures", f"{alone}save each as a file of its own")
        return display_size(image, file)


def _decodable(file: Path) -> AbstractContextManager[None]:
    return decodable(file, str(file), "replace it, or move it away if it is no frame")
