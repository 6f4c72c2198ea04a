"""3x3 convolutions with fewer multiplications, for fp32 on a CPU: Winograd's F(4x4, 3x3).

After A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308. A tile of 4x4 outputs
takes 36 products per pair of channels and not 144; the transforms around them are matrix products as well, of 36x36
and 16x36 numbers, and cost what the products save where channels are few. Only for fp32: in 16 bits they lose digits.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import WINOGRAD_PRODUCTS

INPUT_TRANSFORM = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
WEIGHT_TRANSFORM = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
OUTPUT_TRANSFORM = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)
TILE, PATCH = 4, 6  # sides of a tile of outputs and of the inputs that it needs
BLOCK = 1 << 20  # numbers of a block of transformed inputs: it is read again before it leaves the cache


class WinogradConv2d(nn.Module):
    """Does what a dense 3x3 convolution with stride 1 and padding 1 does, up to rounding; for inference only."""

    def __init__(self, conv: nn.Conv2d) -> None:
        """Take over a convolution that `suits`; its weights are copied."""
        super().__init__()
        weight = conv.weight.detach().double()  # (D, C, 3, 3)
        sides = torch.tensor(WEIGHT_TRANSFORM, dtype=torch.float64, device=weight.device)
        products = torch.einsum("ai,dcij,bj->abcd", sides, weight, sides).flatten(0, 1)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().float()
        into = torch.tensor(INPUT_TRANSFORM, dtype=torch.float64, device=weight.device)
        out = torch.tensor(OUTPUT_TRANSFORM, dtype=torch.float64, device=weight.device)
        self.register_buffer("weight", products.float().contiguous())  # (36, C, D)
        self.register_buffer("bias", bias)  # (D,)
        self.register_buffer("into", torch.kron(into, into).float(), persistent=False)  # (36, 36)
        self.register_buffer("out", torch.kron(out, out).float(), persistent=False)  # (16, 36)
        self.weight: Tensor
        self.bias: Tensor
        self.into: Tensor
        self.out: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) float32 map to (B, D, h, w), both channels-last."""
        batch, channels, height, width = x.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        below, right = rows * TILE - height + 1, columns * TILE - width + 1
        padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, right, 1, below))
        result = x.new_empty((batch, rows * TILE, columns * TILE, self.weight.shape[2]))
        at_once = max(1, BLOCK // (PATCH * PATCH * columns * channels))
        for clip in range(batch):
            for top in range(0, rows, at_once):
                count = min(at_once, rows - top)
                part = padded[clip, top * TILE : (top + count) * TILE + 2]
                target = result[clip, top * TILE : (top + count) * TILE]
                self._rows(part, target, count, columns)
        return result[:, :height, :width].permute(0, 3, 1, 2)

    def _rows(self, part: Tensor, target: Tensor, rows: int, columns: int) -> None:
        """Some rows of tiles: (4 rows + 2, w, C) padded inputs to (4 rows, 4 columns, D) outputs."""
        patches = part.unfold(0, PATCH, TILE).unfold(1, PATCH, TILE)  # (rows, columns, C, 6, 6)
        patches = patches.permute(3, 4, 0, 1, 2).reshape(PATCH * PATCH, -1)  # (36, rows * columns * C)
        inputs = torch.mm(self.into, patches).view(PATCH * PATCH, rows * columns, -1)  # (36, tiles, C)
        products = torch.bmm(inputs, self.weight)  # (36, tiles, D)
        outputs = torch.mm(self.out, products.flatten(1)).view(TILE, TILE, rows, columns, -1)
        outputs += self.bias
        target.view(rows, TILE, columns, TILE, -1).copy_(outputs.permute(2, 0, 3, 1, 4))


def suits(conv: nn.Conv2d) -> bool:
    """Whether `WinogradConv2d` may take over a convolution and is the faster way."""
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == (1, 1)
        and conv.padding == (1, 1)
        and conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and conv.in_channels * conv.out_channels >= WINOGRAD_PRODUCTS
    )


def convert(model: nn.Module) -> None:
    """Put `WinogradConv2d` in place of each convolution that it suits, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and suits(child):
                setattr(module, name, WinogradConv2d(child))
