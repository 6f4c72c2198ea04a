"""Which precision is taken, and which are refused."""

from pathlib import Path

import pytest
import torch

from stma import processor
from stma.device import Precision, learning_autocast, resolve_device, resolve_precision
from stma.errors import DeviceError, SettingsError
from stma.network import int8

CPU = torch.device("cpu")
FP32, BF16 = Precision("fp32", torch.float32), Precision("bf16", torch.bfloat16)


def describe(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "CPU_DESCRIPTION", folder / "cpuinfo")


@pytest.mark.parametrize(
    ("described", "precision"),
    [
        ("vendor_id : GenuineIntel\nflags : avx512_bf16 amx_bf16 amx_tile", BF16),
        ("vendor_id : GenuineIntel\nflags : avx512_bf16", FP32),
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", BF16),
        ("vendor_id : AuthenticAMD\nflags : sse4_2", FP32),
        ("vendor_id : AuthenticAMD\nflags : avx2", Precision("int8", torch.float32)),
        ("vendor_id : GenuineIntel\nflags : avx2 avx512f", FP32),
        ("vendor_id : AuthenticAMD\nflags : avx512_bf16 avx512_vnni", Precision("int8", torch.bfloat16)),
        ("vendor_id : GenuineIntel\nflags : avx2 avx_vnni", Precision("int8", torch.float32)),
    ],
)
def test_auto_takes_the_shortest_format_that_the_cpu_multiplies_faster(
    described: str, precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(described, tmp_path, monkeypatch)
    monkeypatch.setattr(int8, "works", lambda: True)  # it is this machine's CPU that would be asked
    assert resolve_precision("auto", CPU) == precision


@pytest.mark.parametrize(
    ("told", "precision"),
    [
        ({"cpu_name": "AMD Ryzen 9 7950X", "avx512_bf16": True, "l2_cache_size": 1 << 20}, BF16),
        (
            {"cpu_name": "Intel Core i7-8700", "avx2": True, "avx512_f": False},
            Precision("int8", torch.float32),
        ),
        ({"cpu_name": "Intel Core i9-7900X", "avx2": True, "avx512_f": True}, FP32),
        ({"cpu_name": "Apple M3"}, FP32),
    ],
)
def test_torch_is_asked_where_the_system_does_not_describe_its_cpu(
    told: dict[str, object], precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "CPU_DESCRIPTION", tmp_path / "absent")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    monkeypatch.setattr(int8, "works", lambda: True)
    assert resolve_precision("auto", CPU) == precision


@pytest.mark.parametrize(
    ("capability", "rocm", "precision"),
    [
        ((7, 5), None, Precision("fp16", torch.float16)),
        ((8, 0), None, BF16),
        ((9, 0), None, BF16),
        ((7, 5), "6.2", BF16),
    ],
)
def test_auto_takes_bf16_on_a_card_that_computes_it_itself(
    capability: tuple[int, int], rocm: str | None, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = torch.device("cuda:1")
    cards = {second: capability}
    monkeypatch.setattr(torch.cuda, "get_device_capability", cards.__getitem__)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)  # so of any card: it counts emulation
    monkeypatch.setattr(torch.version, "hip", rocm)
    assert resolve_precision("auto", second) == precision


def test_nothing_learns_in_fp16() -> None:
    for dtype, computed in ((torch.float16, torch.float32), (torch.bfloat16, torch.bfloat16)):
        with learning_autocast(CPU, dtype):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == computed


def test_auto_takes_fp32_where_nobody_describes_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "CPU_DESCRIPTION", tmp_path / "absent")
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolve_precision("auto", CPU) == FP32


@pytest.mark.skipif(not processor.CPU_DESCRIPTION.exists(), reason="this system does not describe its CPU")
@pytest.mark.skipif(
    not hasattr(torch.cpu, "get_capabilities"), reason="this PyTorch does not describe the CPU"
)
def test_torch_and_the_system_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (processor.has_fast_bf16, processor.has_dot_products, processor.has_int8_products)
    by_system = [question() for question in asked]
    monkeypatch.setattr(processor, "CPU_DESCRIPTION", tmp_path / "absent")
    assert [question() for question in asked] == by_system


def test_int8_is_refused_where_it_is_slow_or_has_no_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe("flags : avx2 avx512f", tmp_path, monkeypatch)
    with pytest.raises(DeviceError, match="use precision auto"):
        resolve_precision("int8", CPU)
    with pytest.raises(SettingsError, match="not for cuda"):
        resolve_precision("int8", torch.device("cuda"))


def test_unknown_names_and_fp16_on_a_cpu_are_refused() -> None:
    with pytest.raises(SettingsError, match="use auto, fp32, bf16, fp16 or int8"):
        resolve_precision("int4", CPU)
    with pytest.raises(SettingsError, match="not computed natively"):
        resolve_precision("fp16", CPU)


def test_without_cuda_the_error_says_where_torch_with_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"https://pytorch\.org/get-started/locally/.*use the device cpu"):
        resolve_device("cuda")
