"""The result of one frame, and the ways of frames to the computing device and of results from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from stma.annotation import CheckedMask, impose_labels
from stma.errors import MaskError
from stma.guided import guided_labels, guided_labels_on_device
from stma.hard_labels import hard_labels, hard_labels_on_device
from stma.labels import areas, id_dtype
from stma.resize import resize_frame


@dataclass(frozen=True)
class Prediction:
    """The result of one frame.

    Attributes:
        frame_index: position of the frame in the run, from 0.
        labels: (H, W) uint8, or uint16 when an id exceeds 255: the caller's object ids, 0 = background.
        object_ids: all objects so far, in the order of their first annotation.
        confidence: per object, the IoU in 0..1 that its mask is expected to have with the truth; 1 where it was
            annotated. No pixels of an object that cannot be seen are right, IoU 1, as in the DAVIS protocol.
        area: per object, pixels in `labels`.
        soft: (K, h, w) float32 soft masks in 0..1 at a quarter of the working size, in the order of `object_ids`.
    """

    frame_index: int
    labels: np.ndarray
    object_ids: tuple[int, ...]
    confidence: dict[int, float]
    area: dict[int, int]
    soft: np.ndarray

    def probability(self, object_id: int) -> np.ndarray:
        """(H, W) float32 soft probability in 0..1 of one object at the frame's size.

        Raises:
            MaskError: the object is unknown on this frame.
        """
        if object_id not in self.object_ids:
            raise MaskError(
                f"object {object_id} is unknown on frame {self.frame_index}", f"use one of {self.object_ids}"
            )
        height, width = self.labels.shape
        soft = self.soft[self.object_ids.index(object_id)]
        return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR))


@dataclass(frozen=True)
class Outcome:
    """What was found on a frame; its tensors are on their way to main memory.

    Attributes:
        frame_index: position of the frame in the run, from 0.
        frame_size: (height, width) in pixels.
        object_ids: all objects so far.
        maps: on a CPU (K+1, h, w) float32 logits, background first; elsewhere (H, W) index of the largest, uint8 or,
            of more than 255 objects, int32.
        soft: (K, h, w) float32 soft masks.
        expected: float32 IoU of each object that was followed to this frame.
        annotation: of this frame, if any.
        guide: (h, w, 3) uint8 RGB, the frame or the frame scaled down, whose colours outlines still have to follow;
            None where they need not.
    """

    frame_index: int
    frame_size: tuple[int, int]
    object_ids: tuple[int, ...]
    maps: Tensor
    soft: Tensor
    expected: Tensor
    annotation: CheckedMask | None
    guide: np.ndarray | None = None

    def prediction(self) -> Prediction:
        """Finish the work in main memory; on a GPU only once `arrived` has returned."""
        ids = [0, *self.object_ids]
        table = np.array(ids, dtype=id_dtype(max(ids)))
        maps = self.maps.numpy()
        if maps.ndim == 3 and self.guide is not None:
            maps = guided_labels(maps, self.guide, *self.frame_size)
        elif maps.ndim == 3:
            maps = hard_labels(maps, *self.frame_size)
        labels = _looked_up(table, maps)
        confidence = dict(
            zip(self.object_ids, self.expected.tolist(), strict=False)
        )  # new objects are annotated
        if self.annotation is not None:
            confidence.update(dict.fromkeys(impose_labels(labels, self.annotation), 1.0))
        return Prediction(
            frame_index=self.frame_index,
            labels=labels,
            object_ids=self.object_ids,
            confidence={i: confidence[i] for i in self.object_ids},
            area=areas(labels, self.object_ids),
            soft=self.soft.numpy(),
        )


class Pictures(NamedTuple):
    """A frame as (h, w, 3) uint8 RGB: as the device is given it, and what outlines follow on a CPU, where a frame that
    is larger than what the network sees would cost more than it tells."""

    given: np.ndarray
    guide: np.ndarray

    @staticmethod
    def of(frame: np.ndarray, working_size: tuple[int, int], device: torch.device) -> "Pictures":
        """Of an (H, W, 3) uint8 RGB frame."""
        if device.type != "cpu":
            return Pictures(frame, frame)  # it is scaled there
        scaled = resize_frame(frame, *working_size)
        return Pictures(scaled, min(frame, scaled, key=lambda picture: picture.size))


def label_maps(logits: Tensor, height: int, width: int, pictures: tuple[Tensor, Tensor] | None) -> Tensor:
    """(K+1, h, w) logits to what `Outcome.maps` holds, still on the device; `pictures` are (h, w, 3) and
    (H, W, 3), the frame scaled to cells and as it is, whose colours outlines follow, or None."""
    if logits.device.type == "cpu":
        return logits
    if pictures is None:
        labels = hard_labels_on_device(logits, height, width)
    else:
        labels = guided_labels_on_device(logits, *pictures)
    return labels.to(torch.uint8 if len(logits) <= 256 else torch.int32)


def nothing_found(
    frame_size: tuple[int, int], working_size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """`Outcome.maps`, (1, 0, h, w) soft masks and expected IoU of a frame before the first object, on the device."""
    masks = torch.zeros(1, 0, working_size[0] // 4, working_size[1] // 4, device=device)
    logits = masks.new_zeros(1, *masks.shape[2:])  # background alone
    return label_maps(logits, *frame_size, None), masks, masks.new_zeros(0)


def to_device(pictures: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Start to bring uint8 pictures of one shape to the device, as one tensor."""
    shape = (len(pictures), *pictures[0].shape)
    together = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(pictures, out=together.numpy())
    return together.to(device, non_blocking=True)


def to_host(tensor: Tensor) -> Tensor:
    """Start to bring a tensor to main memory; see `arrived`."""
    if tensor.device.type != "cuda":
        return tensor.cpu()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def arrived(device: torch.device) -> None:
    """Wait until everything that `to_host` began has come: once per chunk, so that the GPU never waits."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def _looked_up(table: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """`table[maps]`; of bytes OpenCV does it in a third of the time."""
    if maps.dtype != np.uint8 or table.dtype != np.uint8:
        return np.asarray(table[maps])
    full = np.zeros(256, np.uint8)
    full[: len(table)] = table
    return np.asarray(cv2.LUT(maps, full))
