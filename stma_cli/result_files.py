"""Places of results, looked at before the long work that makes them."""

import os
from pathlib import Path

from stma.errors import OutputError, SettingsError


def require_file_place(option: str, path: Path | None, *suffixes: str) -> None:
    """Refuse a place where a file could not be written, or would replace one of another kind; None is fine.

    Args:
        option: how the place was given.
        path: the file to write.
        suffixes: endings of files of its kind, which it may replace.

    Raises:
        SettingsError: it is a folder, or lies in one that does not exist.
        OutputError: its folder is not writable, or a file of another kind is there.
    """
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        raise SettingsError(
            f"{option} {path} is a folder or lies in one that does not exist; give a file in an existing folder"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"{option} {path} lies in a folder that is not writable; choose another, or change its permissions"
        )
    require_same_kind(option, path, *suffixes)


def require_same_kind(option: str, path: Path, *suffixes: str) -> None:
    """Refuse to replace a file of another kind, such as a mask by a table.

    Raises:
        OutputError: naming it.
    """
    if path.exists() and path.suffix.lower() not in suffixes:
        raise OutputError(
            f"{option} {path} is there already and of another kind; give a name that ends in {suffixes[0]}"
        )
