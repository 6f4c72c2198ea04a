"""Decoder: one logit map per object from the readout, the test features and the propagated labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from stma.config import ModelConfig
from stma.network.embedding import Features
from stma.network.interest import Box
from stma.network.label_propagation import PropagatedLabels
from stma.network.layers import PlainResidual, add_shared, leaky, packed, upsample_twice
from stma.network.region import Region

NOWHERE = -10.0  # logit where an object was not looked for: below that of the labels' floor
LABEL_FLOOR = 1e-3  # what the shipped weights were trained with; 1e-2 costs them 0.3 points of J
# of an object: its mask, the others', its mask from annotated frames and from the newest, 3 matches
LABEL_MAPS = 7
NEWEST_MAPS = (3, 6)  # of these, the mask and the match of the newest frame


@dataclass(frozen=True)
class DecoderContext:
    """What does not depend on the object, computed once per frame: maps at strides 16, 8 and 4."""

    stride16: Tensor
    stride8: Tensor
    stride4: Tensor

    def placed(self, region: Region) -> "DecoderContext":
        """Of the whole frame, zero beyond the region that it was made for."""
        return DecoderContext(
            region.placed(self.stride16), region.placed(self.stride8), region.placed(self.stride4)
        )


@dataclass(frozen=True)
class Draft:
    """What the readout alone says, before the labels are seen.

    Attributes:
        hidden: (B*K, decoder_width, H/16, W/16) per-object maps.
        coarse: (B, K, H/16, W/16) float32 logits of theirs, see `Decoded`.
    """

    hidden: Tensor
    coarse: Tensor

    def placed(self, region: Region) -> "Draft":
        """Of the whole frame; beyond the region that it was made for there is no object."""
        return Draft(region.placed(self.hidden), region.placed(self.coarse, NOWHERE))


@dataclass(frozen=True)
class Decoded:
    """What the decoder says.

    Attributes:
        logits: (B, K, H/4, W/4) float32 per-object logits, before soft aggregation.
        stride8: (B*K, decoder_width, H/8, W/8) per-object maps that they come from.
        coarse: (B, K, H/16, W/16) float32 logits that the readout alone gives, before the labels are seen. Training
            scores them, so that the association must find the objects by itself; masks do not use them.
    """

    logits: Tensor
    stride8: Tensor
    coarse: Tensor

    def without(self, cells: Tensor) -> "Decoded":
        """The same with objects nowhere in some cells: (B, K, H/8, W/8) bool."""
        squares = cells.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, K, H/16, 2, W/16, 2)
        logits = self.logits.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, K, H/8, 2, W/8, 2)
        logits = logits.masked_fill(cells[:, :, :, None, :, None], NOWHERE)
        return replace(
            self,
            logits=logits.flatten(4, 5).flatten(2, 3),
            coarse=self.coarse.masked_fill(squares.all(5).all(3), NOWHERE),
        )


class Decoder(nn.Module):
    """Per-object decoder; it corrects the logit of the label propagation."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width4, width8, width16 = config.widths
        wide, thin = config.decoder_width, config.decoder_width // 2
        self.shared16 = nn.Conv2d(width16, wide, 1)
        self.shared8 = nn.Conv2d(width8, wide, 3, padding=1)
        self.shared4 = nn.Conv2d(width4, thin, 3, padding=1)
        self.readout = nn.Conv2d(config.value_width, wide, 3, padding=1)
        self.refine16 = PlainResidual(wide)
        self.coarse = nn.Conv2d(wide, 1, 1)
        self.label = nn.Conv2d(LABEL_MAPS, wide, 3, padding=1)
        self.mix8 = nn.Conv2d(wide, wide, 3, padding=1)
        nn.init.zeros_(self.mix8.weight)  # at first the labels alone count
        self.refine8 = PlainResidual(wide)
        self.mix4 = nn.Conv2d(wide, thin, 3, padding=1)
        self.refine4 = PlainResidual(thin)
        self.logit = nn.Conv2d(thin, 1, 3, padding=1)

    def context(self, features: Features, final: Tensor) -> DecoderContext:
        """Object-independent part from the features and the final (B, C, H/16, W/16) map of the STML blocks."""
        return DecoderContext(
            self.shared16(final), self.shared8(features.stride8), self.shared4(features.stride4)
        )

    def draft(self, context: DecoderContext, readout: Tensor, boxes: Sequence[Box] | None = None) -> Draft:
        """The stages at stride 16, for all objects.

        Args:
            context: shared maps of the B frames.
            readout: (B, K, value_width, H/16, W/16).
            boxes: of one clip, where to look for each object; elsewhere its logit is `NOWHERE`. None for everywhere.
        """
        batch, objects = readout.shape[:2]
        if boxes is None:
            x = self._hidden(readout.flatten(0, 1), context.stride16, objects)
            return Draft(x, self.coarse(x).float().unflatten(0, (batch, objects))[:, :, 0])
        hidden = torch.zeros_like(context.stride16).repeat(objects, 1, 1, 1)
        coarse = readout.new_full((1, objects, *readout.shape[3:]), NOWHERE, dtype=torch.float32)
        for number, box in enumerate(boxes):
            x = self._hidden(
                readout[(0, slice(number, number + 1), ..., *box.at(1))],
                context.stride16[(..., *box.at(1))],
                1,
            )
            hidden[(number, slice(None), *box.at(1))] = x[0]
            coarse[(0, number, *box.at(1))] = self.coarse(x)[0, 0]
        return Draft(hidden, coarse)

    def _hidden(self, readout: Tensor, shared: Tensor, objects: int) -> Tensor:
        x = self.readout(packed(readout))
        hidden: Tensor = self.refine16(leaky(add_shared(x, shared, objects)))
        return hidden

    def forward(self, context: DecoderContext, draft: Draft, propagated: PropagatedLabels) -> Decoded:
        """The finer stages, for all objects on the whole frame.

        Args:
            context: shared maps of the B frames.
            draft: of the same frames.
            propagated: soft masks and match strengths at stride 8.
        """
        stride8, logits = self._finer(_fine(context, draft, propagated))
        return Decoded(logits.unflatten(0, draft.coarse.shape[:2]), stride8, draft.coarse)

    def within(
        self,
        context: DecoderContext,
        draft: Draft,
        propagated: PropagatedLabels,
        boxes: Sequence[Box],
    ) -> Decoded:
        """As `forward` for one clip, each object within its own box alone; elsewhere its logit is `NOWHERE`."""
        fine = _fine(context, draft, propagated)
        height, width = draft.coarse.shape[2:]
        logits = draft.coarse.new_full((len(boxes), 4 * height, 4 * width), NOWHERE)
        stride8 = fine.labels.new_zeros((len(boxes), draft.hidden.shape[1], 2 * height, 2 * width))
        for number, box in enumerate(boxes):
            some8, some4 = self._finer(fine.part(number, box))
            stride8[(number, slice(None), *box.at(2))] = some8[0]
            logits[(number, *box.at(4))] = some4[0]
        return Decoded(logits[None], stride8, draft.coarse)

    def _finer(self, fine: "_Fine") -> tuple[Tensor, Tensor]:
        """(B*K, decoder_width, 2h, 2w) maps at stride 8 and float32 (B*K, 4h, 4w) logits."""
        objects = len(fine.hidden) // len(fine.stride8)
        x = self.mix8(upsample_twice(fine.hidden)) + self.label(fine.labels)
        stride8 = self.refine8(leaky(add_shared(x, fine.stride8, objects)))
        x = self.mix4(upsample_twice(stride8))
        x = self.refine4(leaky(add_shared(x, fine.stride4, objects)))
        certain = fine.masks.float().clamp(LABEL_FLOOR, 1 - LABEL_FLOOR)
        logits: Tensor = self.logit(x).float() + upsample_twice(torch.logit(certain))
        return stride8, logits[:, 0]


