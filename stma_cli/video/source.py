"""What a video is to the rest of the tool: frames in display orientation with exact times."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from stma.errors import SettingsError
from stma_cli.frame_files import named_by_number
from stma_cli.note import Note
from stma_cli.video.colour import ColourTags
from stma_cli.wording import counted

DEFAULT_FOLDER_RATE = Fraction(24)  # a folder of images has no clock; 24 is the rate of DAVIS

TRANSPARENCY_IGNORED = Note("video", "transparency of the source is ignored")


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        index: position in the whole video, from 0, also when only a range is read.
        pixels: (H, W, 3) uint8 array, RGB, display orientation.
        time: seconds from the first frame of the video, exact.
        name: stem for files made from this frame: "00012", or the image's own stem for a folder.
        duration: seconds this frame is shown, where the container says so.
    """

    index: int
    pixels: np.ndarray
    time: Fraction
    name: str
    duration: Fraction | None = None


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a video before its frames are read; the defaults are those of ordinary pictures.

    Attributes:
        path: the file or folder.
        kind: "container" for a video file, "folder" for a folder of images, "stack" for a file of several.
        width, height: pixels, display orientation (after rotation).
        frame_rate: average frames per second; single frames may be timed otherwise.
        time_base: the unit of the container's timestamps in seconds; every Frame.time is a multiple of it.
        frame_count_hint: number of frames the container claims, or None. Never to be relied upon.
        variable_frame_rate: what the container suggests, or None where it says nothing.
        rotation: degrees clockwise that were applied to get display orientation: 0, 90, 180 or 270.
        sample_aspect_ratio: width / height of a pixel in display orientation. Pixels are kept as stored;
            the writer passes the ratio on, so that players show the same shape.
        colour: matrix, range, primaries and transfer of the stored pictures.
        has_audio: whether a sound track exists.
        start_time: time of the first frame on the container's clock, which the sound shares.
        codec: name of the decoder, or of the image format for a folder.
    """

    path: Path
    kind: Literal["container", "folder", "stack"]
    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    frame_count_hint: int | None
    variable_frame_rate: bool | None = False
    rotation: int = 0
    sample_aspect_ratio: Fraction = Fraction(1)
    colour: ColourTags = field(default_factory=ColourTags)
    has_audio: bool = False
    start_time: Fraction = Fraction(0)
    codec: str


@dataclass
class VideoSource(ABC):
    """A video that can be read from its start any number of times, each time frame by frame.

    Attributes:
        info: what is known beforehand.
        notes: sentences the user should see (rotation applied, damaged frames, ...); may grow while reading.
    """

    info: VideoInfo
    notes: list[Note] = field(default_factory=list)

    @abstractmethod
    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """Yield the frames start, start + 1, ..., end - 1 in display order, holding only a few at a time.

        An `end` beyond the last frame stops at the last frame and adds a note.

        Raises:
            SettingsError: the range is empty or begins after the last frame.
            VideoError: a frame cannot be decoded, or the file ends before its frames do.
        """

    @abstractmethod
    def frames_backward(self, start: int, end: int) -> Iterator[Frame]:
        """Yield the frames end - 1, ..., start, holding only a bounded part of them at a time.

        These frames carry no times (`Frame.time` is 0), which are only known in display order.

        Raises:
            SettingsError: the range is empty or begins after the last frame.
            VideoError: a frame before `end` cannot be decoded.
        """

    @property
    def stems(self) -> list[str]:
        """The names of the frames: those of their files without ending; none where they come from one file."""
        return []

    @abstractmethod
    def count_frames(self) -> int:
        """Return the true number of frames, by decoding all of them where nothing else can be trusted."""

    def add_note(self, note: Note) -> None:
        """Record `note` once."""
        if note not in self.notes:
            self.notes.append(note)


def check_range(start: int, end: int | None) -> None:
    """Raise SettingsError unless 0 <= start < end."""
    if start < 0:
        raise SettingsError(f"the range starts at frame {start}", "frames count from 0, so give 0 or more")
    if end is not None and end <= start:
        raise SettingsError(
            f"the range from frame {start} to {end} is empty, as the end is not part of it",
            f"give an end of {start + 1} or more",
        )


def start_beyond_end(path: Path, start: int, frame_count: int, stems: Sequence[str] = ()) -> SettingsError:
    """Return the error for a range that begins after the last frame; `stems` are the names of a folder's frames."""
    return SettingsError(
        f"the range starts at frame {start}, but {path} has {counted(frame_count, 'frame')}",
        f"give a start from 0 to {frame_count - 1}{named_by_number(start, stems)}",
    )
