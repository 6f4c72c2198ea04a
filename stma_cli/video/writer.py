"""Video files: the source's times, sound, colours and pixel shape, and complete files only."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.codec.context import Flags

from stma.errors import OutputError
from stma_cli.video.audio import SoundTrack
from stma_cli.video.colour import FromRgb, output_tags
from stma_cli.video.container import thread_count
from stma_cli.video.encodings import H264, SOUND, Encoding
from stma_cli.video.pyav import exact
from stma_cli.video.source import Frame, VideoInfo
from stma_cli.video.unfinished import UnfinishedVideo, removed_on_error

_ADVICE = "try another place for it, or --no-audio"  # when FFmpeg refuses to encode
_FINEST_UNIT = 1_000_000  # ticks per second; a finer clock is rounded to it
_COARSEST_UNIT = 10_000  # so that the start of sound and pictures can be told apart


class VideoWriter:
    """Writes frames to a video file with the source's own times, H.264 in MP4 unless asked otherwise.

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
        encoding: Encoding = H264,
    ) -> None:
        """Open the output.

        Args:
            path: file to write, with an ending that the encoding knows; missing folders are made.
            info: the source, for size, rate, colours and sound.
            audio: whether to copy the sound of a source that has some.
            start, end: the range of frames that will be written, end exclusive and None for the last frame;
                tells how to cut the sound.
            encoding: the kind of file.

        Raises:
            OutputError: the name or place cannot be written.
            VideoError: the sound cannot be read.
        """
        if path.suffix.lower() not in encoding.containers:
            endings = " or ".join(encoding.containers)
            raise OutputError(f"{path} is not a name for {encoding.name}", f"let it end in {endings}")
        self.path = path
        self.notes: list[str] = []
        self.frame_count = 0
        self._info = info
        self._tags = output_tags(info.colour)
        self._encoding = encoding
        self._container_format = encoding.containers[path.suffix.lower()]
        self._ends_early = end is not None
        self._file = UnfinishedVideo(path)
        self._unit = encoding.unit or _unit(info.time_base)
        self._first_time: Fraction | None = None
        self._previous_time: Fraction | None = None
        self._is_rounded = False
        self._waiting: tuple[av.VideoFrame, Fraction | None] | None = None
        self._last_step = max(1, round(1 / (info.frame_rate * self._unit)))
        self._sound: SoundTrack | None = None
        with removed_on_error(self.path, self.abort, _ADVICE):
            self._container = self._file.open(self._container_format, self._container_options())
            self._picture = self._add_picture_track()
            if audio and info.has_audio:
                self._sound = SoundTrack(info.path, self._container, SOUND[self._container_format])
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
            pixels: uint8 array of the source's display size: (H, W, 3) RGB, (H, W, 4) RGBA with straight
                alpha, or (H, W) grey.
            time: seconds as in `Frame.time`; must grow from call to call.
            duration: seconds as in `Frame.duration`; matters for the last frame only.

        Raises:
            ValueError: size or time do not fit.
            OutputError: the file cannot be written; it is removed.
        """
        if pixels.ndim == 2:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
        if pixels.shape[:2] != (self._info.height, self._info.width):
            raise ValueError(
                f"frame of shape {pixels.shape} for a {self._info.width}x{self._info.height} video"
            )
        if self._first_time is None:
            self._first_time = time
            if self._sound:
                self._sound.begin(self._info.start_time + time - self._lead)
        with removed_on_error(self.path, self.abort, _ADVICE):
            if self._previous_time is not None and time <= self._previous_time:
                raise ValueError(f"frame {self.frame_count} does not come after the one before it")
            self._previous_time = time
            frame = self._from_rgb(_even(pixels) if self._encoding.even else pixels)
            frame.pts = self._ticks(time - self._first_time + self._lead)
            frame.time_base = self._unit
            frame.color_primaries, frame.color_trc = self._tags.primaries, self._tags.transfer
            if self._waiting:
                previous = self._waiting[0]
                self._last_step = frame.pts - (previous.pts or 0)
                self._encode(previous, self._last_step)
            self._waiting = (frame, duration)
        self.frame_count += 1

    def write_frame(self, frame: Frame, picture: np.ndarray) -> None:
        """Append the picture made of one frame of the source; see `write`."""
        self.write(picture, frame.time, frame.duration)

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            OutputError: nothing was written, or the file cannot be completed; it is removed.
        """
        if not self._file.is_open:
            return
        with removed_on_error(self.path, self.abort, _ADVICE):
            if self._waiting is None:
                raise OutputError(f"{self.path} would have no frames", "check the range of frames asked for")
            if self._is_rounded:
                kind = SOUND[self._container_format].kind
                self.notes.append(
                    f"{kind} holds times in milliseconds, to which those of the frames are rounded"
                )
            frame, duration = self._waiting
            ticks = round(duration / self._unit) if duration else self._last_step
            self._encode(frame, max(1, ticks))
            self._waiting = None
            self._container.mux(self._picture.encode(None))
            if self._sound:
                end = ((frame.pts or 0) + ticks) * self._unit
                self._sound.write_until(end if self._ends_early else None)
                self._sound.finish()
            self._file.close()
            self._file.rename()

    def abort(self) -> None:
        """Remove the unfinished file; nothing is left under either name."""
        self._waiting = None
        if self._sound:
            self._sound.close()
        self._file.remove()

    def _ticks(self, time: Fraction) -> int:
        """Return a time of the output in its unit, or the next one where that is taken by the frame before."""
        ticks = round(time / self._unit)
        if self._encoding.unit is not None and ticks != time / self._unit:
            self._is_rounded = True
        if self._waiting is None or self._waiting[0].pts is None:
            return ticks
        return max(ticks, self._waiting[0].pts + 1)

    def _container_options(self) -> dict[str, str]:
        if self._encoding.unit is not None:
            return {}
        return {"movflags": "+faststart", "movie_timescale": str(self._unit.denominator)}

    def _add_picture_track(self) -> av.VideoStream:
        info, encoding, tags = self._info, self._encoding, self._tags
        padding = (info.width % 2, info.height % 2) if encoding.even else (0, 0)
        track = self._container.add_stream(
            encoding.encoder,
            rate=info.frame_rate,
            width=info.width + padding[0],
            height=info.height + padding[1],
            time_base=self._unit,
            options=dict(encoding.options),
        )
        assert isinstance(track, av.VideoStream)
        if any(padding):
            self.notes.append(
                f"{encoding.name} needs even sizes: {info.width}x{info.height} is padded to "
                f"{track.width}x{track.height} by repeating the last row or column"
            )
        context = track.codec_context
        context.pix_fmt = encoding.pixel_format
        context.thread_count = thread_count()
        context.flags |= Flags.frame_duration
        context.colorspace = tags.matrix
        context.color_range = 2 if tags.full_range else 1
        context.color_primaries = tags.primaries
        context.color_trc = tags.transfer
        context.sample_aspect_ratio = info.sample_aspect_ratio
        self._from_rgb = FromRgb(tags.matrix, encoding.pixel_format)
        return track

    def _encode(self, frame: av.VideoFrame, ticks: int) -> None:
        frame.duration = ticks
        packets = self._picture.encode(frame)
        self._container.mux(packets)
        if self._sound and packets and packets[-1].dts is not None:
            self._sound.write_until(packets[-1].dts * (exact(packets[-1].time_base) or self._unit))


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
