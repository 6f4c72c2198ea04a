"""Layers of a synthetic clip: cut-outs and bars that move over its frames and occlude what is there."""

from dataclasses import dataclass

import cv2
import numpy as np

from stma.training.colour import shutter_blur
from stma.training.motion import MotionRange, Warp, affine_walk, elastic_walk, placement
from stma.training.regions import BACKGROUND_REGIONS, CUT_OUT_REGIONS, REGIONS, partition
from stma.training.sources import CutOut, happens

DISTRACTOR = 255  # label of what is visible but not to be followed; becomes background
CUT_OUT_SIZES = (0.12, 0.7)  # longer side, shares of the crop's
PASSING_SIZES = (0.15, 0.8)
BARS_SIZES = (1.2, 2.5)  # they reach beyond the crop
LONGEST_OPEN = 0.6  # share of the time between two frames: a 360-degree shutter is open for all of it
LONGEST_BLUR = 0.08  # share of the crop's side: training takes frames apart that a camera exposes shortly


@dataclass(frozen=True)
class LayeredScene:
    """A clip in the making, a list item per frame: (H, W, 3) frames, (H, W) label maps and (H, W) region maps.

    `shutter` is the share of the time between two frames that the camera's shutter is open; 0 blurs nothing. `camera`
    holds a 3x3 matrix per frame that moves all points of the crop, those of later layers too; empty for none.
    """

    frames: list[np.ndarray]
    maps: list[np.ndarray]
    regions: list[np.ndarray]
    shutter: float = 0.0
    camera: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Shadow:
    """The shadow that a cut-out casts on what lies behind it: its outline, laid down about its lower edge.

    Attributes:
        height: of the shadow, in heights of the cut-out; negative where it falls towards the camera.
        lean: how far its tip lies to the right, in heights of the cut-out.
        depth: share of the light that it takes, 0 to 1.
        softness: standard deviation of its edge, a share of the cut-out's longer side.
    """

    height: float
    lean: float
    depth: float
    softness: float

    def laid(self, bottom: int) -> np.ndarray:
        """3x3 matrix that takes a point of a cut-out to its shadow, in the cut-out's pixels; `bottom` is the row that
        it stands on."""
        return np.array(
            [[1, -self.lean, self.lean * bottom], [0, self.height, (1 - self.height) * bottom], [0, 0, 1]]
        )


def draw_shadow(rng: np.random.Generator, probability: float) -> Shadow | None:
    """A random shadow, or none."""
    if not happens(rng, probability):
        return None
    return Shadow(
        float(rng.uniform(-0.25, 0.4)),
        float(rng.uniform(-0.8, 0.8)),
        float(rng.uniform(0.3, 0.85)),
        float(rng.uniform(0.01, 0.08)),
    )


def draw_absence(rng: np.random.Generator, probability: float, frames: int) -> range:
    """Frames on which an object is out of sight, never the first; mostly none."""
    if not happens(rng, probability):
        return range(0)
    start = int(rng.integers(1, frames))
    return range(start, int(rng.integers(start + 1, frames + 1)))


def draw_shutter(rng: np.random.Generator, probability: float) -> float:
    """Share of the time that the shutter of a clip is open: 0, or with `probability` up to `LONGEST_OPEN`."""
    return float(rng.uniform(0.1, LONGEST_OPEN)) if happens(rng, probability) else 0.0


def displacements(matrices: list[np.ndarray], x: float, y: float) -> list[tuple[float, float]]:
    """How far the source point (x, y) moves about each frame, in pixels: half the way from the frame before it to the
    one after it."""
    path = np.stack([(matrix @ (x, y, 1.0))[:2] for matrix in matrices])  # (T, 2)
    if len(path) == 1:
        return [(0.0, 0.0)]
    return [(float(dx), float(dy)) for dx, dy in np.asarray(np.gradient(path, axis=0)).reshape(-1, 2)]


