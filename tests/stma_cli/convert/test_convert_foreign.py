"""`stma convert` reads files as other tools write them, each after the format's own documentation."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stma.errors import AnnotationError, SettingsError
from stma_cli.convert.run import Conversion, Converted, convert_masks
from stma_cli.mask_formats import Format
from stma_cli.masks import read_labels, read_names

BOX = [[4, 6], [20, 6], [20, 24], [4, 24]]


def to_davis(source: Path, **options: Any) -> Converted:
    return convert_masks(Conversion(source, source.parent / "out", Format.DAVIS, **options))


def labels(tmp_path: Path, name: str) -> np.ndarray:
    return read_labels(tmp_path / "out" / f"{name}.png")


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


CVAT_META = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>4</id><name>t</name><size>{size}</size><mode>{mode}</mode>
<labels><label><name>car</name><attributes></attributes></label></labels>
<original_size><width>1600</width><height>1200</height></original_size></task></meta>
{body}</annotations>"""
CVAT_RUNS = (  # the example in CVAT's documentation of the XML format
    'rle="3, 5, 7, 7, 5, 9, 3, 11, 2, 11, 2, 12, 1, 12, 1, 26, 1, 12, 1, 12, 2, 11, 3, 9, 5, 7, 7, 5, 3" '
    'left="707" top="888" width="13" height="15"'
)


def assert_blob(mask: np.ndarray) -> None:
    """The shape in CVAT's documentation: a disc of 13 x 15 pixels, five of them in the first and last row."""
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (707, 719, 888, 902)
    assert np.flatnonzero(mask[888, 707:720]).tolist() == [3, 4, 5, 6, 7]
    assert np.flatnonzero(mask[902, 707:720]).tolist() == [5, 6, 7, 8, 9]
    assert mask[895].sum() == 13


def test_cvat_images_as_documented(tmp_path: Path) -> None:
    body = f"""<image id="0" name="filename000.jpg" width="1600" height="1200">
    <box label="plate" xtl="797.33" ytl="870.92" xbr="965.52" ybr="928.94" occluded="0" z_order="4"></box>
    <polygon label="car" points="561.30,316.23;561.30,242.77;654.72,261.63" occluded="0" z_order="1"></polygon>
    <tag label="good_frame" source="manual"></tag>
    <mask label="car" source="manual" occluded="0" {CVAT_RUNS} z_order="0"></mask></image>
    <image id="1" name="sub/filename001.jpg" width="1600" height="1200"></image>"""
    source = write(tmp_path / "annotations.xml", CVAT_META.format(size=2, mode="annotation", body=body))
    done = to_davis(source)
    assert (done.source_format, done.frames) == (Format.CVAT_IMAGES, 2)
    assert set(done.names.values()) == {"car", "car 2"}
    first = labels(tmp_path, "filename000")
    assert_blob(first == 1)
    assert (first == 2).sum() == pytest.approx(73.46 * 93.42 / 2, rel=0.02)
    assert not labels(tmp_path, "filename001").any()
    assert [note.split("'")[1] for note in done.notes] == ["box", "tag"]


def test_cvat_z_order_and_groups(tmp_path: Path) -> None:
    def polygon(left: int, order: int, group: str) -> str:
        return f'<polygon label="car" points="{left},0;{left + 4},0;{left + 4},4;{left},4" z_order="{order}"{group}/>'

    shapes = polygon(0, 9, ' group_id="1"') + polygon(2, 3, "") + polygon(10, 0, ' group_id="1"')
    body = f'<image id="0" name="a.png" width="20" height="10">{shapes}</image>'
    to_davis(write(tmp_path / "a.xml", CVAT_META.format(size=1, mode="annotation", body=body)))
    row = labels(tmp_path, "a")[0]
    assert len(np.unique(row)) == 3
    assert row[2] == row[3] == row[0] == row[10] != row[4]  # the higher z_order is in front


