"""Results on disk: complete files only, an output folder that was ours to fill, errors with a fix."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stma.errors import OutputError
from stma.saving import writing
from stma_cli.result_layout import LOCK_FILE


@dataclass(frozen=True)
class OutputFolder:
    """A folder that takes the results of one run.

    Attributes:
        path: the folder.
        created: the folders that were made for it, outermost first.
    """

    path: Path
    created: tuple[Path, ...]

    def remove_if_unused(self) -> None:
        """Remove the folders we made, as far as they are still empty."""
        for folder in reversed(self.created):
            with suppress(OSError):
                folder.rmdir()


def make_folder(path: Path) -> OutputFolder:
    """Make a folder and its parents, as far as they are missing.

    Raises:
        OutputError: `path` is a file, or cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file: choose another folder with --out.")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return OutputFolder(path, tuple(reversed(missing)))


def prepare_folder(path: Path, force: bool) -> OutputFolder:
    """Make the output folder, or take an empty one; a lock in it does not count.

    Args:
        path: the folder; parents are made too.
        force: take a folder that has files in it; files of the same name are replaced, others stay.

    Raises:
        OutputError: when `path` is a file, not empty (without `force`) or not writable.
    """
    folder = make_folder(path)
    with writing(path):
        if not force and any(entry.name != LOCK_FILE for entry in path.iterdir()):
            raise OutputError(
                f"{path} is not empty: choose another folder with --out, or add --force to write into it."
            )
        probe = path / ".stma-write-test"
        probe.touch()
        probe.unlink()
    return folder
