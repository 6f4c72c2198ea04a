"""Training clips: real ones, whole stills set in motion, and composites of cut-outs over moving backgrounds."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from stma.errors import DataError
from stma.labels import VOID
from stma.training.colour import degrade, draw_colour
from stma.training.config import DataConfig
from stma.training.layers import (
    BARS_SIZES,
    CUT_OUT_SIZES,
    DISTRACTOR,
    PASSING_SIZES,
    LayeredScene,
    bars,
    blur_whole,
    draw_absence,
    draw_shadow,
    draw_shutter,
    paste,
)
from stma.training.motion import (
    CAMERA,
    JITTER,
    OBJECT,
    STILL,
    Warp,
    affine_walk,
    elastic_walk,
    placement,
    warps,
    zoom_walk,
)
from stma.training.pool import TrainingPool
from stma.training.regions import BACKGROUND_REGIONS, partition
from stma.training.sources import TRIES, CutOut, Sources, cut_from_clip, happens

SMALLEST_SHARE = 0.002  # of the crop: a first mask smaller than this teaches noise
LOOK_ALIKE_SIZES = 1.3  # times larger or smaller than what they resemble, at most
SAME_AGAIN = 0.35  # of composed objects that look like the one before
CLOSEST = 3.0  # a close-up enlarges so many times at most: beyond, it is only blurred
REFLECT = cv2.BORDER_REFLECT_101
UNKNOWN = cv2.BORDER_CONSTANT  # of regions: beyond a layer's border its picture is only mirrored


@dataclass(frozen=True)
class TrainingClip:
    """One training clip.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        labels: (T, H, W) uint8, objects numbered from 1.
        regions: (T, H/8, W/8) uint8, the same number wherever the same part of a layer is seen, 0 = unknown.
        objects: number of objects.
    """

    frames: np.ndarray
    labels: np.ndarray
    regions: np.ndarray
    objects: int

    def tensors(self, objects: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What `ClipBatch` holds, without the batch, with columns for so many objects."""
        return (
            torch.from_numpy(self.frames).permute(0, 3, 1, 2),
            torch.from_numpy(self.labels),
            torch.from_numpy(self.regions),
            torch.arange(objects) < self.objects,
        )


