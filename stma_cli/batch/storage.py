"""Where results go: a folder that all workers see, or a URL of fsspec such as s3://bucket/run."""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stma.errors import OutputError
from stma.saving import output_error, replacing, writing
from stma_cli.leftovers import left_behind
from stma_cli.output import is_url, make_folder
from stma_cli.report_file import finished_files
from stma_cli.result_layout import BACKWARD_FOLDER, CHECKPOINT_FILE, LOCK_FILE, REPORT_FILE, ROWS_FILE

_FIRST_AND_LAST = (REPORT_FILE, CHECKPOINT_FILE, ROWS_FILE)


class Workspace(Protocol):
    """A local folder in which one clip is segmented."""

    @property
    def folder(self) -> Path:
        """Where to write; holds what an interrupted run has left."""

    def publish(self) -> None:
        """Store what is complete: after each checkpoint, and at the end."""


class Storage(Protocol):
    """Reads and writes results below one place; can be pickled."""

    def lines(self, path: str) -> Iterator[str]:
        """Yield the lines of a text file below the place; none where there is no file."""

    def write(self, path: str, text: str) -> None:
        """Write a text file, complete or not at all."""

    def names(self, path: str) -> set[str]:
        """Return the names in a folder, but those of empty files, which a loss of power leaves; none where there is no
        folder."""

    def is_whole(self, mask: str) -> bool:
        """Whether a mask that is there can be read, as far as that can be told without fetching it."""

    def workspace(self, name: str, ours: bool) -> AbstractContextManager[Workspace]:
        """Return the `Workspace` of one clip.

        Args:
            name: of the clip.
            ours: what lies there was written by stma, so that masks that are made again may be removed.
        """


def storage_at(place: str) -> Storage:
    """Return the storage for a folder or a URL without making anything there."""
    return RemoteStorage(place.rstrip("/")) if is_url(place) else LocalStorage(Path(place).resolve())


def open_storage(place: str) -> Storage:
    """Return the storage for a folder, which is made, or a URL.

    Raises:
        SettingsError: `place` is "-".
        OutputError: the folder cannot be made, or nothing here can write to such a URL.
    """
    if not is_url(place):
        make_folder(Path(place))
    storage = storage_at(place)
    if isinstance(storage, RemoteStorage):
        storage.require_usable()
    return storage


@dataclass(frozen=True)
class _LocalWorkspace:
    folder: Path

    def publish(self) -> None:
        """Nothing is left to do: the folder is the place itself."""


