"""Follows objects on a CPU by looking at the part of each frame where they may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch

from stma.frame_step import ChunkInputs, FrameInputs, FrameResult, ModelSteps, Part, Seen
from stma.memory import MemoryBank
from stma.network.embedding import Features
from stma.network.layers import packed
from stma.network.region import at_border, beyond, boxes_within, region_of_interest, vanished
from stma.network.stml import BlockCache
from stma.resize import resize_frame

CAMERA_BLOCK = 8  # pixels whose mean brightness tells how the camera moves
FAST = 2.0  # cells of 16 pixels between two frames


@dataclass(frozen=True)
class Before:
    """What the frame before leaves behind.

    Attributes:
        own: for `Part.own`.
        brightness: (H/8, W/8) float32, how bright its blocks of pixels were.
        found: (H/16, W/16) bool, where the readout by itself found any object.
    """

    own: BlockCache
    brightness: np.ndarray
    found: np.ndarray

    def state_dict(self) -> dict[str, Any]:
        """What `from_state` restores."""
        maps = {"brightness": torch.from_numpy(self.brightness), "found": torch.from_numpy(self.found)}
        return {**self.own.state_dict(), **maps}

    @staticmethod
    def from_state(state: Mapping[str, Any], device: torch.device) -> "Before":
        """Restore on a device what `state_dict` gave."""
        own = BlockCache.from_state(state, device)
        return Before(own, state["brightness"].cpu().numpy(), state["found"].cpu().numpy())


class RegionalSteps:
    """Steps of frames that nobody annotated.

    Looked at as a whole are frames that are remembered for long, so that no place is left out for good, those to
    which the camera has moved fast, since what stands for the rest of the frame is out of place then, and those
    after one on which the readout found an object beyond the region: it tells what comes back a frame before the
    masks do. A frame is looked at again, as a whole, where an object has come near to the border of its part or is
    nowhere in it: it may have jumped out. Of a frame before one that is remembered for long all label keys are
    computed, or what lies beyond its region would have nothing to match.
    """

    def __init__(self, steps: ModelSteps, bank: MemoryBank) -> None:
        self._steps, self._bank = steps, bank
        self.before: Before | None = None

    def predict(
        self, frame: np.ndarray, frame_index: int, inputs: Callable[[Seen], FrameInputs]
    ) -> FrameResult:
        """Follow all objects to a frame.

        Args:
            frame: (H, W, 3) uint8 RGB at the working size.
            frame_index: position in the run.
            inputs: joins what is seen with what is remembered.
        """
        brightness = _brightness(frame)
        result, part = None, self._part(brightness, frame_index)
        if part is not None:
            keys_matter = self._bank.keeps(frame_index + 1)
            seen = self._within_whole(frame, part) if keys_matter else self._within(frame, part)
            result = self._steps.predict(inputs(seen))
            if vanished(result.masks[0]) or at_border(result.masks[0], part.region, part.near):
                result = None
        if result is None:
            result = self._steps.predict(inputs(Seen(self._embedded(frame))))
        assert result.own is not None
        assert result.coarse is not None
        self.before = Before(result.own, brightness, (result.coarse > 0).any(0).cpu().numpy())
        return result

    def _part(self, brightness: np.ndarray, frame_index: int) -> Part | None:
        newest, before = self._bank.newest(frame_index), self.before
        if newest is None or before is None or self._bank.keeps(frame_index):
            return None
        region = region_of_interest(newest.mask[0])
        if region is None or beyond(before.found, region) or _shift(before.brightness, brightness) > FAST:
            return None
        near = boxes_within(newest.mask[0], region)
        return None if region.whole and near is None else Part(region, before.own, newest, near)

    def _within(self, frame: np.ndarray, part: Part) -> Seen:
        """The region, embedded alone."""
        factor = frame.shape[0] // part.region.height
        return Seen(self._embedded(frame[part.region.box.at(factor)]), part)

    def _within_whole(self, frame: np.ndarray, part: Part) -> Seen:
        """The region of a frame that was embedded as a whole."""
        features = self._embedded(frame)
        maps = (features.stride4, features.stride8, features.stride16, features.label_key)
        some = Features(*(packed(part.region.part(one)) for one in maps))
        return Seen(some, replace(part, label_key=features.label_key))

    def _embedded(self, frame: np.ndarray) -> Features:
        pixels = torch.from_numpy(np.require(frame, requirements=("C", "W")))[None]
        return self._steps.embed(ChunkInputs(pixels, (frame.shape[0], frame.shape[1]), guided=False)).features


def _brightness(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB as (H/8, W/8) float32 means."""
    small = resize_frame(frame, frame.shape[0] // CAMERA_BLOCK, frame.shape[1] // CAMERA_BLOCK)
    return np.asarray(small.mean(axis=2, dtype=np.float32))


def _shift(before: np.ndarray, now: np.ndarray) -> float:
    """Cells of 16 pixels that most of a frame has moved, in rows or in columns, by phase correlation."""
    window = cv2.createHanningWindow((now.shape[1], now.shape[0]), cv2.CV_32F)
    (right, down), _ = cv2.phaseCorrelate(before, now, window)
    return max(abs(right), abs(down)) * CAMERA_BLOCK / 16
