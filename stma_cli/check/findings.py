"""A finding: how bad it is, in which file, what is wrong and what to do about it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from stma.errors import StmaError

_SEPARATOR = re.compile(r"[()]|[:;] ")


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
    """Turn an error of the readers into a finding; their messages end with the fix."""
    problem, fix = _parted(str(error).strip().removesuffix("."))
    if problem.startswith(f"{file}: "):
        problem = problem.removeprefix(f"{file}: ")
    elif problem.startswith(f"{file} "):
        problem = f"it {problem.removeprefix(f'{file} ')}"
    return Finding(Level.ERROR, code, file, problem, fix)


def _parted(message: str) -> tuple[str, str]:
    """Split at the last colon or semicolon outside parentheses that does not belong to a command line."""
    depth, place = 0, None
    for match in _SEPARATOR.finditer(message):
        if match[0] in "()":
            depth = max(0, depth + (1 if match[0] == "(" else -1))
        elif (
            depth == 0
            and not message.endswith("with", 0, match.start())
            and not message.startswith("--", match.end())
        ):
            place = match
    if place is None:
        return message, "change it as the message says"
    return message[: place.start()], message[place.end() :]
