"""Files in the order in which people count: frame2 before frame10."""

import re
from pathlib import Path

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key for file names that compares runs of digits as numbers and ignores case."""
    parts = _DIGITS.split(name.casefold())
    key = [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]
    return [*key, (-1, 0, name)]


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
