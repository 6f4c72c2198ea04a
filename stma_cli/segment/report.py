"""report.json: what was run, on what, how fast, and how sure the model was of each object on each frame.

Rows of frames go to a temporary file as they come, so that memory does not grow with the video.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice, takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from stma.errors import OutputError
from stma.saving import replacing, writing
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.readable_json import readable_json
from stma_cli.result_layout import REPORT_FILE, ROWS_FILE

if TYPE_CHECKING:
    from stma_cli.video import Frame

FORMAT = 1
_ROWS_BEGIN = '  "frames": [\n'  # the last line of the head
_AFTER_ROWS = "  ]\n"
_ROWS_END = f"\n{_AFTER_ROWS}}}\n"
START_AGAIN = "add --force to start again"


@dataclass
class _ObjectSummary:
    first_frame: int
    frames_visible: int = 0
    area: int = 0
    confidence: float = 0.0
    frames: int = 0


class ReportWriter:
    """Collects the rows of a run and writes `report.json` at its end.

    Attributes:
        path: of the report.
        keep_rows: leave the rows in their file when the context ends, for a run that goes on later.
    """

    def __init__(self, folder: Path) -> None:
        """Prepare the report of a run whose results are in `folder`, an existing folder."""
        self.path = folder / REPORT_FILE
        self.keep_rows = False
        self._rows_path = folder / ROWS_FILE
        self._rows: IO[str] | None = None
        self._objects: dict[int, _ObjectSummary] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        with suppress(OSError):
            if self._rows is not None:
                self._rows.close()
            if not self.keep_rows:
                self._rows_path.unlink(missing_ok=True)

    def state(self) -> dict[str, Any]:
        """Return how far the report is, as plain values; the rows up to there are in their file afterwards.

        Raises:
            OutputError: when they cannot be written.
        """
        with writing(self.path):
            size = 0 if self._rows is None else self._rows.tell()  # this empties the buffer into the file
        return {"bytes": size, "objects": {key: asdict(value) for key, value in self._objects.items()}}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, by another writer for the same folder.

        Raises:
            OutputError: when the rows of before, or a mask that they name, are gone or damaged.
        """
        require_rows(self.path.parent, state)
        self._objects = {key: _ObjectSummary(**value) for key, value in state["objects"].items()}
        if not state["bytes"]:
            return
        with writing(self._rows_path):
            self._rows = self._rows_path.open("r+", encoding="utf-8", newline="\n")
            self._rows.truncate(state["bytes"])
            self._rows.seek(0, os.SEEK_END)

    def files(self) -> Iterator[str]:
        """Yield the file names of the masks so far, in order."""
        if self._rows is None:
            return
        self._rows.flush()
        with self._rows_path.open(encoding="utf-8") as rows:
            yield from map(_file_of, rows)

    def add(self, frame: "Frame", prediction: PredictionLike) -> None:
        """Add the row of one frame.

        Raises:
            OutputError: when it cannot be written.
        """
        objects = {}
        for object_id in prediction.object_ids:
            area = int(prediction.area.get(object_id, 0))
            confidence = float(prediction.confidence.get(object_id, 0.0))
            objects[str(object_id)] = {"area": area, "confidence": round(confidence, 4)}
            summary = self._objects.setdefault(object_id, _ObjectSummary(frame.index))
            summary.frames += 1
            summary.frames_visible += area > 0
            summary.area += area
            summary.confidence += confidence
        row = {
            "frame": frame.index,
            "file": f"{frame.name}.png",
            "time": _rounded(frame.time),
            "objects": objects,
        }
        with writing(self.path):
            if self._rows is None:
                self._rows = self._rows_path.open("w", encoding="utf-8", newline="\n")  # counted in bytes
            self._rows.write(("" if self._rows.tell() == 0 else ",\n") + json.dumps(row))

    def finish(self, head: Mapping[str, Any], names: Mapping[int, str], step: Fraction | None = None) -> Path:
        """Write `report.json`: `head`, then the objects, then the rows of all frames.

        Args:
            head: what was run, on what, and how fast.
            names: of the objects, by id.
            step: seconds from one frame to the next, where rows of before may hold other times.

        Raises:
            OutputError: when it cannot be written.
        """
        content = {"format": FORMAT, **head, "objects": self._object_rows(names)}
        with replacing(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as report:
            _write_head(report, content)
            if self._rows is not None:
                self._rows.close()
                with self._rows_path.open(encoding="utf-8") as rows:
                    _copy_rows(rows, report, step)
            report.write(_ROWS_END)
        return self.path

    def _object_rows(self, names: Mapping[int, str]) -> list[dict[str, Any]]:
        return [
            {
                "id": object_id,
                "name": names.get(object_id, f"object {object_id}"),
                "first_frame": summary.first_frame,
                "frames_visible": summary.frames_visible,
                "mean_area": round(summary.area / summary.frames, 1),
                "mean_confidence": round(summary.confidence / summary.frames, 4),
            }
            for object_id, summary in self._objects.items()
        ]


def _write_head(report: IO[str], content: Mapping[str, Any]) -> None:
    """Write what stands before the rows; they and `_ROWS_END` come next."""
    report.write(readable_json(content, indent=2).removesuffix("\n}"))
    report.write(",\n" + _ROWS_BEGIN)


def update_report(folder: Path, head: Mapping[str, Any], step: Fraction | None = None) -> None:
    """Replace all but the rows of the finished report in a folder.

    Args:
        folder: of the run.
        head: the new content, objects included.
        step: seconds from one frame to the next, where the times in the rows hold no longer.

    Raises:
        OutputError: when it cannot be written.
    """
    path = folder / REPORT_FILE
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as new,
        path.open(encoding="utf-8") as report,
    ):
        _skip_head(report)
        _write_head(new, head)
        _copy_rows(report, new, step)


