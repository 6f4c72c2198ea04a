"""What changes from one frame to the next as a whole: the exposure, and the scene."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from stma.resize import resize_frame

COMPARED_SHAPE = (45, 80)  # rows and columns of the pictures that are compared
DARK, BRIGHT = 4.0, 245.0  # between these a block tells by which factor it became brighter
TELLING = 0.6  # share of the blocks that must do so
LEAST_STEP = 0.02  # factor that counts, in logarithms: of 1,862 pairs of neighbouring frames ten have more
SPREAD = 0.1  # from the middle to the quarters of the blocks, in logarithms: content that moved has more
LEAST_GAIN = 0.08  # factor in all below which a frame is left as it is, in logarithms
# Of 465 pairs of frames of different videos 97 % are below both; of the neighbouring frames of one video none is,
# and of every fifth frame one in 341.
ALIKE_COLOURS, ALIKE_PLACES = 0.62, 0.6
BINS = 8  # of each colour


@dataclass(frozen=True)
class Change:
    """What makes a frame another than those before: `gain` of red, green and blue brings it back to the light in which
    objects were marked, and `cut` says that another scene has begun."""

    gain: tuple[float, ...] = (1.0, 1.0, 1.0)
    cut: bool = False

    def undone(self, frame: np.ndarray) -> np.ndarray:
        """The (H, W, 3) uint8 RGB frame in the light in which objects were marked; itself where that is its own."""
        if self.gain == Change.gain:
            return frame
        levels = np.arange(256)[:, None] * np.array(self.gain)  # (256, 3)
        return np.asarray(cv2.LUT(frame, np.clip(np.rint(levels), 0, 255).astype(np.uint8)[None]))


class Scene:
    """Watches frame after frame, since the network knows objects by colours that light changes, and finds them again
    even where they are not.

    The factors by which red, green and blue of most blocks became brighter at once are undone. They add up over frames,
    and are forgotten where they would bring a frame farther from the colour of the marked one. Frames that are nearly
    black or white, as in fades and flashes, tell nothing and are passed over.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None  # (45, 80, 3) float32 RGB, the last frame that tells
        self._gain = np.zeros(3)  # logarithms
        self._marked = np.ones(3)  # median red, green and blue of the frame that was marked last, above 0

    def advance(self, frame: np.ndarray, marked: bool) -> Change:
        """Go on to a frame, (H, W, 3) uint8 RGB; `marked` says whether objects are marked on it."""
        small = _small(frame)
        light = small.mean(axis=2)
        middle, cut = np.maximum(np.median(small, axis=(0, 1)), 1.0), False
        if np.mean(_tells(light)) > TELLING:
            if self._before is not None:
                before = self._before.mean(axis=2)
                cut = _others(self._before, small, before, light)
                self._gain = self._gain + _darkening(self._before, small)
            distance = np.log(middle / self._marked)
            if cut or np.abs(distance + self._gain).sum() > np.abs(distance).sum():
                self._gain = np.zeros(3)
            self._before = small
        if marked:
            self._marked = middle * np.exp(self._gain)
        told = np.abs(self._gain).max() >= LEAST_GAIN
        return Change(tuple(np.exp(self._gain).tolist()) if told else Change.gain, cut)

    def changes(self, frames: Sequence[np.ndarray], marked: Set[int], known: bool) -> list[Change]:
        """How each of the next frames differs from those before, from the first one on which objects are marked on.

        Args:
            frames: (H, W, 3) uint8 RGB each.
            marked: positions of those on which objects are marked.
            known: whether objects were marked before.
        """
        first = 0 if known else min(marked, default=len(frames))
        later = [self.advance(frame, first + n in marked) for n, frame in enumerate(frames[first:])]
        return [Change()] * first + later

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` restores."""
        before = None if self._before is None else torch.from_numpy(self._before)
        return {"before": before, "gain": self._gain.tolist(), "marked": self._marked.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._before = None if state["before"] is None else state["before"].cpu().numpy()
        self._gain, self._marked = np.array(state["gain"]), np.array(state["marked"])


def _small(frame: np.ndarray) -> np.ndarray:
    """Means of blocks, (45, 80, 3) float32 RGB: of a dark one a whole level would be much."""
    rows, columns = COMPARED_SHAPE
    step = max(1, min(frame.shape[0] // (2 * rows), frame.shape[1] // (2 * columns)))
    some = resize_frame(np.ascontiguousarray(frame[::step, ::step]), 2 * rows, 2 * columns).astype(np.float32)
    pairs = some[::2] + some[1::2]
    return np.asarray((pairs[:, ::2] + pairs[:, 1::2]) / 4)  # four pixels a block will do


def _tells(light: np.ndarray) -> np.ndarray:
    return (light > DARK) & (light < BRIGHT)


def _darkening(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Logarithms of the factors by which red, green and blue of most blocks became darker. Where blocks do not agree on
    that of a colour, it is the mean of those that they agree on; 0 without any."""
    both = zip(_with_grey(before), _with_grey(now), strict=True)
    factors = np.array([_factor(*planes) for planes in both])  # (4,)
    agreed = ~np.isnan(factors)
    if not agreed.any():
        return np.zeros(3)
    own = np.where(agreed, factors, factors[agreed].mean())[:3]
    return own if np.abs(own).max() > LEAST_STEP else np.zeros(3)


def _with_grey(small: np.ndarray) -> np.ndarray:
    """Red, green, blue and their mean: (4, cells)."""
    colours = small.reshape(-1, 3).T
    return np.concatenate([colours, colours.mean(axis=0, keepdims=True)])


def _factor(before: np.ndarray, now: np.ndarray) -> float:
    """Logarithm of the factor by which most blocks became darker, NaN where they do not agree on one."""
    telling = _tells(before) & _tells(now)
    count = np.count_nonzero(telling)
    if count <= TELLING * len(telling):
        return math.nan
    ends = count // 4, count - count // 4 - 1
    factors = np.partition(np.log(before[telling] / now[telling]), ends)
    if factors[ends[1]] - factors[ends[0]] > 2 * SPREAD:
        return math.nan
    # Levels are whole numbers, so that one block by itself says little.
    return float(factors[ends[0] : ends[1] + 1].mean())


def _others(before: np.ndarray, now: np.ndarray, light_before: np.ndarray, light: np.ndarray) -> bool:
    """Whether two frames share few colours (intersection of histograms), and these at other places."""
    shared = float(np.minimum(_colours(before), _colours(now)).sum())
    return shared < ALIKE_COLOURS and float((_normed(light_before) * _normed(light)).mean()) < ALIKE_PLACES


def _colours(small: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([small], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3)
    return np.asarray(counts / (small.shape[0] * small.shape[1]))


def _normed(light: np.ndarray) -> np.ndarray:
    return np.asarray((light - light.mean()) / (light.std() + 1e-3))
