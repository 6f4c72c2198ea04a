"""What to say about files and folders that cannot be read, whatever they hold."""

from pathlib import Path


def may_not_be_read(path: Path, error: OSError) -> str:
    """Return the message about a file or folder that the system refuses to open."""
    return f"{path} may not be read ({error.strerror}): change its permissions."
