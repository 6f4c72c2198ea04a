"""What happens to a video file that is being written when something fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from av.error import FFmpegError

from stma.errors import OutputError
from stma_cli.output import output_error


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
        raise OutputError(f"{path} cannot be encoded ({error}); {advice}") from error
    except BaseException:
        abort()
        raise
