"""`stma check` on masks: every fault is found, and good masks get no error."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media import make_folder
from pictures import save, save_indexed
from running import run_command

from stma_cli.check.findings import Finding, Level
from stma_cli.check.run import run_check
from stma_cli.masks import read_mask_options

WIDTH, HEIGHT = 160, 96


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "video", ["0.png", "1.png", "2.png"], WIDTH, HEIGHT)


def block(object_id: int = 1, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    labels = np.zeros(size, dtype=np.uint8)
    labels[20:60, 30:70] = object_id
    return labels


def found(video: Path, *masks: object) -> dict[str, Finding]:
    """Findings of the masks by code."""
    result = run_check(video, [str(mask) for mask in masks], quick=True)
    assert result.failed == any(finding.level is Level.ERROR for finding in result.given)
    return {finding.code: finding for finding in result.masks}


def test_good_mask(video: Path, tmp_path: Path) -> None:
    assert found(video, save_indexed(tmp_path / "good.png", block())) == {}


def test_smoothed_edges(video: Path, tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(block() * 255, (5, 5), 0)
    finding = found(video, save(tmp_path / "soft.png", smooth))["smoothed"]
    assert finding.level is Level.ERROR
    assert "anti-aliased" in finding.problem
    assert "--fix" in finding.fix


@pytest.mark.parametrize(
    ("colour", "level"),
    [((128, 0, 0), Level.NOTE), ((255, 0, 0), Level.WARNING), ((9, 99, 200), Level.WARNING)],
)
def test_rgb(video: Path, tmp_path: Path, colour: tuple[int, int, int], level: Level) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[20:60, 30:70] = colour
    pixels[70:80, 30:70] = (0, 128, 0)
    assert found(video, save(tmp_path / "rgb.png", pixels))["rgb"].level is level


@pytest.mark.parametrize(
    ("size", "code"),
    [((WIDTH, HEIGHT), "turned"), ((HEIGHT, HEIGHT), "size"), ((2 * HEIGHT, 2 * WIDTH), "scaled")],
)
def test_size(video: Path, tmp_path: Path, size: tuple[int, int], code: str) -> None:
    finding = found(video, save_indexed(tmp_path / "mask.png", block(size=size)))[code]
    assert finding.level is (Level.NOTE if code == "scaled" else Level.ERROR)


def test_empty(video: Path, tmp_path: Path) -> None:
    empty = save_indexed(tmp_path / "empty.png", np.zeros((HEIGHT, WIDTH), dtype=np.uint8))
    good = save_indexed(tmp_path / "good.png", block())
    assert found(video, empty)["empty"].level is Level.ERROR
    assert found(video, empty, f"1={good}")["empty"].level is Level.NOTE
    later = run_check(video, [str(good), f"2={empty}"], quick=True).masks
    assert [(finding.code, finding.problem) for finding in later] == [
        ("empty", "it marks nothing and is ignored")
    ]
    assert "255 (as predicted) and paint 0" in later[0].fix
    assert found(video, f"cat={empty}", f"dog={good}")["empty"].level is Level.ERROR


def test_an_object_that_looks_like_the_background(video: Path, tmp_path: Path) -> None:
    inverted = save(tmp_path / "inverted.png", np.where(block(), 0, 255).astype(np.uint8))
    finding = found(video, inverted)["background"]
    assert finding.level is Level.WARNING
    assert finding.problem.startswith("object 1 covers 90 % of the frame and touches all its borders")
    assert "inverting it" in finding.fix
    notes = read_mask_options([str(inverted)], WIDTH, HEIGHT)[0].notes
    assert [note for note in notes if "by inverting it" in note] == list(notes) != []
    band = np.ones((HEIGHT, WIDTH), np.uint8)
    band[:, -1] = 0  # a large object at three borders
    assert "background" not in found(video, save_indexed(tmp_path / "band.png", band))


def test_what_holds_for_several_files_is_printed_once(video: Path, tmp_path: Path) -> None:
    good = save_indexed(tmp_path / "good.png", block())
    empties = [save_indexed(tmp_path / f"{name}.png", 0 * block()) for name in ("a", "b")]
    options = [word for frame, file in enumerate(empties, 1) for word in ("--mask", f"{frame}={file}")]
    said = run_command("check", video, "--quick", "--mask", good, *options)
    assert said.count("it marks nothing") == 1
    assert f"note: 2 files ({empties[0]}, {empties[1]}): it marks nothing and is ignored. Fix:" in said


def test_specks_and_pinholes(video: Path, tmp_path: Path) -> None:
    labels = block()
    labels[5, 100] = labels[80:82, 140] = 1
    labels[40, 50] = 0
    findings = found(video, save_indexed(tmp_path / "mask.png", labels))
    assert "2 specks (3 pixels)" in findings["specks"].problem
    assert "x = 100, y = 5" in findings["specks"].problem
    assert "x = 50, y = 40" in findings["holes"].problem


def test_large_parts_and_holes_are_left_in_peace(video: Path, tmp_path: Path) -> None:
    labels = block()
    labels[30:40, 40:50] = 0
    labels[70:80, 100:110] = 1
    assert found(video, save_indexed(tmp_path / "mask.png", labels)) == {}


def test_ids_that_look_accidental(video: Path, tmp_path: Path) -> None:
    labels = block()
    labels[0, 0:3] = 2
    labels[90, 20:60] = 40
    labels[70:80, 100:120] = 255
    findings = found(video, save_indexed(tmp_path / "mask.png", labels))
    assert "object 2 has only 3 pixels" in findings["tiny"].problem
    assert "object 40" in findings["thin"].problem
    assert "value 255" in findings["left"].problem
    assert "1, 2, 40" in findings["id-gaps"].problem


def test_an_earlier_mask_that_erases_marks_no_object(video: Path, tmp_path: Path) -> None:
    erasing = np.full((HEIGHT, WIDTH), 255, np.uint8)
    erasing[20:60, 30:50] = 0
    earlier = save_indexed(tmp_path / "earlier.png", erasing)
    findings = found(video, earlier, f"2={save_indexed(tmp_path / 'shows.png', block())}")
    assert set(findings) == {"left"}
    assert findings["left"].file == str(earlier)


def test_a_later_mask_that_erases_marks_no_object(video: Path, tmp_path: Path) -> None:
    first = save_indexed(tmp_path / "first.png", block())
    erasing = np.full((HEIGHT, WIDTH), 255, np.uint8)
    erasing[20:60, 30:50] = 0
    later = save_indexed(tmp_path / "later.png", erasing)
    findings = found(video, f"2={later}", first)
    assert set(findings) == {"left"}
    assert findings["left"].file == str(later)
    assert set(found(video, later)) == {"id-gaps", "background"}
    object_255 = save_indexed(tmp_path / "object_255.png", block(255))
    assert set(found(video, object_255, f"2={later}")) == {"id-gaps", "background"}


def test_colours_saved_as_grey(video: Path, tmp_path: Path) -> None:
    labels = block(38)
    labels[70:90, 100:140] = 75
    assert found(video, save(tmp_path / "grey.png", labels))["grey-ids"].level is Level.WARNING


def test_unreadable_and_jpeg(video: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    assert found(video, tmp_path / "broken.png")["unreadable"].level is Level.ERROR
    assert found(video, tmp_path / "missing.png")["unreadable"].level is Level.ERROR
    assert "--fix" in found(video, save(tmp_path / "mask.jpg", block() * 255))["unreadable"].fix


def test_mask_beyond_the_video(video: Path, tmp_path: Path) -> None:
    mask = save_indexed(tmp_path / "good.png", block())
    assert "0 to 2" in found(video, mask, f"3={mask}")["frame"].fix


def test_masks_of_other_frames(video: Path, tmp_path: Path) -> None:
    finding = found(video, save_indexed(tmp_path / "2.png", block()))["other-frame"]
    assert (finding.level, finding.fix) == (
        Level.NOTE,
        f"if that is its frame, give --mask 2={tmp_path / '2.png'}",
    )
    images = [{"id": frame, "file_name": f"{frame}.png"} for frame in range(3)]
    outline = {"image_id": 2, "category_id": 1, "segmentation": [[30, 20, 70, 20, 70, 60]]}
    path = tmp_path / "late.json"
    path.write_text(json.dumps({"images": images, "annotations": [outline], "categories": []}))
    finding = found(video, path)["empty"]
    assert (finding.level, finding.fix) == (Level.ERROR, f"give --mask 2={path}")
    assert finding.problem == "it marks nothing on frame 0, but on 2.png"


def test_masks_that_contradict_each_other(video: Path, tmp_path: Path) -> None:
    mask = save_indexed(tmp_path / "good.png", block())
    assert "has 2 masks" in found(video, mask, f"0={mask}")["unusable"].problem


def labelme(*outlines: list[list[float]]) -> dict[str, Any]:
    shapes = [{"label": "cat", "points": points, "shape_type": "polygon"} for points in outlines]
    return {"shapes": shapes, "imageWidth": WIDTH, "imageHeight": HEIGHT}


def test_all_bad_polygons_are_named(video: Path, tmp_path: Path) -> None:
    square: list[list[float]] = [[10, 10], [60, 10], [60, 60], [10, 60]]
    bow: list[list[float]] = [[10, 10], [60, 60], [60, 10], [10, 60]]
    outside: list[list[float]] = [[10, 10], [300, 10], [60, 60]]
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps(labelme(square, bow, outside)))
    findings = found(video, path)
    assert set(findings) == {"crossing", "outside"}
    assert "shape 2" in findings["crossing"].problem
    assert "shape 3" in findings["outside"].problem
    assert all(finding.file == str(path) and finding.fix for finding in findings.values())
    path.write_text(json.dumps(labelme(square)))
    assert found(video, path) == {}


def test_polygons_of_the_other_formats(video: Path, tmp_path: Path) -> None:
    bow = [10, 10, 60, 60, 60, 10, 10, 60]
    coco = {
        "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "segmentation": [bow]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    pairs = np.reshape(bow, (-1, 2)).tolist()
    own = {"stma": 1, "width": WIDTH, "height": HEIGHT, "objects": [{"id": 1, "polygons": [pairs]}]}
    for name, content in (("coco.json", coco), ("own.json", own)):
        (tmp_path / name).write_text(json.dumps(content))
        assert set(found(video, tmp_path / name)) == {"crossing"}


@pytest.mark.parametrize("text", ["{", "[]", '{"stma": 1}', '{"shapes": [3]}', '{"shapes": 7}'])
def test_json_that_is_nothing(video: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    assert found(video, tmp_path / "bad.json")["unusable"].level is Level.ERROR
