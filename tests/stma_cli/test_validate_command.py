"""`stma validate` on the synthetic training folder with a random model."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from stma.config import MODEL_CONFIGS
from stma.errors import SettingsError
from stma.network.model import STMA
from stma.weights import save_weights
from stma_cli.main import app


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(STMA(MODEL_CONFIGS["tiny"]), path)
    return path


def test_scores_of_every_set_are_written(training_folder: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    options = ["--model", str(weights), "--sets", "real,crossing", "--clips", "1", "--size", "64"]
    result = CliRunner().invoke(app, ["validate", str(training_folder), *options, "--json", str(out)])
    assert result.exit_code == 0, result.output
    written = json.loads(out.read_text())
    assert [row["set"] for row in written["sets"]] == ["real", "crossing"]
    real = written["sets"][0]
    assert list(real["sequences"]) == ["made/held"]
    assert 0 <= real["J"] <= 1
    assert -1 <= real["confidence"]["spearman"] <= 1
    assert real["confidence"]["pairs"] == 8, "one object on every frame after the first"


def test_unknown_set_is_named(training_folder: Path, weights: Path) -> None:
    result = CliRunner().invoke(
        app, ["validate", str(training_folder), "--model", str(weights), "--sets", "easy"]
    )
    assert isinstance(result.exception, SettingsError)
    assert "crossing" in str(result.exception)
