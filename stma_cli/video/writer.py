"""H.264 video files: the source's times, sound, colours and pixel shape, and complete files only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError

from stma.errors import OutputError
from stma_cli.output import output_error
from stma_cli.video.audio import SoundTrack
from stma_cli.video.colour import FromRgb, output_tags
from stma_cli.video.container import thread_count
from stma_cli.video.source import VideoInfo

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov")
_FINEST_UNIT = 1_000_000  # ticks per second; a finer clock is rounded to it
_COARSEST_UNIT = 10_000  # so that the start of sound and pictures can be told apart


class VideoWriter:
    """Writes frames to an H.264 MP4 file with the source's own times.

    Use as a context manager: leaving it normally completes the file and gives it its name, an exception
    removes it. Until then the file has a temporary name in the same folder.

    Sound packets are copied from the source as the pictures are written. For a range of frames they are
    shifted and cut to it. A picture with an odd number of rows or columns, which H.264 4:2:0 cannot hold,
    gets its last row or column twice.

    Attributes:
        notes: what the user should know about the file.
        frame_count: number of frames written.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        *,
        audio: bool = True,
        start: int = 0,
        end: int | None = None,
        quality: int = 18,
        preset: str = "veryfast",
    ) -> None:
        """Open the output.

        Args:
            path: file to write, .mp4, .m4v or .mov; missing folders are made.
            info: the source, for size, rate, colours and sound.
            audio: whether to copy the sound of a source that has some.
            start, end: the range of frames that will be written, end exclusive and None for the last frame;
                tells how to cut the sound.
            quality: constant rate factor of x264; 18 is visually lossless, 23 half the size.
            preset: x264's speed preset.

        Raises:
            OutputError: the name or place cannot be written.
            VideoError: the sound cannot be read.
        """
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise OutputError(f"{path} is not a name for an MP4 file; let it end in .mp4")
        self.path = path
        self.notes: list[str] = []
        self.frame_count = 0
        self._info = info
        self._ends_early = end is not None
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
        self._unit = _unit(info.time_base)
        self._first_time: Fraction | None = None
        self._waiting: tuple[av.VideoFrame, Fraction | None] | None = None
        self._last_step = max(1, round(1 / (info.frame_rate * self._unit)))
        self._sound: SoundTrack | None = None
        self._is_open = False
        with self._or_output_error():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.touch()  # the container opens its file only with the first packet
            self._container = av.open(
                str(self._temporary),
                "w",
                format="mov" if path.suffix.lower() == ".mov" else "mp4",
                container_options={"movflags": "+faststart", "movie_timescale": str(self._unit.denominator)},
            )
            self._is_open = True
            self._picture = self._add_picture_track(quality, preset)
            if audio and info.has_audio:
                self._sound = SoundTrack(info.path, self._container)
                if self._sound.note:
                    self.notes.append(self._sound.note)
        self._lead = Fraction(0)  # seconds by which the sound begins before the first picture
        if self._sound and start == 0:
            self._lead = max(Fraction(0), info.start_time - self._sound.start_time)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, pixels: np.ndarray, time: Fraction, duration: Fraction | None = None) -> None:
        """Append one frame.

        Args:
            pixels: (H, W, 3) uint8 array, RGB, of the source's display size.
            time: seconds as in `Frame.time`; must grow from call to call.
            duration: seconds as in `Frame.duration`; matters for the last frame only.

        Raises:
            ValueError: size or time do not fit.
            OutputError: the file cannot be written; it is removed.
        """
        if pixels.shape != (self._info.height, self._info.width, 3):
            raise ValueError(
                f"frame of shape {pixels.shape} for a {self._info.width}x{self._info.height} video"
            )
        if self._first_time is None:
            self._first_time = time
            if self._sound:
                self._sound.begin(self._info.start_time + time - self._lead)
        ticks = round((time - self._first_time + self._lead) / self._unit)
        with self._or_output_error():
            frame = self._from_rgb(_even(pixels))
            frame.pts = ticks
            frame.time_base = self._unit
            if self._waiting:
                previous = self._waiting[0]
                if previous.pts is None or ticks <= previous.pts:
                    raise ValueError(f"frame {self.frame_count} does not come after the one before it")
                self._last_step = ticks - previous.pts
                self._encode(previous, self._last_step)
            self._waiting = (frame, duration)
        self.frame_count += 1

    def close(self, cut_audio: bool = False) -> None:
        """Complete the file and give it its name.

        Args:
            cut_audio: end the sound with the last frame also when the range was open; for a run that was
                stopped before the end of the video.

        Raises:
            OutputError: nothing was written, or the file cannot be completed; it is removed.
        """
        if not self._is_open:
            return
        with self._or_output_error():
            if self._waiting is None:
                raise OutputError(f"{self.path} would have no frames; check the range of frames asked for")
            frame, duration = self._waiting
            ticks = round(duration / self._unit) if duration else self._last_step
            self._encode(frame, max(1, ticks))
            self._waiting = None
            self._container.mux(self._picture.encode(None))
            if self._sound:
                end = ((frame.pts or 0) + ticks) * self._unit
                self._sound.write_until(end if cut_audio or self._ends_early else None)
                self._sound.finish()
            self._is_open = False
            self._container.close()
            os.replace(self._temporary, self.path)

    def abort(self) -> None:
        """Remove the unfinished file; nothing is left under either name."""
        self._waiting = None
        if self._sound:
            self._sound.close()
        if self._is_open:
            self._is_open = False
            with suppress(FFmpegError, OSError, ValueError):
                self._container.close()
        with suppress(OSError):
            self._temporary.unlink()

    def _add_picture_track(self, quality: int, preset: str) -> av.VideoStream:
        info, tags = self._info, output_tags(self._info.colour)
        track = self._container.add_stream(
            "libx264",
            rate=info.frame_rate,
            width=info.width + info.width % 2,
            height=info.height + info.height % 2,
            time_base=self._unit,
            options={"crf": str(quality), "preset": preset},
        )
        if info.width % 2 or info.height % 2:
            self.notes.append(
                f"H.264 needs even sizes: {info.width}x{info.height} is padded to "
                f"{track.width}x{track.height} by repeating the last row or column"
            )
        context = track.codec_context
        context.pix_fmt = "yuv420p"
        context.thread_count = thread_count()
        context.flags |= Flags.frame_duration
        context.colorspace = tags.matrix
        context.color_range = 2 if tags.full_range else 1
        context.color_primaries = tags.primaries
        context.color_trc = tags.transfer
        context.sample_aspect_ratio = info.sample_aspect_ratio
        self._from_rgb = FromRgb(tags.matrix)
        return track

    def _encode(self, frame: av.VideoFrame, ticks: int) -> None:
        frame.duration = ticks
        packets = self._picture.encode(frame)
        self._container.mux(packets)
        if self._sound and packets and packets[-1].dts is not None:
            self._sound.write_until(packets[-1].dts * (packets[-1].time_base or self._unit))

    @contextmanager
    def _or_output_error(self) -> Iterator[None]:
        """Remove the file on any exception; turn those of the file system and FFmpeg into OutputError."""
        try:
            yield
        except (OSError, FFmpegError) as error:
            self.abort()
            if isinstance(error, OSError):
                raise output_error(self.path, error) from error
            raise OutputError(
                f"{self.path} cannot be encoded ({error}); try another place with -o, or --no-audio"
            ) from error
        except BaseException:
            self.abort()
            raise


def _unit(time_base: Fraction) -> Fraction:
    """Return a unit of time 1/n that holds the times of the source exactly, if it is not finer than 1 us."""
    ticks = time_base.denominator
    if ticks > _FINEST_UNIT:
        ticks = _FINEST_UNIT
    while ticks < _COARSEST_UNIT:
        ticks *= 2
    return Fraction(1, ticks)


def _even(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels with the last row and column repeated where their number is odd."""
    height, width = pixels.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return pixels
    return cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
