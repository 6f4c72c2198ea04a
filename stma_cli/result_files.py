"""Places of results, looked at before the long work that makes them."""

from pathlib import Path

from stma.errors import SettingsError


def require_file_place(option: str, path: Path | None) -> None:
    """Raise SettingsError when a file could not be written there; None is fine."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise SettingsError(
            f"{option} {path} is a folder or lies in one that does not exist; give a file in an existing folder"
        )
