"""What `stma bench` was asked for, and what it found."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from stma.config import SegmenterConfig
from stma.errors import SettingsError
from stma_cli.precision import PrecisionName

if TYPE_CHECKING:
    from stma.benchmark import MatrixPeak, ModelSpeed, OperationCost, Spread

Value = TypeVar("Value")
MOST_OBJECTS = 100
SMALLEST_SIDE, LARGEST_SIDE = 32, 4320
SHORTEST_RUN = 800  # frames of a long run: what lies around frame 200 is well apart from the end


@dataclass(frozen=True)
class BenchSettings:
    """The options of `stma bench`.

    Attributes:
        model: a shipped model's name or a file.
        objects: numbers of objects.
        sizes: shorter sides of the frames in pixels; they are 16:9.
        precisions: "auto", "fp32", "bf16", "fp16" or "int8".
        device: as `stma.device.resolve_device` takes it.
        threads: that the model computes with, or None as `stma segment` chooses.
        chunk: frames that the model takes at once.
        refine_edges, focus, graphs: as `SegmenterConfig` has them.
        frames: per repeat.
        repeats: of every measurement.
        pipeline: whether to measure decoding, writing and all stages together.
        profile: whether to list the most expensive operations.
    """

    model: str
    objects: tuple[int, ...]
    sizes: tuple[int, ...]
    precisions: tuple[str, ...]
    device: str
    threads: int | None
    chunk: int
    refine_edges: bool
    focus: bool
    graphs: bool
    frames: int
    repeats: int
    pipeline: bool
    profile: bool

    def of_model(self, size: int, precision: str) -> SegmenterConfig:
        """The segmenter's own settings of one measurement."""
        return SegmenterConfig(
            size=size,
            chunk=self.chunk,
            device=self.device,
            precision=precision,
            refine_edges=self.refine_edges,
            focus=self.focus,
            graphs=self.graphs,
        )


@dataclass(frozen=True)
class PipelineSpeed:
    """Frames per second of the stages around the model, each alone and all at once."""

    decode: "Spread"
    masks: "Spread"
    overlay: "Spread"
    together: "Spread"


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """One setting and what was measured; `pipeline` and `profile` are None where they were not asked for.

    Attributes:
        size: height of the frames, which the model takes as they are.
    """

    size: int
    width: int
    objects: int
    precision: str
    model: "ModelSpeed"
    pipeline: PipelineSpeed | None
    profile: "tuple[OperationCost, ...] | None"


@dataclass(frozen=True)
class BenchResult:
    """A whole benchmark.

    Attributes:
        machine: versions, processor, device and threads.
        model: name, sha256 and parameters.
        settings: as asked for.
        peaks: by precision.
        rows: one per size, number of objects and precision.
    """

    machine: dict[str, Any]
    model: dict[str, Any]
    settings: BenchSettings
    peaks: "dict[str, MatrixPeak]"
    rows: tuple[BenchRow, ...]

    def plain(self) -> dict[str, Any]:
        """The content of the JSON file."""
        content = asdict(self)
        for row, found in zip(content["rows"], self.rows, strict=True):
            row["height"] = found.size
            row["model"]["estimate"]["total"] = found.model.estimate.total
        return {"format": 1, **content}


def frame_width(height: int) -> int:
    """Width in pixels of a 16:9 frame, even as H.264 needs it: 854 for 480."""
    return 2 * round(height * 8 / 9)


def whole_numbers(option: str, text: str, smallest: int, largest: int, example: str) -> tuple[int, ...]:
    """Read a list such as `example`, "1,3,10"; repeated numbers count once.

    Raises:
        SettingsError: not such a list, or a number is out of range.
    """

    def number(word: str) -> int:
        value = int(word)
        if not smallest <= value <= largest:
            raise ValueError
        return value

    return _listed(option, text, number, f"whole numbers from {smallest} to {largest} such as {example}")


def precisions(text: str) -> tuple[str, ...]:
    """Read a list such as "fp32,bf16".

    Raises:
        SettingsError: one of them is unknown.
    """

    return _listed(
        "--precision",
        text,
        lambda word: PrecisionName(word).value,
        f"one or more of {','.join(PrecisionName)}",
    )


def _listed(option: str, text: str, read: Callable[[str], Value], wanted: str) -> tuple[Value, ...]:
    try:
        return tuple(dict.fromkeys(read(word.strip()) for word in text.split(",")))
    except ValueError:
        raise SettingsError(
            f"{option} is {text!r}, which cannot be used", f"give {wanted}, with commas between"
        ) from None
