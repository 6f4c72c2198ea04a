"""Files in the order in which people count: frame2 before frame10."""

import re
from pathlib import Path, PureWindowsPath

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key for file names that compares runs of digits as numbers and ignores case."""
    parts = _DIGITS.split(name.casefold())
    key = [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]
    return [*key, (-1, 0, name)]


def name_stem(name: str) -> str:
    """Return the file name without ending of a path that another system may have written: "frames\\\\cell.tif"."""
    return PureWindowsPath(name).stem


def trailing_number(name: str) -> int | None:
    """Return the number that a file name ends in, before its ending, or None."""
    digits = re.search(r"([0-9]+)$", name_stem(name))
    return int(digits[1]) if digits else None


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
