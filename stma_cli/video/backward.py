"""Frames of a video file from last to first, in bounded memory.

A video can be decoded forward only, from a key frame on. So it is read once to find the key frames, and then in
pieces from the end: each piece is decoded forward from the key frame before it, and handed out reversed. What
is held at a time is limited in bytes. Where key frames lie further apart than that, the frames between are decoded
more than once; where a file cannot be sought, always from its start.

Seeking is not trusted: a key frame counts only when it is found again with the same time and the same picture.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from stma.errors import VideoError

HELD_BYTES = 256 << 20  # decoded frames held at a time: 80 of 1920x1080
FEWEST_HELD = 8  # of any size; fewer would be decoded over and over

Opened = Callable[[], AbstractContextManager[tuple[InputContainer, VideoStream]]]
Decoded = Callable[[InputContainer, VideoStream], Iterator[av.VideoFrame]]


@dataclass(frozen=True)
class _Key:
    """A frame that decoding can begin at: its number, its time in ticks, and a check sum of its picture."""

    index: int
    pts: int
    picture: int


class BackwardReader:
    """Hands out the frames of one video file from last to first.

    Attributes:
        decoded: frames decoded so far, those that were only passed on the way included.
    """

    def __init__(self, opened: Opened, decoded: Decoded) -> None:
        """Prepare to read.

        Args:
            opened: opens the file.
            decoded: yields the frames of an open file in display order, from where it stands.
        """
        self._opened = opened
        self._decoded_frames = decoded
        self._keys: list[_Key] = []
        self._piece = FEWEST_HELD
        self.decoded = 0

    def frames(self, start: int, end: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield number and picture of the frames end - 1, ..., start; begins at the last where there are fewer.

        Raises:
            VideoError: when the file cannot be decoded up to `end`.
        """
        stop = self._survey(end)
        while stop > start:
            piece = self._decode_piece(start, stop)
            while piece:
                stop -= 1
                yield stop, piece.pop()

    def _survey(self, end: int) -> int:
        """Read the file up to `end`, note key frames not too close to each other, and return how many frames it has."""
        count, highest = 0, None
        with self._opened() as (container, stream):
            for frame in self._decoded_frames(container, stream):
                if count == 0:
                    size = sum(plane.buffer_size for plane in frame.planes)
                    self._piece = max(FEWEST_HELD, HELD_BYTES // max(1, size))
                increasing = highest is None or (frame.pts or 0) > highest
                far = not self._keys or count - self._keys[-1].index >= self._piece // 2
                if frame.key_frame and frame.pts is not None and increasing and far and count:
                    self._keys.append(_Key(count, frame.pts, _check_sum(frame)))
                if frame.pts is not None:
                    highest = frame.pts if highest is None else max(highest, frame.pts)
                count += 1
                self.decoded += 1
                if count == end:
                    break
        return count

    def _decode_piece(self, start: int, stop: int) -> list[av.VideoFrame]:
        """Return consecutive frames that end before `stop`, as many as may be held and one start of decoding gives."""
        while self._keys and self._keys[-1].index >= stop:
            self._keys.pop()
        while self._keys:
            key = self._keys[-1]
            first = max(key.index, start, stop - self._piece)
            piece = self._decode_from(key, first, stop)
            if piece is not None:
                return piece
            self._keys.pop()  # cannot be found again: begin at the one before
        piece = self._decode_from(None, max(start, stop - self._piece), stop)
        assert piece is not None
        return piece

    def _decode_from(self, key: _Key | None, first: int, stop: int) -> list[av.VideoFrame] | None:
        """Return the frames first, ..., stop - 1, or None where they are not found again from the key frame on."""
        try:
            with self._opened() as (container, stream):
                if key is not None:
                    container.seek(key.pts, stream=stream)
                return self._piece_of(self._decoded_frames(container, stream), key, first, stop)
        except (FFmpegError, VideoError):
            if key is None:
                raise
            return None  # all was read from the start: only what follows the seeking cannot be decoded

    def _piece_of(
        self, frames: Iterator[av.VideoFrame], key: _Key | None, first: int, stop: int
    ) -> list[av.VideoFrame] | None:
        piece: list[av.VideoFrame] = []
        index = 0
        waiting = key is not None
        for frame in frames:
            self.decoded += 1
            if waiting:
                assert key is not None
                if frame.pts is None or frame.pts < key.pts:
                    continue
                if frame.pts != key.pts or _check_sum(frame) != key.picture:
                    return None
                waiting, index = False, key.index
            if index >= first:
                piece.append(frame)
            index += 1
            if index == stop:
                return piece
        return None


def _check_sum(frame: av.VideoFrame) -> int:
    """CRC of the first plane, without the padding of its lines."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
        : plane.height, : plane.width
    ]
    return zlib.crc32(rows.tobytes())
