"""Writes label maps: indexed PNG with the DAVIS palette, 16-bit grey where ids exceed 255."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from stma.errors import OutputError
from stma.labels import LARGEST_ID, id_dtype
from stma.saving import replacing
from stma_cli.masks.names import write_names

COMPRESSION = zlib.Z_RLE  # label maps are runs: a third of the size of the usual search, and sooner done


class MaskWriter:
    """Writes one PNG per frame into a folder, and `names.json` beside them.

    All frames have the same form: indexed, or 16-bit grey when any object of the run has an id above 255.
    A file is complete as soon as it has its name.
    """

    def __init__(self, folder: Path, palette: np.ndarray, names: Mapping[int, str]) -> None:
        """Prepare a writer; touches no file yet.

        Args:
            folder: an existing folder.
            palette: (N, 3) uint8 RGB, row 0 the background, N up to 256.
            names: the name of every object of the run, by id.
        """
        self.folder = folder
        self.count = 0
        self._names = dict(names)
        self._palette = palette.astype(np.uint8).tobytes()
        self._dtype = id_dtype(max(names, default=0))

    def write_names(self) -> Path:
        """Write `names.json`.

        Raises:
            OutputError: when it cannot be written.
        """
        return write_names(self.folder, self._names)

    def write(self, name: str, labels: np.ndarray) -> Path:
        """Write one frame.

        Args:
            name: file name without ending, such as "00012".
            labels: (H, W) integer array of object ids, 0 = background.

        Returns:
            The path of the PNG.

        Raises:
            OutputError: when the file cannot be written, or an id does not fit.
        """
        largest = int(labels.max(initial=0))
        if largest > np.iinfo(self._dtype).max or int(labels.min(initial=0)) < 0:
            raise OutputError(
                f"{name} holds the id {largest}, which its PNG cannot",
                f"name all objects when the writer is made, with ids up to {LARGEST_ID}",
            )
        image = Image.fromarray(labels.astype(self._dtype))
        if self._dtype == np.uint8:
            image.putpalette(self._palette)
        path = self.folder / f"{name}.png"
        with replacing(path) as temporary:
            image.save(temporary, format="PNG", compress_type=COMPRESSION)
        self.count += 1
        return path