def blur_whole(frames: list[np.ndarray], moves: list[np.ndarray], shutter: float) -> list[np.ndarray]:
    """Blur whole frames, (side, side, 3) uint8, as the camera's motion does; `moves` displace points of the crop."""
    if not shutter:
        return frames
    side = frames[0].shape[0]
    longest = int(LONGEST_BLUR * side)
    shifts = displacements(moves, side / 2, side / 2)
    return [shutter_blur(frame, shift, shutter, longest) for frame, shift in zip(frames, shifts, strict=True)]


def bars(rng: np.random.Generator, texture: np.ndarray) -> CutOut:
    """Draw one to six parallel bars, sometimes with others across, in a picture's texture or in one of its colours."""
    side = 256
    start_x, start_y = (int(rng.integers(0, max(1, extent - side))) for extent in texture.shape[1::-1])
    image = cv2.resize(texture[start_y : start_y + side, start_x : start_x + side], (side, side))
    if rng.random() < 0.5:
        image = np.broadcast_to(image[side // 2, side // 2], image.shape).copy()
    alpha = np.zeros((side, side), dtype=np.uint8)
    turn = rng.uniform(0, np.pi)
    for angle in (turn, turn + np.pi / 2)[: 2 if rng.random() < 0.25 else 1]:
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        for offset in rng.uniform(-0.35, 0.35, int(rng.integers(1, 7))) * side:
            centre = side / 2 + across * offset
            ends = [(int(p[0]), int(p[1])) for p in (centre - along * side, centre + along * side)]
            cv2.line(alpha, ends[0], ends[1], 255, int(rng.integers(2, 9)))
    return CutOut((image,), (alpha,))


def paste(
    rng: np.random.Generator,
    scene: LayeredScene,
    cut_out: CutOut,
    number: int,
    motion: MotionRange,
    sizes: tuple[float, float] = CUT_OUT_SIZES,
    seen: range | None = None,
    behind: bool = False,
    shadow: Shadow | None = None,
    absent: range = range(0),
) -> None:
    """Move a cut-out over the frames of a scene, in place.

    Args:
        rng: draws size, place and path.
        scene: what the cut-out is pasted into.
        cut_out: what is pasted.
        number: its label.
        motion: how far it moves.
        sizes: shortest and longest size of its longer side, shares of the crop's.
        seen: the frames that it is seen on, beside or over a labelled object where there is one; None for all frames,
            anywhere.
        behind: it covers the background alone, and not what is labelled.
        shadow: falls on all that was there before, and belongs to no object.
        absent: frames on which it is not seen.
    """
    side = scene.frames[0].shape[0]
    left, top, width, height = cut_out.box
    size = side * np.exp(rng.uniform(np.log(sizes[0]), np.log(sizes[1])))
    x, y = rng.uniform(0.15, 0.85, 2) * side
    if seen is not None:
        x, y = _beside(rng, scene.maps[seen.start], (x, y), size)
    place = placement(
        left + width / 2, top + height / 2, x, y, rng.uniform(-20, 20), size / max(height, width)
    )
    paste_at(rng, scene, cut_out, number, motion, place, seen, behind, shadow, absent)


def paste_at(
    rng: np.random.Generator,
    scene: LayeredScene,
    cut_out: CutOut,
    number: int,
    motion: MotionRange,
    place: np.ndarray,
    seen: range | None = None,
    behind: bool = False,
    shadow: Shadow | None = None,
    absent: range = range(0),
) -> None:
    """Move a cut-out about a place of its own: `place` is a 3x3 matrix that takes it to the crop of the first frame,
    before the camera moves; the other arguments are as of `paste`."""
    side, count = scene.frames[0].shape[0], len(scene.frames)
    left, top, width, height = cut_out.box
    middle_x, middle_y, bottom = left + width / 2, top + height / 2, top + height
    x, y = (float(at) for at in (place @ (middle_x, middle_y, 1.0))[:2])
    size = max(height, width) * float(np.hypot(place[0, 0], place[1, 0]))
    to_place, from_place = (
        placement(side / 2, side / 2, x, y, 0, 1),
        placement(x, y, side / 2, side / 2, 0, 1),
    )
    moves = affine_walk(rng, count, side, motion.over(count))
    camera = scene.camera or (np.eye(3),) * count
    matrices = [view @ to_place @ move @ from_place @ place for view, move in zip(camera, moves, strict=True)]
    fields = elastic_walk(rng, count, side, motion.elastic * min(1.0, size / side * 2))
    softness = rng.uniform(0.4, 1.2)
    used = max(BACKGROUND_REGIONS, *(int(regions.max()) for regions in scene.regions))
    rows, columns = cut_out.alphas[0].shape
    parts = partition(rng, rows, columns, used + 1, CUT_OUT_REGIONS)
    if used + CUT_OUT_REGIONS > REGIONS or len(cut_out.images) > 1:
        parts = np.zeros_like(parts)  # all numbers are given away, or parts move by themselves: unknown
    shifts = displacements(matrices, middle_x, middle_y)
    longest = int(LONGEST_BLUR * side)
    for time in seen or range(count):
        if time in absent:
            continue
        matrix, field = matrices[time], fields[time]
        source, outline = cut_out.at(time)
        if shadow is not None:
            _darken(scene.frames[time], outline, matrix @ shadow.laid(bottom), field, shadow, size)
        box = _reach(outline, matrix, side, field, longest + 4)
        if box is None:
            continue
        placed = Warp(matrix, side, field, box)
        image = placed.picture(source, cv2.BORDER_REPLICATE)
        alpha = placed.picture(outline, cv2.BORDER_CONSTANT)
        soft = cv2.GaussianBlur(alpha, (0, 0), softness).astype(np.float32)[..., None] / 255
        layer = np.concatenate([image * soft, soft], axis=2)  # (h, w, 4): light adds up, so alpha goes first
        layer = shutter_blur(layer, shifts[time], scene.shutter, longest)
        frame, labels = scene.frames[time][box], scene.maps[time][box]
        if behind:
            free = labels == 0
            layer, alpha = layer * free[..., None], alpha * free
        frame[:] = layer[..., :3] + frame * (1 - layer[..., 3:])
        covered = alpha > 127
        labels[covered] = number
        scene.regions[time][box][covered] = placed.labels(parts, cv2.BORDER_CONSTANT)[covered]


def _reach(
    outline: np.ndarray, matrix: np.ndarray, side: int, field: np.ndarray | None, margin: float
) -> tuple[slice, slice] | None:
    """Rows and columns of the crop that a layer can touch, with a margin in pixels; None where it lies outside."""
    height, width = outline.shape
    corners = matrix[:2] @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])  # (2, 4)
    if field is not None:
        margin += float(np.abs(field).max())
    left, top = (max(0, int(low)) for low in np.floor(corners.min(1) - margin))
    right, down = (min(side, int(high)) for high in np.ceil(corners.max(1) + margin))
    return None if left >= right or top >= down else (slice(top, down), slice(left, right))


