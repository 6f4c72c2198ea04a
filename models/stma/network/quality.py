"""Mask quality: how well a predicted mask will overlap with the truth, judged by what the decoder saw.

An empty mask has nothing to pool and its overlap is all or nothing: the object is away, or it was missed. A few weights
of their own judge it, or the many masks that can be seen would teach the head that no area is a bad sign.

The idea is that of Mask Scoring R-CNN (arXiv 1903.00241): a small head regresses the IoU of the mask it is given. It
learns beside the network and never changes a mask.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import ModelConfig
from stma.network.decoder import Decoded
from stma.network.label_propagation import PropagatedLabels

HIDDEN = 64
RING = 3  # cells of 8 pixels around the mask: where a leak or a missing part shows
STATISTICS = 11
AREA_COLUMN = 1 - STATISTICS  # of what is judged: the second of the statistics, the logarithm of the area
SMALLEST = 1e-4  # share of the frame: a logarithm of no area at all
EMPTY = 2e-5  # share of the frame below which a mask is empty: 8 pixels of 854x480
EMPTY_INPUTS = 6  # of the statistics, the last: match strengths, and what labels and readout find
RIGHTLY_EMPTY = 0.8  # of empty masks in training clips: what an untrained judge says of one


class MaskQuality(nn.Module):
    """Predicts the IoU of each object's mask."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * config.decoder_width + STATISTICS, HIDDEN)
        self.output = nn.Linear(HIDDEN, 1)
        self.empty = nn.Linear(EMPTY_INPUTS, 1)
        nn.init.constant_(self.empty.bias, math.log(RIGHTLY_EMPTY / (1 - RIGHTLY_EMPTY)))

    def forward(self, decoded: Decoded, masks: Tensor, propagated: PropagatedLabels) -> Tensor:
        """Judge all objects; no gradient reaches the inputs.

        Args:
            decoded: what the decoder said.
            masks: (B, K, H/4, W/4) soft masks in 0..1.
            propagated: labels and match strengths of the K objects at stride 8.

        Returns:
            (B, K) float32 logits of the expected IoU.
        """
        batch, objects = masks.shape[:2]
        inside = functional.avg_pool2d(masks.detach().float(), 2)  # (B, K, h, w)
        around = _maxima(inside) - inside
        weights = torch.stack([inside, around], dim=2).flatten(3)  # (B, K, 2, h*w)
        share = weights / weights.sum(3, keepdim=True).clamp(min=1e-6)
        cells = decoded.stride8.detach().permute(0, 2, 3, 1).flatten(1, 2)  # (B*K, h*w, C)
        pooled = torch.matmul(share.flatten(0, 1).to(cells.dtype), cells).float()  # (B*K, 2, C)
        pooled = pooled.flatten(1).unflatten(0, (batch, objects))  # (B, K, 2*C)
        area = inside.sum((2, 3))
        size = area.clamp(min=1e-6)
        agreement = [
            1 - (inside - labels.detach().float()).abs().sum((2, 3)) / (size + labels.detach().sum((2, 3)))
            for labels in (propagated.masks, propagated.annotated, propagated.newest)
        ]
        match = (propagated.match.detach().float().flatten(3) * share[:, :, :1]).sum(3)  # (B, K, 3)
        certainty = inside.square().sum((2, 3)) / size
        found = propagated.masks.detach().float()
        extents = [torch.log(cover / inside[0, 0].numel() + SMALLEST) for cover in (area, found.sum((2, 3)))]
        peaks = [found.amax((2, 3)), torch.sigmoid(decoded.coarse.detach()).amax((2, 3))]
        statistics = [certainty, extents[0], *agreement, *match.unbind(2), extents[1], *peaks]
        return self.judge(torch.cat([pooled, torch.stack(statistics, dim=2)], dim=2))

    def judge(self, seen: Tensor) -> Tensor:
        """Judge masks by the (..., C) numbers that `forward` finds: (...) float32 logits of the expected IoU."""
        known = seen.to(self.hidden.weight.dtype)
        visible: Tensor = self.output(functional.relu(self.hidden(known)))[..., 0]
        empty: Tensor = self.empty(known[..., -EMPTY_INPUTS:])[..., 0]
        return torch.where(is_empty(seen), empty, visible).float()


def _maxima(masks: Tensor) -> Tensor:
    """(B, K, h, w) maxima within `RING`: of columns, then of rows, which takes half the time of squares."""
    tall = functional.max_pool2d(masks, (2 * RING + 1, 1), stride=1, padding=(RING, 0))
    return functional.max_pool2d(tall, (1, 2 * RING + 1), stride=1, padding=(0, RING))


def is_empty(seen: Tensor) -> Tensor:
    """(...) bool: whether the masks that these (..., C) numbers tell of are empty."""
    return seen[..., AREA_COLUMN] < math.log(EMPTY + SMALLEST)
