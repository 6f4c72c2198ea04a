"""Memory encoder with fusion, and the projection of the temporal memory to object tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stma.config import ModelConfig
from stma.network.embedding import Features
from stma.network.interest import Box
from stma.network.layers import PlainResidual, add_shared, leaky, packed


class MemoryEncoder(nn.Module):
    """Encodes the current frame together with one object's mask, then fuses it with the old memory.

    The frame enters through its shared embedding, so its part is computed once for all objects.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width4, width8, width16 = config.widths
        value = config.value_width
        half, quarter = value // 2, value // 4
        self.mask8 = nn.Conv2d(2, quarter, 3, stride=2, padding=1)
        self.frame8 = nn.Conv2d(width4, quarter, 3, stride=2, padding=1)
        self.mask16 = nn.Conv2d(quarter, half, 3, stride=2, padding=1)
        self.frame16 = nn.Conv2d(width8, half, 3, stride=2, padding=1)
        self.value = nn.Conv2d(half, value, 3, padding=1)
        self.frame_value = nn.Conv2d(width16, value, 1)
        self.refine = PlainResidual(value)
        self.gate = nn.Conv2d(2 * value, value, 3, padding=1)
        assert self.gate.bias is not None
        nn.init.constant_(self.gate.bias, -2.0)  # new evidence dominates until training says otherwise

    def forward(
        self, features: Features, masks: Tensor, readout: Tensor | None, boxes: Sequence[Box] | None = None
    ) -> Tensor:
        """Encode one frame for the memory.

        Args:
            features: embedding of the B frames.
            masks: (B, K, H/4, W/4) soft masks in 0..1.
            readout: (B, K, value_width, H/16, W/16) of the same frame, or None when nothing was remembered yet.
            boxes: of one clip, where each object is encoded; elsewhere its values are 0. None for everywhere.

        Returns:
            (B, K, value_width, H/16, W/16) values.
        """
        batch, objects = masks.shape[:2]
        masks = masks.to(features.stride16.dtype)
        others = masks.sum(1, keepdim=True) - masks
        pair = torch.stack([masks, others.clamp(0, 1)], dim=2).flatten(0, 1)  # (B*K, 2, H/4, W/4)
        frame = _FrameMaps(
            self.frame8(features.stride4), self.frame16(features.stride8), self.frame_value(features.stride16)
        )
        old = None if readout is None else readout.flatten(0, 1)
        if boxes is None:
            every: Tensor = self._encoded(packed(pair), frame, old, objects).unflatten(0, (batch, objects))
            return every
        values = torch.zeros_like(frame.value).repeat(objects, 1, 1, 1)
        for number, box in enumerate(boxes):
            one = slice(number, number + 1), slice(None)
            some_old = None if old is None else old[(*one, *box.at(1))]
            values[(*one, *box.at(1))] = self._encoded(
                packed(pair[(*one, *box.at(4))]), frame.part(box), some_old, 1
            )
        return values[None]

    def _encoded(self, pair: Tensor, frame: "_FrameMaps", old: Tensor | None, objects: int) -> Tensor:
        """(B*K, value_width, h, w) values of K objects per frame from their masks and those of all others, (B*K, 2, 4h,
        4w), and what the memory said of them."""
        x = leaky(add_shared(self.mask8(pair), frame.stride8, objects))
        x = leaky(add_shared(self.mask16(x), frame.stride16, objects))
        x = leaky(add_shared(self.value(x), frame.value, objects))
        x = self.refine(x)
        if old is not None:
            old = old.to(x.dtype)
            gate = torch.sigmoid(self.gate(torch.cat([x, old], dim=1)))
            x = x + gate * (old - x)  # a convex mixture cannot grow, however long the video is
        encoded: Tensor = x
        return encoded


@dataclass(frozen=True)
class _FrameMaps:
    """What the shared embedding adds to each object's maps: at stride 8, at stride 16, and to the values."""

    stride8: Tensor
    stride16: Tensor
    value: Tensor

    def part(self, box: Box) -> "_FrameMaps":
        """Within a box."""
        return _FrameMaps(
            self.stride8[(..., *box.at(2))], self.stride16[(..., *box.at(1))], self.value[(..., *box.at(1))]
        )


class ObjectProjection(nn.Module):
    """Object tokens F_o: attentive averages of the temporal memory inside and outside each mask."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tokens = config.tokens_per_object
        self.weight = nn.Conv2d(config.value_width, self.tokens, 1)
        self.project = nn.Linear(config.value_width, config.widths[2])

    def forward(self, values: Tensor, masks: Tensor, entry_valid: Tensor) -> tuple[Tensor, Tensor]:
        """Summarise the reference entries of the memory.

        Args:
            values: (B, m, K, value_width, h, w) at stride 16.
            masks: (B, m, K, h, w) soft masks at stride 16, 0..1.
            entry_valid: (B, m, K) bool, False where the entry is older than the object or the object is padding.

        Returns:
            tokens (B, K*tokens_per_object, C) and their validity (B, K*tokens_per_object) bool.
        """
        batch, frames, objects = masks.shape[:3]
        weight = torch.sigmoid(self.weight(values.flatten(0, 2)))  # (B*m*K, Q, h, w)
        weight = weight.unflatten(0, (batch, frames, objects))
        foreground = masks[:, :, :, None].expand(-1, -1, -1, self.tokens // 2, -1, -1)
        regions = torch.cat([foreground, 1 - foreground], dim=3).to(weight.dtype)
        weight = weight * regions * entry_valid[:, :, :, None, None, None].to(weight.dtype)
        weight = weight.flatten(4)  # (B, m, K, Q, h*w)
        cells = values.flatten(4).transpose(3, 4)  # (B, m, K, h*w, value_width)
        area = weight.float().sum((1, 4), keepdim=True)  # (B, 1, K, Q, 1)
        share = (weight.float() / (area + 1.0)).to(
            cells.dtype
        )  # one cell of prior keeps an empty region small
        summary = torch.matmul(share, cells).sum(1)  # (B, K, Q, value_width)
        tokens = self.project(summary).flatten(1, 2)  # (B, K*Q, C)
        valid = entry_valid.any(1)[:, :, None].expand(-1, -1, self.tokens).flatten(1)
        return tokens, valid
