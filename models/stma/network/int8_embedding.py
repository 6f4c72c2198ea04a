"""The embedding in 8 bits, and the convolutions that read its maps at strides 4 and 8."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.network.decoder import Decoder
from stma.network.embedding import Embedding, Features
from stma.network.int8 import STEPS, Int8Conv2d, dequantized, quantized
from stma.network.layers import ConvNorm, ResidualBlock, packed, unit, upsample_twice
from stma.network.memory_encoder import MemoryEncoder
from stma.network.moments import Moments


class _Residual(nn.Module):
    """`ResidualBlock` of uint8 maps; `moments` and `step` are those of what it gives."""

    def __init__(self, block: ResidualBlock, given: Moments, given_step: float) -> None:
        super().__init__()
        inner, total = Moments.after(block.first), given.plus(Moments.after(block.second))
        self.given_step, self.inner_step, self.step = given_step, inner.peak / STEPS, total.peak / STEPS
        self.moments = total.rectified()
        self.first = _converted(block.first, given_step)
        self.second = _converted(block.second, self.inner_step)

    def forward(self, x: Tensor) -> Tensor:
        """The map given is overwritten."""
        inner = self.first.rectified(x, self.inner_step)
        return self.second.rectified_sum(inner, x, self.given_step, self.step)


class _Stage(nn.Module):
    """A convolution with stride 2 and the residual blocks after it; `moments` and `step` as in these."""

    def __init__(self, down: ConvNorm, blocks: nn.Sequential, given_step: float) -> None:
        super().__init__()
        moments = Moments.after(down)
        self.down = _converted(down, given_step)
        self.down_step = self.step = moments.peak / STEPS
        self.moments = moments.rectified()
        self.blocks = nn.ModuleList()
        for block in blocks:
            assert isinstance(block, ResidualBlock)
            made = _Residual(block, self.moments, self.step)
            self.step, self.moments = made.step, made.moments
            self.blocks.append(made)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down.rectified(x, self.down_step)
        for block in self.blocks:
            x = block(x)
        return x


class Int8Embedding(nn.Module):
    """Does what an `Embedding` does, up to rounding. Its maps at strides 4 and 8 are uint8, in multiples of `step4` and
    `step8`."""

    def __init__(self, embedding: Embedding, dtype: torch.dtype) -> None:
        """Round the weights of an embedding whose batch norms are not folded yet; it is changed.

        Args:
            embedding: whose weights are copied.
            dtype: of the map at stride 16 and of the label keys.
        """
        super().__init__()
        self.step2 = Moments.after(embedding.stem).peak / STEPS
        self.stem = _stem(embedding)
        self.stage4 = _Stage(embedding.down4, embedding.stage4, self.step2)
        self.stage8 = _Stage(embedding.down8, embedding.stage8, self.stage4.step)
        self.stage16 = _Stage(embedding.down16, embedding.stage16, self.stage8.step)
        from_above = self.stage16.moments.through(embedding.top_down)
        self.step4 = self.stage4.step
        self.step8 = Moments.after(embedding.lateral8).plus(from_above).peak / STEPS
        self.lateral8 = _converted(embedding.lateral8, self.stage8.step, dtype)
        self.top_down = embedding.top_down.to(dtype)
        self.label_key = Int8Conv2d(embedding.label_key, self.step8, dtype=dtype)
        self.dtype = dtype

    def forward(self, pixels: Tensor) -> Features:
        """As `Embedding.forward`."""
        stride2 = self.stem.rectified(packed(pixels.to(torch.uint8)), self.step2)
        stride4 = self.stage4(stride2)
        stride8 = self.stage8(stride4)
        stride16 = dequantized(self.stage16(stride8), self.stage16.step, self.dtype)
        enriched = self.lateral8(stride8) + upsample_twice(self.top_down(stride16))
        stride8 = quantized(functional.relu(enriched, inplace=True), self.step8)
        return Features(stride4, stride8, stride16, unit(self.label_key(stride8), dim=1))


def _converted(layer: ConvNorm, step: float, dtype: torch.dtype = torch.float32) -> Int8Conv2d:
    layer.fold()
    return Int8Conv2d(layer.conv, step, dtype=dtype)


def _stem(embedding: Embedding) -> Int8Conv2d:
    """The first convolution, of pixels that nobody normalised: its weights do. What lies beyond the frame's
    border counts as a grey that is next to the mean colour."""
    embedding.stem.fold()
    stem = embedding.stem.conv
    assert stem.bias is not None
    mean, deviation = embedding.mean.flatten(), embedding.deviation.flatten()
    zero = round(float(mean.mean()))
    stem.weight.data /= deviation[:, None, None]
    stem.bias.data += (stem.weight.data * (zero - mean)[:, None, None]).sum((1, 2, 3))
    return Int8Conv2d(stem, 1.0, zero)


def convert(
    embedding: Embedding, decoder: Decoder, encoder: MemoryEncoder, dtype: torch.dtype
) -> Int8Embedding:
    """Put `Int8Conv2d` in place of what reads maps of the embedding, in place, and return the embedding in 8 bits."""
    made = Int8Embedding(embedding, dtype)
    for module, name, step in (
        (decoder, "shared4", made.step4),
        (decoder, "shared8", made.step8),
        (encoder, "frame8", made.step4),
        (encoder, "frame16", made.step8),
    ):
        setattr(module, name, Int8Conv2d(getattr(module, name), step, dtype=dtype))
    return made
