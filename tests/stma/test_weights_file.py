"""What can be known of weights and of a run without torch."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stma.config import MODEL_CONFIGS, SegmenterConfig
from stma.device import Precision
from stma.errors import WeightsError
from stma.estimate import ClipShape, Machine, WeightCount, count_weights, estimate_memory
from stma.network.model import STMA
from stma.weights import save_weights
from stma.weights_file import find_weights, model_info, read_config, stored_numbers


def test_header_tells_config_and_count(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(STMA(MODEL_CONFIGS["tiny"]), path)
    assert read_config(find_weights(str(path))) == MODEL_CONFIGS["tiny"]
    stored, counted = stored_numbers(path), count_weights(MODEL_CONFIGS["tiny"])
    assert counted.running <= counted.loaded <= stored < 1.1 * counted.loaded


def test_counted_are_the_numbers_of_a_network_that_runs() -> None:
    model = STMA(MODEL_CONFIGS["tiny"])
    loaded = sum(tensor.numel() for tensor in model.parameters())
    model.prepare(torch.device("cpu"), Precision("bf16", torch.bfloat16))
    running = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    assert count_weights(MODEL_CONFIGS["tiny"]) == WeightCount(loaded, running)


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"\xff" * 64])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="give one written by stma train"):
        read_config(path)


def test_weights_that_may_not_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.safetensors"
    path.touch()

    def refuse(*given: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WeightsError, match=r"locked\.safetensors cannot be read.*check its permissions"):
        model_info(path)


def test_estimate_needs_no_torch() -> None:
    code = """
import sys
import numpy as np
from stma.config import SegmenterConfig
from stma.estimate import ClipShape, Machine, WeightCount, estimate_memory
from stma.weights_file import find_weights, read_config, stored_numbers
path = find_weights("small")
numbers = WeightCount(stored_numbers(path), stored_numbers(path))
clip, machine = ClipShape((480, 864), 1), Machine(np.dtype(np.float32))
print(estimate_memory(read_config(path), SegmenterConfig(), clip, machine, numbers).total)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    total, has_torch = done.stdout.split()
    assert has_torch == "False"

    small = MODEL_CONFIGS["small"]
    clip, machine = ClipShape((480, 864), 1), Machine(torch.float32)
    counted = estimate_memory(small, SegmenterConfig(), clip, machine).total
    assert int(total) == pytest.approx(counted, rel=0.01)