def test_cvat_video_as_documented(tmp_path: Path) -> None:
    box = "324.79,213.16;323.74,227.90;347.42,237.37;371.11,217.37;350.05,190.00;318.47,191.58"
    body = f"""<track id="0" label="car">
    <polygon frame="0" points="{box}" outside="0" occluded="0" keyframe="1"></polygon>
    <polygon frame="1" points="{box}" outside="0" occluded="0" keyframe="0"></polygon>
    <polygon frame="2" points="{box}" outside="1" occluded="0" keyframe="1"></polygon></track>
    <track id="1" label="car" source="manual">
    <mask frame="2" keyframe="1" outside="0" occluded="0" {CVAT_RUNS} z_order="0"></mask>
    <mask frame="3" keyframe="1" outside="1" occluded="0" {CVAT_RUNS} z_order="0"></mask></track>"""
    done = to_davis(write(tmp_path / "v.xml", CVAT_META.format(size=5, mode="interpolation", body=body)))
    assert (done.source_format, done.frames) == (Format.CVAT_VIDEO, 5)
    polygon, blob = labels(tmp_path, "00000"), labels(tmp_path, "00002")
    np.testing.assert_array_equal(polygon, labels(tmp_path, "00001"))
    assert (polygon > 0).sum() > 1000
    assert_blob(blob > 0)
    assert not labels(tmp_path, "00003").any()
    assert not labels(tmp_path, "00004").any()
    assert set(np.unique(polygon)) & set(np.unique(blob)) == {0}  # two objects


def test_a_nearer_shape_of_a_cvat_video_is_in_front(tmp_path: Path) -> None:
    shape = '<polygon frame="0" points="{},0;9,0;9,9;{},9" outside="0" keyframe="1" z_order="{}"/>'
    body = "".join(
        f'<track id="{left}" label="car">{shape.format(left, left, order)}</track>'
        for left, order in ((2, 1), (5, 0))
    )
    to_davis(write(tmp_path / "v.xml", CVAT_META.format(size=1, mode="interpolation", body=body)))
    row = labels(tmp_path, "00000")[4]
    assert row[3] == row[7] != 0, "the first in the file is in front"


def test_cvat_video_written_as_cvat_takes_it(tmp_path: Path) -> None:
    from xml.etree.ElementTree import parse

    folder = tmp_path / "masks"
    folder.mkdir()
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 2:5] = 7
    for index in range(3):
        Image.fromarray(mask).save(folder / f"{index:05d}.png")
    convert_masks(Conversion(folder, tmp_path / "v.xml", Format.CVAT_VIDEO))
    root = parse(tmp_path / "v.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "3"
    tracks = root.findall("track")
    visible = [[shape for shape in track if shape.get("outside") == "0"] for track in tracks]
    assert [len(shapes) for shapes in visible] == [1, 1, 1]  # CVAT takes the first mask of a track only
    assert [track[-1].get("outside") for track in tracks] == ["1", "1", "0"]
    shape = visible[0][0]
    fields = [shape.get(name) for name in ("rle", "left", "top", "width", "height")]
    assert fields == ["0, 6", "2", "1", "3", "2"]
    assert shape.findtext("attribute") == "7"


def vis_video(number: int, name: str, count: int) -> dict[str, Any]:
    files = [f"{name}/{index:05d}.jpg" for index in range(count)]
    return {"id": number, "width": 32, "height": 28, "length": count, "file_names": files}


def vis_content() -> dict[str, Any]:
    polygon = [[float(value) for point in BOX for value in point]]
    runs = {"size": [28, 32], "counts": [28, 56, 28 * 29]}  # columns 1 and 2
    return {
        "info": {},
        "videos": [vis_video(1, "0065b171f9", 3), vis_video(2, "01c76f0a82", 1)],
        "categories": [{"id": 26, "name": "person", "supercategory": "object"}],
        "annotations": [
            {
                "id": 11,
                "video_id": 1,
                "category_id": 26,
                "segmentations": [polygon, None, runs],
                "iscrowd": 0,
            },
            {"id": 12, "video_id": 1, "category_id": 26, "segmentations": [None, runs, None], "iscrowd": 0},
            {"id": 13, "video_id": 2, "category_id": 26, "segmentations": [runs], "iscrowd": 0},
        ],
    }


@pytest.mark.parametrize("clip", ["0065b171f9", "1"])
def test_youtube_vis_as_documented(tmp_path: Path, clip: str) -> None:
    done = to_davis(write(tmp_path / "train.json", vis_content()), clip=clip)
    assert (done.source_format, done.frames) == (Format.YOUTUBE_VIS, 3)
    assert done.names == {11: "person", 12: "person 2"}
    assert (labels(tmp_path, "00000")[6:24, 4:20] == 11).mean() > 0.98
    assert np.flatnonzero(labels(tmp_path, "00001")[5]).tolist() == [1, 2]
    assert set(np.unique(labels(tmp_path, "00002"))) == {0, 11}


def test_youtube_vis_with_several_videos_asks_which(tmp_path: Path) -> None:
    source = write(tmp_path / "train.json", vis_content())
    with pytest.raises(SettingsError, match=r"--clip \(0065b171f9, 01c76f0a82\)"):
        to_davis(source)


def test_coco_with_polygons_tracks_and_crowds(tmp_path: Path) -> None:
    flat = [float(value) for point in BOX for value in point]
    images = [{"id": n, "file_name": f"images/frame_{n}.jpg", "width": 32, "height": 28} for n in (10, 9)]
    runs = {"size": [28, 32], "counts": [0, 28, 28 * 31]}
    rows = [
        {"id": 1, "image_id": 9, "category_id": 1, "segmentation": [flat], "attributes": {"track_id": 4}},
        {"id": 2, "image_id": 10, "category_id": 1, "segmentation": runs, "attributes": {"track_id": 4}},
        {"id": 3, "image_id": 10, "category_id": 1, "segmentation": [flat], "iscrowd": 1},
        {"id": 4, "image_id": 10, "category_id": 1, "segmentation": [], "bbox": [0, 0, 3, 3]},
    ]
    content = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "dog"}]}
    done = to_davis(write(tmp_path / "a.json", content))
    assert done.names == {4: "dog", 1: "dog 2"}
    assert (labels(tmp_path, "frame_9")[6:24, 4:20] == 4).mean() > 0.98
    last = labels(tmp_path, "frame_10")
    assert (last[:, 0] == 4).all()
    assert last[10, 10] == 1
    assert any("without an outline" in note for note in done.notes)


