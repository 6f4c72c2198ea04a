"""Overlay pictures: objects tinted in their palette colours, with outlines and names."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stma.labels import ids_in
from stma.palette import davis_palette

Box = tuple[int, int, int, int]  # left, top, width, height in pixels

_COLOURS = davis_palette()
_SMALLEST_TEXT = 12  # pixels; below it names cannot be read
_LINE = 1 / 240  # width of outlines, as a part of the shorter side
_BOLD_LINE = 1 / 120
_LONGEST_NAME = 24  # characters


def object_colour(object_id: int) -> tuple[int, int, int]:
    """Return the RGB colour of an object; ids above 255 take the colours 1 to 255 again, never black."""
    red, green, blue = _COLOURS[colour_indices(np.array(object_id))].tolist()
    return red, green, blue


def colour_indices(object_ids: np.ndarray) -> np.ndarray:
    """Return the rows of the palette for object ids as uint8, 0 only for the background."""
    if object_ids.dtype == np.uint8:
        return object_ids
    folded = (object_ids.astype(np.int64) - 1) % 255 + 1
    return np.where(object_ids > 255, folded, object_ids).astype(np.uint8)


class OverlayRenderer:
    """Draws label maps onto frames.

    Args:
        names: object id -> name; an object without a name is labelled with its id.
        alpha: how strongly objects are tinted, 0 (not at all) to 1 (covered).
        outline: whether to draw the outline of each object.
        bold: whether outlines are twice as wide, to be seen without a tint.
        show_names: whether to write each object's name beside its top.
    """

    mode = "RGB"

    def __init__(
        self,
        names: Mapping[int, str] | None = None,
        alpha: float = 0.5,
        outline: bool = True,
        show_names: bool = True,
        bold: bool = False,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}; it must be between 0 and 1")
        self._names = dict(names or {})
        self._alpha = alpha
        self._outline = outline
        self._line_width = _BOLD_LINE if bold else _LINE
        self._show_names = show_names
        self._outline_colours = _lookup(_COLOURS // 2 + 128)  # half way to white: seen on dark ground too
        self._tint_colours = _lookup(_COLOURS)
        self._tags: dict[tuple[int, int], np.ndarray] = {}

    def render(self, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a copy of the frame with the objects drawn on it.

        Args:
            pixels: (H, W, 3) uint8 array, RGB.
            labels: (H, W) integer array of object ids, 0 = background.

        Returns:
            (H, W, 3) uint8 array, RGB.

        Raises:
            ValueError: the two do not have the same height and width.
        """
        if pixels.shape[:2] != labels.shape:
            raise ValueError(f"labels of shape {labels.shape} for a frame of shape {pixels.shape}")
        picture = pixels.copy()
        region = _bounding_box((labels != 0).view(np.uint8))
        if region is None:
            return picture
        thickness = max(1, round(min(labels.shape) * self._line_width))
        left, top, right, bottom = (
            max(0, region[0] - thickness),
            max(0, region[1] - thickness),
            region[0] + region[2] + thickness,
            region[1] + region[3] + thickness,
        )
        window = (slice(top, bottom), slice(left, right))
        cut = np.ascontiguousarray(labels[window])
        if cut.dtype != np.uint8 and cut.max() <= 255:
            cut = cut.astype(np.uint8)  # several times faster below
        colours = colour_indices(cut)
        self._tint(picture[window], colours)
        if self._outline:
            self._draw_outline(picture[window], cut, colours, thickness)
        if self._show_names:
            self._write_names(picture, cut, left, top)
        return picture

    def _tint(self, target: np.ndarray, colours: np.ndarray) -> None:
        """Mix the palette colours into the object pixels of `target` in place."""
        tint = cv2.LUT(cv2.merge([colours, colours, colours]), self._tint_colours)
        mixed = cv2.addWeighted(target, 1 - self._alpha, tint, self._alpha, 0)
        cv2.copyTo(mixed, colours, target)

    def _draw_outline(
        self, target: np.ndarray, labels: np.ndarray, colours: np.ndarray, thickness: int
    ) -> None:
        """Draw the innermost pixels of every object in a light shade of its colour; none along the frame."""
        comparable = labels if labels.dtype in (np.uint8, np.uint16) else labels.astype(np.float32)
        kernel = np.ones((2 * thickness + 1,) * 2, np.uint8)
        edge = cv2.morphologyEx(comparable, cv2.MORPH_GRADIENT, kernel, borderType=cv2.BORDER_REPLICATE)
        mask = ((edge != 0) & (colours != 0)).view(np.uint8)
        line = cv2.LUT(cv2.merge([colours, colours, colours]), self._outline_colours)
        cv2.copyTo(line, mask, target)

    def _write_names(self, picture: np.ndarray, labels: np.ndarray, left: int, top: int) -> None:
        """Put a tag with the name above the largest part of each object, in the frame and clear of other tags."""
        size = max(_SMALLEST_TEXT, round(min(picture.shape[:2]) / 28))
        taken: list[Box] = []
        for object_id in ids_in(labels):
            box = _largest_part((labels == object_id).view(np.uint8))
            if box is None:
                continue
            tag = self._tag(object_id, size)[: picture.shape[0], : picture.shape[1]]
            middle = left + box[0] + box[2] // 2
            place = _place(tag.shape[:2], middle, top + box[1], picture.shape[:2], taken)
            taken.append(place)
            x, y, width, height = place
            picture[y : y + height, x : x + width] = tag

    def _tag(self, object_id: int, size: int) -> np.ndarray:
        """Return the (h, w, 3) RGB picture of an object's name, drawn once."""
        key = (object_id, size)
        if key not in self._tags:
            name = " ".join(self._names.get(object_id, str(object_id)).split()) or str(object_id)
            if len(name) > _LONGEST_NAME:
                name = name[: _LONGEST_NAME - 1] + "…"
            self._tags[key] = _draw_tag(name, object_colour(object_id), size)
        return self._tags[key]


