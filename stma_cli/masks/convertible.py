"""Masks that --mask does not take but `stma convert` reads."""

from pathlib import Path

from stma.errors import InputError
from stma_cli.result_layout import NAMES_FILE
from stma_cli.wording import as_argument, shell_command


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
    size = ["--size", "WIDTHxHEIGHT"] if found is Format.YOLO else []
    words = ["stma", "convert", as_argument(path), "-o", "masks", "--to", "davis", *size]
    command = f"{shell_command(words)}, then give --mask masks"
    if found is Format.BINARY and not (path / NAMES_FILE).is_file():
        return f"give one of the folders in it, or where each is an object, run {command}"
    return f"run {command}"
