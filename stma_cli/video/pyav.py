"""What PyAV 18 and 19 do differently."""

from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
from av.container import InputContainer

_ONLY_FILES = {"protocol_whitelist": "file"}  # a file from elsewhere must not make this machine call others
_FORGIVING: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)  # a title that is not UTF-8 is no reason to refuse a video; from 19 on it never is


def open_input(path: Path) -> InputContainer:
    """Open a file of any container that FFmpeg reads; what it names elsewhere is not followed.

    The path is made absolute, as a name with a colon in it would be taken for a protocol.

    Raises:
        av.error.FFmpegError: the file cannot be opened.
    """
    container: InputContainer = av.open(str(path.absolute()), "r", options=_ONLY_FILES, **_FORGIVING)
    return container


class Ratio(Protocol):
    """What `Fraction` and the numbers of PyAV 19 have in common."""

    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def exact(told: Ratio | None) -> Fraction | None:
    """A rate or a unit of time as PyAV tells it; None where the file says nothing.

    PyAV 18 tells a `Fraction` or None, 19 a number of its own that is 0 for nothing and knows little arithmetic.
    """
    return Fraction(told.numerator, told.denominator) if told and told.denominator else None