def _copy_rows(rows: IO[str], target: IO[str], step: Fraction | None) -> None:
    """Copy rows and what follows them; with `step` frames are so many seconds apart, counted from frame 0."""
    if step is None:
        shutil.copyfileobj(rows, target)
        return
    for line in rows:
        text = line.rstrip(",\n")
        if text.startswith("{"):
            row = json.loads(text)
            text = json.dumps(row | {"time": _rounded(row["frame"] * step)})
        target.write(text + line[len(line.rstrip(",\n")) :])


def _rounded(time: Fraction) -> float:
    return round(float(time), 6)


def read_report_head(path: Path) -> dict[str, Any] | None:
    """Return a report without the rows of its frames, or None where there is none that can be read.

    Reads no further than the rows begin, so that memory does not depend on the length of the video.
    """
    try:
        with path.open(encoding="utf-8") as report:
            return report_head(report)
    except (OSError, ValueError):
        return None


def report_head(lines: Iterator[str]) -> dict[str, Any]:
    """Return a report without its rows, which are what is left of `lines`.

    Raises:
        ValueError: these are not the lines of a report.
    """
    text = "".join(takewhile(lambda line: line != _ROWS_BEGIN, lines))
    head = json.loads(text.rstrip().removesuffix(",") + "}")
    if not isinstance(head, dict):
        raise ValueError("it holds no object")
    return head


def report_files(lines: Iterator[str]) -> Iterator[str]:
    """Yield the file names of the masks in the rows that `report_head` has left.

    Raises:
        ValueError: the rows are damaged.
    """
    for line in lines:
        if line == _AFTER_ROWS:
            return
        if line != "\n":
            yield _file_of(line)
    raise ValueError("its rows are cut off")


def finished_files(folder: Path) -> Iterator[str]:
    """Yield the file names of the masks that the report in a folder names, in order, as far as it can be read."""
    try:
        with (folder / REPORT_FILE).open(encoding="utf-8") as report:
            _skip_head(report)
            yield from report_files(report)
    except (OSError, ValueError):
        return


def unfinished_files(folder: Path) -> Iterator[str]:
    """Yield the file names of the masks that an interrupted run has left, in order, as far as its rows can be read."""
    try:
        with (folder / ROWS_FILE).open(encoding="utf-8") as rows:
            yield from map(_file_of, rows)
    except (OSError, ValueError):
        return


def _skip_head(report: IO[str]) -> None:
    while (line := report.readline()) and line != _ROWS_BEGIN:
        pass


def _file_of(row: str) -> str:
    try:
        return str(json.loads(row.rstrip(",\n"))["file"])
    except (KeyError, TypeError) as error:
        raise ValueError("a row names no file") from error


def require_rows(folder: Path, state: Mapping[str, Any]) -> None:
    """Check that the rows of an interrupted run are there, and whole files of the masks that they name.

    Args:
        folder: of the run.
        state: from `ReportWriter.state`.

    Raises:
        OutputError: naming what is gone or damaged.
    """
    from stma_cli.masks import is_whole_png

    done, size = 0, state["bytes"]
    if not size:
        return
    problem = f"a part of the report is gone from {folder}"
    try:
        with (folder / ROWS_FILE).open("rb") as rows:
            while done < size and (row := rows.readline()):
                done += len(row)
                name = _file_of(row.decode("utf-8"))
                if not is_whole_png(folder / name):
                    is_there = (folder / name).is_file()
                    problem = f"the mask {name} is {'damaged in' if is_there else 'gone from'} {folder}"
                    done = 0
                    break
    except (OSError, ValueError):
        done = 0
    if done < size:
        raise OutputError(problem, START_AGAIN)


def restore_rows(folder: Path, count: int) -> int:
    """Take the first `count` rows out of a finished report into the file that `ReportWriter.resume` reads.

    Returns:
        The bytes of that file.

    Raises:
        OutputError: when they cannot be written.
    """
    target = folder / ROWS_FILE
    with (
        writing(target),
        (folder / REPORT_FILE).open(encoding="utf-8") as report,
        replacing(target) as temporary,
    ):
        _skip_head(report)
        with temporary.open("w", encoding="utf-8", newline="\n") as rows:
            for place, row in enumerate(islice(report, count)):
                rows.write((",\n" if place else "") + row.rstrip(",\n"))
            return rows.tell()
