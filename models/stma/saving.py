"""Results on disk: complete files only, and errors with a fix."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from stma.errors import OutputError

DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def output_error(path: Path, error: OSError) -> OutputError:
    """Turn an error of the operating system into one that says what to do."""
    if error.errno in DISK_FULL:
        return OutputError(
            f"the disk is full, {path} cannot be written",
            "free some space or choose a folder on another disk",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"{path} is not writable", "choose another place for it, or change the permissions"
        )
    reason = error.strerror or str(error)
    return OutputError(f"{path} cannot be written ({reason})", "choose another place for it")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into one that names the file or folder and says what to do.

    Raises:
        OutputError: when it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`, and rename it to `path` when all went well.

    Raises:
        OutputError: when the file cannot be written; nothing is left behind then.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with writing(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_saved(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values and tensors with `torch.save`, complete or not at all.

    Raises:
        OutputError: they cannot be written.
    """
    import torch

    content = BytesIO()  # torch itself does not say why a file cannot be written
    torch.save(dict(values), content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
