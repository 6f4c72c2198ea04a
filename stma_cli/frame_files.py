"""Files named after frames: in the order in which people count, by their numbers, without hidden ones."""

import re
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from stma.natural_order import natural_key


def name_stem(name: str) -> str:
    """Return the file name without ending of a path that another system may have written: "frames\\\\cell.tif"."""
    return PureWindowsPath(name).stem


def trailing_number(stem: str) -> int | None:
    """Return the number that a file name without ending ends in, or None."""
    digits = re.search(r"([0-9]+)$", stem)
    return int(digits[1]) if digits else None


def named_by_number(number: int, stems: Sequence[str]) -> str:
    """Return the end of a message on a frame that is not there: " (frame 1005 is number 4 here)", or "".

    Args:
        number: what was taken for a frame counted from 0.
        stems: the file names of all frames without ending; one of them may end in that number.
    """
    places = [place for place, stem in enumerate(stems) if trailing_number(stem) == number]
    return f" (frame {number} is number {places[0]} here)" if len(places) == 1 else ""


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Return the files with one of these endings in natural order, but no hidden ones, such as macOS's `._0.png`.

    Raises:
        OSError: the folder cannot be read.
    """
    found = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
    ]
    return sorted(found, key=lambda file: natural_key(file.name))
