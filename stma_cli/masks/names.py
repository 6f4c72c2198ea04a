"""names.json: the names of the objects, beside the masks that hold their ids."""

import json
from collections.abc import Mapping
from pathlib import Path

from stma_cli.readable_json import write_json
from stma_cli.result_layout import NAMES_FILE


def write_names(folder: Path, names: Mapping[int, str]) -> Path:
    """Write `names.json`: {"objects": [{"id": 1, "name": "person"}, ...]}, ids ascending.

    Raises:
        OutputError: when the file cannot be written.
    """
    path = folder / NAMES_FILE
    rows = [{"id": object_id, "name": names[object_id]} for object_id in sorted(names)]
    write_json(path, {"objects": rows})
    return path


def read_names(folder: Path) -> dict[int, str]:
    """Return the names in the folder's `names.json`; empty where there is none or it is of another tool."""
    try:
        return parse_names(folder / NAMES_FILE)
    except (OSError, ValueError):
        return {}


def parse_names(file: Path) -> dict[int, str]:
    """Return object id -> name from the objects of `names.json` or `report.json`.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is damaged or of another tool.
    """
    content = json.loads(file.read_text("utf-8-sig"))
    try:
        return {int(row["id"]): str(row["name"]) for row in content["objects"]}
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
