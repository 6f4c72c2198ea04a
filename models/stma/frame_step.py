"""The step of one frame as a function of tensors alone: what follows the objects, and what is remembered of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stma.config import MemoryConfig
from stma.network.embedding import Features
from stma.network.entries import MemoryEntry, MemoryView
from stma.network.interest import Box
from stma.network.model import STMA, Readout, TestFrame
from stma.network.region import Region
from stma.network.soft_masks import certainty_of, masks_from_logits, sharpen_foreground, strange, unlike
from stma.network.stml import BlockCache
from stma.prediction import label_maps
from stma.resize_on_device import resize_frames_on_device
from stma.step_graphs import Recorder, StepGraphs


@dataclass(frozen=True)
class Part:
    """A part of a frame, and what stands for the rest of it.

    Attributes:
        region: that is looked at.
        own: of the frame before, see `STML.encode_test`.
        entry: of the frame before.
        near: where in the region each object is looked for, None for everywhere.
        label_key: (1, key_width, H/8, W/8) of the whole frame, where they were computed.
    """

    region: Region
    own: BlockCache
    entry: MemoryEntry
    near: tuple[Box, ...] | None = None
    label_key: Tensor | None = None


@dataclass(frozen=True)
class Seen:
    """What is seen of a frame.

    Attributes:
        features: of the frame, or of its part.
        part: that is looked at, None for the whole frame.
        pictures: as of `label_maps`.
    """

    features: Features
    part: Part | None = None
    pictures: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class FrameInputs:
    """What the step of one frame needs.

    Attributes:
        seen: of the frame.
        references: of the memory, see `STMA.encode_references`.
        views: what each group of objects reads, in the order of the objects.
        frame_size: (height, width) of the video in pixels.
        remembers: whether the frame may be written to the memory.
        after_cut: whether a new scene begins with it, which objects may be no part of: those that nothing there looks
            like are nowhere then. Views let labels travel anywhere to such a frame.
    """

    seen: Seen
    references: BlockCache
    views: tuple[MemoryView, ...]
    frame_size: tuple[int, int]
    remembers: bool
    after_cut: bool = False


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

    def seen(self, position: int, frames: Tensor) -> Seen:
        """Of one of the frames, which are given as of `ChunkInputs`."""
        features = self.features.frames(position, position + 1)
        return Seen(
            features, pictures=None if self.guides is None else (self.guides[position], frames[position])
        )


@dataclass(frozen=True)
class Followed:
    """Where the objects are on a frame.

    Attributes:
        test: the frame.
        readout: what the memory says about it.
        logits: (1, K+1, h, w) float32, background first.
        masks: (1, K, h, w) float32 soft masks in 0..1.
        expected: (K,) float32 IoU in 0..1.
        coarse: (K, H/16, W/16) float32 logits of the readout alone, as of `Decoded`.
    """

    test: TestFrame
    readout: Readout
    logits: Tensor
    masks: Tensor
    expected: Tensor
    coarse: Tensor


@dataclass(frozen=True)
class FrameResult:
    """What comes of a frame: `maps` as of `label_maps`, `masks` and `expected` as of `Followed`, its entry, and, with
    focus, `coarse` as of `Followed` and what `STML.encode_test` says of the frame itself."""

    maps: Tensor
    masks: Tensor
    expected: Tensor
    entry: MemoryEntry | None
    own: BlockCache | None
    coarse: Tensor | None


class ModelSteps:
    """What a run asks of its network, step by step; each kind of step may be replayed as a graph."""

    def __init__(
        self, model: STMA, focus: bool, memory: MemoryConfig, record: Recorder | None = None
    ) -> None:
        """Prepare.

        Args:
            model: ready for inference; its weights stay where they are.
            focus: as of `STMA.follow`.
            memory: says how predicted masks are remembered.
            record: as of `StepGraphs`.
        """
        # Functions, not methods: a step that held this object would keep the network alive after its run.
        self._follow = partial(_followed, model, focus)
        self._embed = StepGraphs(partial(_embedded, model), record)
        self._encode = StepGraphs(partial(_encoded, model), record)
        self._frame = StepGraphs(partial(_predicted, model, focus, memory), record)

    def embed(self, inputs: ChunkInputs) -> Chunk:
        """Scale and embed the frames of a chunk."""
        return self._embed(inputs)

    def encode_references(self, entries: Sequence[MemoryEntry], valid: Tensor) -> BlockCache:
        """As `STMA.encode_references`."""
        return self._encode((tuple(entries), valid))

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
    return Chunk(model.embed(frames), guides)


def _encoded(model: STMA, inputs: tuple[tuple[MemoryEntry, ...], Tensor]) -> BlockCache:
    return model.encode_references(*inputs)


def _followed(model: STMA, focus: bool, inputs: FrameInputs) -> Followed:
    part = inputs.seen.part
    own, region, near = (None, None, None) if part is None else (part.own, part.region, part.near)
    test = model.encode_test(inputs.seen.features, inputs.references, own, region)
    readout, decoded = model.follow(test, inputs.views, focus, region, near)
    match = readout.labels.match
    if inputs.after_cut:
        elsewhere = unlike(decoded.logits, match)[..., None, None].expand_as(match[:, :, 0])
    else:
        newest = [view.newest(*match.shape[3:]) for view in inputs.views]
        elsewhere = strange(match, torch.cat(newest, dim=1))
    decoded = decoded.without(elsewhere)
    logits, masks = masks_from_logits(decoded.logits)
    expected = torch.sigmoid(model.judge(decoded, masks, readout))[0]
    return Followed(test, readout, logits, masks, expected, decoded.coarse[0])


def _remembered(model: STMA, followed: Followed, memory: MemoryConfig, part: Part | None) -> MemoryEntry:
    masks = sharpen_foreground(followed.masks, memory.mask_sharpness)
    certainty = certainty_of(masks, memory.certainty_power)
    if part is None:
        return model.remember(followed.test, masks, followed.readout, certainty)
    some, some_certain = part.region.part(masks), part.region.part(certainty)
    entry = model.remember(followed.test, some, followed.readout, some_certain, part.near)
    return entry.placed(part.region, part.entry, part.label_key)


def _predicted(model: STMA, focus: bool, memory: MemoryConfig, inputs: FrameInputs) -> FrameResult:
    followed = _followed(model, focus, inputs)
    maps = label_maps(followed.logits[0], *inputs.frame_size, inputs.seen.pictures)
    entry = _remembered(model, followed, memory, inputs.seen.part) if inputs.remembers else None
    own, coarse = (followed.test.own, followed.coarse) if focus else (None, None)
    return FrameResult(maps, followed.masks, followed.expected, entry, own, coarse)
