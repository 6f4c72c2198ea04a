"""Repairs a mask as far as there is only one sensible way: a picture into a new indexed PNG, outlines into new JSON."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stma.errors import MaskError, OutputError
from stma.labels import LEAVE, ids_in
from stma.palette import davis_palette
from stma_cli.check.outline_repair import not_repairable, repair_outlines
from stma_cli.check.regions import find_pinholes, find_specks
from stma_cli.check.snapping import Snapped, read_lossy, snap
from stma_cli.check.turning import TURNS, find_turn, lies_on_its_side
from stma_cli.check.video_findings import VideoSurvey
from stma_cli.masks import MaskWriter, ObjectIds, read_annotation
from stma_cli.masks.colours import full_palette, ids_from_colours, packed, unpacked
from stma_cli.masks.fit import fit_size
from stma_cli.masks.image_file import MaskPicture, read_picture
from stma_cli.masks.label_image import LEFT_VALUE, read_image_annotation
from stma_cli.masks.reader import is_picture
from stma_cli.wording import counted, shortened

MOST_ROUNDS = 4  # of removing specks and filling pinholes, as one can make the other
SHIFTED = 4.0  # distance in RGB by which JPEG moves a flat colour
DARK = 64  # black drawn on nothing: no colour channel reaches it


@dataclass(frozen=True)
class Repair:
    """What was repaired.

    Attributes:
        path: the new file, None where nothing had to be repaired.
        changes: a sentence per change.
    """

    path: Path | None
    changes: tuple[str, ...]


def repair_mask(path: Path, survey: VideoSurvey, out: Path, correction: bool = False) -> Repair:
    """Write a repaired copy of a mask picture or of a JSON with outlines; the source stays as it is.

    A picture is read as for `read_annotation`, as a `correction` or not; pixels that stay as predicted still do.

    Raises:
        MaskError: when the mask cannot be repaired without guessing.
        OutputError: when `out` is there already, of another kind or cannot be written.
    """
    is_json = path.suffix.lower() == ".json"
    if not is_json and not is_picture(path):
        raise MaskError(*not_repairable(path))
    _require_place(out, ".json" if is_json else ".png")
    info = survey.info
    if info is None:
        raise MaskError(f"{path} cannot be repaired without its video", "give a video that can be read")
    if is_json:
        mended = repair_outlines(path, out, info.width, info.height)
        return Repair(out if mended else None, mended)
    labels, left, changes = _labels_and_changes(path, correction)
    if not labels.any():
        raise MaskError(f"{path} is empty, there is nothing to repair", "mark at least one object in it")
    rows, columns = labels.shape
    if lies_on_its_side(columns, rows, info.width, info.height):
        turn = find_turn(labels, survey.first, info.rotation)
        if turn is None:
            raise MaskError(
                f"{path} lies on its side, and the first frame does not show which way round",
                "turn it by hand",
            )
        labels = np.ascontiguousarray(TURNS[turn](labels))
        changes.append(turn)
    fit = fit_size(labels.shape[1], labels.shape[0], info.width, info.height, str(path))
    changes += fit.notes
    labels, cleaned = clean(fit.labels(labels, str(path)))
    changes += cleaned
    if not changes:
        return Repair(None, ())
    _write(np.where(labels == LEAVE, left, labels), out, info.width, info.height)
    return Repair(out, tuple(changes))


def clean(labels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Remove specks and fill pinholes of an (H, W) label map; returns it and a sentence per object.

    Pixels of `LEAVE` stay what they are, and specks beside them join them: background would erase.
    """
    labels = labels.copy()
    removed: dict[int, int] = {}
    filled: dict[int, int] = {}
    for _ in range(MOST_ROUNDS):
        specks = find_specks(labels)
        for spots in specks:
            labels[spots.where] = LEAVE if np.any(labels[_round(spots.where)] == LEAVE) else 0
            removed[spots.object_id] = removed.get(spots.object_id, 0) + spots.count
        pinholes = find_pinholes(labels)
        for spots in pinholes:
            labels[spots.where] = spots.object_id
            filled[spots.object_id] = filled.get(spots.object_id, 0) + spots.count
        if not specks and not pinholes:
            break
    changes = [f"{counted(count, 'speck')} of object {key} removed" for key, count in removed.items()]
    return labels, changes + [
        f"{counted(count, 'pinhole')} of object {key} filled" for key, count in filled.items()
    ]


