"""`stma validate` on the synthetic training folder with a random model."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from stma.calibration import Calibration
from stma.config import MODEL_CONFIGS
from stma.errors import DataError, SettingsError
from stma.evaluation import Score
from stma.network.entries import join_entries
from stma.network.model import STMA
from stma.training import validation_sets
from stma.training.ablation import PARTS, switch_off
from stma.training.pool import scan
from stma.training.scores import SetSummary
from stma.training.validate import read_frames
from stma.training.validation_sets import LOOPED, REAL, REVERSED, played
from stma.weights import save_weights
from stma_cli.evaluate.show_validation import print_sets
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


def test_a_place_that_is_none_is_refused_before_the_long_work(training_folder: Path, tmp_path: Path) -> None:
    words = [
        "--model",
        str(tmp_path / "none.safetensors"),
        "--json",
        str(tmp_path / "absent" / "scores.json"),
    ]
    result = CliRunner().invoke(app, ["validate", str(training_folder), *words])
    assert isinstance(result.exception, SettingsError)
    assert "--json" in str(result.exception)


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_of_the_rows_is_cut_off_at_80_columns(terminal: bool) -> None:
    worst = "crossing/a_clip_with_a_name_that_is_longer_than_a_line_of_a_terminal_with_80_columns"
    found = SetSummary(
        name="crossing",
        mean=Score(1.0, 0.166),
        sequences={worst: 0.145} | {f"crossing/{number}": 0.6 for number in range(119)},
        seconds_per_frame=10.27,
        switches=1024,
        confidence=Calibration(spearman=-0.26, precision=0.87, recall=None, warnings=1003, pairs=9000),
    )
    stream = io.StringIO()
    print_sets([found], "small (8c5b667a19a4)", Console(file=stream, width=80, force_terminal=terminal))
    shown = stream.getvalue()
    assert "…" not in shown
    cells = ["crossing", "120", "100.0", "16.6", "58.3", "10.27", "1024", "-0.26", "87 % of 1003"]
    assert re.search(" +".join(cells), shown) if terminal else "\t".join(cells) in shown, shown
    assert "s/frame" in shown
    assert f"crossing: worst clip {worst}, J&F 14.5\n" in shown


def test_sparse_clips_keep_every_fifth_frame(training_folder: Path, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(training_folder, folder)
    held = folder / "video" / "made" / "held"
    for frame in sorted(held.glob("*.*")):  # nine frames become eighteen
        shutil.copy(frame, held / f"{int(frame.stem) + 9:05d}{frame.suffix}")
    out = tmp_path / "scores.json"
    options = ["--model", str(weights), "--sets", "sparse,sparse", "--size", "64", "--json", str(out)]
    result = CliRunner().invoke(app, ["validate", str(folder), *options])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(out.read_text())["sets"]
    assert row["confidence"]["pairs"] == 3, "frames 0, 5, 10 and 15, of which the first is given"
    assert row["clips"] == 1, "a set that is named twice is scored once"


def test_a_reversed_clip_begins_with_its_last_frame(
    training_folder: Path, tmp_path: Path, weights: Path
) -> None:
    sequence = scan(training_folder).validation[0]
    forward, backward = (list(read_frames(played(sequence, name))) for name in (REAL, REVERSED))
    assert len(forward) == len(backward)
    for (frame, label), (other_frame, other_label) in zip(forward, backward[::-1], strict=True):
        assert np.array_equal(frame, other_frame)
        assert np.array_equal(label, other_label)
    assert np.array_equal(next(read_frames(played(sequence, REVERSED, 2)))[1], forward[-1][1])
    out = tmp_path / "scores.json"
    options = ["--model", str(weights), "--sets", "reversed", "--size", "64", "--json", str(out)]
    assert CliRunner().invoke(app, ["validate", str(training_folder), *options]).exit_code == 0
    (row,) = json.loads(out.read_text())["sets"]
    assert row["confidence"]["pairs"] == 8


def test_a_looped_clip_goes_to_and_fro(training_folder: Path) -> None:
    sequence = scan(training_folder).validation[0]
    looped = played(sequence, LOOPED)
    places = [sequence.frames.index(frame) for frame in looped.frames]
    assert places[:18] == [*range(9), *range(7, -1, -1), 1]
    assert len(places) == 501
    two = played(replace(sequence, frames=sequence.frames[:2]), LOOPED)
    assert two.frames[:4] == sequence.frames[:2] * 2


@pytest.mark.parametrize(
    ("missing", "sets", "message"),
    [
        ("plain", "real,crossing", r"plain/<dataset>/"),
        ("frames", "real,sparse", "set sparse uses 2 frames: made/held cannot be scored"),
        ("objects", "real,reversed", "set reversed uses 9 frames: made/held cannot be scored"),
    ],
)
def test_what_a_set_lacks_is_told_before_any_clip_is_followed(
    missing: str, sets: str, message: str, training_folder: Path, weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(training_folder, folder)
    held = folder / "video" / "made" / "held"
    if missing == "plain":
        shutil.rmtree(folder / "plain")
    for label in held.glob("*.png"):
        if missing == "frames" and int(label.stem) > 5:
            label.unlink()
        if missing == "objects" and int(label.stem) > 1:
            Image.new("L", (96, 80)).save(label)
    words = ["validate", str(folder), "--model", str(weights), "--size", "64", "--sets", sets]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, DataError)
    assert re.search(message, str(result.exception))
    assert "made/held  J" not in result.output


def test_several_processes_give_the_scores_of_one(
    training_folder: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--model", str(weights), "--sets", "real,small", "--clips", "2", "--size", "64"]
    begun, executor = [], validation_sets.ProcessPoolExecutor
    monkeypatch.setattr(
        validation_sets, "ProcessPoolExecutor", lambda *how: begun.append(how[0]) or executor(*how)
    )
    written = []
    for workers in ("1", "2"):
        out = tmp_path / f"{workers}.json"
        words = ["validate", str(training_folder), *options, "--workers", workers, "--threads", "2"]
        result = CliRunner().invoke(app, [*words, "--json", str(out)])
        assert result.exit_code == 0, result.output
        written.append(json.loads(out.read_text())["sets"])
    assert begun == [2]
    for row in (*written[0], *written[1]):
        del row["seconds per frame"]
    assert written[0] == written[1]
    assert list(written[1][1]["sequences"]) == ["small/00", "small/01"], "in their order"


def test_a_folder_without_validation_clips_is_refused(
    training_folder: Path, weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(training_folder, folder)
    (folder / "splits.json").write_text("{}")
    refused = CliRunner().invoke(app, ["validate", str(folder), "--model", str(weights)]).exception
    assert isinstance(refused, DataError)
    assert "splits.json" in str(refused)


def test_unknown_set_is_named(training_folder: Path, weights: Path) -> None:
    result = CliRunner().invoke(
        app, ["validate", str(training_folder), "--model", str(weights), "--sets", "easy"]
    )
    assert isinstance(result.exception, SettingsError)
    assert "crossing" in str(result.exception)


def test_a_comma_after_the_last_set_asks_for_no_other(
    training_folder: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    words = ["validate", str(training_folder), "--model", str(weights), "--frames", "4", "--sets"]
    assert CliRunner().invoke(app, [*words, "real,", "--json", str(out)]).exit_code == 0
    assert [row["set"] for row in json.loads(out.read_text())["sets"]] == ["real"]
    refused = CliRunner().invoke(app, [*words, ","]).exception
    assert isinstance(refused, SettingsError)
    assert "give one or more" in str(refused)


def test_parts_can_be_switched_off(training_folder: Path, weights: Path) -> None:
    words = ["validate", str(training_folder), "--model", str(weights), "--frames", "4", "--without"]
    assert CliRunner().invoke(app, [*words, "readout,stml"]).exit_code == 0
    refused = CliRunner().invoke(app, [*words, "eyes"]).exception
    assert isinstance(refused, SettingsError)
    assert "object-tokens" in str(refused)


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_part_that_is_off_changes_the_logits_of_a_trained_network(part: str) -> None:
    torch.manual_seed(2)
    model = STMA(MODEL_CONFIGS["tiny"]).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape))
    clip, masks = 255 * torch.rand(3, 3, 64, 64), torch.zeros(1, 1, 16, 16)
    masks[..., 4:12, 4:12] = 1

    def logits() -> torch.Tensor:
        valid = torch.ones(1, 1, dtype=torch.bool)
        features = model.embed(clip)
        entries = [model.remember_first(features.frames(0, 1), masks, valid)]
        for time in (1, 2):
            test = model.encode_test(
                features.frames(time, time + 1), model.encode_references(entries[-1:], valid[:, None])
            )
            readout, decoded = model.follow(test, [join_entries(entries)], focus=False)
            entries.append(model.remember(test, decoded.logits.sigmoid(), readout))
        return decoded.logits

    whole = logits()
    switch_off(model, [part])
    assert not torch.equal(logits(), whole)
