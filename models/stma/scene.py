"""What changes from one frame to the next as a whole: the exposure, and the scene."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from stma.resize import resize_frame

SMALL = (45, 80)  # rows and columns of the pictures that are compared
DARK, BRIGHT = 4.0, 245.0  # between these a block tells by which factor it became brighter
TELLING = 0.6  # share of the blocks that must do so
STEP = 0.03  # smallest factor that counts, in logarithms: of 1,829 pairs of neighbouring frames one has more
SPREAD = 0.1  # median deviation of the blocks from their factor, in logarithms: content that moved has more
LEAST = 0.08  # factor in all below which a frame is left as it is, in logarithms
# Of 465 pairs of frames of different videos 97 % are below both; of the neighbouring frames of one video none is,
# and of every fifth frame one in 341.
ALIKE_COLOURS, ALIKE_PLACES = 0.62, 0.6
BINS = 8  # of each colour


@dataclass(frozen=True)
class Change:
    """What makes a frame another than those before: `gain` brings it back to the exposure in which objects were marked,
    and `cut` says that another scene has begun."""

    gain: float = 1.0
    cut: bool = False

    def undone(self, frame: np.ndarray) -> np.ndarray:
        """The (H, W, 3) uint8 RGB frame at the exposure in which objects were marked; itself where that is its own."""
        return frame if self.gain == 1 else np.asarray(cv2.convertScaleAbs(frame, alpha=self.gain))


class Scene:
    """Watches frame after frame, since the network knows objects by colours that light changes, and finds them again
    even where they are not.

    The factor by which most blocks became brighter at once is undone. It adds up over frames, and is forgotten where it
    would bring a frame farther from the brightness of the marked one. Frames that are nearly black or white, as in
    fades and flashes, tell nothing and are passed over.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None  # (45, 80, 3) uint8 RGB, the last frame that tells
        self._gain = 0.0  # logarithm
        self._marked = 1.0  # median brightness of the frame that was marked last, above 0

    def advance(self, frame: np.ndarray, marked: bool) -> Change:
        """Go on to a frame, (H, W, 3) uint8 RGB; `marked` says whether objects are marked on it."""
        small = _small(frame)
        light = small.mean(axis=2, dtype=np.float32)
        middle, cut = max(float(np.median(light)), 1.0), False
        if np.mean(_tells(light)) > TELLING:
            if self._before is not None:
                before = self._before.mean(axis=2, dtype=np.float32)
                cut = _others(self._before, small, before, light)
                self._gain += _darkening(before, light)
            distance = float(np.log(middle / self._marked))
            if cut or abs(distance + self._gain) > abs(distance):
                self._gain = 0.0
            self._before = small
        if marked:
            self._marked = middle * float(np.exp(self._gain))
        return Change(float(np.exp(self._gain)) if abs(self._gain) >= LEAST else 1.0, cut)

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
        return {"before": before, "gain": self._gain, "marked": self._marked}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._before = None if state["before"] is None else state["before"].cpu().numpy()
        self._gain, self._marked = state["gain"], state["marked"]


def _small(frame: np.ndarray) -> np.ndarray:
    rows, columns = SMALL
    # four pixels a block will do
    step = max(1, min(frame.shape[0] // (2 * rows), frame.shape[1] // (2 * columns)))
    return resize_frame(np.ascontiguousarray(frame[::step, ::step]), rows, columns)


def _tells(light: np.ndarray) -> np.ndarray:
    return (light > DARK) & (light < BRIGHT)


def _darkening(before: np.ndarray, now: np.ndarray) -> float:
    """Logarithm of the factor by which most blocks became darker, 0 where they do not agree on one."""
    telling = _tells(before) & _tells(now)
    if telling.mean() <= TELLING:
        return 0.0
    factors = np.log(before[telling] / now[telling])
    factor = float(np.median(factors))
    return factor if abs(factor) > STEP and np.median(np.abs(factors - factor)) < SPREAD else 0.0


def _others(before: np.ndarray, now: np.ndarray, light_before: np.ndarray, light: np.ndarray) -> bool:
    """Whether two frames share few colours (intersection of histograms), and these at other places."""
    shared = float(np.minimum(_colours(before), _colours(now)).sum())
    return shared < ALIKE_COLOURS and float((_normed(light_before) * _normed(light)).mean()) < ALIKE_PLACES


def _colours(small: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([small], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3)
    return np.asarray(counts / (small.shape[0] * small.shape[1]))


def _normed(light: np.ndarray) -> np.ndarray:
    return np.asarray((light - light.mean()) / (light.std() + 1e-3))
