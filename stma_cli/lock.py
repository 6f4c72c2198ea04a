"""One writer at a time in a folder of results, where the system can tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stma.errors import OutputError
from stma.saving import writing
from stma_cli.output import make_folder
from stma_cli.result_layout import LOCK_FILE


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
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with writing(lock.parent):
        file = lock.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"another {command} is writing into {lock.parent}; wait for it, or choose another --out"
            ) from error
        except OSError:
            pass  # a file system without locks
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def only_run_into(out: Path) -> Iterator[None]:
    """Make the folder of a run and keep other runs out of it; a folder that stays empty is removed again.

    Raises:
        OutputError: another run is writing there, or the folder cannot be made.
    """
    folder = make_folder(out)
    try:
        with only_one(out / LOCK_FILE, "stma segment"):
            yield
    finally:
        folder.remove_if_unused()
