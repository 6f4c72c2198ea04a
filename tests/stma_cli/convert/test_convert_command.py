"""`stma convert`: targets are complete or absent, bad sources are refused by name, paths stay in the target."""

import errno
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from stma.errors import InputError, OutputError, SettingsError, StmaError
from stma_cli.commands.convert import convert
from stma_cli.convert import run
from stma_cli.convert.clip import Clip, Notes
from stma_cli.convert.run import Conversion, convert_masks
from stma_cli.mask_formats import Format

app = typer.Typer()
app.command()(convert)
SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4]]
FLAT = [0, 0, 4, 0, 4, 4, 0, 4]


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(3):
        labels = np.zeros((10, 12), np.uint8)
        labels[index : index + 4, 2:6] = 1
        Image.fromarray(labels).save(folder / f"{index:05d}.png")
    return folder


def save(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def coco(*file_names: str, **image: Any) -> dict[str, Any]:
    images = [
        {"id": n, "file_name": name, "width": 12, "height": 10, **image} for n, name in enumerate(file_names)
    ]
    rows = [
        {"id": n, "image_id": n, "category_id": 1, "track_id": 1, "segmentation": [FLAT]}
        for n in range(len(file_names))
    ]
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "../../dog"}]}


def test_command_writes_and_says_what(tmp_path: Path, masks: Path) -> None:
    result = invoke(masks, "-o", tmp_path / "labels", "--to", "labelme", "--simplify", "1")
    assert result.exit_code == 0, result.output
    assert "3 frames, 1 object (davis to labelme)" in result.output
    assert "note: polygons were simplified" in result.output
    assert len(list((tmp_path / "labels").glob("*.json"))) == 3


def test_one_frame_is_told_as_one(tmp_path: Path, masks: Path) -> None:
    for path in sorted(masks.glob("*.png"))[1:]:
        path.unlink()
    result = invoke(masks, "-o", tmp_path / "c.json", "--to", "coco")
    assert "c.json: 1 frame, 1 object (davis to coco)" in result.output.replace("\n", "")
    notes = Notes()
    notes.add("objects overlap", "00000")
    assert notes.lines() == ("objects overlap (1 frame, first 00000)",)


def test_source_format_can_be_given(tmp_path: Path, masks: Path) -> None:
    result = invoke(masks, "--from", "davis", "--to", "npz", "-o", tmp_path / "a.npz")
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "a.npz")["labels"].shape == (3, 10, 12)


def test_files_are_replaced_only_by_force(tmp_path: Path, masks: Path) -> None:
    out = save(tmp_path / "c.json", "mine")
    with pytest.raises(OutputError, match="--force"):
        convert_masks(Conversion(masks, out, Format.COCO))
    assert out.read_text() == "mine"
    convert_masks(Conversion(masks, out, Format.COCO, force=True))
    assert len(json.loads(out.read_text())["images"]) == 3


def test_folders_with_files_are_never_touched(tmp_path: Path, masks: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    save(out / "mine.txt", "mine")
    with pytest.raises(OutputError, match="not empty"):
        convert_masks(Conversion(masks, out, Format.YOLO, force=True))
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path, masks: Path) -> None:
    (tmp_path / "out").mkdir()
    convert_masks(Conversion(masks, tmp_path / "out", Format.BINARY))
    assert len(list((tmp_path / "out" / "object 1").iterdir())) == 3


@pytest.mark.parametrize("out", ["link", "."])
def test_an_empty_folder_stays_the_one_it_is(
    tmp_path: Path, masks: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path if out == "link" else tmp_path / "real")
    leftover = tmp_path / "real" / run.UNFINISHED
    leftover.mkdir()
    before = (tmp_path / "real").stat().st_ino
    convert_masks(Conversion(masks, Path(out), Format.BINARY))
    assert len(list(Path(out, "object 1").iterdir())) == 3
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "real").stat().st_ino) == (True, before)
    assert not leftover.exists()


def test_a_folder_that_cannot_be_filled_stays_empty(
    tmp_path: Path, masks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", os.replace
    out.mkdir()

    def refused(source: Path, target: Path) -> None:
        if Path(target) == out / "00002.json":
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OutputError, match="Input/output error"):
        convert_masks(Conversion(masks, out, Format.LABELME))
    assert not list(out.iterdir())


@pytest.mark.parametrize(("wanted", "name"), [(Format.LABELME, "out"), (Format.COCO, "out.json")])
def test_nothing_is_left_of_a_failed_conversion(
    tmp_path: Path, masks: Path, wanted: Format, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path, clip: Clip, *rest: object) -> None:
        for frame in clip.frames():
            if frame.name == "00001":
                raise OSError(28, "No space left on device")
            (path / "x").touch() if path.is_dir() else path.touch()

    monkeypatch.setattr(run, "write_labelme", fails)
    monkeypatch.setattr(run, "write_coco", fails)
    with pytest.raises(OutputError, match="disk is full"):
        convert_masks(Conversion(masks, tmp_path / name, wanted))
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


