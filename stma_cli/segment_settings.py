"""The settings, the result and the interruption of `stma segment`."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from stma.postprocess.config import PostprocessConfig

OPTIONS_TO_REPEAT = ("device", "precision", "model", "size", "chunk", "threads", "end", "objects")


@dataclass(frozen=True)
class SegmentSettings:
    """The options of `stma segment`.

    Attributes:
        video: file or folder of frames.
        masks: the --mask values as typed.
        out: folder for the masks and the report.
        overlay: MP4 file to write, or None.
        device, precision, model: as typed.
        size: shorter side in pixels that the model works at; 0 for the video's own.
        chunk: frames that the model takes at once.
        threads: CPU threads of the model, or None for all usable cores.
        start, end: range of frames, end exclusive, None for the last.
        objects: the --objects value, or None for all.
        audio: copy the sound into the overlay.
        force: write into a folder that is not empty, replace an overlay.
        quiet: no progress line.
        postprocess: what happens to the labels between the model and the results.
    """

    video: Path
    masks: tuple[str, ...]
    out: Path
    overlay: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    model: str = "small"
    size: int = 480
    chunk: int = 4
    threads: int | None = None
    start: int = 0
    end: int | None = None
    objects: str | None = None
    audio: bool = True
    force: bool = False
    quiet: bool = False
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)

    def resume_command(self, frame: int, mask: Path, annotated: Iterable[int]) -> str:
        """Return the command that goes on from the mask of frame `frame`.

        Masks of later frames are repeated as typed; the overlay is left out, as it would only show the rest.

        Args:
            frame: the last frame that was written.
            mask: its label PNG.
            annotated: the frames that have a mask.
        """
        later = {f for f in annotated if f > frame}
        masks = [f"{frame}={mask}", *(text for text in self.masks if _frame_of(text) in later)]
        words = ["stma", "segment", str(self.video)]
        for text in masks:
            words += ["--mask", text]
        words += ["--start", str(frame), "--out", str(self.out), "--force"]
        words += _other_than_default(self, OPTIONS_TO_REPEAT)
        words += _other_than_default(self.postprocess, [step.name for step in fields(self.postprocess)])
        return shlex.join(words)


def _other_than_default(options: Any, names: Iterable[str]) -> list[str]:
    """Return the options of a dataclass that were changed, as they are typed; True is a flag without value."""
    defaults = {option.name: option.default for option in fields(options)}
    words = []
    for name in names:
        value = getattr(options, name)
        if value != defaults[name]:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def _frame_of(text: str) -> int | None:
    from stma_cli.masks.options import parse_mask_option

    return parse_mask_option(text).frame


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
    """

    out: Path
    overlay: Path | None
    report: Path
    frames: int
    objects: dict[int, str]
    seconds: float
    overlay_range: tuple[int, int | None] = (0, None)

    @property
    def frames_per_second(self) -> float:
        """Frames per second of wall time, everything included."""
        return self.frames / max(self.seconds, 1e-3)

    def summary(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "interrupted": False,
            "frames": self.frames,
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
