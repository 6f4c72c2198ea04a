"""The head of `report.json`: what was run, with which model, on what, and how fast."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stma_cli.information import peak_memory, versions
from stma_cli.output import full_path
from stma_cli.pipeline.run import Timings
from stma_cli.report_file import read_report_head
from stma_cli.result_layout import REPORT_FILE
from stma_cli.segment.checkpoint import Checkpoint
from stma_cli.segment.corrections import mask_rows
from stma_cli.segment.model_setup import ModelSetup
from stma_cli.segment.report import update_report
from stma_cli.segment.settings import SegmentSettings
from stma_cli.segment.task import Task

if TYPE_CHECKING:
    from stma_cli.video import VideoSource


def head_of_run(
    task: Task,
    setup: ModelSetup,
    begin: Checkpoint,
    timings: Timings,
    frame_count: int,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return what stands before the objects and frames of a run that ends now."""
    head = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions(),
        "model": setup.description,
        "settings": recorded_settings(task.settings, task.source),
        "postprocessing": task.settings.postprocess.steps,
        "video": asdict(task.source.info),
        "masks": mask_rows(task.annotations),
        "identity": None if begin.identity is None else begin.identity.plain(),
        "runtime": begin.runtime,
        "frame_count": frame_count,
        "resumed_at": list(begin.resumed_at),
        "computed_from": begin.next_frame,
        "seconds": asdict(timings),
        "peak_memory_bytes": peak_memory(),
        "notes": notes,
    }
    return {name: _plain(value) for name, value in head.items()}


def record_drawing(
    settings: SegmentSettings, source: "VideoSource", drawing: Mapping[str, Any], said: Sequence[str]
) -> None:
    """Record what was drawn and what was said about it, and the times by the frame rate of now."""
    from stma_cli.video.pictures import NO_RATE

    head = read_report_head(settings.out / REPORT_FILE)
    assert head is not None
    timing = {name: str(getattr(source.info, name)) for name in ("frame_rate", "time_base")}
    now = [*source.notes, *said]
    notes = [note for note in head["notes"] if note not in now and not note.startswith(NO_RATE)]
    changed = {
        "settings": head["settings"] | drawing,
        "video": head["video"] | timing,
        "notes": [*source.notes, *notes, *said],
    }
    update_report(settings.out, head | changed, picture_step(source))


def picture_step(source: "VideoSource") -> Fraction | None:
    """Return the seconds from one picture to the next, None for a video, which has times of its own."""
    return None if source.info.kind == "container" else 1 / source.info.frame_rate


def recorded_settings(settings: SegmentSettings, source: "VideoSource") -> dict[str, Any]:
    """Return the settings as the report holds them: the overlay and the soft masks by their full paths, which are known
    from any folder, and the frame rate as it was used, which tells whether an overlay has another."""
    places = {"overlay": full_path(settings.overlay), "soft": full_path(settings.soft)}
    used = asdict(settings) | places | {"frame_rate": source.info.frame_rate}
    return {name: _plain(value) for name, value in used.items()}


def _plain(value: Any) -> Any:
    """Turn paths, fractions and tuples into what JSON holds; a fraction becomes the text "30000/1001"."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path | Fraction) else value
