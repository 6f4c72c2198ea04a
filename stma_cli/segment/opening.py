"""What `stma segment` says before it begins."""

from collections.abc import Iterator

from stma_cli.direction import Direction
from stma_cli.segment.checks import given_note, mostly_given
from stma_cli.segment.model_setup import ModelSetup
from stma_cli.segment.task import Task
from stma_cli.wording import counted, labelled

LEARNS_FROM = {
    Direction.FORWARD: "the first marked frame",
    Direction.BACKWARD: "the last marked frame",
    Direction.BOTH: "the last marked frame, and for the forward pass anew on the first one",
}


def opening_lines(task: Task, setup: ModelSetup) -> Iterator[str]:
    """Yield what is done, with which model, for which objects."""
    settings, info, names = task.settings, task.source.info, task.names
    hint = info.frame_count_hint
    frames = "? frames" if hint is None else f"about {counted(hint, 'frame')}"
    rate = f"{float(info.frame_rate):.3f} per second"
    yield labelled("video", f"{info.path}: {info.width}x{info.height}, {frames}, {rate}")
    height, width = setup.working_size
    runs = f"on {setup.device} in {setup.precision}, at {width}x{height}"
    at_once = f"{counted(settings.chunk, 'frame')} at once, {counted(setup.threads, 'thread')}"
    yield labelled("model", f"{setup.model.name} {runs}, {at_once}")
    named = ", ".join(f"{key} = {name}" for key, name in sorted(names.items()))
    yield labelled("objects", f"{len(names)}: {named}")
    for object_id, end in sorted(task.ends.items()):
        yield labelled("until", f"frame {end - 1}: {names[object_id]}")
    if setup.needs:
        yield labelled("needs", setup.needs(len(names), len(task.annotations)))
    if settings.adapt:
        yield labelled("adapts", f"{counted(settings.adapt, 'step')} on {LEARNS_FROM[settings.direction]}")
    for step in settings.postprocess.steps:
        yield labelled("after", step)


def opening_notes(task: Task) -> list[str]:
    """Return what is worth to be known before the run."""
    from stma_cli.masks import note_lines

    settings, source, marked = task.settings, task.source, task.marked
    notes: list[str] = [*source.notes, *note_lines(task.annotations)]
    expected = task.expected_frames
    if settings.first_mask_only:
        where = ", ".join(map(str, marked))
        notes.append(f"the first mask of each object alone is used, on frame {where}")
    elif mostly_given(len(marked), expected):
        notes.append(given_note(f"{len(marked)} of {expected} frames have a mask"))
    if min(marked) > settings.start and settings.direction is Direction.FORWARD:
        of_video = min(marked) == 1 and not source.stems
        late = ", or 0 in place of 1 where ffmpeg has numbered the pictures from 1" if of_video else ""
        notes.append(
            f"nothing is marked before frame {min(marked)}: the masks before it are empty; "
            f"add --direction both to follow the objects back to the first frame{late}"
        )
    if settings.direction is Direction.BACKWARD:
        notes.append(f"objects are followed backward only: masks after frame {max(marked)} are empty")
    return notes
