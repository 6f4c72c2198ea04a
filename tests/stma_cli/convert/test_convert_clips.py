"""`stma convert` of results: names of clips and pictures, and folders that hold several clips."""

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import numpy as np
import pytest
from PIL import Image

from stma.errors import InputError, SettingsError
from stma.palette import davis_palette
from stma_cli.convert.run import Conversion, Converted, convert_masks
from stma_cli.mask_formats import Format
from stma_cli.masks import MaskWriter, read_labels, read_names
from stma_cli.segment.report import ReportWriter

HEIGHT, WIDTH = 10, 12


def save_results(folder: Path, names: dict[int, str], frames: Path | None = None, count: int = 3) -> Path:
    """Write masks of square objects as `stma segment` leaves them, with a report on `frames` where given."""
    folder.mkdir(parents=True)
    writer = MaskWriter(folder, davis_palette(), names)
    for index in range(count):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for place, object_id in enumerate(names):
            labels[index : index + 4, 5 * place : 5 * place + 4] = object_id
        writer.write(f"{index:05d}", labels)
    writer.write_names()
    if frames is not None:
        with ReportWriter(folder) as report:
            report.finish({"video": {"kind": "folder", "path": str(frames)}}, names)
    return folder


def save_frames(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / name)
    return folder


def convert(source: Path, out: Path, to: Format, **options: Any) -> Converted:
    return convert_masks(Conversion(source, out, to, **options))


def content_of(source: Path, out: Path, to: Format) -> Any:
    convert(source, out, to)
    return json.loads(out.read_text("utf-8"))


def test_pictures_have_the_names_of_the_frames(tmp_path: Path) -> None:
    frames = save_frames(tmp_path / "frames", "00000.png", "00001.tif", "00002.JPG")
    results = save_results(tmp_path / "res" / "bear", {1: "bear"}, frames)
    wanted = ["00000.png", "00001.tif", "00002.JPG"]
    coco = content_of(results, tmp_path / "c.json", Format.COCO)
    assert [image["file_name"] for image in coco["images"]] == wanted
    (video,) = content_of(results, tmp_path / "y.json", Format.YOUTUBE_VIS)["videos"]
    assert video["file_names"] == [f"bear/{name}" for name in wanted]
    convert(results, tmp_path / "labelme", Format.LABELME)
    files = sorted((tmp_path / "labelme").iterdir())
    assert [json.loads(file.read_text())["imagePath"] for file in files] == wanted
    convert(results, tmp_path / "i.xml", Format.CVAT_IMAGES)
    images = parse(tmp_path / "i.xml").getroot().iter("image")
    assert [image.get("name") for image in images] == wanted


def test_a_mask_beside_a_jpeg_is_no_picture(tmp_path: Path) -> None:
    frames = save_frames(tmp_path / "frames", "00000.jpg", "00001.jpg", "00002.jpg")
    Image.new("P", (WIDTH, HEIGHT)).save(frames / "00000.png")
    results = save_results(tmp_path / "bear", {1: "bear"}, frames)
    coco = content_of(results, tmp_path / "c.json", Format.COCO)
    assert coco["images"][0]["file_name"] == "00000.jpg"


