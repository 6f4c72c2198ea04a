"""Rendered frames as PNG files."""

from pathlib import Path

import numpy as np
from PIL import Image

from stma.saving import replacing
from stma_cli.output import prepare_folder
from stma_cli.video import Frame

COMPRESSION = 3  # of 9: a few per cent larger than the usual 6, several times sooner done


class PictureFolder:
    """Writes one PNG per frame, named after it; a file is complete as soon as it has its name.

    Attributes:
        notes: nothing to say.
        frame_count: files written.
    """

    def __init__(self, path: Path, force: bool, option: str) -> None:
        """Make the folder, or take an empty one.

        Args:
            path: the folder.
            force: take a folder that has files in it.
            option: that names the folder, for messages.

        Raises:
            OutputError: it is not empty (without `force`), or not writable.
        """
        self.notes: list[str] = []
        self.frame_count = 0
        self._folder = prepare_folder(path, force, option)

    def write_frame(self, frame: Frame, picture: np.ndarray) -> None:
        """Write one file: RGBA with straight alpha, RGB or 8-bit grey, by the shape of the picture.

        Raises:
            OutputError: it cannot be written.
        """
        with replacing(self._folder.path / f"{frame.name}.png") as temporary:
            Image.fromarray(picture).save(temporary, format="PNG", compress_level=COMPRESSION)
        self.frame_count += 1

    def close(self) -> None:
        """Nothing is left to do."""

    def abort(self) -> None:
        """Keep all files, each of them is complete; remove a folder that has none."""
        self._folder.remove_if_unused()
