"""`stma convert` of results: names of clips and pictures, and folders that hold several clips."""

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import numpy as np
from PIL import Image

from stma.palette import davis_palette
from stma_cli.convert.formats import Format
from stma_cli.convert.run import Conversion, Converted, convert_masks
from stma_cli.masks import MaskWriter
from stma_cli.report import ReportWriter

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
