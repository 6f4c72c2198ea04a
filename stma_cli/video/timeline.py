"""Times of frames: exact, strictly increasing, and complete even where a container leaves some out."""

from fractions import Fraction

from stma_cli.note import Note

_JUMP_SECONDS = 1
_JUMP_STEPS = 10
_FEW = 0.1  # the last frames of an AVI file never have times of their own


class Timeline:
    """Turns the timestamps of decoded frames into seconds from the first frame.

    A frame without a timestamp is placed one average frame after the one before it; a timestamp that does
    not increase is moved to one tick after the one before it. Both are counted. Long jumps are kept, as they
    are right for a screen recording, and remembered, as they also show that a part of the file was lost.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction) -> None:
        self._time_base = time_base
        self._step = max(1, round(1 / (frame_rate * time_base)))  # ticks
        self._first: int | None = None
        self._last = 0
        self._last_presentation: int | None = None
        self._last_decoding: int | None = None
        self._faulty_presentation = 0
        self._faulty_decoding = 0
        self._placed = 0
        self._jumps: list[str] = []
        self.missing = 0
        self.repeated = 0

    def place(self, presentation: int | None, decoding: int | None = None) -> Fraction:
        """Return the time of the next frame in seconds from the first frame.

        Args:
            presentation: its presentation timestamp in ticks, if it has one.
            decoding: the decoding timestamp that came out with it; used where presentation timestamps are
                missing or prove worse, as in AVI files.
        """
        timestamp = self._better(presentation, decoding)
        if self._first is None:
            self.missing += timestamp is None
            self._first = self._last = timestamp or 0
            self._placed = 1
            return Fraction(0)
        if timestamp is None:
            self.missing += 1
            timestamp = self._last + self._step
        elif timestamp <= self._last:
            self.repeated += 1
            timestamp = self._last + 1
        gap = timestamp - self._last
        if gap * self._time_base > _JUMP_SECONDS and gap > _JUMP_STEPS * self._step:
            before, after = (float((t - self._first) * self._time_base) for t in (self._last, timestamp))
            self._jumps.append(f"from {before:.2f} s to {after:.2f} s at frame {self._placed}")
        self._last = timestamp
        self._placed += 1
        return (timestamp - self._first) * self._time_base

    def _better(self, presentation: int | None, decoding: int | None) -> int | None:
        """Return the timestamp of the kind that has failed to increase less often."""
        if decoding is not None:
            last = self._last_decoding
            self._faulty_decoding += last is not None and decoding <= last
            self._last_decoding = decoding
        if presentation is None:
            return decoding
        last = self._last_presentation
        self._faulty_presentation += last is not None and presentation <= last
        self._last_presentation = presentation
        if decoding is None or self._faulty_presentation <= self._faulty_decoding:
            return presentation
        return decoding

    def notes(self) -> list[Note]:
        """Return what the user should know about the timestamps."""
        notes = []
        if self.missing > _FEW * self._placed:
            count = f"{self.missing} of {self._placed} frames"
            said = f"{count} have no time in the file and are placed one average frame apart"
            notes.append(Note("video", said))
        if self.repeated:
            said = f"{self.repeated} frame times did not increase and were moved by one tick"
            notes.append(Note("video", said))
        if self._jumps:
            more = f" and {len(self._jumps) - 1} times more" if len(self._jumps) > 1 else ""
            said = (
                f"the time jumps {self._jumps[0]}{more}; if the pictures should go on there, the file is "
                "damaged and lacks some: copy it again"
            )
            notes.append(Note("damaged-frames", said))
        return notes
