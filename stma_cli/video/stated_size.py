"""How long a file is by its own headers: one that is shorter was cut off, whatever can still be read of it."""

from pathlib import Path
from typing import BinaryIO

_RIFF = b"RIFF"
_OPEN_ENDED = {0, 0xFFFF_FFFF}  # sizes in a RIFF that was written without going back to its start
_EBML = bytes.fromhex("1a45dfa3")
_SEGMENT = bytes.fromhex("18538067")  # holds all of a Matroska file but its header


def stated_size(path: Path) -> int | None:
    """Return the least number of bytes that an AVI or Matroska file says it has; None where it says nothing.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        name = file.read(4)
        if name == _RIFF:
            return _riff_size(file, path.stat().st_size)
        return _matroska_size(file) if name == _EBML else None


def _riff_size(file: BinaryIO, actual: int) -> int | None:
    """Follow the RIFF chunks, of which a long AVI has several; some writers count the eight bytes of the header too."""
    start = stated = 0
    while start + 8 <= actual:
        file.seek(start)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        if name != _RIFF or length in _OPEN_ENDED:
            break
        stated = start + length
        start = stated + 8
    return stated or None


def _matroska_size(file: BinaryIO) -> int | None:
    length = _element_length(file)
    if length is None:
        return None
    file.seek(length, 1)
    if file.read(4) != _SEGMENT:
        return None
    length = _element_length(file)
    return None if length is None else file.tell() + length


def _element_length(file: BinaryIO) -> int | None:
    """Read an EBML number, whose leading zeros say how many bytes follow; all ones means unknown, as in a stream."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    bits = 7 * (more + 1)
    value = int.from_bytes(first + file.read(more)) & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
