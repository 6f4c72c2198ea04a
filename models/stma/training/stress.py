"""Hard clips with exact truth: cut-outs of held-out objects on paths that break trackers.

The objects come from the validation sequences, which training never sees. Fixed seeds give the same clips everywhere.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from stma.errors import DataError
from stma.training.colour import shutter_blur
from stma.training.motion import CAMERA, OBJECT, Warp, affine_walk, elastic_walk, placement, warps
from stma.training.pool import TrainingPool, read_image, read_pair
from stma.training.sources import TRIES, CutOut, bounds, box_slices, drawn_object, varied

KINDS = ("crossing", "return", "fast", "blur", "small", "scale")
SIDE = 320  # pixels of the square frames
FRAMES = 40
LEAST_LONGER_SIDE = 20  # pixels of a cut-out
SCALE = 4.0  # factor of growth over a clip
EVERY = 7  # frames of a held-out sequence between the ones that cut-outs come from


@dataclass(frozen=True)
class StressClip:
    """A clip with exact truth.

    Attributes:
        name: kind and number.
        frames: (T, H, W, 3) uint8 RGB.
        labels: (T, H, W) uint8 object ids from 1, 0 = background; all objects are visible in the first frame.
    """

    name: str
    frames: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Trajectory:
    """Where an object is on each frame: centre x and y and longer side, in shares of the frame's side."""

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    blur: float = 0.0  # share of the motion between two frames that the shutter is open for


def stress_clip(pool: TrainingPool, kind: str, number: int, seed: int = 0) -> StressClip:
    """Make one clip of a kind; the same number and seed give the same clip.

    crossing: 2 to 5 look-alike objects cross and occlude each other. return: the object leaves the frame and comes
    back. fast: it moves a tenth of the frame per frame or more. blur: the same, blurred along its motion. small: it
    covers less than 1 % of the frame. scale: it grows or shrinks four times.

    Args:
        pool: its validation sequences give the objects, its plain photographs the backgrounds.
        kind: one of `KINDS`.
        number: of the clip, from 0.
        seed: of all that is drawn.

    Raises:
        DataError: the pool has no validation sequence or no photograph for a background, or the kind is unknown.
    """
    if kind not in KINDS:
        raise DataError(f"no hard clips are called {kind!r}", f"use one of {', '.join(KINDS)}")
    require_sources(pool)
    rng = np.random.default_rng((seed, KINDS.index(kind), number))
    paths = _paths(rng, kind)
    return _compose(rng, pool, f"{kind}/{number:02d}", paths, look_alike=kind == "crossing")


def require_sources(pool: TrainingPool) -> None:
    """Raise DataError where a pool has no validation sequence or no photograph for a background."""
    if not pool.validation or not pool.plain:
        raise DataError(
            "hard clips need objects of validation sequences and plain photographs",
            "name sequences in splits.json and put photographs into plain/<dataset>/",
        )


def _paths(rng: np.random.Generator, kind: str) -> list[Trajectory]:
    time = np.linspace(0, 1, FRAMES)
    still = np.ones(FRAMES)
    if kind == "crossing":
        count = int(rng.integers(2, 6))
        turn, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.3)
        angles = turn + 2 * np.pi * (np.arange(count) + rng.uniform(-0.2, 0.2, count)) / count
        along = np.cos(np.pi * time * rng.uniform(1.0, 2.0))  # across the middle and, mostly, back
        return [
            Trajectory(
                0.5 + 0.36 * np.cos(a) * along + rng.normal(0, 0.02),
                0.5 + 0.36 * np.sin(a) * along + rng.normal(0, 0.02),
                size * rng.uniform(0.9, 1.1) * still,
            )
            for a in angles
        ]
    if kind == "return":
        size, side = rng.uniform(0.25, 0.45), rng.choice([-1, 1])
        away = np.sin(np.pi * np.clip((time - 0.2) / 0.6, 0, 1))  # out of sight in the middle of the clip
        return [Trajectory(0.5 + side * away * (0.6 + size), 0.5 + 0.1 * time, size * still)]
    if kind in ("fast", "blur"):
        size, turns = rng.uniform(0.2, 0.35), rng.uniform(4, 6)
        phase = rng.uniform(0, 2 * np.pi, 2)
        x = 0.5 + 0.33 * np.sin(2 * np.pi * turns * time * 0.5 + phase[0])
        y = 0.5 + 0.3 * np.sin(2 * np.pi * turns * time * 0.4 + phase[1])
        return [Trajectory(x, y, size * still, 0.5 if kind == "blur" else 0.0)]
    if kind == "small":
        phase = rng.uniform(0, 2 * np.pi, 2)
        x, y = 0.5 + 0.3 * np.sin(3 * time + phase[0]), 0.5 + 0.3 * np.sin(2 * time + phase[1])
        return [Trajectory(x, y, rng.uniform(0.08, 0.1) * still)]
    smaller = rng.random() < 0.5
    scaled = 0.7 * SCALE**-time if smaller else rng.uniform(0.15, 0.2) * SCALE**time
    return [Trajectory(0.5 + 0.1 * np.sin(4 * time), 0.5 + 0.05 * np.sin(5 * time), scaled)]


