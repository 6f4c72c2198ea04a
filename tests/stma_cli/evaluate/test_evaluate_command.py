"""`stma evaluate` on folders made here: layouts, protocol, outputs and bad input."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from stma.errors import DataError, SettingsError, StmaError
from stma.evaluation import DatasetScore, ObjectScore, Score, SequenceScore
from stma.palette import davis_palette
from stma_cli.evaluate.show import print_table
from stma_cli.main import app

REAL_CLIPS = os.environ.get("STMA_TEST_CLIPS")  # a folder with DAVIS clips, pictures beside the labels


def label_map(*objects: tuple[int, int], size: tuple[int, int] = (48, 64)) -> np.ndarray:
    labels = np.zeros(size, dtype=np.uint8)
    for object_id, column in objects:
        labels[10:30, column : column + 16] = object_id
    return labels


def save_labels(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().tobytes())
    image.save(path)


def save_sequence(folder: Path, frames: list[np.ndarray]) -> None:
    for index, labels in enumerate(frames):
        save_labels(folder / f"{index:05d}.png", labels)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Two sequences of five frames: "a/bear" with one object, "b/cars" with two."""
    root = tmp_path / "truth"
    save_sequence(root / "a" / "bear", [label_map((1, 4 + step)) for step in range(5)])
    save_sequence(root / "b" / "cars", [label_map((1, 4), (2, 30 + step)) for step in range(5)])
    return root


def copy_of(truth: Path, tmp_path: Path) -> Path:
    predictions = tmp_path / "predictions"
    for path in truth.rglob("*.png"):
        save_labels(predictions / path.relative_to(truth), np.asarray(Image.open(path)))
    return predictions


def run(*arguments: object) -> dict:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failure(*arguments: object) -> StmaError:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert isinstance(result.exception, StmaError), result.output
    return result.exception


def test_perfect_predictions_score_one(truth: Path, tmp_path: Path) -> None:
    report = run(copy_of(truth, tmp_path), truth)
    assert report["over_objects"] == {"J": 1.0, "F": 1.0, "J&F": 1.0}
    assert [item["name"] for item in report["sequences"]] == ["a/bear", "b/cars"]
    assert [item["frames"] for item in report["sequences"][1]["objects"]] == [3, 3]