class ClipMaker:
    """Draws clips from a pool; the same generator state gives the same clip."""

    def __init__(self, pool: TrainingPool, config: DataConfig) -> None:
        self.sources = Sources(pool, config)
        self.config = config

    def numbered(self, seed: int, index: int) -> TrainingClip:
        """Clip number `index` of the endless stream that a seed stands for."""
        return self.draw(np.random.default_rng((seed, index)))

    def draw(self, rng: np.random.Generator) -> TrainingClip:
        """Draw one clip with at least one visible object in its first frame.

        Raises:
            DataError: no such clip can be made of the pool, or a file of it is damaged.
        """
        pool = self.sources.pool
        for _ in range(TRIES):
            choice = rng.random()
            if pool.sequences and (choice < self.config.real_share or not pool.stills):
                scene = self._real(rng)
            elif not self.sources.cuttable or rng.random() < 0.35:
                scene = self._moving_still(rng)
            else:
                scene = self._composite(rng)
            self._surround(rng, scene)
            clip = finished(rng, scene, self.config.max_objects)
            if clip is not None:
                return clip
        raise DataError(
            f"no object was found in {TRIES} clips: none covers {100 * SMALLEST_SHARE:g} % of a first frame or more; "
            f"label maps hold object ids from 1, and {VOID} is ignored",
            "correct them",
        )

    def _surround(self, rng: np.random.Generator, scene: LayeredScene) -> None:
        """Let things come up beside the objects or leave them, and bars pass in front of all, as often as the settings
        say."""
        config = self.config
        last = config.frames - 1
        if self.sources.cuttable and happens(rng, config.newcomer_probability):
            for _ in range(int(rng.integers(1, 3))):
                seen, behind = range(int(rng.integers(1, last + 1)), last + 1), bool(rng.random() < 0.7)
                paste(rng, scene, self.sources.cut_out(rng), DISTRACTOR, OBJECT, PASSING_SIZES, seen, behind)
        if self.sources.cuttable and happens(rng, config.leaver_probability):
            seen = range(int(rng.integers(1, last + 1)))
            paste(rng, scene, self.sources.cut_out(rng), DISTRACTOR, OBJECT, PASSING_SIZES, seen)
        if self.sources.pool.plain and happens(rng, config.bars_probability):
            picture = self.sources.photograph(rng)
            drawn = bars(rng, draw_colour(rng, 1.0).apply(picture))
            paste(rng, scene, drawn, DISTRACTOR, CAMERA, BARS_SIZES)

    def _real(self, rng: np.random.Generator) -> LayeredScene:
        images, labels = self.sources.frames(rng)
        base = _crop_matrix(rng, labels[0], self.config.crop)
        jitter = affine_walk(rng, len(images), self.config.crop, JITTER.over(len(images)))
        side = self.config.crop
        camera = self._camera(rng, labels[0], base)
        jitter = _seen_by(camera, jitter)
        colour = draw_colour(rng, 0.8)
        placed = warps(jitter, base, side)
        frames = [
            colour.apply(place.picture(image, REFLECT)) for place, image in zip(placed, images, strict=True)
        ]
        maps = [place.labels(label, REFLECT) for place, label in zip(placed, labels, strict=True)]
        blank = [np.zeros((side, side), dtype=np.uint8) for _ in frames]
        scene = LayeredScene(frames, maps, blank, camera=camera)
        if self.sources.cuttable and rng.random() < self.config.paste_probability:
            number = _free_number(maps) if rng.random() < 0.6 else DISTRACTOR
            self._paste(rng, scene, self.sources.cut_out(rng), number)
        if happens(rng, self.config.look_alike_probability):
            twin = cut_from_clip(rng, images, labels)
            if twin is not None:
                number = _free_number(scene.maps) if rng.random() < 0.5 else DISTRACTOR
                self._paste(rng, scene, twin, number, _sizes_of(maps[0], side))
        return scene

    def _moving_still(self, rng: np.random.Generator) -> LayeredScene:
        image, label = self.sources.still(rng)
        side, count = self.config.crop, self.config.frames
        base = _crop_matrix(rng, label, side)
        room = np.log(
            np.hypot(*base[0, :2]) * min(label.shape) / side
        )  # smaller, a crop would show its mirror image
        moves = affine_walk(rng, count, side, STILL.over(count), max(0.0, float(room)))
        camera = self._camera(rng, label, base)
        moves = _seen_by(camera, moves)
        fields = elastic_walk(rng, count, side, STILL.elastic)
        image = draw_colour(rng, 1.0).apply(image)
        placed = warps(moves, base, side, fields)
        frames = [place.picture(image, REFLECT) for place in placed]
        maps = [place.labels(label, REFLECT) for place in placed]
        parts = partition(rng, label.shape[0], label.shape[1], 1, BACKGROUND_REGIONS)
        shutter = draw_shutter(rng, self.config.blur_probability)
        scene = LayeredScene(
            blur_whole(frames, moves, shutter),
            maps,
            [place.labels(parts, UNKNOWN) for place in placed],
            shutter,
            camera,
        )
        if rng.random() < 0.5:  # so that as many shrink as grow
            scene = replace(
                scene,
                frames=scene.frames[::-1],
                maps=scene.maps[::-1],
                regions=scene.regions[::-1],
                camera=camera[::-1],
            )
        if self.sources.cuttable and rng.random() < 0.3:
            self._paste(rng, scene, self.sources.cut_out(rng), _free_number([label]))
        return scene

    def _composite(self, rng: np.random.Generator) -> LayeredScene:
        side, count = self.config.crop, self.config.frames
        background = self.sources.background(rng)
        background = draw_colour(rng, 1.0).apply(background)
        height, width = background.shape[:2]
        scale = side / min(height, width) * rng.uniform(1.0, 1.8)
        base = placement(width / 2, height / 2, side / 2, side / 2, rng.uniform(-10, 10), scale)
        camera = self._camera(rng)
        moves = _seen_by(camera, affine_walk(rng, count, side, CAMERA.over(count)))
        fields = elastic_walk(rng, count, side, CAMERA.elastic)
        placed = warps(moves, base, side, fields)
        frames = [place.picture(background, REFLECT) for place in placed]
        parts = partition(rng, height, width, 1, BACKGROUND_REGIONS)
        shutter = draw_shutter(rng, self.config.blur_probability)
        scene = LayeredScene(
            blur_whole(frames, moves, shutter),
            [np.zeros((side, side), dtype=np.uint8) for _ in range(count)],
            [place.labels(parts, UNKNOWN) for place in placed],
            shutter,
            camera,
        )
        objects = int(rng.integers(1, self.config.max_objects + 1))
        cut_out = self.sources.cut_out(rng)
        for number in range(1, objects + 1):
            self._paste(rng, scene, cut_out, number)
            if rng.random() > max(SAME_AGAIN, self.config.look_alike_probability):
                cut_out = self.sources.cut_out(rng)
        if rng.random() < 0.3:
            self._paste(rng, scene, cut_out, DISTRACTOR)
        return scene

    def _camera(
        self, rng: np.random.Generator, label: np.ndarray | None = None, base: np.ndarray | None = None
    ) -> tuple[np.ndarray, ...]:
        """Now and then a close-up of something labelled, which `base` takes into the crop, or of a place about the
        middle; mostly nothing."""
        if not happens(rng, self.config.close_up_probability):
            return ()
        side = self.config.crop
        x, y = (float(at) for at in rng.uniform(0.3, 0.7, 2) * side)
        if label is not None and base is not None:
            rows, columns = np.nonzero(Warp(base, side).labels(label, REFLECT))
            if len(rows):
                pick = rng.integers(len(rows))
                x, y = float(columns[pick]), float(rows[pick])
        return tuple(zoom_walk(rng, self.config.frames, CLOSEST, x, y))

    def _paste(
        self,
        rng: np.random.Generator,
        scene: LayeredScene,
        cut_out: CutOut,
        number: int,
        sizes: tuple[float, float] = CUT_OUT_SIZES,
    ) -> None:
        """Let an object move over the frames of a scene, with its shadow where it has one, and sometimes away."""
        shadow = draw_shadow(rng, self.config.shadow_probability)
        absent = draw_absence(rng, self.config.absence_probability, len(scene.frames))
        paste(rng, scene, cut_out, number, OBJECT, sizes, shadow=shadow, absent=absent)