def _darken(
    frame: np.ndarray,
    outline: np.ndarray,
    matrix: np.ndarray,
    field: np.ndarray | None,
    shadow: Shadow,
    size: float,
) -> None:
    """Lay a shadow on a (side, side, 3) frame, in place; `matrix` takes the outline there, `size` is its length."""
    blur = max(0.5, shadow.softness * size)
    box = _reach(outline, matrix, frame.shape[0], field, 4 * blur + 2)
    if box is None:
        return
    laid = Warp(matrix, frame.shape[0], field, box).picture(outline, cv2.BORDER_CONSTANT)
    dark = shadow.depth / 255 * cv2.GaussianBlur(laid, (0, 0), blur).astype(np.float32)
    frame[box] = frame[box] * (1 - dark[..., None])


def _beside(
    rng: np.random.Generator, labels: np.ndarray, place: tuple[float, float], size: float
) -> tuple[float, float]:
    """A place about an object's edge for something of a size in pixels; the given place where nothing is labelled."""
    rows, columns = np.nonzero((labels > 0) & (labels != DISTRACTOR))
    if not len(rows):
        return place
    pick = rng.integers(len(rows))
    x, y = (float(at) + rng.normal(0, 0.5) * size for at in (columns[pick], rows[pick]))
    return x, y