def _compose(
    rng: np.random.Generator, pool: TrainingPool, name: str, paths: list[Trajectory], look_alike: bool
) -> StressClip:
    frames = _background(rng, pool)
    labels = [np.zeros((SIDE, SIDE), dtype=np.uint8) for _ in frames]
    cut_out = _cut_out(rng, pool)
    for number, path in enumerate(paths, start=1):
        _paste(rng, frames, labels, cut_out, path, number)
        # a look-alike is the same object under slightly other light
        cut_out = varied(rng, cut_out.images, cut_out.alphas, 0.15) if look_alike else _cut_out(rng, pool)
    return StressClip(name, np.stack(frames), np.stack(labels))


def _background(rng: np.random.Generator, pool: TrainingPool) -> list[np.ndarray]:
    picture = read_image(pool.plain[rng.integers(len(pool.plain))])
    height, width = picture.shape[:2]
    base = placement(width / 2, height / 2, SIDE / 2, SIDE / 2, 0, SIDE / min(height, width) * 1.3)
    moves = affine_walk(rng, FRAMES, SIDE, CAMERA)
    return [place.picture(picture, cv2.BORDER_REFLECT_101) for place in warps(moves, base, SIDE)]


def _cut_out(rng: np.random.Generator, pool: TrainingPool) -> CutOut:
    for _ in range(TRIES):
        sequence = pool.validation[rng.integers(len(pool.validation))]
        pair = sequence.frames[int(rng.integers(-(-len(sequence.frames) // EVERY))) * EVERY]
        image, label = read_pair(pair)
        number = drawn_object(rng, label)
        if number is None:
            continue
        alpha = np.where(label == number, 255, 0).astype(np.uint8)
        box = bounds(alpha)
        if max(box[2:]) >= LEAST_LONGER_SIDE:
            part = box_slices(box)
            return CutOut((image[part].copy(),), (alpha[part].copy(),))
    raise DataError(
        f"no object in the validation sequences is {LEAST_LONGER_SIDE} pixels large",
        "name sequences with larger objects in splits.json",
    )


def _paste(
    rng: np.random.Generator,
    frames: list[np.ndarray],
    labels: list[np.ndarray],
    cut_out: CutOut,
    path: Trajectory,
    number: int,
) -> None:
    source, outline = cut_out.at(0)
    height, width = outline.shape
    fields = elastic_walk(rng, FRAMES, SIDE, OBJECT.elastic * 0.3)
    turn = rng.normal(0, 8) * np.sin(np.linspace(0, np.pi, FRAMES))
    for time, frame in enumerate(frames):
        x, y, scale = path.x[time] * SIDE, path.y[time] * SIDE, path.size[time] * SIDE / max(height, width)
        matrix = placement(width / 2, height / 2, x, y, turn[time], scale)
        placed = Warp(matrix, SIDE, fields[time])
        image = placed.picture(source, cv2.BORDER_REPLICATE)
        alpha = placed.picture(outline, cv2.BORDER_CONSTANT)
        labels[time][alpha > 127] = number
        soft = cv2.GaussianBlur(alpha, (0, 0), 0.7)
        after = min(time + 1, FRAMES - 1)
        shift = (path.x[after] - path.x[after - 1]) * SIDE, (path.y[after] - path.y[after - 1]) * SIDE
        image, soft = (shutter_blur(layer, shift, path.blur, SIDE) for layer in (image, soft))
        weight = soft.astype(np.float32)[..., None] / 255
        frames[time] = (image * weight + frame * (1 - weight)).astype(np.uint8)
