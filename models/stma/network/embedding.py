"""Shared embedding: one convolutional pyramid for test and reference frames."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import ModelConfig
from stma.network.layers import ConvNorm, ResidualBlock, unit, upsample_twice

RGB_MEAN = (123.675, 116.28, 103.53)  # of ImageNet's photographs, of 0 to 255
RGB_DEVIATION = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Features:
    """What the embedding makes of B frames of H x W pixels; channels-last maps.

    Attributes:
        stride4: (B, widths[0], H/4, W/4); this one and the next are uint8 from an `Int8Embedding`.
        stride8: (B, widths[1], H/8, W/8), enriched with the stride-16 map.
        stride16: (B, widths[2], H/16, W/16).
        label_key: (B, key_width, H/8, W/8), L2-normalised over channels: keys of the label propagation.
    """

    stride4: Tensor
    stride8: Tensor
    stride16: Tensor
    label_key: Tensor

    def frames(self, first: int, last: int) -> "Features":
        """Features of the frames `first` up to `last` (exclusive) of the batch."""
        part = slice(first, last)
        return Features(self.stride4[part], self.stride8[part], self.stride16[part], self.label_key[part])


class Embedding(nn.Module):
    """Convolutional pyramid at strides 4, 8 and 16 with one top-down step to stride 8."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width4, width8, width16 = config.widths
        self.stem = ConvNorm(3, config.stem_width, stride=2)
        self.down4 = ConvNorm(config.stem_width, width4, stride=2)
        self.stage4 = nn.Sequential(*(ResidualBlock(width4) for _ in range(config.blocks[0])))
        self.down8 = ConvNorm(width4, width8, stride=2)
        self.stage8 = nn.Sequential(*(ResidualBlock(width8) for _ in range(config.blocks[1])))
        self.down16 = ConvNorm(width8, width16, stride=2)
        self.stage16 = nn.Sequential(*(ResidualBlock(width16) for _ in range(config.blocks[2])))
        self.lateral8 = ConvNorm(width8, width8)
        self.top_down = nn.Conv2d(width16, width8, 1)
        self.label_key = nn.Conv2d(width8, config.key_width, 3, padding=1)
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(RGB_DEVIATION).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.deviation: Tensor

    def forward(self, pixels: Tensor) -> Features:
        """Embed frames.

        Args:
            pixels: (B, 3, H, W) uint8, or the same as float, RGB of 0 to 255, H and W multiples of 16.
        """
        x = functional.relu(self.stem(self._normalised(pixels)), inplace=True)
        stride4 = self.stage4(functional.relu(self.down4(x), inplace=True))
        stride8 = self.stage8(functional.relu(self.down8(stride4), inplace=True))
        stride16 = self.stage16(functional.relu(self.down16(stride8), inplace=True))
        stride8 = functional.relu(
            self.lateral8(stride8) + upsample_twice(self.top_down(stride16)), inplace=True
        )
        return Features(stride4, stride8, stride16, unit(self.label_key(stride8), dim=1))

    def _normalised(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) pixels by mean and deviation of their colours, channels last."""
        # By rows of pixels: broadcast along three channels it would be done three numbers at a time.
        rows = pixels.permute(0, 2, 3, 1).flatten(2).to(self.mean.dtype)  # (B, H, 3W)
        mean, deviation = (values.flatten().repeat(pixels.shape[3]) for values in (self.mean, self.deviation))
        normalised: Tensor = ((rows - mean) / deviation).unflatten(2, (-1, 3))  # (B, H, W, 3)
        return normalised.permute(0, 3, 1, 2)
