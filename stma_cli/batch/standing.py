"""Where the results of a clip stand: nothing, interrupted, complete, or made with something else."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from stma_cli.batch.storage import Storage
from stma_cli.report_file import report_files, take_head
from stma_cli.result_layout import CHECKPOINT_FILE, REPORT_FILE
from stma_cli.segment.identity import RunIdentity, stamp_path
from stma_cli.segment.settings import SegmentSettings


class Standing(StrEnum):
    """What is in the folder of results."""

    NEW = "new"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    CHANGED = "changed"  # complete, but with another video, mask, weights or option
    UNDRAWN = "undrawn"  # complete, but for an overlay as it is asked for
    DAMAGED = "damaged"  # complete, but some of its files are gone or cannot be read
    FOREIGN = "foreign"  # files that stma has not written


@dataclass(frozen=True)
class ClipStanding:
    """Where one clip stands.

    Attributes:
        standing: see `Standing`.
        reason: what has changed or is missing, or "".
        frames: masks that are complete.
    """

    standing: Standing
    reason: str = ""
    frames: int = 0


def look(
    storage: Storage, name: str, settings: SegmentSettings, weights: str, overlay: str | None = None
) -> ClipStanding:
    """Say where the results of a clip stand.

    The video is hashed only when its files have other sizes or times than in the run before.

    Args:
        storage: where the results are.
        name: of the clip.
        settings: of the run to come.
        weights: SHA-256 of the weights to come.
        overlay: name of the overlay that should be there, or None.

    Raises:
        InputError: video or masks cannot be read.
        OutputError: the results cannot be read.
    """
    names = storage.names(name)
    if CHECKPOINT_FILE in names:
        return ClipStanding(Standing.INTERRUPTED)
    run = _earlier_run(storage, name) if REPORT_FILE in names else None
    if run is None:
        visible = sorted(entry for entry in names if entry.endswith((".png", ".json")))
        return ClipStanding(Standing.FOREIGN, visible[0]) if visible else ClipStanding(Standing.NEW)
    earlier, files = run.identity, run.files
    same_files = earlier.stamp and stamp_path(settings.video) == earlier.stamp
    now = RunIdentity.of(settings, weights, earlier.source if same_files else None)
    changes = now.changes_since(earlier) + _change_of_rate(run.rate, settings)
    if changes:
        return ClipStanding(Standing.CHANGED, ", ".join(changes))
    missing = next((file for file in files if file not in names), None)
    if missing is not None:
        return ClipStanding(Standing.DAMAGED, f"{missing} is missing")
    damaged = next((file for file in files if not storage.is_whole(f"{name}/{file}")), None)
    if damaged is not None:
        return ClipStanding(Standing.DAMAGED, f"{damaged} is damaged")
    if overlay is not None and overlay not in names:
        return ClipStanding(Standing.UNDRAWN, f"{overlay} is missing")
    if overlay is not None and run.drawing is None:
        return ClipStanding(Standing.UNDRAWN, f"{overlay} is of another run")
    if overlay is not None and run.drawing != (asdict(settings.rendering), settings.audio):
        return ClipStanding(Standing.UNDRAWN, f"{overlay} was drawn otherwise")
    return ClipStanding(Standing.COMPLETE, frames=len(files))


def _change_of_rate(earlier: str | None, settings: SegmentSettings) -> list[str]:
    """Say how the frame rate of pictures differs, by which the times in the report and the overlay go."""
    from stma_cli.video.opening import rate_of_pictures

    now = None if earlier is None else str(rate_of_pictures(settings.frame_rate))
    return [] if now == earlier else [f"frame-rate {earlier} -> {now}"]


@dataclass(frozen=True)
class _EarlierRun:
    """What made the results.

    Attributes:
        identity: what the masks depend on.
        files: names of the masks.
        rate: frame rate of pictures, None for a video.
        drawing: the settings of the overlay, as JSON values, and whether it has the sound; None where none was drawn.
    """

    identity: RunIdentity
    files: list[str]
    rate: str | None
    drawing: tuple[Any, Any] | None


def _earlier_run(storage: Storage, name: str) -> _EarlierRun | None:
    """Return what the report says, None where it is none of ours.

    The report is read by line, as it may be larger than the memory that a long clip should take.
    """
    lines = storage.lines(f"{name}/{REPORT_FILE}")
    try:
        head = take_head(lines)
        identity, files = RunIdentity.from_plain(head.get("identity")), list(report_files(lines))
    except ValueError:
        return None
    if identity is None:
        return None
    video, settings = (head[key] if isinstance(head.get(key), dict) else {} for key in ("video", "settings"))
    of_pictures = bool(video) and video.get("kind") != "container"
    rate = str(video.get("frame_rate")) if of_pictures else None
    drew = settings.get("overlay") is not None
    return _EarlierRun(
        identity, files, rate, (settings.get("rendering"), settings.get("audio")) if drew else None
    )
