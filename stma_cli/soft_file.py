"""soft.json: which run has written the soft masks of a folder last, by the folder of its masks."""

import json
from pathlib import Path

from stma_cli.output import full_path
from stma_cli.readable_json import write_json
from stma_cli.result_layout import SOFT_FILE


def mark_soft_masks(folder: Path, out: Path) -> None:
    """Say in a folder of soft masks that they are of the run into `out` from now on.

    Raises:
        OutputError: when it cannot be written.
    """
    write_json(folder / SOFT_FILE, {"masks": full_path(out)})


def soft_masks_of(folder: Path) -> str | None:
    """Return the full path of the masks that the soft masks of a folder belong to, or None where it says none."""
    try:
        content = json.loads((folder / SOFT_FILE).read_text("utf-8"))
        return str(content["masks"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def holds_soft_masks(folder: Path) -> bool:
    """Whether a folder has the soft masks of one object."""
    return folder.name.isdecimal() and soft_masks_of(folder.parent) is not None
