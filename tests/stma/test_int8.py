"""Convolutions and the embedding in 8 bits against those in fp32."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stma.benchmark import FrameLoop, count_gflop, warmed_up
from stma.config import MODEL_CONFIGS, SegmenterConfig
from stma.device import has_fast_int8, resolve_precision
from stma.errors import SettingsError
from stma.metrics import region_similarity
from stma.network.int8 import STEPS, Int8Conv2d, dequantized, quantized, weight_steps, works
from stma.network.layers import ConvNorm, packed
from stma.network.model import STMA
from stma.network.moments import Moments
from stma.processor import has_fast_bf16
from stma.segmenter import Segmenter
from stma.synthetic import SyntheticScene
from stma.weights import load_model

CPU = torch.device("cpu")
CONFIG = SegmenterConfig(size=None, device="cpu", precision="int8")
needs_int8 = pytest.mark.skipif(not has_fast_int8(), reason="this CPU has no fast 8-bit products")


def drawn(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(inputs + outputs)
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)


def deviation(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def test_rounding_a_map_keeps_it_within_half_a_step_up_to_its_peak() -> None:
    values = torch.linspace(0, 10, 1000)
    back = dequantized(quantized(values, 8 / STEPS), 8 / STEPS, torch.float32)
    torch.testing.assert_close(back, values.clamp(max=8), rtol=0, atol=0.501 * 8 / STEPS)


@needs_int8
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_convolution_of_rounded_maps_is_near_the_exact_one(stride: int, bias: bool) -> None:
    conv, step = drawn(16, 24, stride, bias), 3 / STEPS
    maps = quantized(3 * torch.rand(2, 16, 13, 10), step)
    found = Int8Conv2d(conv, step)(maps)
    expected = conv(dequantized(maps, step, torch.float32))
    assert found.shape == expected.shape
    assert deviation(found, expected) < 0.01


@needs_int8
def test_operations_that_are_missing_or_wrong_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_before = torch.random.get_rng_state()
    works.cache_clear()
    assert works()
    assert torch.equal(torch.random.get_rng_state(), drawn_before)
    monkeypatch.setattr(Int8Conv2d, "rectified_sum", lambda self, x, other, *steps: other)
    works.cache_clear()
    assert not works()
    monkeypatch.setattr(
        Int8Conv2d, "rectified_sum", lambda self, x, other, *steps: torch.ops.onednn.absent(x)
    )
    works.cache_clear()
    assert not works()
    works.cache_clear()


@needs_int8
@torch.inference_mode()
def test_the_largest_sums_are_exact() -> None:
    conv, maps = drawn(64, 8, bias=False), torch.full((1, 64, 5, 5), STEPS, dtype=torch.uint8)
    conv.weight.fill_(1.0)
    found = Int8Conv2d(conv, 1.0)(maps)
    torch.testing.assert_close(found, conv(maps.float()), rtol=1e-5, atol=0)


@needs_int8
@torch.inference_mode()
def test_beyond_the_border_lies_what_a_map_counts_from() -> None:
    conv, maps = drawn(3, 8), torch.full((1, 3, 6, 6), 100, dtype=torch.uint8)
    found = Int8Conv2d(conv, 0.5, zero=60)(maps)
    assert deviation(found, conv(torch.full((1, 3, 6, 6), 20.0))) < 0.01


@needs_int8
@torch.inference_mode()
def test_sums_of_maps_are_rectified_in_place() -> None:
    conv, step, other_step, result_step = drawn(8, 8), 0.01, 0.02, 0.03
    maps, other = (packed(torch.randint(0, 256, (1, 8, 9, 7), dtype=torch.uint8)) for _ in range(2))
    expected = conv(dequantized(maps, step, torch.float32)) + dequantized(other, other_step, torch.float32)
    found = Int8Conv2d(conv, step).rectified_sum(maps, other, other_step, result_step)
    assert found is other
    assert deviation(dequantized(found, result_step, torch.float32), functional.relu(expected)) < 0.02


@needs_int8
@torch.inference_mode()
def test_restored_weights_are_those_that_count() -> None:
    conv, other = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
    maps = packed(torch.randint(0, 256, (1, 8, 9, 7), dtype=torch.uint8))
    found, expected = Int8Conv2d(conv, 0.01), Int8Conv2d(other, 0.01)
    found(maps)
    found.load_state_dict(expected.state_dict())
    torch.testing.assert_close(found(maps), expected(maps))


@torch.no_grad()
def test_moments_are_those_of_the_maps() -> None:
    torch.manual_seed(0)
    layer = ConvNorm(4, 3)
    assert isinstance(layer.norm, nn.BatchNorm2d)
    layer.norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
    layer.norm.bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    maps = layer.train()(torch.randn(8, 4, 60, 60))
    after = Moments.after(layer)
    project = nn.Conv2d(3, 2, 1)
    for moments, found in (
        (after, maps),
        (after.rectified(), maps.relu()),
        (after.plus(after), maps + maps[torch.arange(8) - 1]),
        (after.through(project), project(maps)),
    ):
        torch.testing.assert_close(moments.mean, found.mean((0, 2, 3)), rtol=0.03, atol=0.03)
        torch.testing.assert_close(moments.deviation, found.std((0, 2, 3)), rtol=0.15, atol=0.03)
    assert after.peak > float(maps.max())


@needs_int8
@torch.inference_mode()
def test_the_shipped_embedding_hardly_changes() -> None:
    plain = load_model("small").model
    ready = load_model("small").model
    ready.prepare(CPU, resolve_precision("int8", CPU))
    pixels = torch.from_numpy(SyntheticScene(96, 160, 2).frame(0)[0]).permute(2, 0, 1)[None]
    expected, found = plain.embed(pixels), ready.embed(pixels)
    assert found.stride4.dtype == found.stride8.dtype == torch.uint8
    assert deviation(found.stride16, expected.stride16) < 0.05
    for part, name, here, there in (
        ("decoder", "shared4", expected.stride4, found.stride4),
        ("decoder", "shared8", expected.stride8, found.stride8),
        ("memory_encoder", "frame8", expected.stride4, found.stride4),
        ("memory_encoder", "frame16", expected.stride8, found.stride8),
    ):
        exact, rounded = (model.get_submodule(f"{part}.{name}") for model in (plain, ready))
        assert deviation(rounded(there), exact(here)) < 0.1, name
    similarity = functional.cosine_similarity(found.label_key.float(), expected.label_key)
    assert float(similarity.min()) > 0.99


@needs_int8
def test_objects_are_followed_as_in_fp32() -> None:
    scene, loaded = SyntheticScene(96, 160, 2), load_model("small")
    runs = [Segmenter(loaded.model, replace(CONFIG, precision=name)) for name in ("int8", "fp32")]
    for index in range(8):
        frame, labels = scene.frame(index)
        eighth, exact = (run.step(frame, labels if index == 0 else None).labels for run in runs)
        for number in (1, 2):
            assert region_similarity(eighth == number, exact == number) > 0.97


@needs_int8
def test_arithmetic_in_8_bits_is_counted_as_in_bf16() -> None:
    torch.manual_seed(0)
    model, counted = STMA(MODEL_CONFIGS["tiny"]).eval(), []
    for precision in ("int8", "bf16"):
        loop = FrameLoop(48, 64, 2)
        segmenter = warmed_up(model, replace(CONFIG, precision=precision, focus=False), loop)
        counted.append(count_gflop(segmenter, loop.take(5)))
    assert counted[0] == pytest.approx(counted[1])


@needs_int8
def test_rounded_weights_are_saved_and_restored() -> None:
    torch.manual_seed(3)
    model = STMA(MODEL_CONFIGS["tiny"]).eval()
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))  # a new decoder does nothing yet
    made = SyntheticScene(64, 96, 2)
    scene = [made.frame(index) for index in range(6)]
    whole, resumed = (Segmenter(model, replace(CONFIG, adapt=2)) for _ in range(2))
    whole.step(*scene[0])
    resumed.load_state_dict(whole.state_dict())
    for frame, _ in scene[1:]:
        assert np.array_equal(whole.step(frame).labels, resumed.step(frame).labels)


@needs_int8
def test_a_model_that_has_run_can_be_taken_over() -> None:
    scene = SyntheticScene(96, 160, 1)
    first = Segmenter(load_model("small").model, CONFIG)
    expected = [first.step(*scene.frame(0)).soft, first.step(scene.frame(1)[0]).soft]
    second = Segmenter(first.model, CONFIG)
    found = [second.step(*scene.frame(0)).soft, second.step(scene.frame(1)[0]).soft]
    np.testing.assert_array_equal(found, expected)


@needs_int8
@pytest.mark.parametrize("asked", ["stma.device.has_fast_bf16", "stma.network.int8.weight_steps"])
def test_a_state_is_not_taken_to_another_arithmetic(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, labels = SyntheticScene(96, 160, 1).frame(0)
    model = load_model("small").model
    taken = Segmenter(model, CONFIG)
    taken.step(frame, labels)
    state = taken.state_dict()
    other = not has_fast_bf16() if asked.endswith("bf16") else 191 - weight_steps()  # 64 or 127
    monkeypatch.setattr(asked, lambda: other)
    elsewhere = Segmenter(model, CONFIG)
    with pytest.raises(SettingsError, match=r"precision int8 .*, not int8 .*; use it .* of the same kind$"):
        elsewhere.load_state_dict(state)
    assert elsewhere.bank.empty
