"""3x3 convolutions in 8 bits, for inference on a CPU.

One that sums up products of 8-bit numbers in one instruction (VNNI) makes twice as many of them in a second as in bf16
and eight times as many as in fp32; one with AVX2 alone twice as many as in fp32. Weights are rounded for each output
channel by itself, maps behind a ReLU to 256 steps from 0 up; sums are exact.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.network.layers import packed
from stma.processor import has_dot_products

STEPS = 255  # of a map, from 0 to its peak
WEIGHT_STEPS = 127  # on each side of 0
PAIRED_STEPS = 64  # the same where two products are added up in 16 bits, which hold 2 x 255 x 64
TOLERANCE = 0.02  # of the deviation: rounding changes a convolution of noise by 0.004


class Int8Conv2d(nn.Module):
    """A 3x3 convolution of uint8 maps; a number n of theirs stands for (n - `zero`) * `step`."""

    def __init__(
        self, conv: nn.Conv2d, step: float, zero: int = 0, dtype: torch.dtype = torch.float32
    ) -> None:
        """Round the weights of a convolution.

        Args:
            conv: 3x3, with one row and column of zeros around its maps; its weights are copied.
            step, zero: of the maps that it will be given.
            dtype: of what it gives where that is not rounded.
        """
        super().__init__()
        weight = conv.weight.detach().float()
        scale = weight.abs().amax((1, 2, 3)).clamp(min=1e-12) / weight_steps()  # (D,)
        bias = torch.zeros_like(scale) if conv.bias is None else conv.bias.detach().float()
        self.register_buffer("weight", (weight / scale[:, None, None, None]).round().to(torch.int8))
        self.register_buffer("weight_zero", torch.zeros_like(scale, dtype=torch.int64))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)
        self.weight: Tensor
        self.weight_zero: Tensor
        self.scale: Tensor
        self.bias: Tensor
        self.step, self.zero, self.dtype = step, zero, dtype
        self._geometry = (list(conv.stride), [1, 1], [1, 1])  # strides, zeros around the map, dilation
        self._reordered: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) uint8 map to a (B, D, h, w) map, channels-last both."""
        return self._convolved(x, 1.0, self.dtype, "none")

    def rectified(self, x: Tensor, step: float) -> Tensor:
        """The same behind a ReLU, uint8 in multiples of `step`."""
        return self._convolved(x, step, torch.uint8, "relu")

    def rectified_sum(self, x: Tensor, other: Tensor, other_step: float, step: float) -> Tensor:
        """As `rectified`, of the sum with another uint8 map, channels-last too, which is overwritten with it."""
        result = (step, 0, torch.uint8)
        total: tuple[Any, ...] = (other_step, 0, "sum", 1.0, "relu", [], None)
        torch.ops.onednn.qconv2d_pointwise.binary(
            *self._operands(x), other, self.bias, *self._geometry, 1, *result, *total
        )
        return other

    def _convolved(self, x: Tensor, step: float, dtype: torch.dtype, then: str) -> Tensor:
        result: Tensor = torch.ops.onednn.qconv_pointwise(
            *self._operands(x), self.bias, *self._geometry, 1, step, 0, dtype, then, [], ""
        )
        return result

    def _operands(self, x: Tensor) -> tuple[Any, ...]:
        if self._reordered is None:
            self._reordered = torch.ops.onednn.qconv_prepack(
                self.weight, self.scale, self.step, self.zero, *self._geometry, 1
            )
        return x, self.step, self.zero, self._reordered, self.scale, self.weight_zero

    def _apply(self, *arguments: object, **named: object) -> "Int8Conv2d":
        """Nothing: another type would round its factors, and no other device has its operations."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without what cannot be copied and is made anew when it is used."""
        return {**self.__dict__, "_reordered": None}

    def _load_from_state_dict(self, *arguments: object) -> None:
        super()._load_from_state_dict(*arguments)
        self._reordered = None


@cache
def weight_steps() -> int:
    """Steps of a weight on each side of 0, as many as sums on this CPU leave room for."""
    return WEIGHT_STEPS if has_dot_products() else PAIRED_STEPS


def quantized(x: Tensor, step: float) -> Tensor:
    """A map above 0 as uint8, in multiples of `step`."""
    return (x / step).round_().clamp_(max=STEPS).to(torch.uint8)


def dequantized(x: Tensor, step: float, dtype: torch.dtype) -> Tensor:
    """What `quantized` was given, of this type."""
    return x.to(dtype).mul_(step)


@cache
def works() -> bool:
    """Whether the operations are there and right: torch has them for its compiler alone, and may change them."""
    with torch.random.fork_rng(devices=[]):  # whoever trains draws from it
        conv = nn.Conv2d(16, 16, 3, padding=1)
        numbers = torch.randint(0, STEPS, (2, 16, 8, 8), dtype=torch.uint8)
    maps, other = (packed(one) for one in numbers.split(1))
    expected = conv(maps.float()) + other
    step = float(expected.detach().amax()) / STEPS
    try:
        eighths = Int8Conv2d(conv, 1.0)
        found = (
            eighths(maps) + other,
            dequantized(eighths.rectified_sum(maps, other, 1.0, step), step, torch.float32),
        )
    except (AttributeError, RuntimeError, TypeError):
        return False
    return all(
        functional.mse_loss(one, wanted) < TOLERANCE**2 * wanted.square().mean()
        for one, wanted in zip(found, (expected, expected.relu()), strict=True)
    )
