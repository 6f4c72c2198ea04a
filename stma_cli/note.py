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
        problem: the sentence, or what comes before its fix.
        fix: what to do about it, or None.
    """

    code: Code
    problem: str
    fix: str | None

    def __new__(cls, code: Code, problem: str, fix: str | None = None) -> Self:
        note = super().__new__(cls, problem if fix is None else f"{problem}; {fix}")
        note.code, note.problem, note.fix = code, problem, fix
        return note

    def __getnewargs__(self) -> tuple[Code, str, str | None]:  # type: ignore[override]
        """Return what a copy is made of."""
        return self.code, self.problem, self.fix
