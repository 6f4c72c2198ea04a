"""The tables of `stma batch`, and the same as JSON."""

import json
from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from stma_cli.batch.dry_run import ClipPreview, Preview
from stma_cli.batch.jobs import ClipOutcome, Status, plain_outcome
from stma_cli.batch.settings import BatchResult
from stma_cli.segment.checks import given_note, mostly_given
from stma_cli.tables import print_line, print_rows
from stma_cli.wording import counted, labelled, shortened, wall_time

COLOURS = {
    Status.DONE: "green",
    Status.UNCHANGED: "cyan",
    Status.FAILED: "bold red",
    Status.WAITING: "yellow",
}
CLIPS_SHOWN = 4  # in one sentence


def progress_line(outcome: ClipOutcome, number: int, jobs: int) -> str:
    """Return what is said when a clip has ended."""
    what = f"{counted(outcome.frames, 'frame')} in {outcome.seconds:.1f} s"
    if outcome.status is not Status.DONE:
        what = outcome.message
    elif outcome.resumed_at is not None:
        what += f", resumed at frame {outcome.resumed_at}"
    return f"{outcome.status.value:<8} {number}/{jobs} {outcome.name}: {what}"


def print_result(result: BatchResult, console: Console) -> None:
    """Print one row per clip; those that went wrong last, where they are seen."""
    rows = sorted(result.outcomes, key=lambda outcome: outcome.status in (Status.FAILED, Status.WAITING))
    cells = [(row.name, row.status.value, *_numbers(row), _remark(row)) for row in rows]
    titles, styles = ("clip", "", "frames", "seconds", ""), [COLOURS[row.status] for row in rows]
    print_rows(console, titles, cells, ("frames", "seconds"), styles)
    _print_given([row.name for row in rows if mostly_given(row.given, row.frames)], console)
    counts = Counter(outcome.status for outcome in result.outcomes)
    said = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    print_line(
        console, labelled("total", f"{counted(len(rows), 'clip')}: {said}; {wall_time(result.seconds)}")
    )


def result_json(result: BatchResult) -> str:
    """Return the result as JSON that a pipe of any encoding can hold."""
    document = {
        "interrupted": result.interrupted,
        "seconds": result.seconds,
        "counts": {status.value: result.count(status) for status in Status},
        "clips": [plain_outcome(outcome) for outcome in result.outcomes],
    }
    return json.dumps(document, indent=2)


def print_preview(preview: Preview, console: Console) -> None:
    """Print the pairing, frame counts and the estimate."""
    for note in preview.notes:
        print_line(console, labelled("note", note))
    titles = ("clip", "masks", "size", "frames", "objects", "seconds", "")
    rows = [_preview_row(clip) for clip in preview.clips]
    styles = ["red" if clip.problem else "" for clip in preview.clips]
    print_rows(console, titles, rows, ("frames", "objects", "seconds"), styles)
    if preview.needs:
        print_line(console, labelled("needs", preview.needs))
    todo = [clip for clip in preview.clips if clip.planned.job is not None and clip.problem is None]
    given = [clip for clip in todo if mostly_given(clip.annotated, clip.frames)]
    _print_given([clip.planned.pair.clip.name for clip in given], console)
    bad = sum(clip.problem is not None for clip in preview.clips)
    workers = counted(preview.workers, "worker")
    if preview.seconds is None:
        estimate = "no estimate, as a length is unknown" if todo else "nothing to do"
    else:
        estimate = f"about {wall_time(preview.seconds)} with {workers}, {preview.basis}"
    clips = counted(len(preview.clips), "clip")
    print_line(console, labelled("total", f"{clips}: {len(todo)} to do, {bad} cannot be used; {estimate}"))


def preview_json(preview: Preview) -> str:
    """Return the preview as JSON that a pipe of any encoding can hold."""
    rows = [
        {
            "clip": clip.planned.pair.clip.name,
            "video": str(clip.planned.pair.clip.path),
            "masks": list(clip.planned.pair.masks),
            "action": _action(clip),
            "problem": clip.problem,
            "width": clip.width or None,
            "height": clip.height or None,
            "frames": clip.frames,
            "objects": clip.objects or None,
            "seconds": None if clip.seconds is None else round(clip.seconds, 1),
        }
        for clip in preview.clips
    ]
    document = {
        "seconds": None if preview.seconds is None else round(preview.seconds, 1),
        "estimate": preview.basis,
        "needs": preview.needs or None,
        "workers": preview.workers,
        "notes": list(preview.notes),
        "clips": rows,
    }
    return json.dumps(document, indent=2)


def _print_given(clips: Sequence[str], console: Console) -> None:
    """Say in which clips so many frames have masks that the results may be mistaken for the model's."""
    if clips:
        where = f"more than half of the frames have a mask in {shortened(clips, CLIPS_SHOWN)}"
        print_line(console, labelled("note", given_note(where)))


def _numbers(row: ClipOutcome) -> tuple[str, str]:
    return str(row.frames or ""), f"{row.seconds:.1f}" if row.seconds else ""


def _remark(row: ClipOutcome) -> str:
    parts = [row.message] if row.message else []
    if row.resumed_at is not None:
        parts.append(f"resumed at frame {row.resumed_at}")
    if row.attempts > 1:
        parts.append(f"worker {row.attempts}")
    return "; ".join(parts)


def _preview_row(clip: ClipPreview) -> tuple[str, ...]:
    size = f"{clip.width}x{clip.height}" if clip.width else ""
    masks = ", ".join(text.rsplit("/", 1)[-1] for text in clip.planned.pair.masks)
    seconds = "" if clip.seconds is None else f"{clip.seconds:.1f}"
    frames = str(clip.frames or ("?" if clip.width else ""))
    remark = clip.problem or _action(clip)
    return clip.planned.pair.clip.name, masks, size, frames, str(clip.objects or ""), seconds, remark


def _action(clip: ClipPreview) -> str:
    if clip.problem is not None:
        return "cannot be used"
    if clip.planned.outcome is not None:
        return clip.planned.outcome.message
    return clip.planned.reason
