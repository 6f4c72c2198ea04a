"""What `stma segment` does: checks everything first, then runs the pipeline, then reports."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from stma.errors import OutputError, VideoError
from stma_cli.natural_order import files_in
from stma_cli.output import only_run_into, prepare_folder
from stma_cli.pipeline.held_back import HeldBack
from stma_cli.pipeline.postprocessing import Postprocessing
from stma_cli.pipeline.protocols import PredictionLike
from stma_cli.pipeline.run import Pipeline, RunInterrupted
from stma_cli.pipeline.sinks import MaskSink
from stma_cli.progress import progress_for
from stma_cli.segment.backward import directed_segmenter, remove_saved_predictions
from stma_cli.segment.checkpoint import Checkpoint
from stma_cli.segment.checkpointer import Checkpointer
from stma_cli.segment.checks import (
    all_names,
    checked_annotations,
    given_note,
    mostly_given,
    require_frame_exists,
    require_places,
)
from stma_cli.segment.corrections import (
    FinishedRun,
    correction_begin,
    finished_run,
    require_same_run,
)
from stma_cli.segment.kept_states import KeptStates
from stma_cli.segment.model_setup import ModelSetup, set_up_model, sized
from stma_cli.segment.overlay import overlay_of_all, overlay_range, overlay_sinks
from stma_cli.segment.redraw import unchanged
from stma_cli.segment.report import ReportWriter
from stma_cli.segment.report_head import picture_step, report_head
from stma_cli.segment.resume import beginning, owns_overlay, saved_run
from stma_cli.segment.settings import (
    BACKWARD,
    BOTH,
    FORWARD,
    SegmentInterrupted,
    SegmentResult,
    SegmentSettings,
)
from stma_cli.segment.soft import SoftMasks
from stma_cli.wording import counted

if TYPE_CHECKING:
    from stma_cli.masks import Annotation
    from stma_cli.video import Frame, VideoSource


SetUp = Callable[[SegmentSettings, int, int], ModelSetup]
LEARNS_FROM = {
    FORWARD: "the first marked frame",
    BACKWARD: "the last marked frame",
    BOTH: "the last marked frame, and for the forward pass anew on the first one",
}


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
    require_places(settings, all_names(annotations), source.stems)
    with only_run_into(settings.out):
        return _run_alone(settings, source, annotations, earlier, set_up or set_up_model, on_checkpoint, say)


def _run_alone(
    settings: SegmentSettings,
    source: "VideoSource",
    annotations: "Mapping[int, Annotation]",
    earlier: FinishedRun | None,
    set_up: SetUp,
    on_checkpoint: Callable[[], None] | None,
    say: Callable[[str], None],
) -> SegmentResult:
    soft = SoftMasks(settings, all_names(annotations), source.stems)
    saved = saved_run(settings)
    prepare_folder(settings.out, settings.force or saved is not None or earlier is not None)
    try:
        setup = set_up(sized(settings, annotations), source.info.height, source.info.width)
        for line in _opening_lines(settings, source, annotations, setup):
            say(line)
        soft.prepare(again=earlier is not None)
        begin = beginning(settings, setup, saved, annotations)
        if earlier is not None:
            require_same_run(earlier, begin, settings.out)
            changes = (
                earlier.first_change(annotations, all_names(annotations)),
                earlier.first_gap(settings.out),
                soft.first_gap(range(earlier.first_frame, earlier.last_frame + 1)),
            )
            change = min(filter(None, changes), key=lambda change: change.frame, default=None)
            if change is None:
                say(f"same     {settings.out} holds the masks of this very run, nothing is computed")
                return unchanged(settings, source, earlier, say)
            forward = settings.direction == FORWARD
            begin, line = correction_begin(begin, change, _states(settings), settings.out, forward)
            say(f"changed  {line}")
        elif begin.segmenter is not None:
            soft.require(range(settings.start, begin.next_frame))
            say(f"resumed  at frame {begin.next_frame}, from the memory saved there")
        segmenter = directed_segmenter(settings, source, annotations, setup, begin, say)
        setup = replace(setup, segmenter=segmenter)
        return _run(settings, source, annotations, setup, begin, soft, on_checkpoint, say)
    finally:
        remove_saved_predictions(settings)


def _opening_lines(
    settings: SegmentSettings,
    source: "VideoSource",
    annotations: "Mapping[int, Annotation]",
    setup: ModelSetup,
) -> list[str]:
    from stma_cli.masks import note_lines

    info, names = source.info, all_names(annotations)
    hint = info.frame_count_hint
    frames = "? frames" if hint is None else f"about {counted(hint, 'frame')}"
    working_height, working_width = setup.working_size
    lines = [
        f"video    {info.path}: {info.width}x{info.height}, {frames}, "
        f"{float(info.frame_rate):.3f} per second",
        f"model    {setup.model.name} on {setup.device} in {setup.precision}, at {working_width}x{working_height}, "
        f"{counted(settings.chunk, 'frame')} at once, {counted(setup.threads, 'thread')}",
        f"objects  {len(names)}: " + ", ".join(f"{key} = {name}" for key, name in sorted(names.items())),
        *([f"needs    {setup.needs(len(names), len(annotations))}"] if setup.needs else []),
        *(
            [f"adapts   {counted(settings.adapt, 'step')} on {LEARNS_FROM[settings.direction]}"]
            if settings.adapt
            else []
        ),
        *(f"after    {step}" for step in settings.postprocess.steps),
        *(f"note     {note}" for note in source.notes),
    ]
    lines += [f"note     {line}" for line in note_lines(annotations)]
    marked = [frame for frame, annotation in annotations.items() if annotation.object_ids]
    expected = _expected_frames(settings, source)
    if settings.first_mask_only:
        where = ", ".join(map(str, marked))
        lines.append(f"note     the first mask of each object alone is used, on frame {where}")
    elif mostly_given(len(marked), expected):
        lines.append(f"note     {given_note(f'{len(marked)} of {expected} frames have a mask')}")
    if min(marked) > settings.start and settings.direction == FORWARD:
        of_video = min(marked) == 1 and not source.stems
        late = ", or 0 in place of 1 where ffmpeg has numbered the pictures from 1" if of_video else ""
        lines.append(
            f"note     nothing is marked before frame {min(marked)}: the masks before it are empty; "
            f"add --direction both to follow the objects back to the first frame{late}"
        )
    if settings.direction == BACKWARD:
        lines.append(
            f"note     objects are followed backward only: masks after frame {max(marked)} are empty"
        )
    return lines


def _states(settings: SegmentSettings) -> KeptStates:
    """Return the memory states for corrections; of use in the forward direction alone."""
    return KeptStates(settings.out, settings.states if settings.direction == FORWARD else 0)


def _run(
    settings: SegmentSettings,
    source: "VideoSource",
    annotations: "Mapping[int, Annotation]",
    setup: ModelSetup,
    begin: Checkpoint,
    soft: SoftMasks,
    on_checkpoint: Callable[[], None] | None,
    say: Callable[[str], None],
) -> SegmentResult:
    from stma.palette import davis_palette
    from stma_cli.masks import MaskWriter

    names, said = all_names(annotations), len(source.notes)
    mask_sink = MaskSink(MaskWriter(settings.out, davis_palette(), names))
    resumed = begin.segmenter is not None
    overlays = [] if resumed else overlay_sinks(settings, source, names)
    unfinished = ExitStack()
    for sink in overlays:
        unfinished.callback(sink.abort)
    masks = {frame: mask.labels for frame, mask in annotations.items() if mask.labels.any()}
    expected = _expected_frames(settings, source)
    done_before = begin.held.next_mask - settings.start
    after = Postprocessing(settings.postprocess, masks)
    held_back = HeldBack(after if settings.postprocess.on else None, after.lookback, begin.held)
    states = _states(settings)
    if not resumed:
        states.drop_from(-1)
    progress = progress_for(None if expected is None else expected - done_before, settings.quiet)
    with (
        unfinished,
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
        )
        try:
            with progress:
                pipeline.run(source.frames(begin.next_frame, settings.end))
            frame_count = done_before + pipeline.frame_count
            next_frame = settings.start + frame_count
            require_frame_exists(max(annotations), next_frame, source)
            drawn = [note for sink in overlays for note in sink.notes]
            if resumed and settings.overlay is not None:
                drawn = overlay_of_all(settings, source, names, report.files())
            notes = [*source.notes, *drawn]
            head = report_head(
                settings, source, setup, annotations, begin, pipeline.timings, frame_count, notes
            )
            report_path = report.finish(head, names, picture_step(source) if resumed else None)
        except (VideoError, RunInterrupted, OutputError) as failure:
            complete = done_before + mask_sink.count
            _tell_how_to_go_on(failure, settings, complete, max(annotations), pipeline, checkpointer, say)
            raise
        checkpointer.finish()
    others = len(files_in(settings.out, ".png")) - frame_count
    if others:
        notes.append(f"{settings.out} also holds {others} PNG files of an earlier run")
    for note in notes[said:]:
        say(f"note     {note}")
    seconds = round(pipeline.timings.wall, 3)
    return SegmentResult(
        settings.out,
        settings.overlay,
        report_path,
        frame_count,
        names,
        seconds,
        overlay_range(settings, frame_count),
        pipeline.frame_count,
        sum(bool(annotation.object_ids) for annotation in annotations.values()),
    )


def _tell_how_to_go_on(
    failure: VideoError | RunInterrupted | OutputError,
    settings: SegmentSettings,
    complete: int,
    last_marked: int,
    pipeline: Pipeline,
    checkpointer: Checkpointer,
    say: Callable[[str], None],
) -> None:
    """Say which command goes on after a failure, where one can; `complete` masks are written.

    Raises:
        SegmentInterrupted: the failure is Ctrl-C.
    """
    if isinstance(failure, VideoError):
        end = settings.start + complete
        if failure is not pipeline.decode_failure or last_marked >= end:
            return
        way = f"without the damage, with: {settings.command_until(end, checkpointer.can_go_on)}"
    else:
        can_resume = checkpointer.save_newest(pipeline.last_index)
        command = settings.resume_command()
        if isinstance(failure, RunInterrupted):
            raise SegmentInterrupted(complete, settings.out, command if can_resume else None) from None
        way = f"{'' if can_resume else 'from the start, '}once the error below is mended, with: {command}"
    say(f"stopped  {complete} masks in {settings.out} are complete")
    say(f"go on    {way}")


def _expected_frames(settings: SegmentSettings, source: "VideoSource") -> int | None:
    """Return the number of frames for the progress line, as far as it is known."""
    hint = source.info.frame_count_hint
    if hint is not None:
        return len(range(hint)[settings.start : settings.end])
    return None if settings.end is None else settings.end - settings.start
