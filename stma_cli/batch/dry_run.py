"""What a batch would do, and about how long it would take, without doing it."""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stma.errors import StmaError
from stma_cli.batch.plan import PlannedClip, plan
from stma_cli.batch.run import pairing_of
from stma_cli.batch.settings import BatchSettings
from stma_cli.batch.storage import storage_at
from stma_cli.direction import Direction
from stma_cli.wording import counted

if TYPE_CHECKING:
    from stma.config import ModelConfig
    from stma_cli.segment.model_setup import ModelSetup

TIMED_CHUNKS = 2


@dataclass(frozen=True, kw_only=True)
class ClipPreview:
    """What would become of one clip.

    Attributes:
        planned: the clip and the reason to do it or not.
        problem: why it would fail, or None.
        width, height: of the video in pixels, display orientation; 0 where it was not opened.
        frames: as far as known without decoding; None where the container says nothing.
        objects: marked in its masks.
        annotated: frames with a mask.
        side: that the model works at, as `working_side` gives it.
        seconds: about how long the model would take, learning from the first mask included, or None.
        passes: 2 where objects are followed in both directions.
        predicted: frames that the model takes in all passes, or None.
    """

    planned: PlannedClip
    problem: str | None = None
    width: int = 0
    height: int = 0
    frames: int | None = None
    objects: int = 0
    annotated: int = 0
    side: int | None = None
    seconds: float | None = None
    passes: int = 1
    predicted: int | None = None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A batch that was not run.

    Attributes:
        clips: in their order.
        notes: what the user should know.
        workers: how many would share the work, as far as it is known here.
        seconds: about how long they would take, or None where nothing is to do or a length is unknown.
        basis: what the estimate was measured on, or "".
        needs: the memory that each worker needs for the largest clip, or "" where nothing is to do.
    """

    clips: tuple[ClipPreview, ...]
    notes: tuple[str, ...]
    workers: int
    seconds: float | None
    basis: str
    needs: str = ""

    @property
    def failed(self) -> bool:
        """Whether a clip would fail."""
        return any(clip.problem is not None for clip in self.clips)


def preview(settings: BatchSettings) -> Preview:
    """Pair, open every video that is to be done, read its masks, and time the model on a few frames.

    Raises:
        StmaError: what would keep the whole batch from beginning.
    """
    from stma.weights_file import find_weights, model_info, read_config
    from stma_cli.segment.model_setup import set_up_model

    pairing = pairing_of(settings)
    weights = model_info(find_weights(settings.template.model))
    planned = plan(settings, pairing, storage_at(settings.out), weights.sha256)
    clips = [_previewed(clip) for clip in planned]
    todo = [clip for clip in clips if clip.planned.job is not None and clip.problem is None]
    workers, device, threads = _workers(settings, sum(clip.planned.job is not None for clip in clips))
    if not todo:
        return Preview(clips=tuple(clips), notes=pairing.notes, workers=workers, seconds=None, basis="")
    config = read_config(find_weights(settings.template.model))
    cost = {id(clip): _cost(clip, config) for clip in todo}
    largest = max(todo, key=lambda clip: cost[id(clip)])
    template = replace(settings.template, device=device, threads=threads)
    setup = set_up_model(template, largest.side, largest.height, largest.width)
    assert setup.needs is not None
    needs = f"{setup.needs(largest.objects, largest.annotated)}, of the largest clip and for each worker"
    once, each = (seconds / cost[id(largest)] for seconds in _timed(setup, template.chunk, largest))
    clips = [
        replace(clip, seconds=cost[id(clip)] * (once * clip.passes + each * clip.predicted))
        if id(clip) in cost and clip.predicted is not None
        else clip
        for clip in clips
    ]
    times = [clip.seconds for clip in clips if clip.seconds is not None]
    seconds = max(sum(times) / workers, *times) if len(times) == len(todo) else None
    basis = (
        f"from {TIMED_CHUNKS * template.chunk} frames timed here at {largest.width}x{largest.height} with "
        f"{counted(largest.objects, 'object')}, decoding and writing left out"
    )
    return Preview(
        clips=tuple(clips), notes=pairing.notes, workers=workers, seconds=seconds, basis=basis, needs=needs
    )


def _previewed(clip: PlannedClip) -> ClipPreview:
    from stma_cli.masks import expand_folders
    from stma_cli.segment.backward import backward_frames
    from stma_cli.segment.checks import all_names, checked_annotations
    from stma_cli.segment.model_setup import working_side
    from stma_cli.video import open_video

    if clip.job is None:
        assert clip.outcome is not None
        problem = clip.outcome.message if clip.outcome.status.value == "failed" else None
        return ClipPreview(planned=clip, problem=problem, frames=clip.outcome.frames or None)
    settings = clip.job.settings
    try:
        source = open_video(settings.video)
        masks = expand_folders(settings.masks, source.stems, settings.video)
        annotations = checked_annotations(replace(settings, masks=masks), source)
    except StmaError as error:
        return ClipPreview(planned=clip, problem=str(error))
    count = source.info.frame_count_hint
    frames = None if count is None else len(range(count)[settings.start : settings.end])
    forward = settings.direction is not Direction.BACKWARD
    backward = settings.direction is not Direction.FORWARD
    before = len(backward_frames(settings.start, annotations)) if backward else 0
    return ClipPreview(
        planned=clip,
        width=source.info.width,
        height=source.info.height,
        frames=frames,
        objects=len(all_names(annotations)),
        annotated=len(annotations),
        side=working_side(settings.size, annotations),
        passes=forward + backward,
        predicted=None if frames is None else forward * frames + before,
    )


def _workers(settings: BatchSettings, clips: int) -> tuple[int, str, int | None]:
    """Return how many workers there would be for so many clips, and device and threads of the first."""
    from stma_cli.batch.devices import local_specs
    from stma_cli.batch.engine_name import EngineName

    if settings.engine is EngineName.RAY:
        return settings.workers or 1, "auto", settings.threads
    specs = local_specs(settings.devices, settings.workers, settings.threads, clips)
    return len(specs), specs[0].device, specs[0].threads


def _cost(clip: ClipPreview, config: "ModelConfig") -> float:
    """Return the arithmetic of one frame; of a network that was not counted, as if it were `small`."""
    from stma.config import MODEL_CONFIGS
    from stma.resize import model_size
    from stma.workload import gflop_per_frame

    height, width = model_size(clip.height, clip.width, clip.side)
    gflop = gflop_per_frame(config, height, width, clip.objects)
    if gflop is None:
        gflop = gflop_per_frame(MODEL_CONFIGS["small"], height, width, clip.objects)
    assert gflop is not None
    return gflop


def _timed(setup: "ModelSetup", chunk: int, clip: ClipPreview) -> tuple[float, float]:
    """Return the seconds that the model learns from the first mask, and those of each frame."""
    from stma.benchmark import FrameLoop, synchronise
    from stma.segmenter import Segmenter

    segmenter = setup.segmenter
    assert isinstance(segmenter, Segmenter)
    loop = FrameLoop(clip.height, clip.width, clip.objects)
    begun = time.perf_counter()
    segmenter.step(loop.take(1)[0], loop.labels[0])
    synchronise(segmenter.device)
    learned = time.perf_counter() - begun if segmenter.config.adapt else 0.0
    segmenter.steps(loop.take(chunk))
    synchronise(segmenter.device)
    begun = time.perf_counter()
    for _ in range(TIMED_CHUNKS):
        segmenter.steps(loop.take(chunk))
    synchronise(segmenter.device)
    return learned, (time.perf_counter() - begun) / (TIMED_CHUNKS * chunk)
