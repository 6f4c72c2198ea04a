"""The STMA network: the modules of the method and the steps that join them.

A reconstruction from the abstract and the framework figure of arXiv 2404.06265; the numbers are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import ModelConfig
from stma.device import Precision
from stma.network import int8_embedding, winograd
from stma.network.association import IDAssociation, with_known
from stma.network.decoder import Decoded, Decoder, DecoderContext
from stma.network.embedding import Embedding, Features
from stma.network.entries import MemoryEntry, MemoryView
from stma.network.interest import Box, boxes_of_interest, covered
from stma.network.label_propagation import LabelPropagation, PropagatedLabels
from stma.network.layers import ConvNorm, pool_twice, to_map, to_tokens
from stma.network.memory_encoder import MemoryEncoder, ObjectProjection
from stma.network.quality import MaskQuality
from stma.network.region import Region
from stma.network.stml import STML, BlockCache


@dataclass(frozen=True)
class TestFrame:
    """A test frame after the STML blocks: keys of its final map, and the decoder's shared context."""

    features: Features
    key: Tensor  # (B, N, key_width)
    context: DecoderContext
    own: BlockCache  # what the blocks' tokens found in their own frame


@dataclass(frozen=True)
class Readout:
    """What the memory says about a test frame, per object."""

    values: Tensor  # (B, K, value_width, h, w) at stride 16
    labels: PropagatedLabels  # at stride 8


