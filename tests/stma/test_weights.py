"""Weights files: what is written loads again, and damage is named."""

from pathlib import Path

import pytest
import torch

from stma.config import MODEL_CONFIGS
from stma.errors import WeightsError
from stma.network.model import STMA
from stma.weights import load_model, save_weights
from stma.weights_file import list_models


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_weights(STMA(MODEL_CONFIGS["tiny"]), path)
    return path


def test_round_trip(saved: Path) -> None:
    loaded = load_model(str(saved))
    assert loaded.model.config == MODEL_CONFIGS["tiny"]
    assert not loaded.model.training
    again = saved.with_name("again.safetensors")
    assert save_weights(loaded.model, again) == loaded.info.sha256


def test_damage_is_found(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-1] ^= 1
    saved.write_bytes(data)
    with pytest.raises(WeightsError, match="checksum"):
        load_model(str(saved))


def test_truncated_or_foreign_files_are_refused(tmp_path: Path, saved: Path) -> None:
    short = tmp_path / "short.safetensors"
    short.write_bytes(saved.read_bytes()[:100])
    with pytest.raises(WeightsError, match="not a readable"):
        load_model(str(short))
    with pytest.raises(WeightsError, match="shipped models"):
        load_model("no-such-model")


def test_shipped_models_load_and_have_a_card() -> None:
    for info in list_models():
        assert info.path.stat().st_size < 40_000_000
        assert info.card is not None
        model = load_model(info.name).model
        assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
