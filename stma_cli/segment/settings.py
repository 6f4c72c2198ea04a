"""The settings, the result and the interruption of `stma segment`."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import Enum, auto
from pathlib import Path
from typing import Any

from stma.config import SegmenterConfig
from stma.postprocess.config import PostprocessConfig
from stma_cli.config.file import NO_CONFIG
from stma_cli.direction import Direction
from stma_cli.precision import PrecisionName
from stma_cli.rendering.settings import RenderSettings
from stma_cli.wording import as_argument, shell_command

INTERRUPTED = 130  # exit status, as a shell reports it for a program that Ctrl-C ended


class Use(Enum):
    """What becomes of the value of an option of `stma segment`."""

    MASKS = auto()  # the masks depend on it; not where it names what is hashed by content, a place or a speed
    REPEAT = auto()  # it stands in the command that goes on, as `--name value`
    DRAWING = auto()  # it says what an overlay shows


def _for(*uses: Use) -> dict[str, tuple[Use, ...]]:
    return {"uses": uses}


@dataclass(frozen=True)
class SegmentSettings:
    """The options of `stma segment`.

    Attributes:
        video: file or folder of frames.
        masks: the --mask values as typed.
        out: folder for the masks and the report.
        overlay: file or folder to render into, or None.
        rendering: what it shows.
        device, model: as typed.
        precision: number format of the model.
        size: shorter side in pixels that the model works at; 0 for the video's own, None for what suits the objects.
        chunk: frames that the model takes at once.
        refine_edges: outlines follow the colours of the frame.
        adapt: steps of learning from the first marked frame.
        threads: CPU threads of the model, or None for all usable cores.
        start, end: range of frames, end exclusive, None for the last.
        frame_rate: frames per second of images, as typed.
        direction: which way objects are followed from annotated frames.
        objects: the --objects value, or None for all.
        until: the --until values, with numbers of frames: "ball=120".
        first_mask_only: of each object, only the first mask is used.
        audio: copy the sound into the overlay.
        force: write into a folder that is not empty, replace an overlay.
        quiet: no progress line.
        postprocess: what happens to the labels between the model and the results.
        resume: go on from the checkpoint in `out`, where there is one.
        checkpoint: frames from one checkpoint to the next.
        states: checkpoints that stay in `out` for later corrections.
        soft: folder for the probabilities, or None.
        replace_overlay: an overlay that is there is of an earlier run into `out`, and so may be replaced.
    """

    video: Path = field(metadata=_for())
    masks: tuple[str, ...] = field(metadata=_for())
    out: Path = field(metadata=_for())
    overlay: Path | None = field(default=None, metadata=_for(Use.REPEAT, Use.DRAWING))
    rendering: RenderSettings = field(default_factory=RenderSettings, metadata=_for(Use.DRAWING))
    device: str = field(default=SegmenterConfig.device, metadata=_for(Use.REPEAT))
    precision: PrecisionName = field(
        default=PrecisionName(SegmenterConfig.precision), metadata=_for(Use.MASKS, Use.REPEAT)
    )
    model: str = field(default="small", metadata=_for(Use.REPEAT))
    size: int | None = field(default=None, metadata=_for(Use.MASKS, Use.REPEAT))
    chunk: int = field(default=SegmenterConfig.chunk, metadata=_for(Use.MASKS, Use.REPEAT))
    refine_edges: bool = field(default=SegmenterConfig.refine_edges, metadata=_for(Use.MASKS))
    adapt: int = field(default=SegmenterConfig.adapt, metadata=_for(Use.MASKS, Use.REPEAT))
    threads: int | None = field(default=None, metadata=_for(Use.REPEAT))
    start: int = field(default=0, metadata=_for(Use.MASKS, Use.REPEAT))
    end: int | None = field(default=None, metadata=_for(Use.MASKS, Use.REPEAT))
    objects: str | None = field(default=None, metadata=_for(Use.MASKS, Use.REPEAT))
    until: tuple[str, ...] = field(default=(), metadata=_for())
    first_mask_only: bool = field(default=False, metadata=_for(Use.REPEAT))
    frame_rate: str | None = field(default=None, metadata=_for(Use.REPEAT, Use.DRAWING))
    direction: Direction = field(default=Direction.FORWARD, metadata=_for(Use.MASKS, Use.REPEAT))
    checkpoint: int = field(default=50, metadata=_for(Use.REPEAT))
    states: int = field(default=4, metadata=_for(Use.REPEAT))
    force: bool = field(default=False, metadata=_for(Use.REPEAT))
    soft: Path | None = field(default=None, metadata=_for(Use.REPEAT))
    audio: bool = field(default=True, metadata=_for(Use.DRAWING))
    quiet: bool = field(default=False, metadata=_for())
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig, metadata=_for(Use.MASKS))
    resume: bool = field(default=False, metadata=_for())
    replace_overlay: bool = field(default=False, metadata=_for())

    def command_until(self, end: int, can_resume: bool) -> str:
        """Return the command that ends the run before the frame `end`: from the checkpoint in `out`, or anew."""
        return replace(self, end=end, force=self.force or not can_resume).resume_command()

    def resume_command(self) -> str:
        """Return the command that goes on from the checkpoint in `out`; what a stma.toml has set is typed out in it."""
        words = ["stma", "segment", as_argument(self.video)]
        for text in self.masks:
            words += ["--mask", text]
        for text in self.until:
            words += ["--until", text]
        words += ["--out", str(self.out), "--resume"]
        words += _other_than_default(self, TO_REPEAT)
        words += _other_than_default(self.postprocess, [step.name for step in fields(self.postprocess)])
        words += [] if self.refine_edges else ["--no-refine-edges"]
        words += [] if self.audio else ["--no-audio"]
        words += self.rendering.options("--overlay-objects") if self.overlay else []
        words += ["--config", NO_CONFIG]
        return shell_command(words)

    def overlay_command(self, masks: Path, first: int, stop: int | None) -> str:
        """Return the command that draws these masks, of the frames from `first` up to `stop`."""
        words = ["stma", "overlay", as_argument(self.video), as_argument(masks)]
        words += ["--start", str(first)] if first else []
        words += ["--end", str(stop)] if stop is not None else []
        words += ["--frame-rate", self.frame_rate] if self.frame_rate else []
        words += self.rendering.options()
        words += ["-o", "overlay.webm" if self.rendering.transparent else "overlay.mp4"]
        return shell_command(words)


def _names(use: Use) -> tuple[str, ...]:
    return tuple(option.name for option in fields(SegmentSettings) if use in option.metadata["uses"])


WITH_INFLUENCE, TO_REPEAT, DRAWING = _names(Use.MASKS), _names(Use.REPEAT), _names(Use.DRAWING)


def _other_than_default(options: Any, names: Iterable[str]) -> list[str]:
    """Return the options of a dataclass that were changed, as they are typed; True is a flag without value."""
    defaults = {option.name: option.default for option in fields(options)}
    words = []
    for name in names:
        value = getattr(options, name)
        if value != defaults[name]:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


@dataclass(frozen=True, kw_only=True)
class SegmentResult:
    """What a run has written.

    Attributes:
        out: folder with the masks, names.json and report.json.
        overlay: the overlay video, or None.
        report: report.json.
        frames: number of masks.
        objects: names by id.
        seconds: wall time from the first to the last frame.
        overlay_range: frames that the folder has masks of, also from earlier runs; None for the last of the video.
        computed: masks made by this very run, less than `frames` where it went on with an interrupted one.
        given: frames whose objects were given by a mask.
        notes: what was said about video, masks and results.
    """

    out: Path
    overlay: Path | None
    report: Path
    frames: int
    objects: dict[int, str]
    seconds: float
    overlay_range: tuple[int, int | None] = (0, None)
    computed: int = 0
    given: int = 0
    notes: tuple[str, ...] = ()

    @property
    def frames_per_second(self) -> float:
        """Frames per second of wall time, everything included."""
        return self.computed / max(self.seconds, 1e-3)

    def summary(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "interrupted": False,
            "frames": self.frames,
            "computed": self.computed,
            "masks": str(self.out),
            "overlay": None if self.overlay is None else str(self.overlay),
            "report": str(self.report),
            "objects": [{"id": key, "name": self.objects[key]} for key in sorted(self.objects)],
            "seconds": self.seconds,
        }


class SegmentInterrupted(Exception):
    """Raised when Ctrl-C ends a run; complete files stay.

    Attributes:
        frames: masks that were written.
        out: the folder they are in.
        command: how to go on; None when no frame was finished.
    """

    def __init__(self, frames: int, out: Path, command: str | None) -> None:
        super().__init__("interrupted")
        self.frames = frames
        self.out = out
        self.command = command
