"""`stma segment` once more into the folder of a finished run, after masks were changed, added or taken away.

A result that is gone or damaged counts as a change of its frame.

Frames before the first change stay as they are. The rest is computed from the latest memory state that was kept
before it, exactly as a run from the start would; where none was kept, everything is computed again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stma.errors import OutputError
from stma.labels import id_dtype
from stma_cli.report_file import finished_files, read_report_head
from stma_cli.result_layout import CHECKPOINT_FILE, REPORT_FILE
from stma_cli.segment.checkpoint import Checkpoint
from stma_cli.segment.identity import THE_ENDS, THE_MASKS, RunIdentity
from stma_cli.segment.kept_states import KeptStates
from stma_cli.segment.report import restore_rows
from stma_cli.segment.settings import DRAWING

if TYPE_CHECKING:
    from stma_cli.masks import Annotation


@dataclass(frozen=True)
class Change:
    """The first difference between the masks of two runs.

    Attributes:
        frame: nothing before it is affected.
        what: a sentence for the user.
    """

    frame: int
    what: str


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What the report of a finished run says about it.

    Attributes:
        identity: what its masks depend on.
        runtime: version, kind of device and precision.
        masks: SHA-256 of the annotation of each annotated frame.
        names: of the objects, by id.
        drawing: what it has drawn: the settings of `DRAWING` as JSON values.
        frame_count: masks that it has written.
        frame_rate: of the video, which its times go by, such as "30000/1001".
        soft: full path of the folder with its soft masks, or None.
    """

    identity: RunIdentity
    runtime: dict[str, str]
    masks: dict[int, str]
    names: dict[int, str]
    drawing: dict[str, Any]
    frame_count: int
    frame_rate: str
    soft: str | None = None

    def first_change(
        self, masks: "Mapping[int, Annotation]", names: Mapping[int, str], ends: Mapping[int, int]
    ) -> Change | None:
        """Return the first frame whose mask given, or on which the end of an object, differs now; None where all is the
        same.

        Other names alone count as a change at the very end: everything stays but the names. Ids above 255 change
        the form of all files, and so count from the start.
        """
        if id_dtype(max(names)) != id_dtype(max(self.names, default=0)):
            return Change(0, "ids above 255 ask for other files")
        now = digests(masks)
        changed = {
            frame for frame in now.keys() | self.masks.keys() if now.get(frame) != self.masks.get(frame)
        }
        then = {int(object_id): end for object_id, end in self.identity.ends.items()}
        ended = {frame for _, frame in ends.items() ^ then.items() if frame <= self.last_frame}
        first = min(changed | ended, default=None)
        if first in changed:
            how = "is new" if first not in self.masks else "has changed" if first in now else "is gone"
            return Change(first, f"the mask of frame {first} {how}")
        if first is not None:
            return Change(first, f"--until says something else of frame {first}")
        return None if dict(names) == self.names else Change(self.last_frame, "names have changed")

    def first_gap(self, out: Path) -> Change | None:
        """Return the first frame whose result in the folder is gone or damaged, or None where all are there."""
        from stma_cli.masks import is_whole_png

        files = finished_files(out)
        for frame in range(self.first_frame, self.last_frame + 1):
            file = next(files, None)
            if file is None:
                return Change(frame, f"{REPORT_FILE} does not name the mask of frame {frame}")
            if not is_whole_png(out / file):
                return Change(frame, f"{out / file} is missing or damaged")
        return None

    def drew(self, overlay: Path | None) -> bool:
        """Whether an overlay is of this run, by its full path."""
        return overlay is not None and self.drawing["overlay"] == str(overlay.resolve())

    def drawn_as(self, settings: Mapping[str, Any]) -> bool:
        """Whether its overlay looks as these settings, as JSON values, ask for."""
        return all(settings[name] == value for name, value in self.drawing.items())

    @property
    def first_frame(self) -> int:
        """Number of the first frame that it has a mask for."""
        return int(self.identity.settings.get("start") or 0)

    @property
    def last_frame(self) -> int:
        """Number of the last frame that it has a mask for."""
        return self.first_frame + self.frame_count - 1


