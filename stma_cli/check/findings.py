"""A finding: how bad it is, in which file, what is wrong and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum

from stma.errors import StmaError


class Level(StrEnum):
    """How bad a finding is: `stma segment` refuses it, gives a poor result, or only the user can say."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing to know about a video or a mask.

    Attributes:
        level: error (`stma segment` refuses it), warning (probably not meant) or note.
        code: a short fixed word for programs, such as "smoothed".
        file: the video or mask as it was given.
        problem: what is wrong, without a full stop.
        fix: what to do, without a full stop.
    """

    level: Level
    code: str
    file: str
    problem: str
    fix: str


def from_error(error: StmaError, code: str, file: str) -> Finding:
    """Turn an error of the readers into a finding, in which the file stands by itself."""
    return Finding(Level.ERROR, code, file, without_file(error.problem, file), error.fix)


def without_file(problem: str, file: str) -> str:
    """Return what is wrong without the name of the file before it."""
    if problem.startswith(f"{file}: "):
        return problem.removeprefix(f"{file}: ")
    return f"it {problem.removeprefix(f'{file} ')}" if problem.startswith(f"{file} ") else problem
