"""The step of one frame as a function of tensors alone: what follows the objects, and what is remembered of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stma.network.embedding import Features
from stma.network.model import (
    STMA,
    MemoryEntry,
    MemoryView,
    Readout,
    TestFrame,
    masks_from_logits,
    sharpen_foreground,
)
from stma.network.stml import ReferenceCache
from stma.prediction import label_maps
from stma.resize_on_device import resize_frames_on_device
from stma.step_graphs import Recorder, StepGraphs


@dataclass(frozen=True)
class FrameInputs:
    """What the step of one frame needs.

    Attributes:
        features: of the frame.
        references: of the memory, see `STMA.encode_references`.
        views: what each group of objects reads, in the order of the objects.
        pictures: as of `label_maps`.
        frame_size: (height, width) of the video in pixels.
        remembers: whether the frame may be written to the memory.
    """

    features: Features
    references: ReferenceCache
    views: tuple[MemoryView, ...]
    pictures: tuple[Tensor, Tensor] | None
    frame_size: tuple[int, int]
    remembers: bool


@dataclass(frozen=True)
class ChunkInputs:
    """Frames of a chunk.

    Attributes:
        frames: (B, H, W, 3) uint8 RGB.
        size: (height, width) to work at, multiples of 16.
        guided: whether outlines will follow the frames' colours on the device.
    """

    frames: Tensor
    size: tuple[int, int]
    guided: bool


@dataclass(frozen=True)
class Chunk:
    """Features of B frames and, where they guide outlines, their colours at stride 4: (B, H/4, W/4, 3) of 0 to 255."""

    features: Features
    guides: Tensor | None


@dataclass(frozen=True)
class Followed:
    """Where the objects are on a frame.

    Attributes:
        test: the frame.
        readout: what the memory says about it.
        logits: (1, K+1, h, w) float32, background first.
        masks: (1, K, h, w) float32 soft masks in 0..1.
        expected: (K,) float32 IoU in 0..1.
    """

    test: TestFrame
    readout: Readout
    logits: Tensor
    masks: Tensor
    expected: Tensor


@dataclass(frozen=True)
class FrameResult:
    """What comes of a frame: `maps` as of `label_maps`, `masks` and `expected` as of `Followed`, and its entry."""

    maps: Tensor
    masks: Tensor
    expected: Tensor
    entry: MemoryEntry | None


@dataclass(frozen=True)
class ReferenceInputs:
    """What `STMA.encode_references` takes."""

    entries: tuple[MemoryEntry, ...]
    valid: Tensor


class ModelSteps:
    """What a run asks of its network, step by step; each kind of step may be replayed as a graph."""

    def __init__(
        self, model: STMA, focus: bool, mask_sharpness: float, record: Recorder | None = None
    ) -> None:
        """Prepare.

        Args:
            model: ready for inference; its weights stay where they are.
            focus: as of `STMA.follow`.
            mask_sharpness: of predicted masks that are remembered, see `sharpen_foreground`.
            record: as of `StepGraphs`.
        """
        # Functions, not methods: a step that held this object would keep the network alive after its run.
        self._follow = partial(_followed, model, focus)
        self._embed = StepGraphs(partial(_embedded, model), record)
        self._encode = StepGraphs(partial(_encoded, model), record)
        self._frame = StepGraphs(partial(_predicted, model, focus, mask_sharpness), record)

    def embed(self, inputs: ChunkInputs) -> Chunk:
        """Scale and embed the frames of a chunk."""
        return self._embed(inputs)

    def encode_references(self, entries: Sequence[MemoryEntry], valid: Tensor) -> ReferenceCache:
        """As `STMA.encode_references`."""
        return self._encode(ReferenceInputs(tuple(entries), valid))

    def follow(self, inputs: FrameInputs) -> Followed:
        """Follow all objects to a frame."""
        return self._follow(inputs)

    def predict(self, inputs: FrameInputs) -> FrameResult:
        """Follow all objects to a frame that nobody annotated, and encode it for the memory."""
        return self._frame(inputs)


def _embedded(model: STMA, inputs: ChunkInputs) -> Chunk:
    height, width = inputs.size
    guides = resize_frames_on_device(inputs.frames, height // 4, width // 4) if inputs.guided else None
    frames = resize_frames_on_device(inputs.frames, height, width).permute(0, 3, 1, 2)  # channels last
    return Chunk(model.embed(frames.to(next(model.parameters()).dtype) / 255), guides)


def _encoded(model: STMA, inputs: ReferenceInputs) -> ReferenceCache:
    return model.encode_references(list(inputs.entries), inputs.valid)


def _followed(model: STMA, focus: bool, inputs: FrameInputs) -> Followed:
    test = model.encode_test(inputs.features, inputs.references)
    readout, decoded = model.follow(test, inputs.views, focus=focus)
    logits, masks = masks_from_logits(decoded.logits)
    expected = torch.sigmoid(model.judge(decoded, masks, readout))[0]
    return Followed(test, readout, logits, masks, expected)


def _predicted(model: STMA, focus: bool, mask_sharpness: float, inputs: FrameInputs) -> FrameResult:
    followed = _followed(model, focus, inputs)
    maps = label_maps(followed.logits[0], *inputs.frame_size, inputs.pictures)
    entry = None
    if inputs.remembers:
        decided = sharpen_foreground(followed.masks, mask_sharpness)
        entry = model.remember(followed.test, decided, followed.readout)
    return FrameResult(maps, followed.masks, followed.expected, entry)
