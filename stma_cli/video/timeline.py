"""Times of frames: exact, strictly increasing, and complete even where a container leaves some out."""

from fractions import Fraction


class Timeline:
    """Turns the timestamps of decoded frames into seconds from the first frame.

    A frame without a timestamp is placed one average frame after the one before it; a timestamp that does
    not increase is moved to one tick after the one before it. Both are counted.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction) -> None:
        self._time_base = time_base
        self._step = max(1, round(1 / (frame_rate * time_base)))  # ticks
        self._first: int | None = None
        self._last = 0
        self.missing = 0
        self.repeated = 0

    def place(self, timestamp: int | None) -> Fraction:
        """Return the time of the next frame in seconds from the first frame."""
        if self._first is None:
            self.missing += timestamp is None
            self._first = self._last = timestamp or 0
            return Fraction(0)
        if timestamp is None:
            self.missing += 1
            timestamp = self._last + self._step
        elif timestamp <= self._last:
            self.repeated += 1
            timestamp = self._last + 1
        self._last = timestamp
        return (timestamp - self._first) * self._time_base

    def notes(self) -> list[str]:
        """Return what the user should know about the timestamps."""
        notes = []
        if self.missing:
            notes.append(f"{self.missing} frames had no timestamp and were placed one average frame apart")
        if self.repeated:
            notes.append(f"{self.repeated} timestamps did not increase and were moved by one tick")
        return notes
