"""The settings, the result and the interruption of `stma segment`."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from stma.postprocess.config import PostprocessConfig
from stma_cli.config.file import NO_CONFIG
from stma_cli.rendering.settings import RenderSettings
from stma_cli.wording import as_argument, shell_command

INTERRUPTED = 130  # exit status, as a shell reports it for a program that Ctrl-C ended
FORWARD, BACKWARD, BOTH = "forward", "backward", "both"
OPTIONS_TO_REPEAT = (
    "overlay", "device", "precision", "model", "size", "chunk", "adapt", "threads", "start", "end", "objects",
    "first_mask_only", "frame_rate", "direction", "checkpoint", "states", "force", "soft",
)  # fmt: skip


@dataclass(frozen=True)
class SegmentSettings:
    """The options of `stma segment`.

    Attributes:
        video: file or folder of frames.
        masks: the --mask values as typed.
        out: folder for the masks and the report.
        overlay: file or folder to render into, or None.
        rendering: what it shows.
        device, precision, model: as typed.
        size: shorter side in pixels that the model works at; 0 for the video's own, None for what suits the objects.
        chunk: frames that the model takes at once.
        refine_edges: outlines follow the colours of the frame.
        adapt: steps of learning from the first marked frame.
        threads: CPU threads of the model, or None for all usable cores.
        start, end: range of frames, end exclusive, None for the last.
        frame_rate: frames per second of images, as typed.
        direction: which way objects are followed from annotated frames: "forward", "backward" or "both".
        objects: the --objects value, or None for all.
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

    video: Path
    masks: tuple[str, ...]
    out: Path
    overlay: Path | None = None
    rendering: RenderSettings = field(default_factory=RenderSettings)
    device: str = "auto"
    precision: str = "auto"
    model: str = "small"
    size: int | None = None
    chunk: int = 4
    refine_edges: bool = True
    adapt: int = 0
    threads: int | None = None
    start: int = 0
    end: int | None = None
    objects: str | None = None
    audio: bool = True
    force: bool = False
    quiet: bool = False
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    resume: bool = False
    checkpoint: int = 50
    states: int = 4
    replace_overlay: bool = False
    direction: str = FORWARD
    first_mask_only: bool = False
    frame_rate: str | None = None
    soft: Path | None = None

    def command_until(self, end: int, can_resume: bool) -> str:
        """Return the command that ends the run before the frame `end`: from the checkpoint in `out`, or anew."""
        return replace(self, end=end, force=self.force or not can_resume).resume_command()

    def resume_command(self) -> str:
        """Return the command that goes on from the checkpoint in `out`; what a stma.toml has set is typed out in it."""
        words = ["stma", "segment", as_argument(self.video)]
        for text in self.masks:
            words += ["--mask", text]
        words += ["--out", str(self.out), "--resume"]
        words += _other_than_default(self, OPTIONS_TO_REPEAT)
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


def _other_than_default(options: Any, names: Iterable[str]) -> list[str]:
    """Return the options of a dataclass that were changed, as they are typed; True is a flag without value."""
    defaults = {option.name: option.default for option in fields(options)}
    words = []
    for name in names:
        value = getattr(options, name)
        if value != defaults[name]:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


@dataclass(frozen=True)
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
