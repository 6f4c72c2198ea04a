"""Frames named by their number or by their time."""

import re
from fractions import Fraction
from pathlib import Path

from stma.errors import SettingsError
from stma_cli.video.opening import open_at_rate
from stma_cli.video.source import VideoSource

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d?(?:\.\d+)?)")  # 1:05.2 or 1:01:05
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


def frame_numbers(video: Path, rate: str | None, **options: str | None) -> list[int | None]:
    """Return the frame that each option names, by a number or the time that it is nearest to; None for None.

    The video is opened only where a time is given, and its frames are decoded up to there, as it may have any
    times.

    Args:
        video: as it is opened.
        rate: frames per second of pictures, as typed.
        options: what was typed, by the name of the option.

    Raises:
        SettingsError: one is neither a number nor a time.
        VideoError: the video cannot be read.
    """
    moments = [None if text is None else _moment(name, text) for name, text in options.items()]
    if not any(isinstance(moment, Fraction) for moment in moments):
        return [None if moment is None else int(moment) for moment in moments]
    source = open_at_rate(video, rate)
    return [frame_at(source, moment) if isinstance(moment, Fraction) else moment for moment in moments]


def frame_at(source: VideoSource, seconds: Fraction) -> int:
    """Return the number of the frame nearest to a time; behind the last one as if frames went on at their rate.

    Raises:
        VideoError: the video cannot be read up to there.
    """
    if source.info.kind != "container":
        return round(seconds * source.info.frame_rate)
    index, before = 0, Fraction(0)
    for frame in source.frames():
        if frame.time >= seconds:
            return frame.index if frame.time - seconds <= seconds - before else index
        index, before = frame.index, frame.time
    return index + round((seconds - before) * source.info.frame_rate)


def _moment(option: str, text: str) -> int | Fraction:
    """Return a number of a frame, or seconds as a fraction."""
    if text.isdecimal():
        return int(text)
    seconds, clock = _SECONDS.fullmatch(text), _CLOCK.fullmatch(text)
    if seconds:
        return Fraction(seconds[1])
    if clock:
        hours, minutes, rest = clock.groups()
        return (int(hours or 0) * 60 + int(minutes)) * 60 + Fraction(rest)
    raise SettingsError(
        f"--{option} {text} is neither the number of a frame nor a time",
        "give one such as 120, 65.2s or 1:05.2",
    )
