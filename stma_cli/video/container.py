"""Video files: sequential decoding with PyAV, true times, display orientation, no silent loss of frames."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from stma.errors import VideoError
from stma_cli.note import Note
from stma_cli.threads import usable_cores
from stma_cli.video import orientation
from stma_cli.video.colour import HDR_TRANSFERS, ToRgb, read_tags
from stma_cli.video.completeness import Arrivals, is_listed_key, missing_part
from stma_cli.video.pyav import exact, open_input
from stma_cli.video.source import (
    TRANSPARENCY_IGNORED,
    Frame,
    VideoInfo,
    VideoSource,
    check_range,
    start_beyond_end,
)
from stma_cli.video.timeline import Timeline
from stma_cli.wording import counted

_MOST_THREADS = 4  # more decode faster than anything downstream and hold more frames
_GENERATED_TIMESTAMPS = 1  # AVFMT_FLAG_GENPTS: invented times, wrong for reordered frames in AVI
_HIGHEST_RATE = 1000  # an average above is a broken header, not a camera
_LISTS = frozenset(
    {"concat", "dash", "hls", "imf", "sdp"}
)  # formats that only name other files and addresses
_FALLBACK_RATE = Fraction(25)  # what FFmpeg assumes for streams without a clock
_INTERLACED = Note(
    "video",
    "interlaced: every second row is of another moment, which costs the masks of what moves fast; for better "
    "ones convert it first with: ffmpeg -i INPUT -vf bwdif=mode=send_frame OUTPUT.mp4",
)


def thread_count() -> int:
    """Return how many threads a decoder or encoder may use: the usable cores, at most four."""
    return min(_MOST_THREADS, usable_cores())


@dataclass
class ContainerSource(VideoSource):
    """A video file of any container and codec that FFmpeg reads."""

    turn: orientation.Orientation = orientation.UPRIGHT

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file and decode its first frame.

        Raises:
            VideoError: the file is unreadable, has no video stream or no decodable frame.
        """
        notes: list[Note] = []
        with _opened(path) as (container, stream):
            first = next(_decoded(path, container, stream, notes.append), None)
            if first is None:
                raise VideoError(
                    f"{path} has a video stream but not one frame can be decoded",
                    "convert it again from its original, or choose another file",
                )
            turn = orientation.of_frame(first)
            if turn is None:
                turn = orientation.UPRIGHT
                said = "the file asks for a turn that is not a multiple of 90 degrees; it is not applied"
                notes.append(Note("video", said))
            if _has_transparency(stream, first):
                notes.append(TRANSPARENCY_IGNORED)
            if first.interlaced_frame:
                notes.append(_INTERLACED)
            info = _describe(path, container, stream, first, turn)
        return cls(info=info, notes=notes + _opening_notes(info), turn=turn)

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """See `VideoSource.frames`; frames before `start` are decoded, as seeking by number is inexact."""
        check_range(start, end)
        path, to_rgb = self.info.path, ToRgb()
        with _opened(path) as (container, stream):
            timeline = Timeline(self.info.time_base, self.info.frame_rate)
            count = 0
            for index, frame in enumerate(_decoded(path, container, stream, self.add_note)):
                time = timeline.place(frame.pts, frame.dts)
                count = index + 1
                if index < start:
                    continue
                self._check_size(frame, index)
                duration = frame.duration * self.info.time_base if frame.duration else None
                pixels = self.turn.apply(to_rgb(frame))
                yield Frame(index, pixels, time, f"{index:05d}", duration)
                if count == end:
                    break  # what lies beyond may be damaged
        for note in timeline.notes():
            self.add_note(note)
        if count <= start:
            raise start_beyond_end(path, start, count)
        if end is not None and count < end:
            said = f"the range was to end at frame {end}, but the video has {counted(count, 'frame')}"
            self.add_note(Note("video", said))

    def frames_backward(self, start: int, end: int) -> Iterator[Frame]:
        """See `VideoSource.frames_backward`."""
        from stma_cli.video.backward import BackwardReader

        check_range(start, end)
        path, to_rgb = self.info.path, ToRgb()
        reader = BackwardReader(
            lambda: _opened(path), lambda container, stream: _decoded(path, container, stream, self.add_note)
        )
        index = None
        for index, frame in reader.frames(start, end):
            self._check_size(frame, index)
            yield Frame(index, self.turn.apply(to_rgb(frame)), Fraction(0), f"{index:05d}")
        if index is None:
            raise start_beyond_end(path, start, self.count_frames())

    def count_frames(self) -> int:
        """Return the true number of frames, by decoding all of them."""
        with _opened(self.info.path) as (container, stream):
            return sum(1 for _ in _decoded(self.info.path, container, stream, lambda note: None))

    def _check_size(self, frame: av.VideoFrame, index: int) -> None:
        height, width = frame.height, frame.width
        if self.turn.transpose:
            height, width = width, height
        if (width, height) != (self.info.width, self.info.height):
            raise VideoError(
                f"{self.info.path} changes its size at frame {index}, from "
                f"{self.info.width}x{self.info.height} to {width}x{height}",
                "cut it there, or convert it to one size with: "
                f"ffmpeg -i INPUT -vf scale={self.info.width}:{self.info.height} OUTPUT.mp4",
            )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the file for decoding; yields the container and its video stream."""
    try:
        container = open_input(path)
    except FFmpegError as error:
        raise VideoError(*_unreadable(path, error)) from error
    with container:
        if _LISTS & set(container.format.name.split(",")):
            raise VideoError(
                f"{path} is no video but a list that names others ({container.format.name})",
                "give the video itself, or join its parts with: ffmpeg -i LIST -c copy OUTPUT.mp4",
            )
        container.flags &= ~_GENERATED_TIMESTAMPS
        stream = _video_stream(path, container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = thread_count()
        yield container, stream


def _unreadable(path: Path, error: FFmpegError) -> tuple[str, str]:
    if isinstance(error, PermissionError):
        return f"{path} may not be read", "change its permissions, or copy it to a place of your own"
    if path.is_file() and path.stat().st_size == 0:
        return f"{path} is empty (0 bytes)", "copy or download it again"
    return (
        f"{path} cannot be read as a video ({error.strerror}): it is damaged, incomplete or of another kind",
        "copy or download it again, and if it plays elsewhere convert it with: ffmpeg -i INPUT OUTPUT.mp4",
    )


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise VideoError(
                f"{path} has video of a kind that cannot be decoded here",
                "convert it with: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4",
            )
        return stream
    held = "sound but no video stream" if container.streams.audio else "no video stream"
    raise VideoError(f"{path} has {held}", "choose a file with pictures")


def _decoded(
    path: Path, container: InputContainer, stream: VideoStream, note: Callable[[Note], None]
) -> Iterator[av.VideoFrame]:
    """Yield all frames in display order.

    Packets that cannot be decoded are an error once the stream has begun; those before the first key frame
    belong to pictures that were cut off, and are left out with a note.

    Raises:
        VideoError: something in the middle cannot be decoded, or the file ends too early.
    """
    count = packets = undecodable = damaged = 0
    started = False
    arrivals = Arrivals(container, stream)
    unit = exact(stream.time_base)
    position = reached = longest = Fraction(0)
    try:
        for packet in container.demux(stream):
            packets += packet.size > 0 and not packet.is_corrupt  # as one that the file ends in the middle of
            started = started or packet.is_keyframe or is_listed_key(stream, packet)
            if started:
                arrivals.expect(packet)
            try:
                frames = packet.decode()
            except FFmpegError:
                if started:
                    raise
                undecodable += 1
                continue
            packet_time = packet.dts if packet.pts is None else packet.pts
            if packet_time is not None and unit:
                reached = max(reached, (packet_time + (packet.duration or 0)) * unit)
            for frame in arrivals.settled(frames):
                if frame.pts is not None and unit:
                    longest = max(longest, frame.pts * unit - position) if count else longest
                    position = frame.pts * unit
                damaged += bool(frame.is_corrupt)
                yield frame
                count += 1
            if arrivals.is_lost():
                raise _damaged(path, count, position, "its picture is missing")
    except FFmpegError as error:
        raise _damaged(path, count, position, str(error.strerror)) from error
    if count:
        missing = missing_part(container, stream, packets, reached, longest)
        if missing:
            whole = max(1, min(count, packets))
            raise VideoError(
                f"{path} is cut off or damaged: {missing}, {counted(whole, 'frame')} could be read",
                f"copy it again, or use what is there with --end {whole}",
            )
        if arrivals.is_lost(at_end=True):
            raise _damaged(path, count, position, "its picture is missing")
    if undecodable:
        said = f"{undecodable} packets before the first key frame cannot be decoded and were left out"
        note(Note("damaged-frames", said))
    if damaged:
        said = f"{damaged} frames are damaged in the file and were used as they decode"
        note(Note("damaged-frames", said))


def _damaged(path: Path, count: int, position: Fraction, reason: str) -> VideoError:
    way_out = f"leave the damage out with --end {count}" if count else "convert it again from its original"
    return VideoError(
        f"{path} cannot be decoded at frame {count}, {float(position):.2f} s ({reason}): "
        "the file is damaged there",
        f"copy it again, or {way_out}",
    )


def _describe(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    first: av.VideoFrame,
    turn: orientation.Orientation,
) -> VideoInfo:
    ratio = exact(stream.sample_aspect_ratio) or Fraction(1)
    width, height = first.width, first.height
    if turn.transpose:
        width, height, ratio = height, width, 1 / ratio
    time_base = exact(stream.time_base) or Fraction(1, 90_000)
    rate = _average_rate(stream)
    return VideoInfo(
        path=path,
        kind="container",
        width=width,
        height=height,
        frame_rate=rate,
        time_base=time_base,
        frame_count_hint=_count_hint(container, stream, rate),
        variable_frame_rate=_varies(stream),
        rotation=turn.rotation,
        sample_aspect_ratio=ratio,
        colour=read_tags(first),
        has_audio=any(audio.codec_context is not None for audio in container.streams.audio),
        start_time=((first.dts if first.pts is None else first.pts) or 0) * time_base,
        codec=stream.codec_context.name,
    )


def _has_transparency(stream: VideoStream, first: av.VideoFrame) -> bool:
    """Whether the first frame has some; VP8 and VP9 streams only tell of theirs, as it is not decoded."""
    if stream.metadata.get("alpha_mode") == "1":
        return True
    has_alpha = any(component.is_alpha for component in first.format.components)
    return has_alpha and bool((first.to_ndarray(format="rgba")[..., 3] < 255).any())


def _average_rate(stream: VideoStream) -> Fraction:
    for rate in map(exact, (stream.average_rate, stream.guessed_rate, stream.base_rate)):
        if rate and 0 < rate <= _HIGHEST_RATE:
            return rate
    return _FALLBACK_RATE


def _count_hint(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    if len(stream.index_entries) > 1:
        return len(stream.index_entries)
    if stream.frames:
        return stream.frames
    unit = exact(stream.time_base)
    if stream.duration and unit:
        return max(1, round(stream.duration * unit * rate))
    if container.duration:
        return max(1, round(Fraction(container.duration, av.time_base) * rate))
    return None


def _varies(stream: VideoStream) -> bool | None:
    average, lowest = exact(stream.average_rate), exact(stream.base_rate)
    if not average or not lowest:
        return None
    return abs(average - lowest) > Fraction(1, 1000) * lowest


def _opening_notes(info: VideoInfo) -> list[Note]:
    notes = []
    if info.rotation:
        said = f"turned by {info.rotation} degrees clockwise, as the file asks players to do"
        notes.append(Note("rotated", said))
    if info.sample_aspect_ratio != 1:
        said = (
            f"pixels are not square ({info.sample_aspect_ratio}); frames and masks keep the stored "
            f"{info.width}x{info.height}, and the overlay video shows the right shape"
        )
        notes.append(Note("video", said))
    if info.colour.transfer in HDR_TRANSFERS:
        name = HDR_TRANSFERS[info.colour.transfer]
        said = f"HDR video ({name}): values are used as stored, in 8 bits, without tone mapping"
        notes.append(Note("video", said))
    return notes