class STMA(nn.Module):
    """Spatial-temporal multi-level association network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding: nn.Module = Embedding(config)
        self.object_projection = ObjectProjection(config)
        self.stml = STML(config)
        self.id_association = IDAssociation(config)
        self.label_propagation = LabelPropagation(config)
        self.memory_encoder = MemoryEncoder(config)
        self.decoder = Decoder(config)
        self.quality = MaskQuality(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def embed(self, pixels: Tensor) -> Features:
        """The shared embedding of (B, 3, H, W) frames, see `Embedding.forward`."""
        features: Features = self.embedding(pixels)
        return features

    def encode_references(self, entries: Sequence[MemoryEntry], entry_valid: Tensor) -> BlockCache:
        """Object and reference streams over the sampled entries; (B, m, K) bool `entry_valid` as in
        `ObjectProjection.forward`."""
        height, width = entries[0].mask.shape[2:]
        values = torch.stack([entry.value[..., :-1] for entry in entries], dim=1)  # (B, m, N, K, value_width)
        values = values.permute(0, 1, 3, 4, 2).unflatten(4, (height, width))
        masks = torch.stack([entry.mask for entry in entries], dim=1)  # (B, m, K, h, w)
        tokens, token_valid = self.object_projection(values, masks, entry_valid)
        references = torch.stack([entry.tokens for entry in entries], dim=1)  # (B, m, N, C)
        return self.stml.encode_references(tokens, references, token_valid)

    def encode_test(
        self,
        features: Features,
        cache: BlockCache,
        before: BlockCache | None = None,
        region: Region | None = None,
    ) -> TestFrame:
        """Run the test stream and prepare everything that does not depend on the object.

        Args:
            features: of the frame, or of a region of it.
            cache: of the memory, see `encode_references`.
            before, region: as of `STML.encode_test`.
        """
        height, width = features.stride16.shape[2:]
        tokens, own = self.stml.encode_test(
            to_tokens(features.stride16), cache, (height, width), before, region
        )  # (B, N, C)
        final = to_map(tokens, height, width)
        return TestFrame(
            features, self.id_association.keys(tokens), self.decoder.context(features, final), own
        )

    def _read_values(self, test: TestFrame, view: MemoryView, boxes: Sequence[Box] | None = None) -> Tensor:
        """The ID association alone: (B, K, value_width, h, w) at stride 16, for each object within its box."""
        height, width = test.features.stride16.shape[2:]
        rows = None if boxes is None else [np.flatnonzero(covered([box], height, width, 1)) for box in boxes]
        values = self.id_association(
            test.key, view.keys, view.values, view.readout_sharpness, view.certainties, rows
        )  # (B, N, K, value_width)
        result: Tensor = values.unflatten(1, (height, width)).permute(0, 3, 4, 1, 2)
        return result

    def follow(
        self,
        test: TestFrame,
        views: Sequence[MemoryView],
        focus: bool,
        region: Region | None = None,
        near: Sequence[Box] | None = None,
    ) -> tuple[Readout, Decoded]:
        """Read the memory, by ID association and label propagation, and decode the objects, which may be remembered
        since different frames: their logits are those before soft aggregation.

        Args:
            test: the frame, or a region of it.
            views: what each group of objects reads, in the order of the objects.
            focus: of a single clip, look only where an object may be at strides below 16, see `boxes_of_interest`; the
                host then waits for the device once.
            region: that `test` shows; what comes out is of the whole frame all the same, but for the values.
            near: where in `test` each object is looked for, None for everywhere.
        """
        last = list(accumulate(view.values[0].shape[2] for view in views))
        boxes_of = [None if near is None else near[a:b] for a, b in pairwise([0, *last])]
        values = [self._read_values(test, view, some) for view, some in zip(views, boxes_of, strict=True)]
        readout = torch.cat(values, dim=1)
        context, query = test.context, test.features.label_key
        draft = self.decoder.draft(context, readout, near)
        if region is not None:
            draft, context, query = draft.placed(region), context.placed(region), region.placed(query)
        boxes = wanted = None
        if focus:
            height, width = draft.coarse.shape[2:]
            newest = [view.newest(2 * height, 2 * width) for view in views]
            boxes = boxes_of_interest(draft.coarse[0], functional.avg_pool2d(torch.cat(newest, dim=1), 2)[0])
            wanted = covered(boxes, 2 * height, 2 * width, 2)
        labels = PropagatedLabels.join(
            [self.label_propagation(query, view.labels, view.label_sharpness, wanted) for view in views]
        )
        if boxes is None:
            decoded = self.decoder(context, draft, labels)
        else:
            decoded = self.decoder.within(context, draft, labels, boxes)
        return Readout(readout, labels), decoded

    def judge(self, decoded: Decoded, masks: Tensor, readout: Readout) -> Tensor:
        """(B, K) float32 logits of the IoU to expect of (B, K, H/4, W/4) soft masks, see `MaskQuality`."""
        logits: Tensor = self.quality(decoded, masks, readout.labels)
        return logits

    def remember(
        self,
        test: TestFrame,
        masks: Tensor,
        readout: Readout | None,
        certainty: Tensor | None = None,
        near: Sequence[Box] | None = None,
    ) -> MemoryEntry:
        """Encode a frame as a memory entry.

        Args:
            test: the frame.
            masks: (B, K, H/4, W/4) soft masks in 0..1.
            readout: what the memory said about it, None where a person marked it.
            certainty: (B, 1, H/4, W/4) as of `certainty_of`; None where everything is certain.
            near: as of `follow`; elsewhere nothing is known of an object.
        """
        return self._entry(test.features, test.key, masks, readout, certainty, near)

    def remember_first(self, features: Features, masks: Tensor, object_valid: Tensor) -> MemoryEntry:
        """Encode an annotated frame when nothing is remembered yet: it is its own reference.

        Args:
            features: embedding of the B frames.
            masks: (B, K, H/4, W/4) annotated masks in 0..1.
            object_valid: (B, K) bool, False for padding.
        """
        no_key = features.stride16.new_empty(0)  # references need none
        draft = self._entry(features, no_key, masks, None, None)
        test = self.encode_test(features, self.encode_references([draft], object_valid[:, None]))
        return replace(draft, key=test.key)

    def _entry(
        self,
        features: Features,
        key: Tensor,
        masks: Tensor,
        readout: Readout | None,
        certainty: Tensor | None,
        near: Sequence[Box] | None = None,
    ) -> MemoryEntry:
        mask8 = functional.avg_pool2d(masks.float(), 2)
        if certainty is None:
            certainty8 = mask8.new_ones((len(mask8), *mask8.shape[2:]))  # (B, h, w)
        else:
            certainty8 = functional.avg_pool2d(certainty, 2)[:, 0]
        value = self.memory_encoder(features, masks, None if readout is None else readout.values, near)
        known = None
        if near is not None:
            height, width = value.shape[3:]
            cells = [covered([box], height, width, 1).ravel() for box in near]
            known = torch.from_numpy(np.stack(cells, axis=1))[None].to(value)  # (1, N, K)
        return MemoryEntry(
            tokens=to_tokens(pool_twice(features.stride16)),
            key=key,
            value=with_known(value.flatten(3).permute(0, 3, 1, 2), known).contiguous(),
            mask=functional.avg_pool2d(mask8, 2),
            label_key=to_tokens(features.label_key),
            label_mask=mask8.flatten(2),
            certainty=functional.avg_pool2d(certainty8, 2).flatten(1),
            label_certainty=certainty8.flatten(1),
        )

    def prepare(self, device: torch.device, precision: Precision) -> None:
        """Make ready for inference alone, in place: what comes out stays the same up to rounding.

        Batch norms are merged into their convolutions. On a CPU large convolutions go Winograd's way in fp32, and those
        of whole frames are done in 8 bits where that is asked for.
        """
        if precision.int8 and isinstance(self.embedding, Embedding):
            self.embedding = int8_embedding.convert(
                self.embedding, self.decoder, self.memory_encoder, precision.dtype
            )
        for module in list(self.modules()):
            if isinstance(module, ConvNorm):
                module.fold()
        if device.type == "cpu" and precision.dtype == torch.float32:
            winograd.convert(self)
        self.to(device, precision.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
