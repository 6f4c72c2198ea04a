"""The memory estimate against what a segmenter holds."""

import numpy as np
import pytest
import torch

from stma.config import MODEL_CONFIGS, MemoryConfig, SegmenterConfig
from stma.estimate import ClipShape, Machine, estimate_memory
from stma.network.entries import MemoryEntry
from stma.network.model import STMA
from stma.segmenter import Segmenter

HEIGHT, WIDTH = 48, 64
TINY = MODEL_CONFIGS["tiny"]
FP32, GPU = Machine(torch.float32), Machine(torch.bfloat16, device="cuda")


def bank_after(
    memory: MemoryConfig, objects: int, chunk: int, precision: str, frames: int = 38
) -> list[MemoryEntry]:
    torch.manual_seed(0)
    config = SegmenterConfig(size=None, chunk=chunk, device="cpu", precision=precision, memory=memory)
    segmenter = Segmenter(STMA(TINY), config)
    generator = np.random.default_rng(0)
    clip = generator.integers(0, 255, (frames, HEIGHT, WIDTH, 3), dtype=np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for place in range(objects):
        mask[10:30, 4 + 16 * place : 16 + 16 * place] = place + 1
    for start in range(0, frames, chunk):
        segmenter.steps(list(clip[start : start + chunk]), {0: mask} if start == 0 else {})
    bank = segmenter.bank
    return [stored.entry for stored in (*bank.entries, *([bank.previous] if bank.previous else []))]


@pytest.mark.parametrize(
    ("memory", "objects", "chunk", "precision"),
    [
        (MemoryConfig(), 1, 1, "fp32"),
        (MemoryConfig(), 3, 4, "fp32"),
        (MemoryConfig(interval=2, capacity=3), 2, 8, "bf16"),
        (MemoryConfig(capacity=2, previous_frame=False), 3, 3, "fp32"),
    ],
)
def test_bank_after_many_frames(memory: MemoryConfig, objects: int, chunk: int, precision: str) -> None:
    entries = bank_after(memory, objects, chunk, precision)
    tensors = [tensor for entry in entries for tensor in vars(entry).values()]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    config = SegmenterConfig(chunk=chunk, memory=memory)
    estimate = estimate_memory(TINY, config, ClipShape((HEIGHT, WIDTH), objects), Machine(dtype))
    if memory.previous_frame and len(entries) < memory.capacity + 2:
        pytest.fail("the run has to end between two writes, with a previous frame")
    assert estimate.entries == sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    assert sum(storages.values()) <= estimate.bank


def test_length_is_no_matter_and_everything_else_is() -> None:
    def total(
        height: int = 64, objects: int = 1, chunk: int = 1, dtype: torch.dtype = torch.float32, masks: int = 1
    ) -> int:
        clip = ClipShape((height, 64), objects, masks)
        return estimate_memory(TINY, SegmenterConfig(chunk=chunk, focus=False), clip, Machine(dtype)).total

    assert total(dtype=torch.bfloat16) < total()
    for larger in (total(height=128), total(objects=3), total(chunk=4), total(masks=2)):
        assert larger > total()


@pytest.mark.parametrize(
    ("height", "width", "objects", "chunk", "measured"),
    [
        (480, 848, 1, 1, 204),  # MB that torch's allocator gave out at most on an H100 in bf16
        (480, 848, 10, 1, 242),
        (480, 848, 3, 4, 237),
        (480, 848, 10, 16, 448),
        (1072, 1920, 3, 4, 615),
    ],
)
def test_a_gpu_holds_what_was_measured(
    height: int, width: int, objects: int, chunk: int, measured: int
) -> None:
    config, clip = SegmenterConfig(chunk=chunk, graphs=False), ClipShape((height, width), objects)
    estimate = estimate_memory(MODEL_CONFIGS["small"], config, clip, GPU)
    assert estimate.device / 1e6 == pytest.approx(measured, rel=0.12)


@pytest.mark.parametrize(("objects", "counted"), [(1, 118), (5, 167), (10, 249), (20, 413)])
def test_labels_on_a_gpu_grow_with_the_objects(objects: int, counted: int) -> None:
    """`counted`: MiB of the tensors of `guided_labels_on_device` for a frame of 1920x1080, by their shapes."""
    clip = ClipShape((480, 848), objects, frame_size=(1080, 1920))
    estimate = estimate_memory(MODEL_CONFIGS["small"], SegmenterConfig(graphs=False), clip, GPU)
    assert estimate.activations > counted * (1 << 20)


@pytest.mark.parametrize(
    ("objects", "dtype", "int8", "measured"),
    [
        (1, torch.bfloat16, True, 587),  # MiB at most of a process on two cores, Zen 5 in bf16, Zen 3 in fp32
        (3, torch.bfloat16, True, 558),
        (10, torch.bfloat16, True, 629),
        (1, torch.float32, True, 553),
        (3, torch.float32, True, 556),
        (10, torch.float32, True, 696),
        (1, torch.float32, False, 621),
    ],
)
def test_a_cpu_that_looks_at_parts_needs_what_was_measured(
    objects: int, dtype: torch.dtype, int8: bool, measured: int
) -> None:
    clip, machine = ClipShape((480, 848), objects), Machine(dtype, int8)
    estimate = estimate_memory(MODEL_CONFIGS["small"], SegmenterConfig(), clip, machine)
    assert estimate.total / (1 << 20) == pytest.approx(measured, rel=0.2)


def test_recorded_steps_need_memory_of_the_device_alone() -> None:
    called, recorded = (
        estimate_memory(TINY, SegmenterConfig(graphs=graphs), ClipShape((480, 848), 3), GPU)
        for graphs in (False, True)
    )
    assert recorded.device - called.device == recorded.graphs > 4 * called.entries
    assert (called.graphs, called.process) == (0, recorded.process)


@pytest.mark.parametrize(
    ("objects", "dtype", "measured"),
    [
        (1, torch.bfloat16, 863),
        (10, torch.bfloat16, 1316),
        (1, torch.float32, 1071),
        (3, torch.float32, 1196),
    ],
)
def test_learning_needs_what_was_measured(objects: int, dtype: torch.dtype, measured: int) -> None:
    config = SegmenterConfig(adapt=3)  # MB of a process on a CPU of one thread
    estimate = estimate_memory(MODEL_CONFIGS["small"], config, ClipShape((480, 848), objects), Machine(dtype))
    assert estimate.total / 1e6 == pytest.approx(measured, rel=0.1)


def test_weights_are_those_of_the_segmenter() -> None:
    segmenter = Segmenter(STMA(TINY), SegmenterConfig(device="cpu", precision="fp32"))
    model = segmenter.model
    held = sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))
    estimate = estimate_memory(TINY, SegmenterConfig(), ClipShape((48, 64), 1), FP32)
    assert estimate.weights == held


def test_a_large_video_costs_label_maps() -> None:
    small, large = (
        estimate_memory(TINY, SegmenterConfig(chunk=1), ClipShape((48, 64), 3, frame_size=size), FP32)
        for size in (None, (2160, 3840))
    )
    assert large.bank == small.bank
    assert large.activations > 2160 * 3840 * 8
    assert large.frames == 2160 * 3840 * 4
