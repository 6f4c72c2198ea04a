"""Places of results: looked at before the long work, a folder that was ours to fill, one writer at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stma.errors import OutputError, SettingsError
from stma.saving import writing
from stma_cli.result_layout import LOCK_FILE


def is_url(place: str) -> bool:
    """Return whether results go to a URL, not to a folder."""
    return "://" in place


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
            f"{option} {path} is a folder or lies in one that does not exist",
            "give a file in an existing folder",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"{option} {path} lies in a folder that is not writable",
            "choose another, or change its permissions",
        )
    require_same_kind(option, path, *suffixes)


def require_same_kind(option: str, path: Path, *suffixes: str) -> None:
    """Refuse to replace a file of another kind, such as a mask by a table.

    Raises:
        OutputError: naming it.
    """
    if path.exists() and path.suffix.lower() not in suffixes:
        raise OutputError(
            f"{option} {path} is there already and of another kind", f"give a name that ends in {suffixes[0]}"
        )


def full_path(path: Path | None) -> str | None:
    """Return a path as it is known from any folder; None stays None."""
    return None if path is None else str(path.resolve())


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


def make_folder(path: Path, option: str = "--out") -> OutputFolder:
    """Make a folder and its parents, as far as they are missing.

    Args:
        path: the folder.
        option: that names it, for messages.

    Raises:
        SettingsError: `path` is "-", which stands for the standard output elsewhere.
        OutputError: `path` is a file, or cannot be made.
    """
    if str(path) == "-":
        raise SettingsError("- is no folder, and results cannot go to the standard output", "give a folder")
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file", f"choose another folder with {option}")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return OutputFolder(path, tuple(reversed(missing)))


def prepare_folder(path: Path, force: bool, option: str = "--out") -> OutputFolder:
    """Make the output folder, or take an empty one; a lock in it does not count.

    Args:
        path: the folder; parents are made too.
        force: take a folder that has files in it; files of the same name are replaced, others stay.
        option: that names the folder, for messages.

    Raises:
        SettingsError: `path` is "-", see `make_folder`.
        OutputError: when `path` is a file, not empty (without `force`) or not writable.
    """
    folder = make_folder(path, option)
    with writing(path):
        if not force and any(entry.name != LOCK_FILE for entry in path.iterdir()):
            raise OutputError(
                f"{path} is not empty",
                f"choose another folder with {option}, or add --force to write into it",
            )
        probe = path / ".stma-write-test"
        probe.touch()
        probe.unlink()
    return folder


@contextmanager
def only_one(lock: Path, command: str) -> Iterator[None]:
    """Hold a lock on a file, which is gone afterwards; the system releases it also when the process is killed.

    Without file locks (Windows, some file systems) nothing is refused.

    Args:
        lock: the file, in an existing folder of results.
        command: what holds it, for the message.

    Raises:
        OutputError: another process holds it, or the folder is not writable.
    """
    try:
        import fcntl  # noqa: F401
    except ImportError:  # Windows
        yield
        return
    with _locked(lock, command):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _locked(lock: Path, command: str) -> IO[str]:
    """Return the open file of a path with the lock on it; without a lock on file systems that have none.

    Raises:
        OutputError: see `only_one`.
    """
    import fcntl

    while True:
        with writing(lock.parent):
            file = lock.open("w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise OutputError(
                f"another {command} is writing into {lock.parent}", "wait for it, or choose another --out"
            ) from error
        except OSError:
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        file.close()  # who held the lock has removed the file since it was opened here


@contextmanager
def only_run_into(out: Path, lock: str = LOCK_FILE, command: str = "stma segment") -> Iterator[None]:
    """Make the folder of a run and keep other runs out of it; a folder that stays empty is removed again.

    Args:
        out: the folder.
        lock: name of the file in it that is locked.
        command: what runs, for the message.

    Raises:
        SettingsError: `out` is "-", see `make_folder`.
        OutputError: another run is writing there, or the folder cannot be made.
    """
    folder = make_folder(out)
    try:
        with only_one(out / lock, command):
            yield
    finally:
        folder.remove_if_unused()
