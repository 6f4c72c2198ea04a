"""Label PNGs of an earlier run or of another tool: which files, for which frames, with which names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stma.errors import MaskError
from stma_cli.frame_files import files_in
from stma_cli.masks.label_image import read_labels
from stma_cli.masks.names import parse_names
from stma_cli.result_layout import NAMES_FILE, REPORT_FILE
from stma_cli.wording import may_not_be_read


@dataclass(frozen=True)
class SavedMasks:
    """A folder with one label PNG per frame.

    Attributes:
        folder: where the PNGs are.
        files: the PNGs in natural order, one per frame.
        names: object id -> name, as far as they are known.
    """

    folder: Path
    files: Sequence[Path]
    names: dict[int, str]

    def read(self, position: int, width: int, height: int) -> np.ndarray:
        """Return the (H, W) integer label map of the mask at `position`, counted from 0.

        Raises:
            MaskError: the file cannot be read, is no label map or not `width` x `height` pixels.
        """
        file = self.files[position]
        labels = read_labels(file)
        if labels.shape != (height, width):
            found = f"{labels.shape[1]}x{labels.shape[0]}"
            raise MaskError(
                f"{file} is {found} but the frames are {width}x{height} as displayed",
                "give the masks that were made for this very video",
            )
        return labels

    def numbered_from(self) -> int | None:
        """Return the number of the first file where all are numbered without gaps, else None."""
        stems = [file.stem for file in self.files]
        if not all(stem.isdecimal() for stem in stems):
            return None
        first = int(stems[0])
        return first if [int(stem) for stem in stems] == list(range(first, first + len(stems))) else None


def find_masks(path: Path) -> SavedMasks:
    """Return the masks in a folder, or in the folder `masks` of a results folder.

    Names come from `names.json` beside the masks, or from `report.json` there or one folder up; both hold
    {"objects": [{"id": 1, "name": "person"}, ...]}.

    Raises:
        MaskError: there is no such folder, or no PNG in it.
    """
    if not path.is_dir():
        raise MaskError(f"{path} is not a folder", "give the folder with one label PNG per frame")
    for folder in (path, path / "masks"):
        if folder.is_dir():
            files = files_in(folder, ".png")
            if files:
                return SavedMasks(folder, tuple(files), _names_for(folder))
    raise MaskError(f"{path} has no PNG files", "give the folder with one label PNG per frame")


def _names_for(folder: Path) -> dict[int, str]:
    for file in (folder / NAMES_FILE, folder / REPORT_FILE, folder.resolve().parent / REPORT_FILE):
        try:
            return parse_names(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            if file.name == NAMES_FILE:
                if isinstance(error, PermissionError):
                    raise MaskError(*may_not_be_read(file, error)) from error
                raise MaskError(
                    f"{file} cannot be read ({error})",
                    'mend it, as in {"objects": [{"id": 1, "name": "person"}]}, or remove it',
                ) from error
    return {}
