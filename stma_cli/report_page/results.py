"""A results folder of `stma segment`, read back as numbers."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from stma.errors import SettingsError
from stma_cli.report_file import FORMAT
from stma_cli.result_layout import CHECKPOINT_FILE, REPORT_FILE
from stma_cli.wording import may_not_be_read


@dataclass(frozen=True)
class RunHead:
    """What a report says of the run as a whole.

    Attributes:
        video: what was segmented.
        size: width and height of the frames in pixels.
        frame_rate: of the video.
        source: hash of the video, or None where the report has none.
        masks: numbers of the frames that had a mask.
        model: such as "small on cpu", or None.
        finished: date and time, or None.
        notes: sentences on the run.
        entries: report.json without its rows.
    """

    video: Path
    size: tuple[int, int]
    frame_rate: Fraction
    source: str | None
    masks: tuple[int, ...]
    model: str | None
    finished: str | None
    notes: tuple[str, ...]
    entries: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """What a run has written down, by row: one per frame, in order.

    Attributes:
        folder: of the masks and the report.
        head: of the report.
        names: object id -> name.
        ids: the objects, ascending; the columns of the arrays below.
        frames: (F,) int64 frame numbers in the whole video.
        times: (F,) float64 seconds.
        files: the label PNG of each row.
        area: (F, K) float64 pixels, NaN before an object is known.
        confidence: (F, K) float64 in 0..1, NaN before an object is known.
    """

    folder: Path
    head: RunHead
    names: dict[int, str]
    ids: tuple[int, ...]
    frames: np.ndarray
    times: np.ndarray
    files: tuple[str, ...]
    area: np.ndarray
    confidence: np.ndarray

    @property
    def annotated_rows(self) -> tuple[int, ...]:
        """Return the rows of frames that had a mask."""
        rows = {int(frame): row for row, frame in enumerate(self.frames)}
        return tuple(sorted(rows[frame] for frame in self.head.masks if frame in rows))

    @property
    def rate(self) -> float:
        """Return frames per second, on average; of a single frame those of the video."""
        span = float(self.times[-1] - self.times[0])
        return (len(self.times) - 1) / span if span > 0 else float(self.head.frame_rate)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the frames in pixels."""
        return self.head.size


def read_results(folder: Path) -> Results:
    """Read the results in a folder.

    Raises:
        SettingsError: there is no report, a damaged one, one of other fields, or one without frames.
    """
    file = folder / REPORT_FILE
    if not file.is_file():
        raise SettingsError(*_no_report(folder))
    try:
        head = json.loads(file.read_text("utf-8"))
        rows = sorted(head.pop("frames"), key=lambda row: row["frame"])
        names = {int(entry["id"]): _printable(str(entry["name"])) for entry in head["objects"]}
        if head["format"] != FORMAT or not rows:
            raise ValueError("no frames" if not rows else f"its format is {head['format']}, not {FORMAT}")
        ids = tuple(sorted(names))
        area, confidence = (_table(rows, ids, key) for key in ("area", "confidence"))
        return Results(
            folder,
            _head(head),
            names,
            ids,
            np.array([row["frame"] for row in rows], dtype=np.int64),
            _times(rows),
            tuple(str(row["file"]) for row in rows),
            area,
            confidence,
        )
    except PermissionError as error:
        raise SettingsError(*may_not_be_read(file, error)) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise SettingsError(
            f"{file} cannot be read as a report ({reason})", "run stma segment again with --force"
        ) from error


def _printable(name: str) -> str:
    """Return a name with bytes that are no UTF-8 as escapes, since no font has them."""
    return name.encode("utf-8", "backslashreplace").decode()


def _head(entries: dict[str, Any]) -> RunHead:
    video, model, finished = entries["video"], entries.get("model"), entries.get("finished")
    size, rate = (int(video["width"]), int(video["height"])), Fraction(video["frame_rate"])
    if min(size) <= 0 or rate <= 0:
        raise ValueError(f"its video is {size[0]}x{size[1]} with {rate} frames per second")
    return RunHead(
        video=Path(video["path"]),
        size=size,
        frame_rate=rate,
        source=entries.get("identity", {}).get("source"),
        masks=tuple(int(mask["frame"]) for mask in _list(entries, "masks")),
        model=None if model is None else f"{model.get('name', '?')} on {model.get('device', '?')}",
        finished=None if finished is None else str(finished),
        notes=tuple(map(str, _list(entries, "notes"))),
        entries=entries,
    )


def _list(entries: dict[str, Any], key: str) -> list[Any]:
    value = entries.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key!r} is no list")
    return value


def _times(rows: list[dict[str, Any]]) -> np.ndarray:
    times = np.array([row["time"] for row in rows], dtype=np.float64)
    if not np.isfinite(times).all():
        raise ValueError("a row has no time")
    return times


def _table(rows: list[dict[str, Any]], ids: tuple[int, ...], key: str) -> np.ndarray:
    values = np.full((len(rows), len(ids)), np.nan)
    columns = {str(object_id): column for column, object_id in enumerate(ids)}
    for place, row in enumerate(rows):
        for object_id, entry in row["objects"].items():
            values[place, columns[object_id]] = entry[key]
    return values


def _no_report(folder: Path) -> tuple[str, str]:
    if not folder.is_dir():
        return f"{folder} is not a folder", "give the folder that stma segment wrote"
    if (folder / CHECKPOINT_FILE).exists():
        return f"{folder} holds an interrupted run", "finish it first: stma segment ... --resume"
    inside = sorted(path.parent.relative_to(folder).as_posix() for path in folder.rglob(REPORT_FILE))
    if len(inside) == 1:
        return f"{folder} holds results in {inside[0]}", f"give that folder: {folder / inside[0]}"
    if inside:
        more = f" and {len(inside) - 3} more" if len(inside) > 3 else ""
        return f"{folder} holds several results ({', '.join(inside[:3])}{more})", "give one of these folders"
    return f"{folder} has no {REPORT_FILE}", "give the folder that stma segment wrote"
