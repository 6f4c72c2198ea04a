"""`stma train` and `stma models`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from stma.config import MODEL_CONFIGS
from stma.errors import DataError, OutputError, SettingsError, WeightsError
from stma.weights import load_model
from stma_cli.main import app
from stma_cli.output import only_one
from stma_cli.result_layout import TRAIN_LOCK_FILE

SMALL = [
    "--model",
    "tiny",
    "--crop",
    "64",
    "--frames",
    "3",
    "--batch",
    "2",
    "--threads",
    "1",
    "--workers",
    "0",
]


def short_run(data: Path, run: Path, steps: int, frames: int) -> list[str]:
    """Words of a run of so many steps that validates on so many frames of each clip."""
    ends = ["--steps", str(steps), "--validation-frames", str(frames)]
    return ["train", str(data), "--out", str(run), *ends, *SMALL]


def test_a_short_run_leaves_weights_logs_and_plot(training_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = short_run(training_folder, run, steps=4, frames=5)
    first = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert first.exit_code == 0, first.output
    assert "validation on 1 clip;" in first.output
    names = {path.name for path in run.iterdir()}
    assert {"checkpoint.pt", "last.safetensors", "best.safetensors", "training.png"} <= names
    row = json.loads((run / "train.jsonl").read_text().splitlines()[-1])
    assert row["step"] == 4
    assert row["data_seconds"] >= 0
    assert row["model_seconds"] > 0
    second = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert "from step 4" in second.output


def test_a_second_run_into_the_folder_is_refused(training_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="no file locks here")
    run = tmp_path / "run"
    run.mkdir()
    words = short_run(training_folder, run, steps=1, frames=3)
    with only_one(run / TRAIN_LOCK_FILE, "stma train"):
        refused = CliRunner().invoke(app, [*words, "--device", "cpu"]).exception
    assert isinstance(refused, OutputError)
    assert str(refused).startswith(f"another stma train is writing into {run}; wait for it")
    assert not list(run.iterdir())


def test_results_stay_where_a_run_is_refused(training_folder: Path, tmp_path: Path) -> None:
    best = tmp_path / "best.safetensors"
    best.touch()
    words = short_run(training_folder, tmp_path, steps=1, frames=3)
    assert CliRunner().invoke(app, [*words, "--validation-size", "10"]).exit_code != 0
    folder = tmp_path / "data"
    shutil.copytree(training_folder, folder)
    for label in (folder / "video" / "made" / "held").glob("*.png"):
        Image.fromarray(np.zeros((80, 96), np.uint8)).save(label)
    words = short_run(folder, tmp_path, steps=1, frames=3)
    refused = CliRunner().invoke(app, [*words, "--device", "cpu"]).exception
    assert isinstance(refused, DataError)
    assert best.exists()


def test_crop_must_fit_the_strides(training_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="multiple of 16"):
        CliRunner().invoke(
            app, ["train", str(training_folder), "--steps", "1", "--crop", "100"], catch_exceptions=False
        )


def test_models_are_listed_with_their_cards() -> None:
    listed = CliRunner().invoke(app, ["models", "--json"])
    rows = json.loads(listed.stdout)
    assert "small" in [row["name"] for row in rows]
    for row in rows:
        card = CliRunner().invoke(app, ["models", row["name"]])
        assert card.exit_code == 0
        assert row["name"] in card.output
        both = CliRunner().invoke(app, ["models", row["name"], "--json"])
        assert json.loads(both.stdout) == row | {"text": card.stdout.removesuffix("\n")}
    with pytest.raises(WeightsError, match="choose from"):
        CliRunner().invoke(app, ["models", "giant"], catch_exceptions=False)


def test_a_range_that_is_none_is_refused(training_folder: Path) -> None:
    words = ["train", str(training_folder), "--steps", "1", "--label-sharpness", "much"]
    with pytest.raises(SettingsError, match="--label-sharpness much is no range"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_variant_is_trained_and_loads_again(training_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = short_run(training_folder, run, steps=2, frames=3)
    variant = ["--network", "stml_blocks=1,widths=16/24/48", "--without", "object-tokens", "--ema", "0"]
    result = CliRunner().invoke(app, [*words, *variant, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    model = load_model(str(run / "last.safetensors")).model
    assert model.config == replace(MODEL_CONFIGS["tiny"], stml_blocks=1, widths=(16, 24, 48))
    assert not model.object_projection.project.weight.any()
    assert model.stml.norm.bias.any(), "the rest has learned"


@pytest.mark.parametrize("command", ["train", "calibrate"])
def test_a_negative_seed_is_refused(command: str, tmp_path: Path) -> None:
    words = [command, str(tmp_path), "--out", str(tmp_path / "out.safetensors"), "--seed", "-1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "--seed" in result.output


def test_more_objects_than_labels_are_refused(training_folder: Path, tmp_path: Path) -> None:
    words = ["train", str(training_folder), "--out", str(tmp_path / "run"), "--steps", "1", *SMALL]
    result = CliRunner().invoke(app, [*words, "--max-objects", "255"])
    assert result.exit_code == 2
    assert "--max-objects" in result.output
    assert "254" in result.output
    assert not (tmp_path / "run").exists()


def test_an_unknown_part_or_shape_is_refused(training_folder: Path, tmp_path: Path) -> None:
    words = ["train", str(training_folder), "--out", str(tmp_path / "run"), "--steps", "1", *SMALL]
    for option, value, message in (
        ("--without", "eyes", "use readout, stml"),
        ("--network", "eyes=2", "the network has no setting 'eyes'"),
        ("--network", "heads=5", "multiple of the heads"),
        ("--network", "heads=0", "heads of the network is 0; use 1 or more"),
        ("--network", "widths=16/0/32", r"widths of the network is \(16, 0, 32\); use 1 or more"),
        ("--network", "initial_temperature=nan", "use 1 or more"),
        ("--network", "stml_blocks=-1", "use 0 or more"),
        ("--minutes", "-1", "minutes is -1.0; use a number above 0"),
        ("--minutes", "0", "minutes is 0.0; use a number above 0"),
        ("--minutes", "inf", "use a number above 0"),
        ("--learning-rate", "-1", "learning_rate is -1.0; use a number above 0"),
        ("--learning-rate", "nan", "use a number above 0"),
        ("--validate-minutes", "nan", "use 0 or more"),
        ("--model", "huge", "use one of small, tiny"),
    ):
        with pytest.raises(SettingsError, match=message):
            CliRunner().invoke(app, [*words, option, value], catch_exceptions=False)
