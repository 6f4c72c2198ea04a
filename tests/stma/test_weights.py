"""Weights files: what is written loads again, and damage is named."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stma.config import MODEL_CONFIGS
from stma.errors import WeightsError
from stma.network.model import STMA
from stma.weights import load_model, save_weights
from stma.weights_file import checksum_file, list_models


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


@pytest.mark.usefixtures("ascii_by_default")
def test_names_need_not_be_of_the_code_page(tmp_path: Path) -> None:
    path = tmp_path / "模型.safetensors"
    checksum = save_weights(STMA(MODEL_CONFIGS["tiny"]), path)
    assert checksum_file(path).read_bytes().split() == [checksum.encode(), path.name.encode()]
    assert load_model(str(path)).info.sha256 == checksum


def test_damage_is_found(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-1] ^= 1
    saved.write_bytes(data)
    with pytest.raises(WeightsError, match="checksum"):
        load_model(str(saved))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    model, path = STMA(MODEL_CONFIGS["tiny"]), tmp_path / "broken.safetensors"
    name, parameter = list(model.named_parameters())[-1]
    with torch.no_grad():
        parameter.view(-1)[0] = value
    save_weights(model, path)
    with pytest.raises(WeightsError, match=rf"not finite numbers \({name}\).*earlier checkpoint"):
        load_model(str(path))


def test_truncated_or_foreign_files_are_refused(tmp_path: Path, saved: Path) -> None:
    short = tmp_path / "short.safetensors"
    short.write_bytes(saved.read_bytes()[:100])
    with pytest.raises(WeightsError, match="not a readable"):
        load_model(str(short))
    with pytest.raises(WeightsError, match="shipped models"):
        load_model("no-such-model")


@pytest.mark.parametrize(
    "change",
    [
        {"decoder_width": 32},
        {"stem_width": 8.0},
        {"stem_width": -8},
        {"widths": (16, 24)},
        {"widths": (16, 24, 32, 40)},
        {"blocks": (1, 1)},
    ],
)
def test_weights_of_another_shape_than_they_tell_are_refused(saved: Path, change: dict[str, object]) -> None:
    described = {**asdict(MODEL_CONFIGS["tiny"]), **change}
    path = saved.with_name("other.safetensors")
    save_file(load_file(saved), path, {"config": json.dumps(described)})
    with pytest.raises(WeightsError, match=r"other\.safetensors .*give one written by stma train"):
        load_model(str(path))


def test_a_checksum_that_is_no_text_is_refused(saved: Path) -> None:
    checksum_file(saved).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match="checksum"):
        load_model(str(saved))


def test_a_name_too_long_for_a_file_is_that_of_no_model() -> None:
    with pytest.raises(WeightsError, match="shipped models"):
        load_model("x" * 300)


def test_shipped_models_load_and_have_a_card() -> None:
    for info in list_models():
        assert info.path.stat().st_size < 40_000_000
        assert info.card is not None
        model = load_model(info.name).model
        assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
