"""Building blocks shared by the modules of the network."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvNorm(nn.Module):
    """Dense 3x3 convolution with batch norm, which `fold` merges into the convolution for inference."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.conv(x))
        return result

    def fold(self) -> None:
        """Merge the batch norm's running statistics into the convolution; the output stays the same."""
        if not isinstance(self.norm, nn.BatchNorm2d):
            return
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        folded = nn.Conv2d(
            self.conv.in_channels,
            self.conv.out_channels,
            3,
            stride=(self.conv.stride[0], self.conv.stride[0]),
            padding=1,
            bias=True,
        )
        folded.weight.data = self.conv.weight.data * scale.data[:, None, None, None]
        assert folded.bias is not None
        folded.bias.data = (norm.bias - norm.running_mean * scale).data
        self.conv = folded
        self.norm = nn.Identity()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a skip connection (He et al., arXiv 1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.second = ConvNorm(width, width)
        assert isinstance(self.second.norm, nn.BatchNorm2d)
        nn.init.constant_(self.second.norm.weight, 0.25)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.first(x), inplace=True)
        return functional.relu(self.second(inner) + x, inplace=True)


LEAK = 0.1  # slope below zero where no norm keeps activations centred: a unit that is off still learns


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU, in place, for per-object maps: without a norm, plain ReLUs can switch a whole path off for good."""
    return functional.leaky_relu(x, LEAK, inplace=True)


class PlainResidual(nn.Module):
    """Residual block without norm for per-object maps: no statistics tie one object to another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return leaky(self.second(leaky(self.first(x))) + x)


def unit(x: Tensor, dim: int) -> Tensor:
    """L2-normalised along a dimension, of the same type, where autocast would go over to float32 too."""
    return functional.normalize(x, dim=dim).to(x.dtype)


def pool_twice(x: Tensor) -> Tensor:
    """Averages of 2x2 cells of a (B, C, h, w) map; of fewer at the border where a side is odd."""
    return functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def upsample_twice(x: Tensor) -> Tensor:
    """Bilinear upsampling of (B, C, h, w) to (B, C, 2h, 2w)."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def packed(x: Tensor) -> Tensor:
    """A (B, C, h, w) map, a part of one for instance, in channels-last memory of its own where it is not yet."""
    return x.contiguous(memory_format=torch.channels_last)


def to_tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) map to (B, h*w, C) tokens; free of copies for channels-last maps."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, h*w, C) tokens to a (B, C, h, w) map in channels-last memory format."""
    return tokens.view(-1, height, width, tokens.shape[2]).permute(0, 3, 1, 2)


def add_shared(per_object: Tensor, shared: Tensor, objects: int) -> Tensor:
    """Add a (B, C, h, w) map to (B*K, C, h, w) without repeating it in memory."""
    if objects == 1:
        return per_object + shared
    return (per_object.view(-1, objects, *shared.shape[1:]) + shared[:, None]).flatten(0, 1)
