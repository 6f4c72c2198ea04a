"""Mask pictures to label maps: indexed, 16-bit grey, black and white, exact colours."""

from pathlib import Path

import numpy as np

from stma.errors import MaskError
from stma.labels import LEAVE, VOID, counts_in, ids_in
from stma_cli.masks.annotation import Annotation, ObjectIds
from stma_cli.masks.colours import HOW_TO_SAVE, full_palette, ids_from_colours, require_hard_edges
from stma_cli.masks.fit import fit_size
from stma_cli.masks.image_file import MaskPicture, read_picture
from stma_cli.masks.names import read_names
from stma_cli.note import Note
from stma_cli.wording import counted

LEFT_VALUE = {"index": VOID, "grey": VOID, "wide": 65535}  # by kind of picture: the pixel stays as predicted
SMALLEST_OBJECT = 16  # pixels; below it the user probably marked a speck by mistake


def read_labels(path: Path) -> np.ndarray:
    """Read one label PNG as `MaskWriter` and the DAVIS data set write them, values as they are.

    Args:
        path: an indexed PNG (ids = palette indices) or a grey PNG of 1, 8 or 16 bits (ids = values).

    Returns:
        (H, W) uint8 or int32 object ids, 0 = background.

    Raises:
        MaskError: when the file cannot be read, or is a colour picture.
    """
    picture = read_picture(path)
    if picture.kind == "colour":
        raise MaskError(f"{path} is a colour picture, not a label map", "save it as indexed PNG")
    return picture.pixels


def read_image_annotation(
    path: Path, width: int, height: int, object_ids: ObjectIds, correction: bool = False
) -> Annotation:
    """Read a mask picture for a video of `width` x `height` pixels; empty masks are returned as they are.

    Names come from a `names.json` in the same folder, as `MaskWriter` leaves it there. With other ids the value
    255 of indexed and grey pictures (65535 in 16 bits) is no object: such pixels stay as predicted. In a
    `correction`, a mask beside those of other frames, an indexed picture may also hold that value alone or with 0.

    Raises:
        MaskError: when the picture cannot be read, has smoothed edges or does not fit the video.
    """
    return annotation_of(read_picture(path), path, width, height, object_ids, correction)


def annotation_of(
    picture: MaskPicture, path: Path, width: int, height: int, object_ids: ObjectIds, correction: bool = False
) -> Annotation:
    """Return what a mask picture says that has been read already, as `read_image_annotation` does.

    Raises:
        MaskError: when it has smoothed edges or does not fit the video.
    """
    rows, columns = picture.pixels.shape[:2]
    fit = fit_size(columns, rows, width, height, str(path))
    labels, notes = _labels_of(picture, object_ids, path, correction)
    labels = fit.labels(labels, str(path))
    for value, pixels in zip(*counts_in(labels), strict=True):
        if value > 0 and pixels < SMALLEST_OBJECT:
            notes.append(Note("tiny", f"object {value} has only {counted(int(pixels), 'pixel')}"))
    return Annotation(labels.astype(np.int32), object_ids.names_in(labels), tuple(fit.notes + notes))


def _labels_of(
    picture: MaskPicture, object_ids: ObjectIds, path: Path, correction: bool
) -> tuple[np.ndarray, list[Note]]:
    """Return the labels in as few bytes as the picture has, and notes."""
    pixels = picture.pixels
    if picture.kind == "colour":
        return ids_from_colours(pixels, object_ids, str(path))
    if picture.palette is not None and _background_is_not_first(pixels, picture.palette):
        labels, notes = ids_from_colours(_painted(pixels, picture.palette), object_ids, str(path))
        said = "the palette's black is not its first colour, so ids come from the colours"
        return labels, [Note("mask", said), *notes]
    values, counts = counts_in(pixels)
    white = {"grey": 255, "wide": 65535}.get(picture.kind)
    if picture.kind == "bits" or (white is not None and set(values.tolist()) <= {0, white}):
        if values[-1]:
            object_ids.reserve(1)
        return (pixels > 0).astype(np.uint8), []
    if values[0] < 0:
        raise MaskError(f"{path} holds negative values", "save it as indexed or 16-bit grey PNG")
    require_hard_edges(pixels, values, "ids", str(path))
    if picture.kind == "grey" and values[-1] == 255:
        _refuse_grey_edge(values, counts, path)
    labels, notes = pixels, []
    left = LEFT_VALUE[picture.kind]
    alone = set(values.tolist()) <= {0, left}
    if left in values and not object_ids.knows(left) and (correction or not alone):
        labels = np.where(labels == left, LEAVE, labels)
        said = f"{left} leaves pixels as predicted, and 0 is background for all objects"
        notes.append(Note("left", said))
    given_names = read_names(path.parent)
    for value in ids_in(labels):
        object_ids.reserve(value, given_names.get(value))
    return labels, notes


def _refuse_grey_edge(values: np.ndarray, pixels: np.ndarray, path: Path) -> None:
    """Refuse white on black with a few greys between: a smoothed binary mask and not a label map."""
    between = (values > 0) & (values < 255)
    if pixels[between].sum() * 4 < pixels[values == 255].sum() and values[between].min() > 15:
        raise MaskError(
            f"{path} is white on black with {int(between.sum())} greys between, so its edges are smoothed "
            "(anti-aliased)",
            HOW_TO_SAVE,
        )


def _background_is_not_first(pixels: np.ndarray, palette: np.ndarray) -> bool:
    """Whether an editor put black, the background, at another index than 0."""
    black = palette.max(axis=1, initial=0) == 0
    used, _ = counts_in(pixels)
    used = used[used < len(palette)]
    return len(black) > 0 and not black[0] and bool(black[used].any())


def _painted(pixels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    opaque = np.full((*pixels.shape, 1), 255, dtype=np.uint8)
    return np.concatenate([full_palette(palette)[pixels], opaque], axis=2)
