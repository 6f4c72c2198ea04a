"""Turns exact colours into object ids, and recognises masks whose edges were smoothed."""

from collections.abc import Mapping, Set

import cv2
import numpy as np

from stma.errors import MaskError
from stma.palette import davis_palette
from stma_cli.masks.annotation import ObjectIds
from stma_cli.note import Note

FEWEST_EDGE_VALUES = 4  # smoothing makes many in-between values; one to three may be real, tiny objects
WHITE = 0xFFFFFF
GREY = 0x010101
LARGEST_GREY_ID = (
    63  # grey 64 is a colour of the DAVIS palette, and brighter ones are colours rather than ids
)
HOW_TO_SAVE = (
    "paint with a hard pencil, switch smoothing (anti-aliasing) off, scale without interpolation, and save "
    "as indexed PNG (GIMP: Image > Mode > Indexed, without dithering)"
)


def packed(pixels: np.ndarray) -> np.ndarray:
    """Return (H, W) int32 0xRRGGBB of an (H, W, 3 or more) uint8 RGB picture."""
    channels = pixels.astype(np.int32)
    return (channels[..., 0] << 16) | (channels[..., 1] << 8) | channels[..., 2]


def unpacked(colours: np.ndarray) -> np.ndarray:
    """Return RGB, 0 to 255, of integers 0xRRGGBB; it is the last axis of the integer array."""
    return np.stack([colours >> 16 & 255, colours >> 8 & 255, colours & 255], axis=-1)


def full_palette(palette: np.ndarray) -> np.ndarray:
    """Return a palette of (N, 3) uint8 RGB with 256 rows; those that it lacks are black."""
    full = np.zeros((256, 3), dtype=np.uint8)
    full[: len(palette)] = palette[:256]
    return full


def in_solid_block(plane: np.ndarray) -> np.ndarray:
    """Return where the 3 x 3 pixels round one are alike: (H, W) bool of integers below 2 ** 24."""
    exact, block = plane.astype(np.float32), np.ones((3, 3), np.uint8)
    alike: np.ndarray = cv2.erode(exact, block) == cv2.dilate(exact, block)
    return alike


def ids_from_colours(pixels: np.ndarray, object_ids: ObjectIds, source: str) -> tuple[np.ndarray, list[Note]]:
    """Give each exact colour an id.

    Background is black, and whatever is fully transparent. White alone is object 1, as is black alone on
    transparent. Colours of the DAVIS palette have the id of the palette, also where an earlier mask gives it to an
    object by other means than a colour. Where all colours are greys of 1 to 63, as of a label map saved in RGB, so
    are the ids. All other colours get the smallest free ids in the order in which they
    first appear, row by row from the top left; a colour keeps its id in all masks of a run.

    Args:
        pixels: (H, W, 4) uint8 RGBA.
        object_ids: the ids given so far.
        source: the file, for messages.

    Returns:
        (H, W) int32 labels, 0 = background, and notes for the user.

    Raises:
        MaskError: when edges are smoothed or half transparent.
    """
    alpha = pixels[..., 3]
    half = int(np.count_nonzero((alpha > 0) & (alpha < 255)))
    if half:
        raise MaskError(
            f"{source} has {half} half-transparent pixels, so its edges are smoothed (anti-aliased)",
            HOW_TO_SAVE,
        )
    colours = packed(pixels)
    transparent = alpha == 0
    if transparent.any():
        opaque = np.unique(colours[~transparent])
        if len(opaque) == 1 and opaque[0] == 0:  # black drawn on nothing is the object
            return np.where(transparent, 0, object_ids.reserve(1)).astype(np.int32), []
        colours = np.where(transparent, 0, colours)
    values, first, classes = np.unique(colours, return_index=True, return_inverse=True)
    classes = classes.reshape(colours.shape)
    require_hard_edges(colours, values, "colours", source)

    if set(values.tolist()) <= {0, WHITE} and values[-1] == WHITE:
        return np.where(colours == WHITE, object_ids.reserve(1, key=("colour", WHITE)), 0).astype(
            np.int32
        ), []
    palette_ids = {int(value): index for index, value in enumerate(packed(davis_palette()[None])[0])}
    present = {int(value) for value in values if value}
    notes = []
    if present and all(value % GREY == 0 and value // GREY <= LARGEST_GREY_ID for value in present):
        palette_ids = {value: value // GREY for value in present}
        notes.append(Note("mask", "all its colours are dark greys, so their values are taken for the ids"))
    _reserve_palette_ids(present, palette_ids, object_ids)
    id_of_class = np.zeros(len(values), dtype=np.int32)
    for index in np.argsort(first):
        colour = int(values[index])
        if colour == 0:
            continue
        id_of_class[index] = object_ids.id_for(("colour", colour))
        if len(values) > 2 and id_of_class[index] != palette_ids.get(colour):
            notes.append(Note("colours", f"colour #{colour:06x} is object {id_of_class[index]}"))
    return id_of_class[classes], notes


def _reserve_palette_ids(present: Set[int], palette_ids: Mapping[int, int], object_ids: ObjectIds) -> None:
    """Give colours of the palette their ids there, which objects of earlier masks may have, but for other colours."""
    colours = {
        key[1]: known
        for key, known in object_ids.keys.items()
        if isinstance(key, tuple) and key[0] == "colour"
    }
    if WHITE not in present:
        colours.pop(WHITE, None)  # alone it is object 1, which results show in the palette's colour
    for colour in present & palette_ids.keys() - colours.keys():
        if palette_ids[colour] not in colours.values():
            object_ids.reserve(palette_ids[colour], key=("colour", colour))


def require_hard_edges(plane: np.ndarray, values: np.ndarray, what: str, source: str) -> None:
    """Refuse a mask with many values that occur only along edges.

    Args:
        plane: (H, W) integers below 2 ** 24, 0 = background.
        values: those that it holds, each once.
        what: "ids" or "colours", for the message.
        source: the file, for the message.

    Raises:
        MaskError: when most values nowhere fill a 3 x 3 block, as smoothed edges do.
    """
    count = int(np.count_nonzero(values))
    if count < FEWEST_EDGE_VALUES:
        return
    solid = int(np.count_nonzero(np.unique(plane[in_solid_block(plane)]))) if len(values) < 65536 else 0
    edges = count - solid
    if edges >= FEWEST_EDGE_VALUES and edges > solid:
        raise MaskError(
            f"{source} has {count} different {what}, and {edges} of them occur only in thin lines and "
            "specks: its edges are smoothed (anti-aliased), or it is a photograph",
            HOW_TO_SAVE,
        )
