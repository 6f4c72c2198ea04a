"""report.json: what was run, on what, how fast, and how sure the model was of each object on each frame.

Rows of frames go to a temporary file as they come, so that memory does not grow with the video.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from stma.errors import OutputError
from stma.saving import replacing, writing
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.readable_json import readable_json
from stma_cli.report_file import FORMAT, ROWS_BEGIN, ROWS_END, file_of, skip_head
from stma_cli.result_layout import REPORT_FILE, ROWS_FILE

if TYPE_CHECKING:
    from stma_cli.video import Frame

START_AGAIN = "add --force to start again"


@dataclass
class _ObjectSummary:
    first_frame: int
    frames_visible: int = 0
    area: int = 0
    confidence: float = 0.0
    frames: int = 0


@dataclass(frozen=True)
class ReportState:
    """How far a report is.

    Attributes:
        bytes: of the rows in their file.
        objects: what is summed up of each object.
    """

    bytes: int = 0
    objects: Mapping[int, _ObjectSummary] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what `plain` gave."""
        objects = {key: _ObjectSummary(**values) for key, values in dict(plain["objects"]).items()}
        return cls(plain["bytes"], objects)


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

    def state(self) -> ReportState:
        """Return how far the report is; the rows up to there are in their file afterwards.

        Raises:
            OutputError: when they cannot be written.
        """
        with writing(self.path):
            size = 0 if self._rows is None else self._rows.tell()  # this empties the buffer into the file
        return ReportState(size, _copied(self._objects))

    def resume(self, state: ReportState) -> None:
        """Go on where `state` was taken, by another writer for the same folder.

        Raises:
            OutputError: when the rows of before, or a mask that they name, are gone or damaged.
        """
        require_rows(self.path.parent, state)
        self._objects = _copied(state.objects)
        if not state.bytes:
            return
        with writing(self._rows_path):
            self._rows = self._rows_path.open("r+", encoding="utf-8", newline="\n")
            self._rows.truncate(state.bytes)
            self._rows.seek(0, os.SEEK_END)

    def files(self) -> Iterator[str]:
        """Yield the file names of the masks so far, in order."""
        if self._rows is None:
            return
        self._rows.flush()
        with self._rows_path.open(encoding="utf-8") as rows:
            yield from map(file_of, rows)

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
            report.write(ROWS_END)
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


def _copied(objects: Mapping[int, _ObjectSummary]) -> dict[int, _ObjectSummary]:
    """Return sums that do not grow with those given."""
    return {key: replace(summary) for key, summary in objects.items()}


def _write_head(report: IO[str], content: Mapping[str, Any]) -> None:
    """Write what stands before the rows; they and `ROWS_END` come next."""
    report.write(readable_json(content, indent=2).removesuffix("\n}"))
    report.write(",\n" + ROWS_BEGIN)


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
        skip_head(report)
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


def require_rows(folder: Path, state: ReportState) -> None:
    """Check that the rows of an interrupted run are there, and whole files of the masks that they name.

    Args:
        folder: of the run.
        state: from `ReportWriter.state`.

    Raises:
        OutputError: naming what is gone or damaged.
    """
    from stma_cli.masks import is_whole_png

    done, size = 0, state.bytes
    if not size:
        return
    problem = f"a part of the report is gone from {folder}"
    try:
        with (folder / ROWS_FILE).open("rb") as rows:
            while done < size and (row := rows.readline()):
                done += len(row)
                name = file_of(row.decode("utf-8"))
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
        skip_head(report)
        with temporary.open("w", encoding="utf-8", newline="\n") as rows:
            for place, row in enumerate(islice(report, count)):
                rows.write((",\n" if place else "") + row.rstrip(",\n"))
            return rows.tell()