def labelme_file(*shapes: dict[str, Any]) -> dict[str, Any]:
    common = {"group_id": None, "description": "", "flags": {}, "mask": None}
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [{**common, **shape} for shape in shapes],
        "imagePath": "../a.jpg",
        "imageData": None,
        "imageHeight": 28,
        "imageWidth": 32,
    }


def test_coco_pictures_are_frames_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    images = [
        {"id": number, "file_name": f"frame{number}.jpg", "width": 40, "height": 30} for number in (10, 9, 2)
    ]
    row = {"id": 1, "image_id": 2, "category_id": 1, "segmentation": [[4, 6, 20, 6, 20, 24]]}
    source = write(tmp_path / "a.json", {"images": images, "annotations": [row], "categories": []})
    convert_masks(Conversion(source, tmp_path / "n.npz", Format.NPZ))
    with np.load(tmp_path / "n.npz") as arrays:
        assert arrays["frames"].tolist() == ["frame2", "frame9", "frame10"]


def test_labelme_folder_with_its_pictures(tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.fromarray(np.full((2, 3), 255, np.uint8)).save(png, format="PNG")
    folder = tmp_path / "clip"
    grouped = {"label": "bus", "points": [[0, 0], [3, 2]], "shape_type": "rectangle", "group_id": 3}
    mask = {
        "label": "kid",
        "points": [[8, 8], [10, 9]],
        "shape_type": "mask",
        "mask": base64.b64encode(png.getvalue()).decode(),
    }
    write(folder / "a2.json", labelme_file({"label": "dog", "points": BOX, "shape_type": "polygon"}, mask))
    write(folder / "a10.json", labelme_file(grouped, {**grouped, "points": [[5, 0], [8, 2]]}))
    write(folder / "a11.json", labelme_file())
    Image.new("RGB", (32, 28)).save(folder / "a2.png")
    done = to_davis(folder)
    assert (done.source_format, done.frames) == (Format.LABELME, 3)
    ids = {name: number for number, name in done.names.items()}
    assert ids["bus"] == 3
    first, second = labels(tmp_path, "a2"), labels(tmp_path, "a10")
    assert (first == ids["kid"]).sum() == 6
    assert (first == ids["dog"]).sum() == 16 * 18 - 6
    assert np.flatnonzero(second[0] == 3).tolist() == [0, 1, 2, 5, 6, 7]


def test_labelme_names_and_groups_take_no_id_that_is_a_label(tmp_path: Path) -> None:
    def square(label: str, left: int, group: int | None = None) -> dict[str, Any]:
        points = [[left, 0], [left + 4, 0], [left + 4, 4], [left, 4]]
        return {"label": label, "points": points, "shape_type": "polygon", "group_id": group}

    folder = tmp_path / "clip"
    write(folder / "a1.json", labelme_file(square("cat", 0), square("dog", 6, 5)))
    write(folder / "a2.json", labelme_file(square("1", 0), square("5", 6), square("dog", 12, 5)))
    done = to_davis(folder)
    assert set(done.names.values()) == {"object 1", "object 5", "cat", "dog"}
    ids = {name: number for number, name in done.names.items()}
    assert labels(tmp_path, "a1")[0, [0, 6]].tolist() == [ids["cat"], ids["dog"]]
    assert labels(tmp_path, "a2")[0, [0, 6, 12]].tolist() == [1, 5, ids["dog"]]


def test_yolo_as_documented(tmp_path: Path) -> None:
    folder = tmp_path / "dataset" / "labels"
    write(folder / "im1.txt", "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n1 0.0 0.0 0.1 0.0 0.1 0.1\n")
    write(folder / "im2.txt", "")
    write(folder / "classes.txt", "person\ntraffic light\n")
    with pytest.raises(SettingsError, match="--size"):
        to_davis(folder)
    done = to_davis(folder, size=(40, 20))
    assert (done.source_format, done.frames) == (Format.YOLO, 2)
    assert done.names == {1: "person", 2: "traffic light"}
    first = read_labels(folder.parent / "out" / "im1.png")
    expected = np.zeros((20, 40), bool)
    expected[5:15, 10:30] = True
    np.testing.assert_array_equal(first == 1, expected)
    assert (first == 2).any()
    assert any("one class" in note for note in done.notes)


def test_yolo_classes_keep_their_line(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    write(folder / "im1.txt", "1 0 0 0.2 0 0.2 0.2\n2 0.4 0.4 0.6 0.4 0.6 0.6\n")
    write(folder / "classes.txt", "cat\n\ndog\n\n")
    assert to_davis(folder, size=(40, 20)).names == {1: "cat", 2: "object 2", 3: "dog"}


def test_yolo_classes_beyond_the_list_are_numbered_on(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    write(folder / "im1.txt", "0 0 0 0.2 0 0.2 0.2\n2 0.4 0.4 0.6 0.4 0.6 0.6\n")
    write(folder / "classes.txt", "cat\n")
    assert to_davis(folder, size=(40, 20)).names == {1: "cat", 3: "object 3"}


def test_yolo_class_that_stma_json_does_not_list_is_no_other_object(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    write(folder / "im1.txt", "0 0 0 0.2 0 0.2 0.2\n2 0.4 0.4 0.6 0.4 0.6 0.6\n")
    listed = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    write(folder / "stma.json", {"width": 40, "height": 20, "objects": listed})
    with pytest.raises(
        AnnotationError, match=r"im1\.txt, line 2 is of class 2, which stma\.json does not list"
    ):
        to_davis(folder)


def test_binary_folders_without_names(tmp_path: Path) -> None:
    for name, frames in (("cat", ("0", "1")), ("dog", ("1", "10"))):
        (tmp_path / "in" / name).mkdir(parents=True)
        for frame in frames:
            mask = np.zeros((5, 6), np.uint8)
            mask[0 if name == "cat" else 1, 2] = 1 if name == "cat" else 255
            Image.fromarray(mask).save(tmp_path / "in" / name / f"{frame}.png")
    done = to_davis(tmp_path / "in")
    assert (done.source_format, done.frames, done.names) == (Format.BINARY, 3, {1: "cat", 2: "dog"})
    assert labels(tmp_path, "1")[:2, 2].tolist() == [1, 2]
    assert labels(tmp_path, "10")[:2, 2].tolist() == [0, 2]


def test_results_folder_of_segment(tmp_path: Path) -> None:
    masks = tmp_path / "results" / "masks"
    masks.mkdir(parents=True)
    Image.fromarray(np.full((4, 4), 3, np.uint8)).save(masks / "00007.png")
    write(tmp_path / "results" / "report.json", {"objects": [{"id": 3, "name": "ball"}]})
    done = to_davis(tmp_path / "results")
    assert (done.source_format, done.names) == (Format.DAVIS, {3: "ball"})
    assert read_names(tmp_path / "out") == {3: "ball"}


def test_npz_of_another_program(tmp_path: Path) -> None:
    volume = np.zeros((2, 4, 5), np.int64)
    volume[1, 2, 3] = 9
    np.savez(tmp_path / "a.npz", volume)
    done = to_davis(tmp_path / "a.npz")
    assert (done.frames, done.names) == (2, {9: "object 9"})
    assert labels(tmp_path, "00001")[2, 3] == 9


def test_npz_with_negative_ids_is_refused(tmp_path: Path) -> None:
    volume = np.zeros((2, 4, 5), np.int16)
    volume[:, 1, 1], volume[1, 0] = 1, -1  # -1 = to be ignored, as some tools write it
    np.savez(tmp_path / "a.npz", labels=volume)
    with pytest.raises(AnnotationError, match=r"frame 00001 has the negative id -1; write 0"):
        to_davis(tmp_path / "a.npz")
    assert not (tmp_path / "out").exists()