def _lookup(colours: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(colours.astype(np.uint8)[None])  # (1, 256, 3), as cv2.LUT wants it


def _bounding_box(mask: np.ndarray) -> Box | None:
    left, top, width, height = cv2.boundingRect(mask)
    return (left, top, width, height) if width and height else None


def _largest_part(mask: np.ndarray) -> Box | None:
    """Return the box of the largest connected part: a stray fragment does not carry the name away."""
    region = _bounding_box(mask)
    if region is None:
        return None
    x, y, columns, rows = region
    inside = mask[y : y + rows, x : x + columns]  # the search for parts costs what the object fills
    _, _, parts, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    left, top, width, height, _ = parts[1 + int(parts[1:, cv2.CC_STAT_AREA].argmax())]
    return x + int(left), y + int(top), int(width), int(height)


def _place(size: tuple[int, int], middle: int, top: int, frame: tuple[int, int], taken: list[Box]) -> Box:
    """Return where a tag goes: centred above `top`, moved into the frame and below tags in the way."""
    height, width = size
    x = min(max(0, middle - width // 2), frame[1] - width)
    y = min(max(0, top - height - 2), frame[0] - height)
    for _ in taken:
        in_the_way = [box for box in taken if _overlap(box, (x, y, width, height))]
        if not in_the_way:
            break
        below = max(box[1] + box[3] for box in in_the_way)
        if below + height > frame[0]:
            break
        y = below
    return x, y, width, height


def _overlap(first: Box, second: Box) -> bool:
    return (
        first[0] < second[0] + second[2]
        and second[0] < first[0] + first[2]
        and first[1] < second[1] + second[3]
        and second[1] < first[1] + first[3]
    )


def _draw_tag(name: str, colour: tuple[int, int, int], size: int) -> np.ndarray:
    font = _font(size)
    left, top, right, bottom = font.getbbox(name)
    _, line_top, _, line_bottom = font.getbbox("Ág")  # one height for all names
    top, bottom = min(top, line_top), max(bottom, line_bottom)
    margin = max(2, size // 5)
    extent = (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin)
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    image = Image.new("RGB", extent, colour)
    ink = (0, 0, 0) if luminance > 110 else (255, 255, 255)
    ImageDraw.Draw(image).text((margin - left, margin - top), name, fill=ink, font=font)
    return np.asarray(image)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return DejaVu Sans, which covers most alphabets and comes with matplotlib, or Pillow's own font."""
    package = find_spec("matplotlib")
    for folder in (package.submodule_search_locations if package else None) or ():
        file = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)