def _round(where: np.ndarray) -> np.ndarray:
    """Return the pixels next to those of an (H, W) bool mask."""
    import cv2

    grown = cv2.dilate(where.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(grown & ~where)


def _require_place(out: Path, ending: str) -> None:
    if out.suffix != ending:  # nor in capitals, as the mask writer adds the ending itself
        raise OutputError(
            f"--fix {out} has another ending than a copy of this mask", f"give a name that ends in {ending}"
        )
    if os.path.lexists(out):
        raise OutputError(f"--fix {out} is there already, and nothing is replaced", "give a new name")
    if not out.parent.is_dir():
        raise OutputError(
            f"there is no folder {out.parent} for --fix {out.name}", "make it, or choose another"
        )


def _labels_and_changes(path: Path, correction: bool) -> tuple[np.ndarray, int, list[str]]:
    """Return (H, W) int32 labels at the size of the picture, what is saved for `LEAVE` in them, and changes."""
    lossy = read_lossy(path)
    picture = lossy or read_picture(path)
    rows, columns = picture.pixels.shape[:2]
    left = LEFT_VALUE.get(picture.kind, 0)
    if lossy is None:
        try:
            labels = read_image_annotation(path, columns, rows, ObjectIds(), correction).labels
        except MaskError:
            pass  # its edges are smoothed: snapped below
        else:
            given = np.where(labels == LEAVE, left, labels)
            indexed = picture.kind == "index" and np.array_equal(given, picture.pixels)
            return labels, left, [] if indexed else [_saved(given)]
    labels, changes = _snapped_labels(picture, path)
    changes.append(_saved(labels))
    if left and (correction or not set(ids_in(labels)) <= {left}):
        labels = np.where(labels == left, LEAVE, labels)
    return labels, left, changes


def _saved(labels: np.ndarray) -> str:
    ids = ids_in(labels)
    if ids and ids[-1] > 255:
        return "saved as 16-bit grey PNG"
    return f"saved as indexed PNG with the DAVIS palette, ids {shortened(ids, 12)}"


def _snapped_labels(picture: MaskPicture, path: Path) -> tuple[np.ndarray, list[str]]:
    pixels = picture.pixels
    if picture.kind == "colour":
        opaque = pixels[..., 3] >= 128
        if not opaque.all() and opaque.any() and int(pixels[opaque][:, :3].max()) < DARK:
            soft = int(np.count_nonzero((pixels[..., 3] > 0) & (pixels[..., 3] < 255)))
            return opaque.astype(np.int32), [f"{soft} half-transparent pixels made object or background"]
        colours = np.where(opaque, packed(pixels), 0)
        snapped = _require_snapped(colours, path, merge=True)
        return _labels_by_colour(snapped, _palette_colours(snapped.colours), path)
    if picture.palette is not None:
        colour_of = packed(full_palette(picture.palette)[None])[0]
        snapped = _require_snapped(pixels, path, merge=False, colour_of=colour_of)
        ids = [int(value) for value in snapped.colours if value != 0]
        if colour_of[0] != 0 or (ids and max(ids) > 2 * len(ids) + 2):
            return _labels_by_colour(snapped, colour_of[snapped.colours], path)
    else:
        snapped = _require_snapped(pixels, path, merge=False)
        white = 65535 if picture.kind == "wide" else 255
        if set(snapped.colours.tolist()) <= {0, white}:
            return (snapped.colours[snapped.classes] > 0).astype(np.int32), [_snapping(snapped)]
    return snapped.colours[snapped.classes].astype(np.int32), [_snapping(snapped)]


def _require_snapped(
    pixels: np.ndarray, path: Path, merge: bool, colour_of: np.ndarray | None = None
) -> Snapped:
    """Snap (H, W) values: packed colours, greys, or indices into the packed colours of a palette."""
    values, classes = np.unique(pixels, return_inverse=True)
    shades = values if colour_of is None else colour_of[values]
    if merge or colour_of is not None:
        rgb = unpacked(shades).astype(np.float64)
    else:
        rgb = np.repeat(values[:, None].astype(np.float64), 3, axis=1)
    snapped = snap(values, rgb, classes.reshape(pixels.shape).astype(np.int32), merge)
    if snapped is None:
        raise MaskError(
            f"{path} is a photograph or too blurred, it has no few main colours",
            "paint the objects in flat colours on black",
        )
    return snapped


def _palette_colours(colours: np.ndarray) -> np.ndarray:
    """Replace packed colours that compression has shifted a little by those of the DAVIS palette."""
    palette = packed(davis_palette()[None])[0]
    apart = unpacked(colours)[:, None] - unpacked(palette)[None]
    distance = np.linalg.norm(apart.astype(np.float64), axis=2)
    nearest = distance.argmin(axis=1)
    return np.where(distance.min(axis=1) <= SHIFTED, palette[nearest], colours)


def _labels_by_colour(snapped: Snapped, colours: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
    plane = colours[snapped.classes]
    rgba = np.dstack((unpacked(plane), np.full_like(plane, 255))).astype(np.uint8)
    labels, notes = ids_from_colours(rgba, ObjectIds(), str(path))
    return labels, [_snapping(snapped), *notes]


def _snapping(snapped: Snapped) -> str:
    return (
        f"{snapped.changed} pixels of {snapped.others} colours between snapped to the nearest of "
        f"{len(snapped.colours)} main colours"
    )


def _write(labels: np.ndarray, out: Path, width: int, height: int) -> None:
    """Write the mask and read it back as `stma segment` will; a file that it would refuse does not stay."""
    names = {object_id: f"object {object_id}" for object_id in ids_in(labels)}
    writer = MaskWriter(out.parent, davis_palette(), names)
    written = writer.write(out.stem, labels)
    try:
        read_annotation(written, width, height)
    except MaskError:
        written.unlink(missing_ok=True)
        raise
