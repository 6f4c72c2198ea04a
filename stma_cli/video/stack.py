"""TIFF files with several pages as videos: one page per frame, numbered from 00000."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from stma.errors import VideoError
from stma_cli.video.levels import read_rgb
from stma_cli.video.pictures import PictureSource, decodable, describe, display_size

_SUFFIXES = {".tif", ".tiff"}


@dataclass
class StackSource(PictureSource):
    """A TIFF file with one page per frame, of which one is held at a time."""

    page_count: int = 0

    @classmethod
    def open(cls, path: Path, frame_rate: Fraction | None) -> Self:
        """Read the headers of all pages, and check that they have one size.

        Raises:
            VideoError: the file is unreadable, or has pages of several sizes.
        """
        with _decodable(path, 0):
            image = Image.open(path)
        with image:
            page, width, height = 0, 0, 0
            with _decodable(path, 0):
                pages = int(getattr(image, "n_frames", 1))
            for page in range(pages):
                with _decodable(path, page):
                    image.seek(page)
                    size = display_size(image, path)
                if page == 0:
                    width, height = size
                if size != (width, height):
                    raise VideoError(
                        f"{path} mixes page sizes: page 0 is {width}x{height} but page {page} is "
                        f"{size[0]}x{size[1]}",
                        "save the pages of one size as a file of their own",
                    )
        with _decodable(path, 0):
            info, levels, notes = describe(path, "stack", path, (width, height), page + 1, frame_rate)
        return cls(info=info, notes=notes, levels=levels, page_count=page + 1)

    def count_frames(self) -> int:
        """Return the number of pages."""
        return self.page_count

    def _name(self, index: int) -> str:
        return f"{index:05d}"

    def _pixels(self, indices: range) -> Iterator[np.ndarray]:
        path = self.info.path
        with _decodable(path, indices.start):
            image = Image.open(path)
        with image:
            for index in indices:
                with _decodable(path, index):
                    image.seek(index)
                    pixels = read_rgb(image, self.levels)
                yield self._require_size(pixels, f"page {index} of {path}")


def page_count(path: Path) -> int:
    """Return the number of pages of a TIFF file, 1 for a file of another kind.

    Raises:
        VideoError: the file is unreadable.
    """
    if path.suffix.lower() not in _SUFFIXES:
        return 1
    with decodable(path, str(path), "save or copy it again"), Image.open(path) as image:
        return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def _decodable(path: Path, page: int) -> AbstractContextManager[None]:
    fix = (
        f"save the file again, or use what is before it with --end {page}" if page else "save the file again"
    )
    return decodable(path, f"page {page} of {path}", fix)
