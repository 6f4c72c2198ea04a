"""Has a video file given all it promised? What is cut off or damaged is often left out without any decoding error."""

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stma_cli.video.pyav import exact
from stma_cli.video.stated_size import stated_size

_INDEXED = {"mov", "mp4", "avi"}  # containers whose index lists every packet
_DECLARING = {"matroska", "webm"}  # containers whose header declares the duration
_TOLERANCE = Fraction(1, 4)  # seconds, as headers round; or
_TOLERATED_FRAMES = 3  # of the mean duration, as the last frame's may be left out
_TOLERATED_STEPS = Fraction(3, 2)  # of the longest between two frames, where the stream's own end is stated
_DURATION = "DURATION"  # tag of a Matroska stream
_SIZED = _DECLARING | {"avi"}  # containers whose header states the size of the file
# decoders that leave out what is damaged without an error, of codecs of which every packet shows one picture
_PICTURE_EACH = {"av1", "h264", "hevc", "libaom-av1", "libdav1d", "mpeg2video"}
_MOST_REORDERED = 16  # frames, by the standards of these codecs
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


VideoPacket: TypeAlias = "Packet[VideoStream]"


class Arrivals:
    """Hands on the frames of a decoder, each as soon as no picture before it is still to come.

    So a picture that the decoder leaves out is noticed before the frames after it move up by one.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        """Watch a stream from where it stands; one whose packets need not show a picture each is handed on as it is."""
        names = _names(container)
        self._watched = bool(names & (_INDEXED | _DECLARING)) and stream.codec_context.name in _PICTURE_EACH
        self._first: int | None = None
        self._awaited: set[int] = set()
        self._held: list[VideoFrame] = []

    def expect(self, packet: VideoPacket) -> None:
        """Note a packet from the first key frame on, before it is decoded.

        Pictures shown before that key frame refer to others that were cut off, and need not come.
        """
        if not self._watched or packet.pts is None or not packet.size:
            return
        if self._first is None:
            self._first = packet.pts
        if packet.pts >= self._first and not packet.is_discard:
            self._awaited.add(packet.pts)

    def settled(self, frames: Sequence[VideoFrame]) -> list[VideoFrame]:
        """Take what the decoder gave and return the frames whose number is certain now."""
        for frame in frames:
            if frame.pts is None or frame.interlaced_frame:  # two fields in two packets are one frame
                self._watched = False
                self._awaited.clear()
            else:
                self._awaited.discard(frame.pts)
        self._held += frames
        ready = 0
        while ready < len(self._held) and not self._precedes(self._held[ready]):
            ready += 1
        certain, self._held = self._held[:ready], self._held[ready:]
        return certain

    def is_lost(self, at_end: bool = False) -> bool:
        """Whether the picture after those handed on will not come any more.

        Args:
            at_end: whether the decoder has given its last frame.
        """
        return bool(self._awaited) if at_end else len(self._held) > _MOST_REORDERED

    def _precedes(self, frame: VideoFrame) -> bool:
        return frame.pts is not None and any(pts < frame.pts for pts in self._awaited)


def is_listed_key(stream: VideoStream, packet: VideoPacket) -> bool:
    """Whether the index names this packet as a first key frame; its content may say otherwise where it is damaged."""
    if not len(stream.index_entries):
        return False
    first = stream.index_entries[0]
    return first.is_keyframe and first.timestamp in (packet.dts, packet.pts)


def _names(container: InputContainer) -> set[str]:
    return set(container.format.name.split(","))


def missing_part(
    container: InputContainer, stream: VideoStream, packets: int, reached: Fraction, longest: Fraction
) -> str | None:
    """Return what is missing after the last packet, as part of a sentence; None when nothing is.

    Frame counts in headers are not consulted, as they are often wrong. Trusted are the index of a container
    that lists each packet with its place in the file, the duration that a Matroska file states, and the size
    in bytes that AVI and Matroska files state.

    Args:
        container, stream: the file, read to its end.
        packets: number of whole packets with content that came out of the stream.
        reached: end of the last packet on the container's clock, seconds.
        longest: time between two successive frames, where it was longest, seconds.
    """
    names = _names(container)
    if names & _INDEXED:
        listed = sum(entry.size > 0 for entry in stream.index_entries)
        if packets < listed:
            return f"its index lists {listed} pictures but only {packets} are in the file"
    if names & _DECLARING:
        declared = _declared_end(container, stream)
        tolerance = _tolerance(stream, longest)
        if declared is not None and reached + tolerance < declared:
            return f"its header says {float(declared):.2f} s but it ends after {float(reached):.2f} s"
    if names & _SIZED:
        return _missing_bytes(Path(container.name))
    return None


def _missing_bytes(file: Path) -> str | None:
    try:
        stated, actual = stated_size(file), file.stat().st_size
    except OSError:  # removed while it was read, to the end
        return None
    return f"its header says {stated} bytes but it has {actual}" if stated and actual < stated else None


def _tolerance(stream: VideoStream, longest: Fraction) -> Fraction:
    """Return by how many seconds the end that the header states may be late."""
    rate = exact(stream.average_rate)
    tolerance = max(_TOLERANCE, _TOLERATED_FRAMES / rate) if rate else _TOLERANCE
    if _DURATION in stream.metadata and longest:
        return min(tolerance, _TOLERATED_STEPS * longest)
    return tolerance


def _declared_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the end of the video stream that the header states, seconds."""
    clock = _CLOCK.match(stream.metadata.get(_DURATION, ""))
    if clock:
        hours, minutes, seconds = clock.groups()
        return Fraction(int(hours) * 3600 + int(minutes) * 60) + Fraction(seconds)
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return None
