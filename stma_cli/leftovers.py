"""What processes that were killed have left: files and folders with their number in the name."""

import re
from pathlib import Path


def left_behind(folder: Path, name: re.Pattern[str]) -> list[Path]:
    """Return what lies in a folder of processes that are gone from this machine.

    Args:
        folder: where to look.
        name: fits whole names of files and folders; its first group is the number of the process.

    Raises:
        OSError: the folder cannot be read.
    """
    import psutil

    found = ((path, name.fullmatch(path.name)) for path in folder.iterdir())
    return [path for path, match in found if match and not psutil.pid_exists(int(match[1]))]
