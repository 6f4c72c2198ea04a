"""Masks that --mask does not take but `stma convert` reads."""

from pathlib import Path

from stma.errors import InputError
from stma_cli.result_layout import NAMES_FILE
from stma_cli.wording import as_argument, shell_command

_SIZE = ("--size", "WIDTHxHEIGHT")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


def convert_first(path: Path) -> str | None:
    """Return how masks become some that --mask takes, for a message; None where `stma convert` cannot help.

    Args:
        path: an existing file or folder.
    """
    from stma_cli.mask_formats import Format
    from stma_cli.masks.detect import detect

    try:
        found = detect(path)
    except InputError:
        return None
    if found in (Format.DAVIS, Format.COCO, Format.LABELME):
        return None
    command = _command(path, *(_SIZE if found is Format.YOLO else ()))
    if found is Format.BINARY and not (path / NAMES_FILE).is_file():
        return f"give one of the folders in it, or where each is an object, run {command}"
    return f"run {command}"


def not_as_it_is(path: Path) -> tuple[str, str] | None:
    """Return what a file is that neither --mask nor `stma convert` takes, and the fix; None where that is unknown.

    Args:
        path: an existing file.
    """
    from stma_cli.masks.detect import is_yolo

    suffix = path.suffix.lower()
    if suffix in _ARCHIVES:
        return "is an archive", "unpack it, and give a file or folder from it"
    if suffix == ".npy":
        return (
            "is one array",
            "save a clip's with numpy.savez('clip.npz', labels=array), or give one frame's as --mask",
        )
    if suffix == ".txt" and is_yolo([path]):
        return "is one file of YOLO labels", f"run {_command(path.parent, '--from', 'yolo', *_SIZE)}"
    return None


def _command(path: Path, *options: str) -> str:
    words = ["stma", "convert", as_argument(path), "-o", "masks", "--to", "davis", *options]
    return f"{shell_command(words)}, then give --mask masks"