def test_leftovers_of_a_killed_conversion_do_not_matter(tmp_path: Path, masks: Path) -> None:
    leftover = tmp_path / ".out.part"
    leftover.mkdir()
    save(leftover / "99999.json", "{")
    convert_masks(Conversion(masks, tmp_path / "out", Format.LABELME))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"0000{n}.json" for n in range(3)]
    assert not leftover.exists()


def test_a_broken_last_frame_leaves_nothing(tmp_path: Path, masks: Path) -> None:
    save(masks / "00003.png", "no picture")
    with pytest.raises(InputError, match="00003"):
        convert_masks(Conversion(masks, tmp_path / "out", Format.BINARY))
    assert not (tmp_path / "out").exists()


def test_names_cannot_leave_the_target(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    source = save(tmp_path / "c.json", coco("../../evil.jpg", "C:\\x\\..\\..jpg", "/etc/pass:wd.png"))
    done = convert_masks(Conversion(source, inner / "masks", Format.DAVIS))
    assert done.names == {1: "../../dog"}
    assert sorted(path.name for path in (inner / "masks").glob("*.png")) == [
        "evil.png",
        "frame.png",
        "pass_wd.png",
    ]
    convert_masks(Conversion(inner / "masks", inner / "binary", Format.BINARY))
    assert {path.name for path in (inner / "binary").iterdir()} == {"_.._dog", "names.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"inner", "c.json"}
    assert {path.name for path in inner.iterdir()} == {"masks", "binary"}
    back = convert_masks(Conversion(inner / "binary", inner / "back", Format.DAVIS))
    assert back.names == {1: "../../dog"}


def test_names_that_windows_keeps_for_itself_are_changed(tmp_path: Path) -> None:
    source = save(tmp_path / "c.json", coco("con.jpg", "Aux.v2.jpg", "COM1 .jpg", "console.jpg"))
    convert_masks(Conversion(source, tmp_path / "masks", Format.DAVIS))
    assert sorted(path.name for path in (tmp_path / "masks").glob("*.png")) == [
        "Aux_.v2.png",
        "COM1_.png",
        "con_.png",
        "console.png",
    ]


@pytest.mark.parametrize(
    ("wanted", "name", "message"),
    [
        (Format.COCO, "out.txt", r"end in \.json"),
        (Format.CVAT_IMAGES, "out", r"end in \.xml"),
        (Format.DAVIS, "file", "is a file"),
        (Format.COCO, "none/out.json", "no folder"),
        (Format.DAVIS, "masks", "source itself"),
    ],
)
def test_targets_that_cannot_be(tmp_path: Path, masks: Path, wanted: Format, name: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StmaError, match=message):
        convert_masks(Conversion(masks, tmp_path / name, wanted))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (4, 4)}, "--size is for YOLO"),
        ({"clip": "a"}, "--clip is for YouTube-VIS"),
        ({"tolerance": 1.0}, "--simplify is for polygons"),
    ],
)
def test_options_of_other_formats(tmp_path: Path, masks: Path, options: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        convert_masks(Conversion(masks, tmp_path / "out", Format.DAVIS, **options))


def test_the_command_needs_nothing_heavy_until_it_runs() -> None:
    code = "import sys, stma_cli.commands.convert; print({'torch', 'cv2', 'numpy', 'pycocotools'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_impossible_size() -> None:
    result = invoke("a", "-o", "b", "--to", "davis", "--size", "12by4")
    assert isinstance(result.exception, SettingsError)


CVAT = "<annotations><meta><original_size><width>9</width><height>9</height></original_size></meta>{}</annotations>"
TRACK = '<track id="0" label="a"><mask frame="{}" outside="0" {}/></track>'
VIS_VIDEO = {"id": 1, "width": 4, "height": 4, "file_names": ["a/0.jpg", "a/1.jpg"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.json", None, "there is no"),
        ("a.mp4", "x", "ending of no format"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", {"annotations": []}, "neither COCO nor YouTube-VIS"),
        ("a.json", coco(), 'empty list "images"'),
        ("a.json", coco("a.jpg", width=None), "has no size"),
        ("a.json", coco("a.jpg", width=10**9, height=10**9), "more than 100 million pixels"),
        ("a.json", coco("a.jpg", "b/a.png"), "there twice"),
        ("a.json", coco("a.jpg", "A.jpg"), "there twice"),
        ("a.json", {**coco("a.jpg"), "annotations": [3]}, "no list of objects"),
        ("a.json", {**coco("a.jpg"), "categories": [3]}, "field of the wrong kind"),
        ("a.json", coco("a.jpg", width=2), "outside the frame"),
        (
            "a.json",
            coco("a.jpg", id="0"),
            """annotation 0 has the "image_id" 0, which no image.*write both alike""",
        ),
        (
            "a.json",
            {
                "videos": [VIS_VIDEO],
                "annotations": [{"id": 7, "video_id": "1", "segmentations": [None, None]}],
            },
            """annotation 7 has the "video_id" '1', which no video.*write both alike""",
        ),
        (
            "a.json",
            {"videos": [VIS_VIDEO], "annotations": [{"id": 1, "video_id": 1}]},
            "each of the 2 frames",
        ),
        ("a.json", {"videos": [{**VIS_VIDEO, "file_names": []}], "annotations": []}, '"file_names"'),
        ("a.json", {"shapes": [{"label": "a", "points": SQUARE}]}, "imageWidth"),
        ("a.xml", "<annotations>", "not valid XML"),
        ("a.xml", "<annotations/>", "no images and no tracks"),
        ("a.xml", '<annotations><image id="0" name="a.png"/></annotations>', "no size"),
        ("a.xml", "<annotations><track/></annotations>", "original_size"),
        ("a.xml", CVAT.format(TRACK.format("x", "")), "has no frame"),
        ("a.xml", CVAT.format(TRACK.format(10**12, "")), "shorter parts"),
        ("a.xml", CVAT.format(TRACK.format(0, 'rle="1"')), "damaged mask"),
        (
            "a.xml",
            CVAT.format(TRACK.format(0, 'rle="1, 9" left="0" top="0" width="3" height="3"')),
            "do not fill",
        ),
        (
            "a.xml",
            CVAT.format(TRACK.format(0, 'rle="0, 9" left="7" top="0" width="3" height="3"')),
            "leaves the frame",
        ),
        ("a.npz", "no archive", "cannot be read as NPZ"),
        ("a.zip", "x", "is an archive; unpack it"),
        ("a.npy", "x", "numpy.savez"),
        ("a.png", "x", "is a picture.*--mask FILE"),
        ("a.txt", "0 0.1 0.1 0.2 0.1 0.2 0.3", "one file of YOLO labels; run stma convert .* --size"),
        ("a.json", [{"annotations": [{"result": []}]}], "is a Label Studio export"),
        ("a.json", [{"segmentation": {"size": [1, 1], "counts": [1]}}], "holds SAM's masks.*--mask FILE"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str, content: Any, message: str) -> None:
    if content is not None:
        save(tmp_path / name, content)
    with pytest.raises(StmaError, match=message) as caught:
        convert_masks(Conversion(tmp_path / name, tmp_path / "out", Format.DAVIS))
    assert name in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 0.1 0.1 0.5 0.5", "is a box"),
        ("0 10 10 90 10 90 90", "outside 0 to 1"),
        ("dog 0.1 0.1 0.5 0.5 0.1 0.9", "no row"),
        ("0 0.1 0.1 0.5 0.5 0.1", "list of points"),
    ],
)
def test_bad_yolo_rows(tmp_path: Path, row: str, message: str) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    save(folder / "im1.txt", f"{row}\n")
    with pytest.raises(StmaError, match=message) as caught:
        convert_masks(Conversion(folder, tmp_path / "out", Format.DAVIS, Format.YOLO, size=(10, 10)))
    assert "im1.txt, line 1" in str(caught.value)


@pytest.mark.parametrize("kind", ["float", "flat", "fortran", "pickle", "two", "names", "cut"])
def test_bad_npz(tmp_path: Path, kind: str) -> None:
    path, labels = tmp_path / "a.npz", np.ones((2, 6, 5), np.uint8)
    arrays: dict[str, Any] = {
        "float": {"labels": labels / 2},
        "flat": {"labels": labels[0]},
        "fortran": {"labels": np.asfortranarray(labels)},
        "pickle": {"labels": np.array([{}, {}], dtype=object)},
        "two": {"a": labels, "b": labels},
        "names": {"labels": labels, "frames": np.array(["a"])},
        "cut": {"labels": labels},
    }
    np.savez(path, **arrays[kind])
    if kind == "cut":
        with zipfile.ZipFile(path) as archive:
            data = archive.read("labels.npy")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("labels.npy", data[:-7])
    with pytest.raises(StmaError, match=r"a\.npz"):
        convert_masks(Conversion(path, tmp_path / "out", Format.DAVIS))


@pytest.mark.parametrize("kind", ["empty", "sizes", "greys"])
def test_bad_folders(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "in"
    (folder / "cat").mkdir(parents=True)
    if kind != "empty":
        for index, side in enumerate((8, 9 if kind == "sizes" else 8)):
            ramp = np.arange(side * side, dtype=np.uint8).reshape(side, side) if kind == "greys" else None
            labels = np.ones((side, side), np.uint8) if ramp is None else ramp
            Image.fromarray(labels).save(folder / "cat" / f"{index}.png")
    message = {"empty": "holds no masks", "sizes": "9x9", "greys": "more than two values"}[kind]
    with pytest.raises(StmaError, match=message):
        convert_masks(Conversion(folder, tmp_path / "out", Format.DAVIS))


def test_changing_source_is_noticed(tmp_path: Path, masks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    surveyed = run.survey

    def then_change(source: Any) -> Clip:
        clip = surveyed(source)
        (masks / "00002.png").unlink()
        return clip

    monkeypatch.setattr(run, "survey", then_change)
    with pytest.raises(InputError, match=r"00002\.png"):
        convert_masks(Conversion(masks, tmp_path / "out", Format.BINARY))
    assert not (tmp_path / "out").exists()
