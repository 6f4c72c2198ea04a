"""From options such as --model, --device, --size and --chunk to a segmenter that is ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stma.config import USUAL_SIZE
from stma_cli.pipeline.protocols import SegmenterLike
from stma_cli.pipeline.run import frames_held
from stma_cli.segment.settings import SegmentSettings
from stma_cli.wording import rough_size

if TYPE_CHECKING:
    from stma.estimate import MemoryEstimate
    from stma.weights import LoadedModel
    from stma.weights_file import ModelInfo
    from stma_cli.masks import Annotation


@dataclass(frozen=True, kw_only=True)
class ModelSetup:
    """A segmenter, and what to say about it.

    Attributes:
        segmenter: ready for the first frame.
        model: which one it is.
        device: as torch names it, such as "cuda".
        precision: "fp32", "bf16", "fp16" or "int8".
        arithmetic: as of `Precision`.
        threads: CPU threads that the model computes with.
        working_size: (height, width) in pixels that the model works at.
        adapt: steps of learning from the first marked frame.
        needs: says what memory a run with so many objects and annotated frames takes.
    """

    segmenter: SegmenterLike
    model: "ModelInfo"
    device: str
    precision: str
    arithmetic: str
    threads: int
    working_size: tuple[int, int]
    adapt: int
    needs: Callable[[int, int], str] | None = None

    @property
    def description(self) -> dict[str, Any]:
        """What the report tells of it."""
        return {
            **identified(self.model),
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            "working_size": self.working_size,
            "adapt": self.adapt,
        }


def identified(model: "ModelInfo") -> dict[str, Any]:
    """Return which model it was, for reports: its name, the sha256 of the weights, and how many they are."""
    return {"name": model.name, "sha256": model.sha256, "parameters": model.parameters}


def working_side(typed: int | None, annotations: "Mapping[int, Annotation]") -> int | None:
    """Return the shorter side that the model works at, None for the video's own, as `SegmenterConfig.size` has it.

    Args:
        typed: the value of --size: 0 for the video's own, None for what suits the objects.
        annotations: masks by frame number; the first that shows an object counts, see `size_for_objects`.
    """
    from stma.resize import size_for_objects

    if typed is not None:
        return typed or None
    first = min((frame for frame, said in annotations.items() if said.object_ids), default=None)
    return USUAL_SIZE if first is None else size_for_objects(annotations[first].labels)


def set_up_model(
    settings: SegmentSettings,
    side: int | None,
    height: int,
    width: int,
    load: "Callable[[str], LoadedModel] | None" = None,
) -> ModelSetup:
    """Choose the device, load the weights and make the segmenter.

    Args:
        settings: --model, --device, --precision, --chunk, --refine-edges, --adapt and --threads.
        side: as `working_side` gives it.
        height: rows of the frames to come.
        width: their columns.
        load: stands in for `load_model`, for callers that keep models loaded.

    Raises:
        SettingsError: when an option has an impossible value.
        DeviceError: when the device is missing.
        WeightsError: when the weights are missing or damaged.
    """
    from stma.config import SegmenterConfig
    from stma.process import prepare_process
    from stma.resize import model_size
    from stma.segmenter import Segmenter
    from stma.weights import load_model
    from stma_cli.threads import default_threads

    config = SegmenterConfig(
        size=side,
        chunk=settings.chunk,
        device=settings.device,
        precision=settings.precision.value,
        refine_edges=settings.refine_edges,
        adapt=settings.adapt,
    )
    threads = settings.threads or default_threads()
    prepare_process(threads)
    loaded = (load or load_model)(settings.model)
    segmenter = Segmenter(loaded.model, config)

    def needs(objects: int, annotated_frames: int) -> str:
        held = frames_held(settings.chunk)
        estimate = segmenter.estimate(objects, annotated_frames, held, (height, width))
        return needed_memory(estimate, on_gpu=segmenter.device.type != "cpu")

    return ModelSetup(
        segmenter=segmenter,
        model=loaded.info,
        device=str(segmenter.device),
        precision=segmenter.precision.name,
        arithmetic=segmenter.precision.arithmetic,
        threads=threads,
        working_size=model_size(height, width, config.size),
        adapt=settings.adapt,
        needs=needs,
    )


def needed_memory(estimate: "MemoryEstimate", on_gpu: bool) -> str:
    """Return what a run needs as words without a full stop."""
    wanted = f"about {rough_size(estimate.process + estimate.frames if on_gpu else estimate.total)} of RAM"
    if on_gpu:
        wanted += f" and {rough_size(estimate.device)} of GPU memory"
    return f"{wanted} at this size and number of objects, at any length"