@dataclass(frozen=True)
class _Fine:
    """What the finer stages see of B*K objects in B frames, or in a part of them."""

    hidden: Tensor  # (B*K, decoder_width, h, w) at stride 16
    stride8: Tensor  # of the context: (B, decoder_width, 2h, 2w)
    stride4: Tensor  # of the context: (B, decoder_width / 2, 4h, 4w)
    labels: Tensor  # (B*K, LABEL_MAPS, 2h, 2w)
    masks: Tensor  # (B*K, 1, 2h, 2w) soft masks, the first of the label maps, in float32

    def part(self, number: int, box: Box) -> "_Fine":
        """One object within a box."""
        one = slice(number, number + 1), slice(None)
        return _Fine(
            packed(self.hidden[(*one, *box.at(1))]),
            self.stride8[(..., *box.at(2))],
            self.stride4[(..., *box.at(4))],
            packed(self.labels[(*one, *box.at(2))]),
            self.masks[(*one, *box.at(2))],
        )


def _fine(context: DecoderContext, draft: Draft, propagated: PropagatedLabels) -> _Fine:
    """Of all objects on the whole frame."""
    masks = propagated.masks
    others = (masks.sum(1, keepdim=True) - masks).clamp(0, 1)
    maps = torch.stack([masks, others, propagated.annotated, propagated.newest], dim=2)
    maps = torch.cat([maps, propagated.match], dim=2).flatten(0, 1)  # (B*K, LABEL_MAPS, H/8, W/8)
    labels = packed(maps).to(draft.hidden.dtype)
    return _Fine(draft.hidden, context.stride8, context.stride4, labels, masks.flatten(0, 1)[:, None])
