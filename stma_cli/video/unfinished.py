"""A video file that is being written: its temporary name, and what happens to it when something fails."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError

from stma.errors import OutputError
from stma.saving import output_error
from stma_cli.leftovers import left_behind


class UnfinishedVideo:
    """A video file with a temporary name in the folder of its final one.

    Attributes:
        temporary: the name until `rename`.
        is_open: whether it can be written.
    """

    def __init__(self, path: Path) -> None:
        """Choose the temporary name of the file `path`; nothing is made yet."""
        self.temporary = path.with_name(_temporary_name(path, str(os.getpid())))
        self.is_open = False
        self._path = path

    def open(self, container_format: str, options: Mapping[str, str]) -> OutputContainer:
        """Make the file, and its folder where that is missing.

        Args:
            container_format: as FFmpeg calls it.
            options: of the container.

        Raises:
            OSError, FFmpegError: it cannot be made.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary.touch()  # the container opens its file only with the first packet
        place = self.temporary.absolute()  # a name with a colon in it would be taken for a protocol
        self._container = av.open(str(place), "w", format=container_format, container_options=dict(options))
        self.is_open = True
        return self._container

    def close(self) -> None:
        """Write what the container still holds.

        Raises:
            OSError, FFmpegError: it cannot be written.
        """
        self.is_open = False
        self._container.close()

    def rename(self) -> None:
        """Give the closed file its name; remove what killed processes have left of it.

        Raises:
            OSError: it cannot be renamed.
        """
        os.replace(self.temporary, self._path)
        with suppress(OSError):
            for file in _abandoned(self._path):
                file.unlink()

    def remove(self) -> None:
        """Remove the file, unless it has its name already."""
        if self.is_open:
            with suppress(FFmpegError, OSError, ValueError):
                self.close()
        with suppress(OSError):
            self.temporary.unlink()


def _temporary_name(path: Path, process: str) -> str:
    return f".{path.stem}.{process}.part{path.suffix}"


def _abandoned(path: Path) -> list[Path]:
    """Return the unfinished files of a path whose processes are gone from this machine."""
    before, after = (re.escape(part) for part in _temporary_name(path, "/").split("/"))
    return left_behind(path.parent, re.compile(before + "([0-9]{1,9})" + after))


@contextmanager
def removed_on_error(
    path: Path, abort: Callable[[], None], advice: str = "try another place for it"
) -> Iterator[None]:
    """Remove the file on any exception; turn those of the file system and FFmpeg into OutputError.

    Args:
        path: named in the message.
        abort: closes and removes what was written so far.
        advice: what to do when FFmpeg refuses to encode.

    Raises:
        OutputError: the file system or FFmpeg failed.
    """
    try:
        yield
    except (OSError, FFmpegError) as error:
        abort()
        if isinstance(error, OSError):
            raise output_error(path, error) from error
        raise OutputError(f"{path} cannot be encoded ({error})", advice) from error
    except BaseException:
        abort()
        raise
