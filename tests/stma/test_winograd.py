"""Winograd convolutions against the direct ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from stma.config import MODEL_CONFIGS, ModelConfig
from stma.device import resolve_precision
from stma.estimate import transformed_numbers
from stma.network.model import STMA
from stma.network.winograd import WinogradConv2d, suits

CPU = torch.device("cpu")


def drawn(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(inputs + outputs)
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 4), (6, 9), (30, 53), (61, 8)])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_same_as_the_direct_convolution_at_any_size(size: tuple[int, int], bias: bool) -> None:
    conv = drawn(7, 5, bias)
    frames = torch.randn(2, 7, *size).contiguous(memory_format=torch.channels_last)
    found = WinogradConv2d(conv)(frames)
    torch.testing.assert_close(found, conv(frames), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_blocks_of_rows_join_without_a_seam() -> None:
    conv = drawn(256, 64)
    frames = torch.randn(1, 256, 130, 90).contiguous(memory_format=torch.channels_last)  # several blocks
    found = WinogradConv2d(conv)(frames)
    torch.testing.assert_close(found, conv(frames), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_layout_of_the_input_does_not_matter() -> None:
    conv = drawn(8, 8)
    frames = torch.randn(1, 8, 10, 12)
    channels_last = frames.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(WinogradConv2d(conv)(frames), WinogradConv2d(conv)(channels_last))


@pytest.mark.parametrize(
    ("conv", "expected"),
    [
        (nn.Conv2d(128, 64, 3, padding=1), True),
        (nn.Conv2d(64, 64, 3, padding=1), False),
        (nn.Conv2d(128, 128, 1), False),
        (nn.Conv2d(128, 128, 3, stride=2, padding=1), False),
        (nn.Conv2d(128, 128, 3), False),
        (nn.Conv2d(256, 256, 3, padding=1, groups=2), False),
        (nn.Conv2d(128, 128, 3, padding=2, dilation=2), False),
        (nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"), False),
    ],
)
def test_only_large_dense_convolutions_suit(conv: nn.Conv2d, expected: bool) -> None:
    assert suits(conv) is expected


@pytest.mark.parametrize(
    "config", [*MODEL_CONFIGS.values(), ModelConfig(widths=(96, 128, 192), blocks=(2, 1, 3), value_width=96)]
)
def test_estimate_knows_how_much_the_weights_grow(config: ModelConfig) -> None:
    def numbers(precision: str) -> int:
        model = STMA(config)
        model.prepare(CPU, resolve_precision(precision, CPU))
        tables = 36 * 36 + 16 * 36
        transformed = [m for m in model.modules() if isinstance(m, WinogradConv2d)]
        every = sum(t.numel() for t in (*model.parameters(), *model.buffers()))
        return every - tables * len(transformed)

    assert numbers("fp32") - numbers("bf16") == transformed_numbers(config)


@torch.no_grad()
def test_the_embedding_of_the_network_hardly_changes() -> None:
    torch.manual_seed(0)
    frames = 255 * torch.rand(1, 3, 64, 96)
    plain, ready = STMA(MODEL_CONFIGS["small"]).eval(), STMA(MODEL_CONFIGS["small"]).eval()
    ready.load_state_dict(plain.state_dict())
    ready.prepare(CPU, resolve_precision("fp32", CPU))
    assert any(isinstance(module, WinogradConv2d) for module in ready.modules())
    similarity = functional.cosine_similarity(plain.embed(frames).label_key, ready.embed(frames).label_key)
    assert float(similarity.min()) > 0.9999
