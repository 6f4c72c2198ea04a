"""Which precision `auto` takes."""

from pathlib import Path

import pytest
import torch

from stma import device
from stma.device import resolve_precision


@pytest.mark.parametrize(
    ("described", "precision"),
    [
        ("vendor_id : GenuineIntel\nflags : avx512_bf16 amx_bf16 amx_tile", torch.bfloat16),
        ("vendor_id : GenuineIntel\nflags : avx512_bf16", torch.float32),
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", torch.bfloat16),
        ("vendor_id : AuthenticAMD\nflags : avx2", torch.float32),
    ],
)
def test_auto_takes_bf16_where_the_cpu_multiplies_it_faster(
    described: str, precision: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(described)
    monkeypatch.setattr(device, "CPU_DESCRIPTION", tmp_path / "cpuinfo")
    assert resolve_precision("auto", torch.device("cpu")) == precision


def test_auto_takes_fp32_where_the_system_does_not_describe_its_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "CPU_DESCRIPTION", tmp_path / "absent")
    assert resolve_precision("auto", torch.device("cpu")) == torch.float32
