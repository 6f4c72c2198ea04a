"""What there is to know about a video, from its header and one pass over its frames."""

from array import array
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from stma.errors import StmaError, VideoError
from stma.resize import fitted_size, resize_frame
from stma_cli.check.findings import Finding, Level, from_error
from stma_cli.video import VideoInfo, VideoSource, open_video

QUICK_FRAMES = 30
SMALL_SIDE = 160  # pixels; large enough that a moving thumb changes it, small enough to cost nothing
DUPLICATE = 1  # largest grey difference of a repeated frame; coding noise makes 1
CUT_DIFFERENCE = 18.0  # mean grey difference across a cut, 0 to 255
CUT_HISTOGRAM = 0.2  # share of pixels whose grey level is another
CUT_ABOVE_NEIGHBOURS = 3.0  # how much a cut stands out of the motion round it
NEIGHBOURS = 5  # frames on each side
UNEVEN = 0.2  # relative difference of a frame's duration from the usual one
SHOWN = 8  # frame numbers in one sentence


@dataclass(frozen=True)
class VideoSurvey:
    """What a pass over a video has shown.

    Attributes:
        path: the file or folder as it was given.
        findings: everything to say about it.
        info: its header, None when it cannot be opened.
        first: (H, W, 3) uint8 RGB of the first frame, display orientation.
        frames: the true number of frames, None where not all were read.
        stems: names of the frames without ending, where the video is a folder.
    """

    path: Path
    findings: tuple[Finding, ...]
    info: VideoInfo | None = None
    first: np.ndarray | None = None
    frames: int | None = None
    stems: tuple[str, ...] = ()


@dataclass
class _Pass:
    """Numbers of each frame, in a few bytes per frame."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    differences: "array[float]" = field(
        default_factory=lambda: array("d")
    )  # mean grey difference to the one before
    histograms: "array[float]" = field(default_factory=lambda: array("d"))
    duplicates: list[int] = field(default_factory=list)
    first: np.ndarray | None = None
    _small: np.ndarray | None = None

    def add(self, index: int, pixels: np.ndarray, time: float) -> None:
        import cv2

        if self.first is None:
            self.first = pixels.copy()
        height, width = fitted_size(pixels.shape[0], pixels.shape[1], SMALL_SIDE)
        small = cv2.cvtColor(resize_frame(pixels, height, width), cv2.COLOR_RGB2GRAY).astype(np.int16)
        difference = 0.0
        share = 0.0
        if self._small is not None:
            apart = np.abs(small - self._small)
            difference = float(apart.mean())
            if int(apart.max()) <= DUPLICATE:
                self.duplicates.append(index)
            counts = [np.bincount(plane.ravel() >> 4, minlength=16) for plane in (small, self._small)]
            share = float(np.abs(counts[0] - counts[1]).sum()) / (2 * small.size)
        self._small = small
        self.times.append(time)
        self.differences.append(difference)
        self.histograms.append(share)

    def cuts(self) -> list[int]:
        """Return the frames that begin another shot."""
        found = []
        for index in range(1, len(self.differences)):
            value = self.differences[index]
            if value < CUT_DIFFERENCE or self.histograms[index] < CUT_HISTOGRAM:
                continue
            around = [
                *self.differences[max(1, index - NEIGHBOURS) : index],
                *self.differences[index + 1 : index + 1 + NEIGHBOURS],
            ]
            if not around or value > CUT_ABOVE_NEIGHBOURS * float(np.median(around)):
                found.append(index)
        return found

    def uneven_times(self) -> tuple[float, float] | None:
        """Return the shortest and the longest time between frames in seconds, None where they are alike."""
        steps = np.diff(np.asarray(self.times))
        if len(steps) < 2 or np.abs(steps - np.median(steps)).max() <= UNEVEN * np.median(steps):
            return None
        return float(steps.min()), float(steps.max())


def survey_video(path: Path, quick: bool = False) -> VideoSurvey:
    """Read a video once and say what is remarkable; memory does not grow with frame size times length.

    Args:
        path: a video file or a folder of frames.
        quick: read only the header and the first 30 frames.
    """
    file = str(path)
    try:
        source = open_video(path)
    except VideoError as error:
        return VideoSurvey(path, (from_error(error, "unreadable", file),))
    seen = _Pass()
    failure: StmaError | None = None
    try:
        for frame in islice(source.frames(), QUICK_FRAMES if quick else None):
            seen.add(frame.index, frame.pixels, float(frame.time))
    except StmaError as error:
        failure = error
    count = len(seen.times)
    whole = failure is None and (not quick or count < QUICK_FRAMES)
    findings = [from_error(failure, "damaged", file)] if failure else []
    findings += _header_findings(source, file)
    findings += _frame_findings(seen, file)
    known = count if whole else len(source.stems) or None
    return VideoSurvey(path, tuple(findings), source.info, seen.first, known, tuple(source.stems))


def _header_findings(source: VideoSource, file: str) -> list[Finding]:
    info = source.info
    findings = []
    if info.rotation:
        findings.append(
            Finding(
                Level.NOTE,
                "rotated",
                file,
                f"it is stored turned and shown turned by {info.rotation} degrees clockwise, as "
                f"{info.width}x{info.height}",
                "mark the objects on a frame as a player shows it; ffmpeg and stma turn frames by themselves",
            )
        )
    if info.width % 2 or info.height % 2:
        findings.append(
            Finding(
                Level.NOTE,
                "odd-size",
                file,
                f"its size {info.width}x{info.height} is odd, which H.264 video cannot be",
                "nothing for masks, which keep the size; an overlay video gets one more row or column",
            )
        )
    for note in source.notes:
        if note.code == "rotated":
            continue
        damaged = note.code == "damaged-frames"
        level = Level.WARNING if damaged else Level.NOTE
        fix = (
            "copy or download the video again if it should be whole"
            if damaged
            else "nothing, if that is meant"
        )
        findings.append(Finding(level, note.code, file, note, fix))
    return findings


def _frame_findings(seen: _Pass, file: str) -> list[Finding]:
    findings = []
    uneven = seen.uneven_times()
    if uneven is not None:
        shortest, longest = (1000 * seconds for seconds in uneven)
        findings.append(
            Finding(
                Level.NOTE,
                "variable-frame-rate",
                file,
                f"its frame rate varies: frames are {shortest:.1f} to {longest:.1f} ms apart",
                "nothing for stma, which keeps the time of each frame; count frames for --mask N=FILE and do "
                "not multiply seconds by the frame rate",
            )
        )
    cuts = seen.cuts()
    if cuts:
        numbers = _listed(cuts)
        findings.append(
            Finding(
                Level.WARNING,
                "shot-cut",
                file,
                f"another shot seems to begin at frame {numbers}",
                "objects can be lost there: cut the video, or give a mask after each cut, as in "
                f"--mask {cuts[0]}=after_the_cut.png",
            )
        )
    if seen.duplicates:
        findings.append(
            Finding(
                Level.NOTE,
                "duplicate-frames",
                file,
                f"{len(seen.duplicates)} of {len(seen.times)} frames repeat the one before: "
                f"{_listed(seen.duplicates)}",
                "nothing, their masks are the same; to save time leave them out with: "
                "ffmpeg -i INPUT -vf mpdecimate -fps_mode vfr OUTPUT.mp4",
            )
        )
    return findings


def _listed(numbers: list[int]) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return ", ".join(map(str, numbers[:SHOWN])) + more
