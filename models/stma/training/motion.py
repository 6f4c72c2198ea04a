"""Smooth random motion: affine walks and elastic deformation for the layers of a synthetic clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

USUAL_FRAMES = 4  # of a clip that the ranges below are meant for
LARGEST_SCALING = 1.4  # a logarithm: no layer grows or shrinks more than fourfold


@dataclass(frozen=True)
class MotionRange:
    """How far a layer may move over a whole clip of `USUAL_FRAMES`; lengths are shares of the crop's side."""

    shift: float
    rotation: float  # degrees
    log_scale: float
    elastic: float

    def over(self, frames: int) -> "MotionRange":
        """The range for a longer clip: in scale it grows as the clip does, since an object may come all the way up
        to the camera, in place and angle by the square root, or most objects would leave the crop."""
        longer = max(1.0, (frames - 1) / (USUAL_FRAMES - 1))
        return MotionRange(
            self.shift * longer**0.5, self.rotation * longer**0.5, self.log_scale * longer, self.elastic
        )


CAMERA = MotionRange(shift=0.15, rotation=8.0, log_scale=0.15, elastic=0.01)
OBJECT = MotionRange(shift=0.35, rotation=25.0, log_scale=0.35, elastic=0.03)
STILL = MotionRange(shift=0.2, rotation=20.0, log_scale=0.3, elastic=0.05)
JITTER = MotionRange(shift=0.03, rotation=4.0, log_scale=0.05, elastic=0.0)


def walk(rng: np.random.Generator, frames: int, reach: float) -> np.ndarray:
    """Random walk of `frames` values that starts at 0, with a steady drift and jitter; float64."""
    if frames == 1:
        return np.zeros(1)
    time = np.linspace(0, 1, frames)
    steps = rng.normal(0, 1, frames) * 0.25 / np.sqrt(frames)
    steps[0] = 0
    return np.asarray(reach * (rng.normal(0, 0.6) * time + np.cumsum(steps)))


def affine_walk(
    rng: np.random.Generator, frames: int, side: int, motion: MotionRange, room: float = LARGEST_SCALING
) -> list[np.ndarray]:
    """One 3x3 matrix per frame that moves points about the centre of a side x side crop; the first is identity.

    Args:
        rng: draws the walk.
        frames: how many.
        side: of the crop, in pixels.
        motion: how far it goes.
        room: a logarithm, how much the layer may shrink: beyond its border there is nothing to be shown.
    """
    x, y = walk(rng, frames, motion.shift * side), walk(rng, frames, motion.shift * side)
    angle = walk(rng, frames, motion.rotation)
    scale = np.exp(walk(rng, frames, motion.log_scale).clip(-min(room, LARGEST_SCALING), LARGEST_SCALING))
    return [
        placement(side / 2, side / 2, side / 2 + x[i], side / 2 + y[i], angle[i], scale[i])
        for i in range(frames)
    ]


def placement(
    source_x: float, source_y: float, target_x: float, target_y: float, degrees: float, scale: float
) -> np.ndarray:
    """3x3 matrix that takes the source point to the target point with a rotation and a scale about it."""
    cosine, sine = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    return np.array(
        [
            [cosine, -sine, target_x - cosine * source_x + sine * source_y],
            [sine, cosine, target_y - sine * source_x - cosine * source_y],
            [0, 0, 1],
        ]
    )


def zoom_walk(rng: np.random.Generator, frames: int, largest: float, x: float, y: float) -> list[np.ndarray]:
    """One 3x3 matrix per frame of a camera that draws back from a close-up, or now and then moves in on one.

    Args:
        rng: draws the walk.
        frames: how many, two or more.
        largest: factor by which a close-up enlarges at most.
        x: place in the crop that the close-up is of and that stays where it is, in pixels; what a close-up shows lies
            within the crop.
        y: the same of the rows.
    """
    closest = rng.uniform(0.3, 1.0) * np.log(largest)
    begin = int(rng.integers(0, max(1, frames // 2)))
    end = int(rng.integers(begin + 1, frames))
    wide = np.clip((np.arange(frames) - begin) / (end - begin), 0, 1)  # 0 close, 1 all of the crop
    if rng.random() < 0.25:
        wide = 1 - wide
    return [placement(x, y, x, y, 0, float(np.exp(closest * (1 - share)))) for share in wide]


def elastic_walk(rng: np.random.Generator, frames: int, side: int, reach: float) -> list[np.ndarray | None]:
    """Per frame a smooth (side, side, 2) float32 displacement in pixels that grows from none, or None."""
    if reach == 0 or frames == 1:
        return [None] * frames
    cells = int(rng.integers(3, 6))
    target = rng.normal(0, reach * side, (2, cells, cells, 2)).astype(np.float32)
    fields = [cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC) for field in target]
    return [None, *(_displaced(fields, time / (frames - 1)) for time in range(1, frames))]


def _displaced(fields: list[np.ndarray], phase: float) -> np.ndarray:
    """Of two displacements all of the first at the end of a clip, half of the second at its middle."""
    return cv2.addWeighted(fields[0], phase, fields[1], 0.5 * float(np.sin(np.pi * phase)), 0)


class Warp:
    """Takes layers of one shape to a square crop, or to a box of it, all along the same way."""

    def __init__(
        self,
        matrix: np.ndarray,
        side: int,
        field: np.ndarray | None = None,
        box: tuple[slice, slice] | None = None,
    ) -> None:
        """Prepare a warp.

        Args:
            matrix: 3x3, takes source to crop.
            side: of the crop, in pixels.
            field: (side, side, 2) float32 that displaces crop pixels, or None.
            box: rows and columns of the crop that are wanted; None for all of it.
        """
        rows, columns = box or (slice(0, side), slice(0, side))
        self._size = (columns.stop - columns.start, rows.stop - rows.start)
        self._matrix = (placement(columns.start, rows.start, 0, 0, 0, 1) @ matrix)[:2]
        self._places: tuple[np.ndarray, np.ndarray] | None = None
        if field is not None:
            inverse = np.linalg.inv(matrix).astype(np.float32)
            x = field[rows, columns, 0] + np.arange(columns.start, columns.stop, dtype=np.float32)[None, :]
            y = field[rows, columns, 1] + np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
            self._places = (
                inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2],
                inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2],
            )

    def picture(self, picture: np.ndarray, border: int) -> np.ndarray:
        """Warp an (H, W[, C]) picture or alpha; `border` is what OpenCV takes for the pixels beyond it."""
        return self._warped(picture, cv2.INTER_LINEAR, border)

    def labels(self, labels: np.ndarray, border: int) -> np.ndarray:
        """Warp an (H, W) map of numbers, of which none is mixed; `border` as of `picture`."""
        return self._warped(labels, cv2.INTER_NEAREST, border)

    def _warped(self, layer: np.ndarray, interpolation: int, border: int) -> np.ndarray:
        if self._places is None:
            return cv2.warpAffine(layer, self._matrix, self._size, flags=interpolation, borderMode=border)
        return cv2.remap(layer, *self._places, interpolation, borderMode=border)


def warps(
    moves: Sequence[np.ndarray],
    base: np.ndarray,
    side: int,
    fields: Sequence[np.ndarray | None] | None = None,
) -> list[Warp]:
    """One warp per frame of a layer that `base` takes to the crop, where its moves and fields displace it."""
    return [
        Warp(move @ base, side, field)
        for move, field in zip(moves, fields or [None] * len(moves), strict=True)
    ]