@dataclass(frozen=True)
class LocalStorage:
    """A folder, on this machine or shared by all that take part."""

    root: Path

    def lines(self, path: str) -> Iterator[str]:
        """See `Storage.lines`."""
        try:
            with (self.root / path).open(encoding="utf-8") as file:
                yield from file
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise output_error(self.root / path, error) from error

    def write(self, path: str, text: str) -> None:
        """See `Storage.write`."""
        with replacing(self.root / path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def names(self, path: str) -> set[str]:
        """See `Storage.names`."""
        try:
            entries = [*(self.root / path).iterdir()]
            return {entry.name for entry in entries if not entry.is_file() or entry.stat().st_size}
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except OSError as error:
            raise output_error(self.root / path, error) from error

    def is_whole(self, mask: str) -> bool:
        """See `Storage.is_whole`."""
        from stma_cli.masks import is_whole_png

        return is_whole_png(self.root / mask)

    @contextmanager
    def workspace(self, name: str, ours: bool) -> Iterator[Workspace]:
        """See `Storage.workspace`."""
        yield _LocalWorkspace(self.root / name)


class _RemoteWorkspace:
    """A temporary folder; complete files are copied to the URL, and the report after everything else."""

    def __init__(self, files: Any, place: str, folder: Path) -> None:
        self.folder = folder
        self._files = files
        self._place = place
        self._sent: dict[str, tuple[int, int]] = {}

    def pull(self, ours: bool) -> None:
        """Fetch what an interrupted run has left, or take away the report of a complete one and the masks it names."""
        self._files.invalidate_cache()
        names = self._names("")
        if CHECKPOINT_FILE in names:
            if BACKWARD_FOLDER in names:
                (self.folder / BACKWARD_FOLDER).mkdir()
                names += self._names(f"{BACKWARD_FOLDER}/")
            for name in names:
                if self._files.isfile(f"{self._place}/{name}"):
                    self._files.get_file(f"{self._place}/{name}", str(self.folder / name))
                    self._sent[name] = _state(self.folder / name)
        elif ours and REPORT_FILE in names:
            report = self.folder / REPORT_FILE
            self._files.get_file(f"{self._place}/{REPORT_FILE}", str(report))
            masks = set(finished_files(self.folder)).intersection(names)
            report.unlink()
            for name in (REPORT_FILE, *sorted(masks)):
                self._remove(name)

    def publish(self) -> None:
        """Send new and changed files; take away what is no longer here.

        Raises:
            OutputError: when the place cannot be written.
        """
        here = self._complete_files()
        with _reaching(self._place):
            if REPORT_FILE not in here and REPORT_FILE not in self._sent:
                self._remove(REPORT_FILE)  # of an earlier run, which it would describe wrongly from now on
            ordinary = sorted(here.keys() - set(_FIRST_AND_LAST))
            if (self.folder / BACKWARD_FOLDER).is_dir():
                self._files.makedirs(f"{self._place}/{BACKWARD_FOLDER}", exist_ok=True)
            for name in (*ordinary, ROWS_FILE, CHECKPOINT_FILE, REPORT_FILE):
                if name in here and self._sent.get(name) != _state(here[name]):
                    state = _state(here[name])
                    self._files.put_file(str(here[name]), f"{self._place}/{name}")
                    self._sent[name] = state
            gone = self._sent.keys() - here.keys()
            for name in sorted(gone, key=lambda name: name != CHECKPOINT_FILE):
                self._remove(name)
                del self._sent[name]
            if any("/" in name for name in gone) and not (self.folder / BACKWARD_FOLDER).is_dir():
                with suppress(OSError):  # object stores have no empty folders
                    self._files.rmdir(f"{self._place}/{BACKWARD_FOLDER}")

    def _complete_files(self) -> dict[str, Path]:
        """Return the files to send by their names below the folder."""
        found = (*self.folder.iterdir(), *(self.folder / BACKWARD_FOLDER).glob("*"))
        here = {path.relative_to(self.folder).as_posix(): path for path in found if path.is_file()}
        return {
            name: path
            for name, path in here.items()
            if name != LOCK_FILE and (not name.endswith(".part") or name == ROWS_FILE)
        }

    def _names(self, prefix: str) -> list[str]:
        """Return the names in the place, or in a folder of it that ends in "/", with the folder."""
        entries = self._files.ls(f"{self._place}/{prefix}".rstrip("/"), detail=False)
        return [prefix + _last_part(entry) for entry in entries]

    def _remove(self, name: str) -> None:
        if self._files.exists(f"{self._place}/{name}"):
            self._files.rm_file(f"{self._place}/{name}")


@dataclass(frozen=True)
class RemoteStorage:
    """A URL of fsspec; clips are segmented in a temporary folder and copied at every checkpoint."""

    url: str

    def require_usable(self) -> None:
        """Refuse a URL for which no file system is installed.

        Raises:
            OutputError: naming what is missing.
        """
        with _reaching(self.url):
            try:
                files, place = self._open()
                files.makedirs(place, exist_ok=True)
            except (ImportError, ValueError) as error:
                raise OutputError(
                    f"results cannot go to {self.url} ({error})",
                    "install the package of fsspec for it, such as s3fs or gcsfs, or give a folder",
                ) from error

    def lines(self, path: str) -> Iterator[str]:
        """See `Storage.lines`."""
        with _reaching(self.url):
            files, place = self._open()
            try:
                with files.open(f"{place}/{path}", "r", encoding="utf-8") as file:
                    yield from file
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return

    def write(self, path: str, text: str) -> None:
        """See `Storage.write`; object stores replace a file in one step."""
        with _reaching(self.url):
            files, place = self._open()
            files.pipe_file(f"{place}/{path}", text.encode("utf-8"))

    def names(self, path: str) -> set[str]:
        """See `Storage.names`."""
        with _reaching(self.url):
            files, place = self._open()
            files.invalidate_cache()
            try:
                entries = files.ls(f"{place}/{path}", detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return set()
        return {
            _last_part(entry["name"]) for entry in entries if entry["type"] != "file" or entry["size"] != 0
        }

    def is_whole(self, mask: str) -> bool:
        """See `Storage.is_whole`."""
        return True

    @contextmanager
    def workspace(self, name: str, ours: bool) -> Iterator[Workspace]:
        """See `Storage.workspace`."""
        folder = _temporary_folder()
        try:
            with _reaching(f"{self.url}/{name}"):
                files, place = self._open()
                files.makedirs(f"{place}/{name}", exist_ok=True)
                space = _RemoteWorkspace(files, f"{place}/{name}", folder)
                space.pull(ours)
            yield space
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _open(self) -> tuple[Any, str]:
        import fsspec

        files, place = fsspec.core.url_to_fs(self.url)
        return files, str(place)


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Turn the errors of a file system, of which each of fsspec has its own, into one that says what to do.

    Raises:
        OutputError: when the place cannot be read or written.
    """
    try:
        yield
    except (OutputError, UnicodeDecodeError):  # the latter is of the content, of which its reader speaks
        raise
    except Exception as error:
        raise OutputError(f"{url} cannot be used ({error})", "check the address and the rights") from error


def _temporary_folder() -> Path:
    """Make a folder for the results of one clip; remove those that killed processes have left on this machine.

    Raises:
        OutputError: when it cannot be made.
    """
    place = Path(tempfile.gettempdir())
    prefix = f"stma-{socket.gethostname()}-"
    with suppress(OSError):
        for folder in left_behind(place, re.compile(re.escape(prefix) + "([0-9]{1,9})-.+")):
            shutil.rmtree(folder, ignore_errors=True)
    with writing(place):
        return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))


def _last_part(entry: Any) -> str:
    return str(entry).rstrip("/").rsplit("/", 1)[-1]


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns
