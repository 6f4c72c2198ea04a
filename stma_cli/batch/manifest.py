"""Manifests: a table in CSV or JSON that says which masks belong to which clip.

CSV has a line per mask with the columns clip, mask and, as needed, frame, object, start, end, objects. JSON is
a list with an object per clip and the same keys, where "masks" may hold several files or objects with file,
frame and object. Clips are paths below the folder of clips, masks are relative to the manifest.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stma.errors import InputError, SettingsError
from stma_cli.batch.clips import Clip, Pair, clip_at

COLUMNS = ("clip", "mask", "frame", "object", "start", "end", "objects")
_CLIP_KEYS = ("clip", "mask", "masks", "frame", "object", "start", "end", "objects")
_MASK_KEYS = ("file", "frame", "object")


def read_manifest(path: Path, clips: Path) -> list[Pair]:
    """Read a manifest; a line that cannot be used gives a pair with a problem.

    Args:
        path: ends in .csv or .json.
        clips: the folder of clips.

    Raises:
        SettingsError: the file as a whole cannot be used.
    """
    try:
        rows = list(_csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path))
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise SettingsError(
            f"the manifest {path} cannot be read ({error})", "save it again as UTF-8"
        ) from error
    if not rows:
        raise SettingsError(f"the manifest {path} names no clip", "add a line for each")
    pairs: dict[Clip, Pair] = {}
    for place, row in rows:
        one = _pair_of(place, row, path.parent, clips)
        before = pairs.get(one.clip)
        pairs[one.clip] = one if before is None else _joined(before, one)
    return list(pairs.values())


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = [name.strip() for name in reader.fieldnames or ()]
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown or not {"clip", "mask"} <= set(columns):
            raise SettingsError(
                f"the manifest {path} has the columns {', '.join(columns) or 'none'}",
                f"use clip and mask, and as needed {', '.join(COLUMNS[2:])}",
            )
        reader.fieldnames = columns
        for number, row in enumerate(reader, start=2):
            if None in row:
                raise SettingsError(
                    f"line {number} of {path} has more cells than columns", "quote cells with commas"
                )
            cells = {name: (value or "").strip() for name, value in row.items()}
            if any(cells.values()):
                yield f"line {number}", {name: value for name, value in cells.items() if value}


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise SettingsError(
            f"the manifest {path} is no list of objects", 'write it as [{"clip": "a.mp4", "mask": "a.png"}]'
        )
    for number, row in enumerate(content, start=1):
        unknown = [key for key in row if key not in _CLIP_KEYS]
        if unknown:
            raise SettingsError(
                f"entry {number} of {path} has the key {unknown[0]!r}", f"use {', '.join(_CLIP_KEYS)}"
            )
        yield f"entry {number}", row


def _pair_of(place: str, row: Mapping[str, Any], folder: Path, clips: Path) -> Pair:
    text = str(row.get("clip", ""))
    try:
        clip = clip_at(clips, text)
    except (InputError, OSError, ValueError) as error:
        return Pair(Clip(f"{text} ({place})".strip(), clips / "unknown"), problem=f"{place}: {error}")
    try:
        masks = tuple(_mask_option(mask, folder) for mask in _masks_of(row))
        start, end, objects = _number(row, "start"), _number(row, "end"), row.get("objects")
        if not masks:
            raise SettingsError("no mask is given", "name one")
    except (InputError, OSError, ValueError) as error:
        return Pair(clip, problem=f"{place}: {error}")
    return Pair(clip, masks, start, end, None if objects is None else str(objects))


def _masks_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    several, own = row.get("masks", []), {key: row[key] for key in ("frame", "object") if key in row}
    if not isinstance(several, list):
        raise SettingsError('"masks" is no list', 'write "mask" for a single one')
    if several and own and "mask" not in row:
        raise SettingsError(f'"{next(iter(own))}" stands beside "masks"', "write it into each of them")
    masks: list[Mapping[str, Any]] = [{"file": row["mask"], **own}] if "mask" in row else []
    for mask in several:
        if isinstance(mask, dict) and not set(mask) - set(_MASK_KEYS):
            masks.append(mask)
        elif isinstance(mask, str):
            masks.append({"file": mask})
        else:
            raise SettingsError(f"{mask!r} is no mask", f"give a file name, or {', '.join(_MASK_KEYS)}")
    return masks


def _mask_option(mask: Mapping[str, Any], folder: Path) -> str:
    path = folder / str(mask.get("file", ""))
    picture_of = Path(str(path).rpartition("#")[0])  # one picture of a COCO file: all.json#00120.jpg
    if not path.exists() and not picture_of.is_file():
        raise SettingsError(f"the mask {path} does not exist", "correct its path")
    frame, name = _number(mask, "frame"), mask.get("object")
    if name is not None and ("=" in str(name) or str(name).isdecimal() or not str(name)):
        raise SettingsError(f"the object {name!r} is no name", "use words without =")
    before = [str(part) for part in (frame, name) if part is not None]
    return f"{':'.join(before)}={path}" if before else str(path)


def _number(row: Mapping[str, Any], key: str) -> int | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not str(value).isdecimal():
        raise SettingsError(f"{key} is {value!r}", "give a frame number from 0")
    return int(value)


def _joined(before: Pair, after: Pair) -> Pair:
    """Two lines of one clip: all their masks; range and objects as far as either says so, a problem where both do
    and differ."""
    joined = replace(before, masks=before.masks + after.masks, problem=before.problem or after.problem)
    for key in ("start", "end", "objects"):
        one, other = getattr(before, key), getattr(after, key)
        if one is None:
            joined = replace(joined, **{key: other})
        elif other not in (None, one) and joined.problem is None:
            problem = f"its lines give the {key} {one} and {other}; give it once"
            joined = replace(joined, problem=problem)
    return joined
