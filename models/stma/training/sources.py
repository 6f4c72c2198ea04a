"""What clips are made from, drawn from a pool: frames of real sequences, stills, photographs and cut-outs."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stma.errors import DataError
from stma.labels import VOID
from stma.training.colour import draw_colour
from stma.training.config import DataConfig
from stma.training.pool import (
    REGION_DATASETS,
    STILL_WEIGHTS,
    UNION_DATASETS,
    LabelledImage,
    TrainingPool,
    VideoSequence,
    matched,
    read_image,
    read_pair,
    true_label,
)

LEAST_SHORTER_SIDE = 12  # pixels of a cut-out
SMALLEST_BOX = 400  # pixels of the box around it
TRIES = 1000  # random frames and objects to look at before it is said that none will do


@dataclass(frozen=True)
class CutOut:
    """An object cut from a still, or from the frames of a real clip with the motion that it has there.

    Attributes:
        images: (h, w, 3) uint8 RGB, one for each frame of the clip to be made, or one for all.
        alphas: (h, w) uint8, 0 or 255, as many.
    """

    images: tuple[np.ndarray, ...]
    alphas: tuple[np.ndarray, ...]

    def at(self, time: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and alpha on a frame of the clip."""
        number = min(time, len(self.images) - 1)
        return self.images[number], self.alphas[number]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height in pixels: of a still the whole picture, else what the first frame shows."""
        if len(self.alphas) > 1:
            return bounds(self.alphas[0])
        height, width = self.alphas[0].shape
        return 0, 0, width, height


class Sources:
    """Draws from a pool; the same generator state gives the same."""

    def __init__(self, pool: TrainingPool, config: DataConfig) -> None:
        self.pool = pool
        self.config = config
        self.cuttable = tuple(still for still in pool.stills if still.dataset not in REGION_DATASETS)
        self._still_weights = _balance(pool.stills)
        self._cut_weights = _balance(self.cuttable)
        weights = np.array([0.4 if sequence.sparse else 1.0 for sequence in pool.sequences])
        self._sequence_weights = weights / max(weights.sum(), 1e-9)

    def frames(self, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Frames of a real sequence, (H, W, 3) uint8 RGB, and their (H, W) uint8 labels, as many as a clip has."""
        sequence = self.pool.sequences[rng.choice(len(self.pool.sequences), p=self._sequence_weights)]
        chosen = _choose_frames(rng, sequence, self.config)
        pairs = [matched(frame, read_image(frame.image), true_label(frame)) for frame in chosen]
        return [image for image, _ in pairs], [label for _, label in pairs]

    def still(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A labelled still: (H, W, 3) uint8 RGB and (H, W) uint8 labels."""
        still = self.pool.stills[rng.choice(len(self.pool.stills), p=self._still_weights)]
        return _read_still(rng, still)

    def photograph(self, rng: np.random.Generator) -> np.ndarray:
        """A photograph without labels, (H, W, 3) uint8 RGB."""
        return read_image(self.pool.plain[rng.integers(len(self.pool.plain))])

    def background(self, rng: np.random.Generator) -> np.ndarray:
        """A photograph or, now and then, a still whose labels are not used, (H, W, 3) uint8 RGB."""
        if self.pool.plain and rng.random() < 0.7:
            return self.photograph(rng)
        return read_image(self.pool.stills[rng.integers(len(self.pool.stills))].image)

    def cut_out(self, rng: np.random.Generator) -> CutOut:
        """An object in changed colours, mirrored half of the time; as often as the settings say it moves by itself.

        Raises:
            DataError: the stills, or the sequences, hold none that is large enough.
        """
        if self.pool.sequences and happens(rng, self.config.moving_probability):
            return self._moving(rng)
        for _ in range(TRIES):
            still = self.cuttable[rng.choice(len(self.cuttable), p=self._cut_weights)]
            image, label = _read_still(rng, still)
            cut_out = cut_from_clip(rng, [image], [label], 1.0)
            if cut_out is not None:
                return cut_out
        raise _no_object("still")

    def _moving(self, rng: np.random.Generator) -> CutOut:
        """An object of a real sequence with the motion that it has there."""
        for _ in range(TRIES):
            cut_out = cut_from_clip(rng, *self.frames(rng))
            if cut_out is not None:
                return cut_out
        raise _no_object("video")


def _no_object(kind: str) -> DataError:
    return DataError(
        f"{TRIES} pictures of {kind}/ show no object of {LEAST_SHORTER_SIDE} pixels or more to cut out; label maps "
        f"hold object ids from 1, and {VOID} is ignored",
        "correct them, or give pictures of larger objects",
    )


def cut_from_clip(
    rng: np.random.Generator, images: list[np.ndarray], labels: list[np.ndarray], strength: float = 0.8
) -> CutOut | None:
    """An object that the first frame shows, cut from every frame within the box that holds it in all of them, and
    `varied`; a still is a clip of one frame.

    None where there is none, or it is too small.
    """
    number = drawn_object(rng, labels[0])
    if number is None:
        return None
    alphas = [np.where(label == number, 255, 0).astype(np.uint8) for label in labels]
    if not _large_enough(bounds(alphas[0])):
        return None
    part = box_slices(bounds(np.maximum.reduce(alphas)))
    return varied(rng, [i[part] for i in images], [a[part] for a in alphas], strength)


def drawn_object(rng: np.random.Generator, label: np.ndarray) -> int | None:
    """Draw one of the objects of a label map; None where there is none."""
    ids = np.unique(label[label > 0])
    return int(rng.choice(ids)) if len(ids) else None


def happens(rng: np.random.Generator, probability: float) -> bool:
    """Draw whether something happens; of what never does nothing is drawn, so that other clips stay what they were."""
    return probability > 0 and bool(rng.random() < probability)


def varied(
    rng: np.random.Generator, images: Sequence[np.ndarray], alphas: Sequence[np.ndarray], strength: float
) -> CutOut:
    """A cut-out in changed colours, mirrored half of the time."""
    step = -1 if rng.random() < 0.5 else 1
    colour = draw_colour(rng, strength)
    return CutOut(
        tuple(colour.apply(np.ascontiguousarray(image[:, ::step])) for image in images),
        tuple(np.ascontiguousarray(alpha[:, ::step]) for alpha in alphas),
    )


def bounds(alpha: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width and height of what an alpha covers."""
    x, y, width, height = cv2.boundingRect(alpha)
    return x, y, width, height


def _large_enough(box: tuple[int, int, int, int]) -> bool:
    return box[2] * box[3] >= SMALLEST_BOX and min(box[2:]) >= LEAST_SHORTER_SIDE


def box_slices(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Rows and columns of such a box."""
    x, y, width, height = box
    return slice(y, y + height), slice(x, x + width)


def _balance(stills: tuple[LabelledImage, ...]) -> np.ndarray:
    """Weights of stills such that a data set counts with the square root of its size."""
    if not stills:
        return np.zeros(0)
    counts: dict[str, int] = {}
    for still in stills:
        counts[still.dataset] = counts.get(still.dataset, 0) + 1
    balanced = np.array([STILL_WEIGHTS.get(s.dataset, 1.0) / np.sqrt(counts[s.dataset]) for s in stills])
    return np.asarray(balanced / balanced.sum())


def _read_still(rng: np.random.Generator, still: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
    image, label = read_pair(still)
    if still.dataset in UNION_DATASETS and rng.random() < 0.7:
        label = (label > 0).astype(np.uint8)
    return image, label


def _choose_frames(
    rng: np.random.Generator, sequence: VideoSequence, config: DataConfig
) -> list[LabelledImage]:
    """Frames in their order or backward, with gaps; of a sequence too short for that, to and fro."""
    last = len(sequence.frames) - 1
    largest = 1 if sequence.sparse else int(rng.integers(1, config.max_gap + 1))
    gaps = rng.integers(1, largest + 1, config.frames - 1)
    while gaps.sum() > last and gaps.max() > 1:
        gaps = np.maximum(gaps - 1, 1)
    places = int(rng.integers(0, max(1, last + 1 - int(gaps.sum())))) + np.concatenate([[0], np.cumsum(gaps)])
    if places[-1] > last:
        places = (places + int(rng.integers(2 * last))) % (2 * last)
    indices = np.minimum(places, 2 * last - places)
    if rng.random() < 0.5:
        indices = indices[::-1]
    return [sequence.frames[i] for i in indices]