def test_a_missing_object_counts_as_zero(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    save_sequence(predictions / "b" / "cars", [label_map((1, 4))] * 5)
    report = run(predictions, truth)
    assert [item["J&F"] for item in report["sequences"][1]["objects"]] == [1.0, 0.0]
    assert report["over_objects"]["J"] == pytest.approx(2 / 3)
    assert report["over_sequences"]["J"] == pytest.approx(3 / 4)


def test_first_frame_may_be_missing_and_other_frames_may_be_extra(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    (predictions / "a" / "bear" / "00000.png").unlink()
    save_labels(predictions / "a" / "bear" / "00099.png", label_map())
    assert run(predictions, truth)["over_objects"]["J&F"] == 1.0


def test_predictions_numbered_from_one_are_refused(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path) / "a" / "bear"
    for number in reversed(range(5)):
        (predictions / f"{number:05d}.png").rename(predictions / f"{number + 1:05d}.png")
    message = str(failure(predictions, truth / "a" / "bear"))
    assert "no 00000.png but 00005.png" in message
    assert "numbered from 1" in message


def test_hidden_files_are_no_frames(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    for name in ("._00000.png", "._00003.png"):  # as macOS puts them onto foreign disks
        (truth / "a" / "bear" / name).write_bytes(b"\0\5\x16\7")
    assert run(predictions, truth)["sequences"][0]["objects"][0]["frames"] == 3


def test_single_sequences_are_compared_directly(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    assert run(predictions / "a" / "bear", truth / "a" / "bear")["over_objects"]["J"] == 1.0
    results = tmp_path / "results"
    save_sequence(results, [label_map((1, 4 + step)) for step in range(5)])
    assert run(results, truth / "a" / "bear")["sequences"][0]["name"] == "bear"
    assert run(results, truth, "--sequences", "bear")["sequences"][0]["name"] == "a/bear"


def test_black_and_white_masks_are_object_one(truth: Path, tmp_path: Path) -> None:
    white = tmp_path / "white"
    save_sequence(white, [(label_map((1, 4 + step)) > 0).astype(np.uint8) * 255 for step in range(5)])
    assert run(white, truth / "a" / "bear")["over_objects"]["J"] == 1.0
    assert run(truth / "a" / "bear", white)["sequences"][0]["objects"][0]["id"] == 1


def test_void_pixels_belong_to_nobody(tmp_path: Path) -> None:
    save_sequence(tmp_path / "truth", [label_map((1, 4), (255, 40))] * 4)
    save_sequence(tmp_path / "predictions", [label_map((1, 4))] * 4)
    report = run(tmp_path / "predictions", tmp_path / "truth")
    assert [item["id"] for item in report["sequences"][0]["objects"]] == [1]
    assert report["over_objects"]["J"] == 1.0


def test_sixteen_bit_ids(tmp_path: Path) -> None:
    for folder in ("truth", "predictions"):
        (tmp_path / folder).mkdir()
        for index in range(4):
            Image.fromarray(label_map((1, 4)).astype(np.uint16) * 700).save(
                tmp_path / folder / f"{index}.png"
            )
    report = run(tmp_path / "predictions", tmp_path / "truth")
    assert report["sequences"][0]["objects"] == [{"id": 700, "frames": 2, "J": 1.0, "F": 1.0, "J&F": 1.0}]


def test_sequences_by_name_and_by_split_file(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    split_file = tmp_path / "splits.json"
    split_file.write_text(json.dumps({"validation": ["b/cars"], "other": ["a/bear"]}))
    names_file = tmp_path / "val.txt"
    names_file.write_text("cars\r\n\nbear\n")
    for arguments, expected in [
        (["--sequences", "cars"], ["b/cars"]),
        (["--sequences", "b/cars", "--sequences", "bear"], ["b/cars", "a/bear"]),
        (["--sequences", "bear", "--sequences", "cars", "--sequences", "a/bear"], ["a/bear", "b/cars"]),
        (["--sequences", split_file], ["b/cars"]),
        (["--sequences", split_file, "--split", "other"], ["a/bear"]),
        (["--sequences", names_file], ["b/cars", "a/bear"]),
    ]:
        report = run(predictions, truth, *arguments)
        assert [item["name"] for item in report["sequences"]] == expected


def test_table_and_csv(truth: Path, tmp_path: Path) -> None:
    predictions, csv_path = copy_of(truth, tmp_path), tmp_path / "scores.csv"
    result = CliRunner().invoke(app, ["evaluate", str(predictions), str(truth), "--csv", str(csv_path)])
    assert result.exit_code == 0
    for text in ("a/bear", "b/cars", "J&F", "100.0", "mean of 3 objects", "mean of 2 sequences"):
        assert text in result.stdout
    with csv_path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["sequence"], row["object"], row["J"]) for row in rows] == [
        ("a/bear", "1", "1.000000"),
        ("b/cars", "1", "1.000000"),
        ("b/cars", "2", "1.000000"),
    ]
    assert isinstance(failure(predictions, truth, "--csv", tmp_path / "none" / "scores.csv"), SettingsError)


@pytest.mark.parametrize("terminal", [True, False])
def test_names_that_look_like_markup_are_shown_as_they_are(terminal: bool) -> None:
    score = ObjectScore(1, Score(0.5, 0.25), 3)
    total = DatasetScore(tuple(SequenceScore(name, (score,), ()) for name in ("x[/bold]", "[red]y")))
    stream = io.StringIO()
    print_table(total, "runs/[/red]", Console(file=stream, width=80, force_terminal=terminal))
    shown = stream.getvalue()
    assert shown.startswith("runs/[/red]\n")
    cells = ["x[/bold]", "1", "3", "50.0", "25.0", "37.5"]
    assert re.search(" +".join(map(re.escape, cells)), shown) if terminal else "\t".join(cells) in shown
    assert "[red]y" in shown
    assert "mean of 2 sequences" in shown


@pytest.mark.parametrize("baseline", ["copy", "flow", "grabcut"])
def test_baselines_need_no_predictions(truth: Path, baseline: str) -> None:
    for path in truth.rglob("*.png"):
        labels = np.asarray(Image.open(path))
        noise = np.random.default_rng(0).integers(0, 60, (*labels.shape, 3), dtype=np.uint8)
        Image.fromarray(noise + (labels[..., None] * 90).astype(np.uint8)).save(path.with_suffix(".jpg"))
    report = run("--baseline", baseline, truth)
    assert report["baseline"] == baseline
    still = report["sequences"][1]["objects"][0]
    assert still["J"] > 0.9
    if baseline == "copy":
        moving = report["sequences"][1]["objects"][1]
        expected = np.mean([(16 - step) / (16 + step) for step in (1, 2, 3)])
        assert moving["J"] == pytest.approx(expected)


def test_a_baseline_is_given_each_object_once(tmp_path: Path) -> None:
    moving = [((1, 4 + 2 * step), *([(2, 40)] if step >= 2 else [])) for step in range(5)]
    save_sequence(tmp_path / "cars", [label_map(*objects) for objects in moving])
    for index in range(5):
        Image.new("RGB", (64, 48)).save(tmp_path / "cars" / f"{index:05d}.jpg")
    first, late = run("--baseline", "copy", tmp_path / "cars")["sequences"][0]["objects"]
    assert first["J"] == pytest.approx(
        np.mean([(16 - 2 * step) / (16 + 2 * step) for step in (1, 2, 3)]), abs=1e-4
    )
    assert late["J"] == 1.0


@pytest.mark.parametrize("root", ["Annotations", "Annotations/480p", "Annotations/480p/bear"])
def test_baselines_find_the_pictures_of_davis(tmp_path: Path, root: str) -> None:
    save_sequence(tmp_path / "Annotations" / "480p" / "bear", [label_map((1, 4))] * 3)
    pictures = tmp_path / "JPEGImages" / "480p" / "bear"
    pictures.mkdir(parents=True)
    for index in range(3):
        Image.new("RGB", (64, 48)).save(pictures / f"{index:05d}.jpg")
    (score,) = run("--baseline", "copy", tmp_path / root)["sequences"]
    assert score["objects"][0]["J"] == 1.0


def test_missing_predictions_are_named(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    (predictions / "b" / "cars" / "00003.png").unlink()
    error = failure(predictions, truth)
    assert isinstance(error, DataError)
    assert "lacks 1 of the 5 frames of b/cars, first 00003.png" in str(error)
    (predictions / "b" / "cars" / "00001.png").unlink()
    assert "lacks 2 of the 5 frames of b/cars, first 00001.png" in str(failure(predictions, truth))
    for path in (predictions / "b" / "cars").iterdir():
        path.unlink()
    assert "no predictions for b/cars" in str(failure(predictions, truth))


def test_another_size_is_named(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    save_labels(predictions / "a" / "bear" / "00002.png", label_map((1, 4), size=(48, 60)))
    message = str(failure(predictions, truth))
    assert "a/bear: the prediction of frame 2 is 60x48 and the ground truth 64x48" in message
    assert message.endswith("scale the predictions to the size of the ground truth")


def test_bad_arguments_are_named(truth: Path, tmp_path: Path) -> None:
    predictions = copy_of(truth, tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.json").write_text('["bear"]')
    (tmp_path / "blank.txt").write_text("\n")
    cases: list[tuple[list[object], type[StmaError], str]] = [
        ([truth], SettingsError, "two folders are needed"),
        (["--baseline", "flow", predictions, truth], SettingsError, "takes one folder"),
        (["--baseline", "magic", truth], SettingsError, "choose one of copy, flow, grabcut"),
        (["--baseline", "copy", truth], DataError, "need 00000.jpg in the same folder"),
        ([predictions, tmp_path / "none"], DataError, "there is no folder"),
        (["nofolder", truth], DataError, "there is no folder nofolder; check the path of the predictions"),
        ([predictions, tmp_path / "empty"], DataError, "holds no sequence"),
        ([predictions, truth, "--sequences", "dog"], DataError, "choose among a/bear, b/cars"),
        ([predictions, truth, "--sequences", tmp_path / "list.json"], DataError, "called 'validation'"),
        ([predictions, truth, "--sequences", tmp_path / "none.json"], DataError, "cannot be read as JSON"),
        ([predictions, truth, "--sequences", tmp_path / "none.txt"], DataError, "one name per line"),
        ([predictions, truth, "--sequences", tmp_path / "blank.txt"], DataError, "has no names"),
    ]
    for arguments, kind, text in cases:
        error = failure(*arguments)
        assert isinstance(error, kind)
        assert text in str(error)


def test_evaluation_does_not_load_torch(truth: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from stma_cli.main import app; from typer.testing import CliRunner;"
        "result = CliRunner().invoke(app, sys.argv[1:]); assert result.exit_code == 0, result.output;"
        "assert 'torch' not in sys.modules"
    )
    arguments = [sys.executable, "-c", program, "evaluate", str(copy_of(truth, tmp_path)), str(truth)]
    subprocess.run(arguments, check=True)


def test_errors_end_with_exit_status_two(truth: Path) -> None:
    command = [sys.executable, "-m", "stma_cli.main", "evaluate", str(truth), str(truth / "none")]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: there is no folder")
    assert finished.stdout == ""


@pytest.mark.skipif(not REAL_CLIPS, reason="STMA_TEST_CLIPS does not name a folder of real clips")
def test_copying_the_first_mask_of_a_real_clip() -> None:
    report = run("--baseline", "copy", REAL_CLIPS, "--sequences", "motorbike")
    assert report["over_objects"]["J"] == pytest.approx(0.231, abs=0.001)
