"""What `--direction backward` and `both` put before the forward pass of `stma segment`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from stma_cli.direction import Direction
from stma_cli.pipeline.protocols import PredictionLike, SegmenterLike
from stma_cli.pipeline.run import Pipeline, RunInterrupted
from stma_cli.progress import progress_for
from stma_cli.result_layout import CHECKPOINT_FILE
from stma_cli.segment.checkpoint import Checkpoint
from stma_cli.segment.direction import MergeRule, MergingSegmenter, SavedPredictions
from stma_cli.segment.model_setup import ModelSetup
from stma_cli.segment.settings import SegmentInterrupted, SegmentSettings
from stma_cli.segment.task import Task
from stma_cli.wording import counted, labelled

if TYPE_CHECKING:
    from stma_cli.masks import Annotation
    from stma_cli.video import Frame


def directed_segmenter(task: Task, setup: ModelSetup, begin: Checkpoint) -> SegmenterLike:
    """Return what predicts the frames in their order, brought to where the run begins.

    Forward that is the model itself. Otherwise the backward pass is done here, unless the run goes on behind it.

    Raises:
        StmaError: as the pipeline does.
        SegmentInterrupted: on Ctrl-C in the backward pass, of which nothing stays.
    """
    settings, annotations, segmenter = task.settings, task.annotations, setup.segmenter
    if settings.direction is not Direction.FORWARD:
        saved = SavedPredictions(settings.out)
        frames = backward_frames(settings.start, annotations)
        both = settings.direction is Direction.BOTH
        rule = MergeRule.of(annotations, both)
        if begin.segmenter is None:
            masks = {frame: rule.backward_mask(frame, mask.labels) for frame, mask in annotations.items()}
            _backward_pass(task, masks, setup.segmenter, saved, frames)
        segmenter = MergingSegmenter(setup.segmenter if both else None, saved, rule, frames)
    if begin.segmenter is not None:
        segmenter.load_state_dict(begin.segmenter)
    return segmenter


def require_saved_predictions(
    settings: SegmentSettings, annotations: "Mapping[int, Annotation]", next_frame: int
) -> None:
    """Check that what the backward pass has left is there from a frame on.

    Raises:
        OutputError: when it is gone.
    """
    if settings.direction is not Direction.FORWARD:
        SavedPredictions(settings.out).require(backward_frames(next_frame, annotations))


def remove_saved_predictions(settings: SegmentSettings) -> None:
    """Remove what the backward pass has left on disk, unless an interrupted run will need it to go on."""
    if not (settings.out / CHECKPOINT_FILE).exists():
        SavedPredictions(settings.out).remove()


def backward_frames(first: int, annotations: "Mapping[int, Annotation]") -> range:
    """Return the frames from `first` to the last with a mask."""
    return range(first, max(frame for frame, mask in annotations.items() if mask.labels.any()) + 1)


def _backward_pass(
    task: Task,
    masks: Mapping[int, np.ndarray],
    model: SegmenterLike,
    saved: SavedPredictions,
    frames: range,
) -> None:
    settings = task.settings
    (settings.out / CHECKPOINT_FILE).unlink(missing_ok=True)  # its run needs what is removed next
    saved.remove()
    fresh = model.state_dict()
    progress = progress_for(len(frames), settings.quiet)

    def on_frame(frame: "Frame", prediction: PredictionLike) -> None:
        saved.write(frame, prediction)
        progress.advance()

    pipeline = Pipeline(model, masks, [], settings.chunk, on_frame)
    try:
        with progress:
            pipeline.run(task.source.frames_backward(frames.start, frames.stop))
    except RunInterrupted:
        raise SegmentInterrupted(0, settings.out, None) from None
    model.load_state_dict(fresh)
    seconds = pipeline.timings.wall
    done = counted(pipeline.frame_count, "frame")
    task.say(labelled("backward", f"{done} from {frames[-1]} to {frames.start} in {seconds:.1f} s"))
