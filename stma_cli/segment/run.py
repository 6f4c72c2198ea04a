"""What `stma segment` does: checks everything first, then runs the pipeline, then reports."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from stma.errors import OutputError, VideoError
from stma_cli.direction import Direction
from stma_cli.frame_files import files_in
from stma_cli.output import only_run_into, prepare_folder
from stma_cli.pipeline.held_back import HeldBack
from stma_cli.pipeline.postprocessing import Postprocessing
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.pipeline.run import Pipeline, RunInterrupted
from stma_cli.pipeline.sinks import MaskSink, OverlaySink
from stma_cli.progress import progress_for
from stma_cli.result_layout import REPORT_FILE
from stma_cli.segment.backward import directed_segmenter, remove_saved_predictions
from stma_cli.segment.checkpoint import Checkpoint
from stma_cli.segment.checkpointer import Checkpointer
from stma_cli.segment.checks import all_names, checked_annotations, require_frame_exists, require_places
from stma_cli.segment.corrections import (
    Change,
    FinishedRun,
    correction_begin,
    finished_run,
    require_same_run,
)
from stma_cli.segment.kept_states import KeptStates
from stma_cli.segment.model_setup import ModelSetup, set_up_model, working_side
from stma_cli.segment.opening import opening_lines, opening_notes
from stma_cli.segment.overlay import overlay_of_all, overlay_range, overlay_sinks
from stma_cli.segment.redraw import unchanged
from stma_cli.segment.report import ReportWriter
from stma_cli.segment.report_head import head_of_run, picture_step
from stma_cli.segment.resume import beginning, owns_overlay, saved_run
from stma_cli.segment.settings import (
    SegmentInterrupted,
    SegmentResult,
    SegmentSettings,
)
from stma_cli.segment.soft import SoftMasks
from stma_cli.segment.task import Task
from stma_cli.segment.until import ends_of
from stma_cli.wording import labelled

if TYPE_CHECKING:
    from stma_cli.video import Frame


SetUp = Callable[[SegmentSettings, int | None, int, int], ModelSetup]


def segment_video(
    settings: SegmentSettings,
    say: Callable[[str], None],
    set_up: SetUp | None = None,
    on_checkpoint: Callable[[], None] | None = None,
) -> SegmentResult:
    """Follow the marked objects through a video and write masks, overlay and report.

    Args:
        settings: what to do.
        say: takes the lines that the user should read.
        set_up: stands in for `set_up_model`, for callers that keep a model loaded.
        on_checkpoint: called after each checkpoint is written.

    Raises:
        StmaError: when anything given cannot be used, or a result cannot be written.
        SegmentInterrupted: on Ctrl-C; complete files stay.
    """
    from stma_cli.masks import expand_folders
    from stma_cli.video.opening import open_at_rate

    source = open_at_rate(settings.video, settings.frame_rate)
    masks = expand_folders(settings.masks, source.stems, settings.video)
    annotations = checked_annotations(replace(settings, masks=masks), source)
    earlier = None if settings.force or settings.resume else finished_run(settings.out)
    settings = replace(settings, replace_overlay=owns_overlay(settings, earlier))
    ends = ends_of(settings.until, all_names(annotations), annotations)
    task = Task(settings, source, annotations, say, ends)
    require_places(settings, task.names, source.stems)
    with only_run_into(settings.out):
        return _run_alone(task, earlier, set_up or set_up_model, on_checkpoint)


def _run_alone(
    task: Task, earlier: FinishedRun | None, set_up: SetUp, on_checkpoint: Callable[[], None] | None
) -> SegmentResult:
    settings, source, annotations, say = task.settings, task.source, task.annotations, task.say
    soft = SoftMasks(settings, task.names, source.stems)
    saved = saved_run(settings)
    prepare_folder(settings.out, settings.force or saved is not None or earlier is not None)
    try:
        goes_on = saved is not None and saved.segmenter is not None
        soft.prepare(again=earlier is not None or saved is not None, goes_on=goes_on)
        side = working_side(settings.size, annotations)
        setup = set_up(settings, side, source.info.height, source.info.width)
        notes = opening_notes(task)
        for line in opening_lines(task, setup):
            say(line)
        for note in notes:
            say(labelled("note", note))
        begin = beginning(task, setup, saved, soft)
        if earlier is not None:
            require_same_run(earlier, begin, settings.out)
            change = _first_change(task, earlier, soft)
            if change is None:
                say(labelled("same", f"{settings.out} holds the masks of this very run, nothing is computed"))
                result = unchanged(settings, source, earlier, say)
                return replace(result, notes=(*notes, *result.notes))
            forward = settings.direction is Direction.FORWARD
            begin, line = correction_begin(begin, change, _states(settings), settings.out, forward)
            say(labelled("changed", line))
            if earlier.soft is not None and settings.soft is None:
                left = (
                    f"the soft masks in {earlier.soft} stay those of the run before, as --soft is not given"
                )
                say(labelled("note", left))
                notes.append(left)
        elif begin.segmenter is not None:
            say(labelled("resumed", f"at frame {begin.next_frame}, from the memory saved there"))
        setup = replace(setup, segmenter=directed_segmenter(task, setup, begin))
        result = _run(task, setup, begin, soft, on_checkpoint)
        return replace(result, notes=(*notes, *result.notes))
    finally:
        remove_saved_predictions(settings)
        soft.remove_if_unused()


def _first_change(task: Task, earlier: FinishedRun, soft: SoftMasks) -> Change | None:
    """Return the first frame on which the results of an earlier run do not hold, or None where all do."""
    changes = (
        earlier.first_change(task.annotations, task.names, task.ends),
        earlier.first_gap(task.settings.out),
        soft.first_gap(range(earlier.first_frame, earlier.last_frame + 1), earlier.soft),
    )
    return min(filter(None, changes), key=lambda change: change.frame, default=None)


def _states(settings: SegmentSettings) -> KeptStates:
    """Return the memory states for corrections; of use in the forward direction alone."""
    return KeptStates(settings.out, settings.states if settings.direction is Direction.FORWARD else 0)


def _run(
    task: Task,
    setup: ModelSetup,
    begin: Checkpoint,
    soft: SoftMasks,
    on_checkpoint: Callable[[], None] | None,
) -> SegmentResult:
    said = len(task.source.notes)
    fresh = begin.segmenter is None  # a run that goes on draws its overlay at the end, from all masks
    overlays = overlay_sinks(task.settings, task.source, task.names) if fresh else []
    with ExitStack() as unfinished:
        for sink in overlays:
            unfinished.callback(sink.abort)
        pipeline, notes = _follow(task, setup, begin, soft, overlays, on_checkpoint)
    return _result(task, begin, pipeline, soft, notes[said:])


def _follow(
    task: Task,
    setup: ModelSetup,
    begin: Checkpoint,
    soft: SoftMasks,
    overlays: Sequence[OverlaySink],
    on_checkpoint: Callable[[], None] | None,
) -> tuple[Pipeline, list[str]]:
    """Segment all frames and write what comes of them; return what did it, and all notes on video and overlay."""
    from stma.palette import davis_palette
    from stma_cli.masks import MaskWriter

    settings, source = task.settings, task.source
    mask_sink = MaskSink(MaskWriter(settings.out, davis_palette(), task.names))
    masks = {frame: mask.labels for frame, mask in task.annotations.items() if mask.labels.any()}
    after = Postprocessing(settings.postprocess, masks, task.ends)
    held_back = HeldBack(after if settings.postprocess.on else None, after.lookback, begin.held)
    states = _states(settings)
    if begin.segmenter is None:
        states.drop_from(-1)
    done_before, expected = _done_before(task, begin), task.expected_frames
    progress = progress_for(None if expected is None else expected - done_before, settings.quiet)
    with (
        ReportWriter(settings.out) as report,
        Checkpointer(
            settings, setup.segmenter, held_back, report, begin, states, on_checkpoint
        ) as checkpointer,
    ):
        report.resume(begin.report)
        report.path.unlink(missing_ok=True)  # that of an earlier run holds no longer

        def on_frame(frame: "Frame", prediction: PredictionLike) -> None:
            report.add(frame, prediction)
            progress.advance()

        pipeline = Pipeline(
            setup.segmenter,
            masks,
            [mask_sink, *overlays],
            settings.chunk,
            on_frame,
            refine=soft.before(held_back),
            before_chunk=checkpointer.before_chunk,
            held_back=begin.next_frame - begin.held.next_mask,
            ends=task.ends,
        )
        try:
            with progress:
                pipeline.run(source.frames(begin.next_frame, settings.end))
            notes = _finish_report(task, setup, begin, pipeline, report, overlays)
        except (VideoError, RunInterrupted, OutputError) as failure:
            _tell_how_to_go_on(failure, task, done_before + mask_sink.count, pipeline, checkpointer)
            raise
        checkpointer.finish()
    return pipeline, notes


def _finish_report(
    task: Task,
    setup: ModelSetup,
    begin: Checkpoint,
    pipeline: Pipeline,
    report: ReportWriter,
    overlays: Sequence[OverlaySink],
) -> list[str]:
    """Write the report, and the overlay of a run that went on; return all notes on video and overlay."""
    settings, source, resumed = task.settings, task.source, begin.segmenter is not None
    frame_count = _done_before(task, begin) + pipeline.frame_count
    require_frame_exists(max(task.annotations), settings.start + frame_count, source)
    drawn = [note for sink in overlays for note in sink.notes]
    if resumed and settings.overlay is not None:
        drawn = overlay_of_all(settings, source, task.names, report.files())
    notes = [*source.notes, *drawn]
    head = head_of_run(task, setup, begin, pipeline.timings, frame_count, notes)
    report.finish(head, task.names, picture_step(source) if resumed else None)
    return notes


def _result(
    task: Task, begin: Checkpoint, pipeline: Pipeline, soft: SoftMasks, notes: list[str]
) -> SegmentResult:
    """Return what a complete run has written, after saying the notes that came up on the way."""
    settings = task.settings
    frame_count = _done_before(task, begin) + pipeline.frame_count
    late = (
        f"--until ends {task.names[object_id]} on frame {end}, behind the last one"
        for object_id, end in sorted(task.ends.items())
        if end >= settings.start + frame_count
    )
    others = {
        settings.out: len(files_in(settings.out, ".png")) - frame_count,
        settings.soft: soft.others(frame_count),
    }
    left = (
        f"{folder} also holds {count} PNG files of an earlier run"
        for folder, count in others.items()
        if count
    )
    notes = [*notes, *late, *left]
    for note in notes:
        task.say(labelled("note", note))
    return SegmentResult(
        out=settings.out,
        overlay=settings.overlay,
        report=settings.out / REPORT_FILE,
        frames=frame_count,
        objects=task.names,
        seconds=round(pipeline.timings.wall, 3),
        overlay_range=overlay_range(settings, frame_count),
        computed=pipeline.frame_count,
        given=len(task.marked),
        notes=tuple(notes),
    )


def _done_before(task: Task, begin: Checkpoint) -> int:
    """Return the masks that an interrupted run has left."""
    return begin.held.next_mask - task.settings.start


def _tell_how_to_go_on(
    failure: VideoError | RunInterrupted | OutputError,
    task: Task,
    complete: int,
    pipeline: Pipeline,
    checkpointer: Checkpointer,
) -> None:
    """Say which command goes on after a failure, where one can; `complete` masks are written.

    Raises:
        SegmentInterrupted: the failure is Ctrl-C.
    """
    settings = task.settings
    if isinstance(failure, VideoError):
        end = settings.start + complete
        if failure is not pipeline.decode_failure or max(task.annotations) >= end:
            return
        way = f"without the damage, with: {settings.command_until(end, checkpointer.can_go_on)}"
    else:
        can_resume = checkpointer.save_newest(pipeline.last_index)
        command = settings.resume_command()
        if isinstance(failure, RunInterrupted):
            raise SegmentInterrupted(complete, settings.out, command if can_resume else None) from None
        way = f"{'' if can_resume else 'from the start, '}once the error below is mended, with: {command}"
    task.say(labelled("stopped", f"{complete} masks in {settings.out} are complete"))
    task.say(labelled("go on", way))
