"""report.json as it lies on disk: a head, then a row per frame, one a line, read without holding them all.

An interrupted run has left its rows alone, in a file of their own.
"""

import json
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

from stma_cli.result_layout import REPORT_FILE, ROWS_FILE

FORMAT = 1
ROWS_BEGIN = '  "frames": [\n'  # the last line of the head
AFTER_ROWS = "  ]\n"
ROWS_END = f"\n{AFTER_ROWS}}}\n"


def read_report_head(path: Path) -> dict[str, Any] | None:
    """Return a report without the rows of its frames, or None where there is none that can be read.

    Reads no further than the rows begin, so that memory does not depend on the length of the video.
    """
    try:
        with path.open(encoding="utf-8") as report:
            return take_head(report)
    except (OSError, ValueError):
        return None


def take_head(lines: Iterator[str]) -> dict[str, Any]:
    """Return a report without its rows, which are what is left of `lines`.

    Raises:
        ValueError: these are not the lines of a report.
    """
    text = "".join(takewhile(lambda line: line != ROWS_BEGIN, lines))
    head = json.loads(text.rstrip().removesuffix(",") + "}")
    if not isinstance(head, dict):
        raise ValueError("it holds no object")
    return head


def report_files(lines: Iterator[str]) -> Iterator[str]:
    """Yield the file names of the masks in the rows that `take_head` has left.

    Raises:
        ValueError: the rows are damaged.
    """
    for line in lines:
        if line == AFTER_ROWS:
            return
        if line != "\n":
            yield file_of(line)
    raise ValueError("its rows are cut off")


def finished_files(folder: Path) -> Iterator[str]:
    """Yield the file names of the masks that the report in a folder names, in order, as far as it can be read."""
    try:
        with (folder / REPORT_FILE).open(encoding="utf-8") as report:
            skip_head(report)
            yield from report_files(report)
    except (OSError, ValueError):
        return


def unfinished_files(folder: Path) -> Iterator[str]:
    """Yield the file names of the masks that an interrupted run has left, in order, as far as its rows can be read."""
    try:
        with (folder / ROWS_FILE).open(encoding="utf-8") as rows:
            yield from map(file_of, rows)
    except (OSError, ValueError):
        return


def skip_head(report: IO[str]) -> None:
    """Read up to the rows."""
    while (line := report.readline()) and line != ROWS_BEGIN:
        pass


def file_of(row: str) -> str:
    """Return the file name of the mask in one row.

    Raises:
        ValueError: it names none.
    """
    try:
        return str(json.loads(row.rstrip(",\n"))["file"])
    except (KeyError, TypeError) as error:
        raise ValueError("a row names no file") from error
