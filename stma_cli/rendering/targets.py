"""What a rendering is written to, by its name: video, transparent video, PNG files or a preview."""

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stma.errors import OutputError, SettingsError
from stma_cli.rendering.settings import RenderSettings

if TYPE_CHECKING:
    import numpy as np

    from stma_cli.video import Frame, VideoInfo

_LOSSY_MARGIN = 16  # pixels: a block of the encoders, within which they mix colours


class Target(Enum):
    """Kinds of result."""

    MP4 = auto()
    MOV = auto()
    WEBM = auto()
    PREVIEW = auto()
    PICTURES = auto()  # a folder of PNG files


_BY_SUFFIX = {
    ".mp4": Target.MP4,
    ".m4v": Target.MP4,
    ".mov": Target.MOV,
    ".webm": Target.WEBM,
    ".gif": Target.PREVIEW,
    ".webp": Target.PREVIEW,
    "": Target.PICTURES,
}


class RenderOutput(Protocol):
    """Takes rendered frames in order; see `VideoWriter` for the way it is used."""

    @property
    def frame_count(self) -> int:
        """Frames taken so far."""

    @property
    def notes(self) -> list[str]:
        """What the user should know about the result; complete after `close`."""

    def write_frame(self, frame: "Frame", picture: "np.ndarray") -> None:
        """Append the picture made of `frame`: uint8, (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey."""

    def close(self) -> None:
        """Complete the result and give it its name."""

    def abort(self) -> None:
        """Leave nothing unfinished behind."""


@dataclass(frozen=True)
class Place:
    """Where a rendering goes.

    Attributes:
        path: file or folder.
        option: how the user gave it, for messages.
        force: whether an older result may be replaced.
    """

    path: Path
    option: str
    force: bool

    def target(self, settings: RenderSettings) -> Target:
        """Return the kind of result, by the ending of the name.

        Raises:
            SettingsError: the ending is unknown, or the kind cannot hold the style.
        """
        path = self.path
        kind = Target.PICTURES if path.is_dir() else _BY_SUFFIX.get(path.suffix.lower())
        if kind is None or str(path) == "-":  # "-" stands for the standard output elsewhere
            raise SettingsError(
                f"{path} is not a name for this output",
                "let it end in .mp4, .m4v, .mov, .webm, .gif or .webp, or "
                "in nothing for a folder of PNG files",
            )
        if kind is Target.MP4 and settings.transparent:
            raise SettingsError(
                f"{path} would be an MP4 file, which has no transparency",
                "let it end in .mov (ProRes 4444), .webm "
                "(VP9) or in nothing (PNG files), or choose --style green",
            )
        return kind

    def require_free(self, video: Path, *others: Path) -> None:
        """Refuse to replace the video, another folder of the run, or without `force` an older result.

        Args:
            video: the source, a file or folder.
            others: files and folders that must not be written into.

        Raises:
            SettingsError: the result would replace one of them.
            OutputError: there is an older result, or a folder in the place of a file.
        """
        path = self.path
        for other, what in ((video, "the video"), *((other, str(other)) for other in others)):
            if path.exists() and other.exists() and path.samefile(other):
                raise SettingsError(f"{self.option} {path} is {what} itself", "choose another name")
        if any(other.resolve() == path.resolve() for other in others):
            raise SettingsError(f"{self.option} {path} is a folder of the masks", "choose another name")
        if path.is_dir():
            if path.suffix.lower() in _BY_SUFFIX and path.suffix:
                raise OutputError(f"{self.option} {path} is a folder", "choose another name")
            if any(path.iterdir()) and not self.force:
                raise OutputError(
                    f"{path} is not empty", "choose another name, or add --force to write into it"
                )
        elif path.exists() and not self.force:
            raise OutputError(f"{path} exists", "choose another name, or add --force to replace it")


def clear_margin(target: Target) -> int:
    """Return how far around a cutout colours stay, see `CompositeRenderer`; 0 where nothing is lossy."""
    return _LOSSY_MARGIN if target in (Target.MOV, Target.WEBM) else 0


def open_output(
    place: Place,
    settings: RenderSettings,
    info: "VideoInfo",
    *,
    audio: bool = True,
    start: int = 0,
    end: int | None = None,
) -> RenderOutput:
    """Open the result for writing.

    Args:
        place: where it goes.
        settings: how it is rendered.
        info: the source.
        audio: whether to copy the sound, where the result has any.
        start, end: the range of frames that will be written, end exclusive and None for the last frame.

    Raises:
        SettingsError: the kind cannot hold the style.
        OutputError, VideoError: the result cannot be written, or the sound not be read.
    """
    from stma_cli.rendering.pictures import PictureFolder
    from stma_cli.rendering.preview import PreviewWriter
    from stma_cli.video import VideoWriter
    from stma_cli.video.encodings import H264, PRORES_4444, VP9, VP9_ALPHA

    target = place.target(settings)
    if target is Target.PICTURES:
        return PictureFolder(place.path, place.force, place.option)
    if target is Target.PREVIEW:
        return PreviewWriter(place.path, info, settings.transparent)
    opaque, transparent = (VP9, VP9_ALPHA) if target is Target.WEBM else (H264, PRORES_4444)
    encoding = transparent if settings.transparent else opaque
    return VideoWriter(place.path, info, audio=audio, start=start, end=end, encoding=encoding)