def _free_number(maps: list[np.ndarray]) -> int:
    """A label above those of all objects that the maps show; `DISTRACTOR` where none is left."""
    return min(DISTRACTOR, max(int(seen[seen != DISTRACTOR].max(initial=0)) for seen in maps) + 1)


def _sizes_of(label: np.ndarray, side: int) -> tuple[float, float]:
    """Shortest and longest size of what resembles the labelled, as `paste` takes them."""
    size = max(cv2.boundingRect((label > 0).astype(np.uint8))[2:]) / side
    return max(0.1, size / LOOK_ALIKE_SIZES), max(0.15, size * LOOK_ALIKE_SIZES)


def _seen_by(camera: tuple[np.ndarray, ...], moves: list[np.ndarray]) -> list[np.ndarray]:
    """Moves of a layer as the camera sees them."""
    return [view @ move for view, move in zip(camera, moves, strict=True)] if camera else moves


class ClipDataset(Dataset[tuple[Tensor, Tensor, Tensor, Tensor]]):
    """Clip number `index` of an endless reproducible stream: what `ClipBatch` holds, without the batch."""

    def __init__(self, pool: TrainingPool, config: DataConfig, seed: int, length: int) -> None:
        self.maker = ClipMaker(pool, config)
        self.seed = seed
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.maker.numbered(self.seed, index).tensors(self.maker.config.max_objects)


def _crop_matrix(rng: np.random.Generator, label: np.ndarray, side: int) -> np.ndarray:
    """Random crop: scale, aspect kept, mostly near the labelled objects, flipped half of the time."""
    height, width = label.shape
    scale = side / min(height, width) * np.exp(rng.uniform(0.0, np.log(1.9)))
    rows, columns = np.nonzero(label)
    if len(rows) and rng.random() < 0.8:
        pick = rng.integers(len(rows))
        x, y = float(columns[pick]), float(rows[pick])
    else:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
    return crop_about(rng, (x, y), (width, height), side, scale, 4)


def crop_about(
    rng: np.random.Generator,
    place: tuple[float, float],
    size: tuple[int, int],
    side: int,
    scale: float,
    turn: float,
) -> np.ndarray:
    """3x3 matrix that takes a picture to a crop near a place of it, within the picture as far as that reaches, mirrored
    half of the time.

    Args:
        rng: draws how far from the place and how much it is turned.
        place: column and row.
        size: width and height of the picture.
        side: of the crop, in its own pixels.
        scale: pixels of the crop for one of the picture.
        turn: standard deviation of the angle, in degrees.
    """
    span = side / scale  # of the crop, in source pixels
    x, y = (
        float(
            np.clip(
                at + rng.normal(0, 0.15) * span,
                min(span, extent) / 2,
                max(extent - span / 2, extent / 2),
            )
        )
        for at, extent in zip(place, size, strict=True)
    )
    matrix = placement(x, y, side / 2, side / 2, rng.normal(0, turn), scale)
    if rng.random() < 0.5:
        matrix = np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]]) @ matrix
    return matrix


def finished(
    rng: np.random.Generator, scene: LayeredScene, max_objects: int, smallest: float = SMALLEST_SHARE
) -> TrainingClip | None:
    """Number the objects from 1 in random order that cover a share of `smallest` of the first frame or more; None when
    it shows none."""
    maps = scene.maps
    ids, counts = np.unique(maps[0], return_counts=True)
    ids = ids[(counts >= smallest * maps[0].size) & (ids != 0) & (ids != DISTRACTOR)]
    if len(ids) == 0:
        return None
    ids = rng.permutation(ids)[:max_objects]
    table = np.zeros(256, dtype=np.uint8)
    table[ids] = np.arange(1, len(ids) + 1)
    frames = np.stack([degrade(rng, frame) for frame in scene.frames])
    regions = np.stack(scene.regions)[:, 4::8, 4::8]  # of the pixel at the centre of each cell
    return TrainingClip(frames, table[np.stack(maps)], np.ascontiguousarray(regions), len(ids))
