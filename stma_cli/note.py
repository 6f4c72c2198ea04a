"""What the readers of videos and masks have to say about files that they take."""

from typing import Literal, Self

Code = Literal[
    "background",
    "colours",
    "damaged-frames",
    "empty",
    "labels",
    "left",
    "mask",
    "other-frame",
    "overlap",
    "rotated",
    "scaled",
    "tiny",
    "video",
]


class Note(str):
    """A sentence that the user should see, without a full stop.

    Attributes:
        code: what it is about, for programs.
    """

    code: Code

    def __new__(cls, code: Code, text: str) -> Self:
        note = super().__new__(cls, text)
        note.code = code
        return note

    def __getnewargs__(self) -> tuple[Code, str]:  # type: ignore[override]
        """Return what a copy is made of."""
        return self.code, str(self)