def test_pictures_are_jpeg_where_the_frames_are_gone(tmp_path: Path) -> None:
    results = save_results(tmp_path / "bear", {1: "bear"}, tmp_path / "gone")
    (video,) = content_of(results, tmp_path / "y.json", Format.YOUTUBE_VIS)["videos"]
    assert video["file_names"] == ["bear/00000.jpg", "bear/00001.jpg", "bear/00002.jpg"]


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Results of three clips: "ant" and "cat" with one object, "far/cat" with two, of which one is also a cat."""
    save_results(tmp_path / "res" / "ant", {1: "ant"})
    save_results(tmp_path / "res" / "cat", {3: "cat"}, count=2)
    save_results(tmp_path / "res" / "far" / "cat", {1: "cat", 2: "dog"})
    return tmp_path / "res"


def test_clips_become_one_coco_file(tmp_path: Path, batch: Path) -> None:
    done = convert(batch, tmp_path / "c.json", Format.COCO)
    assert (done.clips, done.frames, list(done.names.values())) == (3, 8, ["ant", "cat", "cat", "dog"])
    coco = json.loads((tmp_path / "c.json").read_text())
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    clips = ("ant",) * 3 + ("cat",) * 2 + ("far/cat",) * 3
    assert list(files.values()) == [
        f"{clip}/{number:05d}.jpg" for clip, number in zip(clips, (0, 1, 2, 0, 1, 0, 1, 2), strict=True)
    ]
    categories = {row["id"]: row["name"] for row in coco["categories"]}
    assert sorted(categories.values()) == ["ant", "cat", "dog"]
    rows = coco["annotations"]
    assert len({row["id"] for row in rows}) == len(rows) == 3 + 2 + 6
    tracks = {
        (row["track_id"], categories[row["category_id"]], files[row["image_id"]].rpartition("/")[0])
        for row in rows
    }
    assert tracks == {(1, "ant", "ant"), (4, "cat", "cat"), (5, "cat", "far/cat"), (6, "dog", "far/cat")}


def test_clips_of_one_name_are_offered_by_what_tells_them_apart(tmp_path: Path) -> None:
    for folder in ("ant", "one/cat", "two/cat", "cat"):
        save_results(tmp_path / "res" / folder, {1: "cat"})
    file = tmp_path / "y.json"
    convert(tmp_path / "res", file, Format.YOUTUBE_VIS)
    with pytest.raises(SettingsError, match=r"--clip \(ant, 2, one/cat, two/cat\)"):
        convert(file, tmp_path / "back", Format.DAVIS)
    for clip in ("ant", "2", "one/cat", "two/cat"):
        convert(file, tmp_path / "back" / clip, Format.DAVIS, clip=clip)


def test_a_coco_file_of_several_clips_says_which_form_is_read_back(tmp_path: Path, batch: Path) -> None:
    convert(batch, tmp_path / "c.json", Format.COCO)
    with pytest.raises(InputError, match=r"several clips.*--to youtube-vis, from which --clip") as refused:
        convert(tmp_path / "c.json", tmp_path / "back", Format.DAVIS)
    assert "as ant/00000.jpg and cat/00000.jpg" in str(refused.value)


@pytest.mark.parametrize(("clip", "folder"), [("ant", "ant"), ("2", "cat"), ("far/cat", "far/cat")])
def test_clips_of_one_youtube_vis_file_come_back(tmp_path: Path, batch: Path, clip: str, folder: str) -> None:
    content = content_of(batch, tmp_path / "y.json", Format.YOUTUBE_VIS)
    assert [video["file_names"][0] for video in content["videos"]] == [
        "ant/00000.jpg",
        "cat/00000.jpg",
        "far/cat/00000.jpg",
    ]
    assert len({row["id"] for row in content["annotations"]}) == 4
    convert(tmp_path / "y.json", tmp_path / "back", Format.DAVIS, clip=clip)
    assert read_names(tmp_path / "back") == read_names(batch / folder)
    masks = sorted((batch / folder).glob("*.png"))
    assert [file.name for file in sorted((tmp_path / "back").glob("*.png"))] == [file.name for file in masks]
    for file in masks:
        np.testing.assert_array_equal(read_labels(tmp_path / "back" / file.name), read_labels(file))


@pytest.mark.parametrize("wanted", [Format.DAVIS, Format.BINARY, Format.LABELME, Format.YOLO])
def test_other_targets_take_one_clip(tmp_path: Path, batch: Path, wanted: Format) -> None:
    with pytest.raises(SettingsError, match=r"holds several clips.* convert one, such as .*ant"):
        convert(batch, tmp_path / "out", wanted)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wanted", [Format.COCO, Format.YOUTUBE_VIS])
def test_a_clip_that_is_damaged_leaves_nothing(tmp_path: Path, batch: Path, wanted: Format) -> None:
    (batch / "far" / "cat" / "00002.png").write_text("no picture")
    with pytest.raises(InputError, match=r"00002\.png"):
        convert(batch, tmp_path / "c.json", wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["res"]


def test_a_folder_of_one_clip_is_that_clip(tmp_path: Path) -> None:
    save_results(tmp_path / "res" / "cat", {1: "cat", 2: "dog"})
    assert convert(tmp_path / "res", tmp_path / "out", Format.LABELME).names == {1: "cat", 2: "dog"}


def test_folders_of_indexed_pictures_are_clips(tmp_path: Path, batch: Path) -> None:
    for file in batch.rglob("names.json"):
        file.unlink()
    assert convert(batch, tmp_path / "c.json", Format.COCO).clips == 3


def test_folders_of_black_and_white_pictures_are_objects(tmp_path: Path) -> None:
    results = save_results(tmp_path / "results", {1: "cat", 2: "dog"})
    convert(results, tmp_path / "binary", Format.BINARY)
    (tmp_path / "binary" / "names.json").unlink()
    done = convert(tmp_path / "binary", tmp_path / "c.json", Format.COCO)
    assert (done.source_format, done.clips, done.names) == (Format.BINARY, 1, {1: "cat", 2: "dog"})


def test_folders_with_a_batch_file_are_clips(tmp_path: Path) -> None:
    for name in ("ant", "cat"):
        (tmp_path / "res" / name).mkdir(parents=True)
        Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / "res" / name / "0.png")
    (tmp_path / "res" / "batch.json").write_text("{}")
    assert convert(tmp_path / "res", tmp_path / "c.json", Format.COCO).clips == 2
