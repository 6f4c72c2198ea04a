"""How messages put it: counts, long lists, times, commands to paste, files that may not be read."""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

MINUTE, HOUR = 60, 3600  # seconds


def counted(count: int, noun: str) -> str:
    """Return "1 speck" or "3 specks"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def shortened(items: Iterable[object], most: int) -> str:
    """Return the first items with commas between, and "..." after them where there are more."""
    names = [str(item) for item in items]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def labelled(label: str, text: object) -> str:
    """Return a line of what a command tells: "masks    clip_stma", the labels of all of them in one column."""
    return f"{label:<9}{text}"


def rough_time(seconds: float) -> str:
    """Return an estimate: "40 s", "12 min", "3.5 h"."""
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 1.5 * HOUR else f"{seconds / HOUR:.1f} h"


def rough_size(count: int) -> str:
    """Return an estimated number of bytes, rounded to two digits: "430 MB", "1.1 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 9.95e8 else f"{round(count, -7) // 1_000_000} MB"


def wall_time(seconds: float) -> str:
    """Return "45.2 s", "12 min 3 s" or "2 h 5 min"."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE)} s"
    return f"{int(seconds // HOUR)} h {int(seconds % HOUR // MINUTE)} min"


def may_not_be_read(path: Path, error: OSError) -> tuple[str, str]:
    """Return problem and fix of a file or folder that the system refuses to open."""
    return f"{path} may not be read ({error.strerror})", "change its permissions"


def has_wrong_field(path: Path, error: Exception) -> tuple[str, str]:
    """Return problem and fix of a file of a known format, in which a field has a value of another kind."""
    return f"{path} has a field of the wrong kind ({error})", "export it again with the tool that made it"


def shell_command(words: Sequence[str]) -> str:
    """Return words as one line, quoted as the shell of the system reads them."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def as_argument(path: Path) -> str:
    """Return a path as an argument of a command, where a leading dash would make it an option."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text


def print_notes(notes: Iterable[str]) -> None:
    """Print what the user should know of a result, on stderr."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def print_error(message: str) -> None:
    """Print why a command fails, in red, on stderr."""
    typer.secho(f"error: {message}", fg=typer.colors.RED, err=True)
