"""`stma calibrate`."""

import shutil
from pathlib import Path

import torch
from typer.testing import CliRunner

from stma.config import MODEL_CONFIGS
from stma.errors import DataError, SettingsError
from stma.network.model import STMA
from stma.weights import load_model, save_weights
from stma_cli.main import app


def test_the_confidence_alone_changes(training_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    given, made = tmp_path / "given.safetensors", tmp_path / "made.safetensors"
    save_weights(STMA(MODEL_CONFIGS["tiny"]), given)
    words = ["calibrate", str(training_folder), "--model", str(given), "--out", str(made), "--clips", "10"]
    words += ["--frames", "3", "--crop", "64", "--size", "0", "--device", "cpu", "--threads", "1"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, DataError)  # an untrained network leaves no mask empty
    assert "set visible" in str(refused.exception)
    assert not made.exists()
    result = CliRunner().invoke(app, [*words, "--visible"])
    assert result.exit_code == 0, result.output
    assert "of 10 clips, a fifth of them kept apart" in result.output
    assert "after   rank correlation" in result.output
    before, after = (load_model(str(path)).model.state_dict() for path in (given, made))
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed
    assert all(name.startswith("quality.") for name in changed)


def test_a_folder_is_no_place_for_weights(training_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["calibrate", str(training_folder), "--out", str(tmp_path)])
    assert isinstance(result.exception, SettingsError)
    assert f"--out {tmp_path}" in str(result.exception)


def test_a_folder_of_validation_clips_alone_is_refused(training_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(training_folder / "video", folder / "video")
    (folder / "splits.json").write_text('{"validation": ["made/held", "made/moving"]}')
    words = ["calibrate", str(folder), "--out", str(tmp_path / "made.safetensors"), "--threads", "1"]
    refused = CliRunner().invoke(app, words).exception
    assert isinstance(refused, DataError)
    assert 'all its sequences are named under "validation"' in str(refused)
