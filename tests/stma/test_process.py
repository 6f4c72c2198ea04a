"""What `prepare_process` changes."""

import platform
import subprocess
import sys

import pytest

from stma.process import keep_freed_memory


def test_freed_blocks_are_kept_with_glibc_only(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        assert keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def test_a_prepared_process_computes_without_denormal_numbers() -> None:
    code = """
import torch
from stma.process import prepare_process
prepare_process(2)
print(torch.exp2(torch.full((1 << 20,), -130.0)).count_nonzero().item(), torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "2"]
