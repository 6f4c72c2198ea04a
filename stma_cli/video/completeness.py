"""Has a video file given all it promised? A cut-off file often just ends, without any decoding error."""

import re
from fractions import Fraction

from av.container import InputContainer
from av.video.stream import VideoStream

from stma_cli.video.pyav import exact

_INDEXED = {"mov", "mp4", "avi"}  # containers whose index lists every packet
_DECLARING = {"matroska", "webm"}  # containers whose header declares the duration
_TOLERANCE = Fraction(1, 4)  # seconds, as headers round; or
_TOLERATED_FRAMES = 3  # of the mean duration, as the last frame's may be left out
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


def missing_part(
    container: InputContainer, stream: VideoStream, packets: int, reached: Fraction
) -> str | None:
    """Return what is missing after the last packet, as part of a sentence; None when nothing is.

    Frame counts in headers are not consulted, as they are often wrong. Trusted are the index of a container
    that lists each packet with its place in the file, and the duration that a Matroska file states.

    Args:
        container, stream: the file, read to its end.
        packets: number of packets with content that came out of the stream.
        reached: end of the last packet on the container's clock, seconds.
    """
    names = set(container.format.name.split(","))
    if names & _INDEXED:
        listed = sum(entry.size > 0 for entry in stream.index_entries)
        if packets < listed:
            return f"its index lists {listed} pictures but only {packets} are in the file"
    if names & _DECLARING:
        declared = _declared_end(container, stream)
        tolerance = _TOLERANCE
        rate = exact(stream.average_rate)
        if rate:
            tolerance = max(tolerance, _TOLERATED_FRAMES / rate)
        if declared is not None and reached + tolerance < declared:
            return f"its header says {float(declared):.2f} s but it ends after {float(reached):.2f} s"
    return None


def _declared_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the end of the video stream that the header states, seconds."""
    clock = _CLOCK.match(stream.metadata.get("DURATION", ""))
    if clock:
        hours, minutes, seconds = clock.groups()
        return Fraction(int(hours) * 3600 + int(minutes) * 60) + Fraction(seconds)
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return None