def digests(annotations: "Mapping[int, Annotation]") -> dict[int, str]:
    """Return the SHA-256 of the label map of each annotated frame; empty ones say nothing and are left out."""
    return {
        frame: hashlib.sha256(
            repr(annotation.labels.shape).encode() + annotation.labels.astype(np.int32).tobytes()
        ).hexdigest()
        for frame, annotation in annotations.items()
        if annotation.labels.any()
    }


def finished_run(out: Path) -> FinishedRun | None:
    """Return the finished run whose results are in a folder, or None."""
    from stma_cli.masks import read_names

    head = read_report_head(out / REPORT_FILE)
    if head is None or (out / CHECKPOINT_FILE).exists():
        return None
    try:
        identity = RunIdentity.from_plain(head["identity"])
        masks = {int(row["frame"]): str(row["sha256"]) for row in head["masks"] if "sha256" in row}
        drawing = {name: head["settings"][name] for name in DRAWING}
        soft = head["settings"].get("soft")
        count, runtime = int(head["frame_count"]), dict(head["runtime"])
        rate = str(head["video"]["frame_rate"])
        drawing["frame_rate"] = drawing["frame_rate"] or rate
    except (KeyError, TypeError, ValueError):
        return None  # of an earlier version, or of another tool
    if identity is None:
        return None
    return FinishedRun(
        identity=identity,
        runtime=runtime,
        masks=masks,
        names=read_names(out),
        drawing=drawing,
        frame_count=count,
        frame_rate=rate,
        soft=soft,
    )


def require_same_run(earlier: FinishedRun, fresh: Checkpoint, out: Path) -> None:
    """Refuse to mix the results of two runs that differ in more than their masks.

    Raises:
        OutputError: naming what differs.
    """
    before = replace(fresh, identity=earlier.identity, runtime=earlier.runtime)
    changes = [
        change
        for change in before.changes(fresh.identity, fresh.runtime)
        if change not in (THE_MASKS, THE_ENDS)
    ]
    if changes:
        raise OutputError(
            f"{out} is not empty: it holds a run that differs from this one ({', '.join(changes)})",
            "choose another folder with --out, or add --force to compute it all again",
        )


def correction_begin(
    fresh: Checkpoint, change: Change, states: KeptStates, out: Path, forward: bool = True
) -> tuple[Checkpoint, str]:
    """Return where to begin after a change, and what to say about it.

    States that have seen the changed frame are removed, as nothing can go on from them any more.

    Args:
        fresh: the beginning of a run from the start.
        change: the first one.
        states: that were kept.
        out: the folder of the masks.
        forward: whether frames depend on those before them alone.

    Raises:
        OutputError: when the report cannot be taken up again.
    """
    if not forward:
        states.drop_from(-1)
        return fresh, f"{change.what}, and backward it affects the frames before: all are computed"
    states.drop_from(change.frame)
    state = states.newest_until(change.frame)
    if state is None:
        if change.frame <= fresh.next_frame:
            return fresh, f"{change.what}: all frames are computed"
        return fresh, f"{change.what}: no memory was kept before it, so frames are computed from the first on"
    size = restore_rows(out, state.held.next_mask - fresh.next_frame)
    begin = replace(
        state,
        identity=fresh.identity,
        runtime=fresh.runtime,
        report=replace(state.report, bytes=size),  # other than it was where times were written anew
        resumed_at=(),
        overlay=fresh.overlay,
        soft=fresh.soft,
    )
    return begin, f"{change.what}: frames are computed from {begin.next_frame}, where the memory was kept"


def mask_rows(annotations: "Mapping[int, Annotation]") -> list[dict[str, Any]]:
    """Return what the report says about the masks, from which the next run tells what has changed."""
    known = digests(annotations)
    return [
        {"frame": frame, "objects": annotation.object_ids, "notes": annotation.notes}
        | ({"sha256": known[frame]} if frame in known else {})
        for frame, annotation in annotations.items()
    ]
