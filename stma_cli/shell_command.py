"""Commands as they are printed, to be pasted into the shell of the system."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def shell_command(words: Sequence[str]) -> str:
    """Return words as one line, quoted as the shell of the system reads them."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def as_argument(path: Path) -> str:
    """Return a path as an argument of a command, where a leading dash would make it an option."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text
