"""`stma check --fix` mends outlines in JSON, and says what a run needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media import make_folder
from typer.testing import CliRunner

from stma.errors import OutputError
from stma_cli.check.run import CheckResult, run_check
from stma_cli.main import app
from stma_cli.masks import read_annotation
from stma_cli.segment.forecast import Forecast
from stma_cli.wording import rough_size, rough_time

WIDTH, HEIGHT = 160, 96
SQUARE = [[10.0, 10.0], [50.0, 10.0], [50.0, 50.0], [10.0, 50.0]]
BOW = [[60.0, 20.0], [100.0, 60.0], [100.0, 20.0], [60.0, 60.0]]
LOOP = [[60, 20], [100, 20], [100, 60], [80, 60], [80, 50], [110, 50], [110, 70], [60, 70]]  # overlaps itself
BEYOND = [[140.0, 10.0], [170.0, 10.0], [150.0, 40.0], [140.0, 40.0]]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "video", ["0.png", "1.png"])


def labelme(*shapes: Any) -> dict[str, Any]:
    rows = [
        {"label": label, "points": points, "shape_type": "polygon", "group_id": None}
        for label, points in shapes
    ]
    return {"shapes": rows, "imageWidth": WIDTH, "imageHeight": HEIGHT, "version": "5.5.0", "flags": {}}


def mended(video: Path, content: Any) -> tuple[CheckResult, dict[str, Any], np.ndarray]:
    source, out = video.parent / "shapes.json", video.parent / "mended.json"
    source.write_text(json.dumps(content))
    assert run_check(video, [str(source)]).failed
    result = run_check(video, [str(source)], fix=out)
    assert not result.failed, result.after
    assert json.loads(source.read_text()) == content
    return result, json.loads(out.read_text()), read_annotation(out, WIDTH, HEIGHT).labels


def test_crossing_outlines_stay_one_object(video: Path) -> None:
    result, content, labels = mended(video, labelme(("cat", SQUARE), ("dog", BOW)))
    assert result.repair is not None
    assert result.repair.changes == ("shape 2 ('dog') crossed itself, now 2 simple outlines",)
    assert content["shapes"][0]["points"] == SQUARE
    assert [shape["label"] for shape in content["shapes"]] == ["cat", "dog", "dog"]
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert (labels == 2).sum() == pytest.approx(800, rel=0.06)


def test_an_outline_that_overlaps_itself_has_no_hole(video: Path) -> None:
    _, _, labels = mended(video, labelme(("dog", LOOP)))
    assert labels[55, 90] == 1  # gone round twice
    assert labels[30, 90] == 1


def test_points_a_little_outside_move_to_the_edge(video: Path) -> None:
    result, content, _ = mended(video, labelme(("cat", BEYOND), ("dot", [[1, 1], [1, 1]]), ("dog", SQUARE)))
    assert content["shapes"][0]["points"][1] == [WIDTH, 10.0]
    assert result.repair is not None
    assert "1 point of shape 1 ('cat') moved" in result.repair.changes[0]
    assert "shape 2 ('dot') removed" in result.repair.changes[1]


def test_coco_and_own_format(video: Path) -> None:
    coco = {
        "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"id": 4, "image_id": 1, "category_id": 1, "segmentation": [np.ravel(BOW).tolist()]}],
    }
    _, content, labels = mended(video, coco)
    assert len(content["annotations"][0]["segmentation"]) == 2
    (video.parent / "mended.json").unlink()
    own = {
        "stma": 1,
        "width": WIDTH,
        "height": HEIGHT,
        "objects": [{"id": 1, "name": "dog", "polygons": [BOW]}],
    }
    _, content, own_labels = mended(video, own)
    assert len(content["objects"][0]["polygons"]) == 2
    np.testing.assert_array_equal(labels, own_labels)


def test_annotations_of_another_picture_stay_as_they_are(video: Path) -> None:
    bow = np.ravel(BOW).tolist()
    coco = {
        "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [
            {"id": 4, "image_id": 1, "category_id": 1, "segmentation": bow},
            {"id": 5, "image_id": 9, "category_id": 1, "segmentation": [bow]},
        ],
    }
    result, content, _ = mended(video, coco)
    assert len(result.repair.changes) == 1  # type: ignore[union-attr]
    assert [len(row["segmentation"]) for row in content["annotations"]] == [2, 1]
    assert content["annotations"][1] == coco["annotations"][1]  # type: ignore[index]


def test_several_shapes_that_cross_themselves_get_groups_of_their_own(video: Path) -> None:
    shifted = (np.array(BOW) - [50, 0]).tolist()
    _, content, labels = mended(video, labelme(("dog", BOW), ("cat", shifted)))
    assert [shape["group_id"] for shape in content["shapes"]] == [1, 1, 2, 2]
    assert np.unique(labels).tolist() == [0, 1, 2]


def test_what_needs_a_guess_is_not_repaired(video: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.json"
    source.write_text(json.dumps(labelme(("cat", [[200, 10], [300, 10], [300, 40]]))))
    result = run_check(video, [str(source)], fix=tmp_path / "out.json")
    assert result.failed
    assert not (tmp_path / "out.json").exists()
    with pytest.raises(OutputError, match=r"ends in \.json"):
        run_check(video, [str(source)], fix=tmp_path / "out.png")


def test_needs_of_a_run(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stma_cli.segment.forecast._speed", lambda: 100.0)
    source = tmp_path / "shapes.json"
    source.write_text(json.dumps(labelme(("cat", SQUARE), ("dog", [[140, 10], [150, 10], [150, 40]]))))
    result = CliRunner().invoke(app, ["check", str(video), "--mask", str(source)])
    line = result.stdout.splitlines()[-2]
    assert line.startswith("needs: about ")
    assert line.endswith("on this CPU, 2 objects with small at 480x288")
    needs = json.loads(CliRunner().invoke(app, ["check", str(video), "--json"]).stdout)["needs"]
    assert needs["seconds"] == pytest.approx(2 * needs["seconds_per_frame"])
    assert 3e8 < needs["memory"] < 3e9


def test_too_little_memory_is_a_warning(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forecast, "fits", property(lambda self: False))
    result = run_check(video, [])
    assert not result.failed
    assert result.given[-1].code == "memory"


def test_memory_is_rounded_as_a_run_rounds_it() -> None:
    needs = Forecast("small", (480, 848), 1, 623_400_000, 994_900_000, None, None)
    assert needs.line().startswith("about 620 MB of memory (990 MB are free), 1 object")
    assert [rough_size(count) for count in (995_000_000, 24_640_000_000)] == ["1.0 GB", "24.6 GB"]


def test_durations() -> None:
    assert [rough_time(value) for value in (0.21, 42.3, 720, 12_600)] == ["0.2 s", "42 s", "12 min", "3.5 h"]
