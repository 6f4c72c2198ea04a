"""`stma convert`: a clip goes into every format and comes back the same; JSON is read by the formats' own tools."""

import itertools
import json
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from stma.palette import davis_palette
from stma_cli.convert.outlines import outlines
from stma_cli.convert.pictures import folder_names
from stma_cli.convert.run import Conversion, Converted, convert_masks
from stma_cli.mask_formats import Format
from stma_cli.masks import MaskWriter, read_labels, read_names
from stma_cli.masks.polygons import fill_polygon

WIDTH, HEIGHT = 40, 30
NAMES = {2: "a dog", 5: "bus & <tram>", 300: "kid"}
FILES = {
    Format.COCO: "c.json",
    Format.YOUTUBE_VIS: "y.json",
    Format.NPZ: "n.npz",
    Format.CVAT_IMAGES: "i.xml",
    Format.CVAT_VIDEO: "v.xml",
}
NAMELESS = (Format.CVAT_VIDEO,)  # formats that number their frames


def clip_labels() -> list[np.ndarray]:
    """Three frames: a ring with an island, two parts that touch at a corner, one empty frame."""
    first = np.zeros((HEIGHT, WIDTH), np.uint16)
    first[2:16, 3:20] = 2
    first[5:12, 6:15] = 0
    first[7:9, 8:10] = 5
    first[20:24, 30:34] = 300
    first[24:28, 34:40] = 300
    third = np.zeros_like(first)
    third[0:30, 0:3] = 300
    third[0, 0] = 5
    third[29, 39] = 2
    return [first, np.zeros_like(first), third]


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    folder = tmp_path / "davis"
    folder.mkdir()
    writer = MaskWriter(folder, davis_palette(), NAMES)
    for name, labels in zip(("f1", "f2", "f10"), clip_labels(), strict=True):
        writer.write(name, labels)
    writer.write_names()
    return folder


def target(tmp_path: Path, wanted: Format, tag: str = "") -> Path:
    return tmp_path / f"{tag}{FILES.get(wanted, wanted.value)}"


def convert(source: Path, out: Path, to: Format, **options: object) -> Converted:
    return convert_masks(Conversion(source, out, to, **options))  # type: ignore[arg-type]


def assert_same_clip(folder: Path, named: bool = True) -> None:
    names = ("f1", "f2", "f10") if named else ("00000", "00001", "00002")
    assert {path.name for path in folder.iterdir()} == {*(f"{name}.png" for name in names), "names.json"}
    for name, labels in zip(names, clip_labels(), strict=True):
        np.testing.assert_array_equal(read_labels(folder / f"{name}.png"), labels)
    assert read_names(folder) == NAMES


@pytest.mark.parametrize("middle", list(Format))
def test_there_and_back(tmp_path: Path, davis: Path, middle: Format) -> None:
    out = target(tmp_path, middle, "there-")
    there = convert(davis, out, middle)
    assert (there.source_format, there.frames, there.names) == (Format.DAVIS, 3, NAMES)
    back = convert(out, tmp_path / "back", Format.DAVIS)
    assert back.source_format is middle  # found out from the content
    assert_same_clip(tmp_path / "back", named=middle not in NAMELESS)
    assert not [path for path in tmp_path.rglob("*.part")]


def test_a_chain_through_all_formats(tmp_path: Path, davis: Path) -> None:
    source = davis
    order = [wanted for wanted in Format if wanted not in (Format.DAVIS, *NAMELESS)]
    for wanted in order:
        out = target(tmp_path, wanted, "chain-")
        convert(source, out, wanted)
        source = out
    convert(source, tmp_path / "end", Format.DAVIS)
    assert_same_clip(tmp_path / "end")


@pytest.mark.parametrize("middle", list(Format))
def test_objects_of_one_name_stay_apart(tmp_path: Path, davis: Path, middle: Format) -> None:
    rows = [{"id": object_id, "name": "dog"} for object_id in NAMES]
    (davis / "names.json").write_text(json.dumps({"objects": rows}))
    convert(davis, target(tmp_path, middle, "there-"), middle)
    back = convert(target(tmp_path, middle, "there-"), tmp_path / "back", Format.DAVIS)
    kept = middle in (Format.DAVIS, Format.BINARY, Format.NPZ, Format.YOLO)
    assert list(back.names.values()) == (["dog"] * 3 if kept else ["dog", "dog 2", "dog 3"])
    assert list(back.names) == list(NAMES)


def test_an_object_that_is_called_like_the_id_of_another_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "davis").mkdir()
    writer = MaskWriter(tmp_path / "davis", davis_palette(), {3: "7"})
    writer.write("0", np.where(np.arange(HEIGHT)[:, None] < 9, 3, 0) * np.ones((1, WIDTH), np.uint8))
    writer.write_names()
    convert(tmp_path / "davis", tmp_path / "labelme", Format.LABELME)
    convert(tmp_path / "labelme", tmp_path / "back", Format.DAVIS)
    assert np.unique(read_labels(tmp_path / "back" / "0.png")).tolist() == [0, 3]


def test_folders_of_objects_differ_in_more_than_case() -> None:
    assert folder_names({1: "dog", 2: "Dog", 3: "cat"}) == {1: "dog", 2: "Dog (2)", 3: "cat"}


def test_folders_of_objects_differ_from_names_with_an_id() -> None:
    assert folder_names({1: "a", 2: "a (3)", 3: "a"}) == {1: "a", 2: "a (3)", 3: "a (3) (3)"}


def test_coco_is_what_pycocotools_reads(tmp_path: Path, davis: Path) -> None:
    convert(davis, tmp_path / "c.json", Format.COCO)
    coco = COCO(str(tmp_path / "c.json"))
    assert {row["name"] for row in coco.cats.values()} == set(NAMES.values())
    for image, labels in zip(coco.loadImgs(coco.getImgIds()), clip_labels(), strict=True):
        painted = np.zeros_like(labels)
        for row in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            mask = coco.annToMask(row)
            painted[mask > 0] = row["track_id"]
            assert coco.cats[row["category_id"]]["name"] == NAMES[row["track_id"]]
            assert row["area"] == mask.sum()
            left, top, width, height = row["bbox"]
            assert mask[int(top) : int(top + height), int(left) : int(left + width)].sum() == mask.sum()
        np.testing.assert_array_equal(painted, labels)


def test_youtube_vis_fields(tmp_path: Path, davis: Path) -> None:
    convert(davis, tmp_path / "y.json", Format.YOUTUBE_VIS)
    content = json.loads((tmp_path / "y.json").read_text())
    (video,) = content["videos"]
    assert (video["length"], video["width"], video["height"]) == (3, WIDTH, HEIGHT)
    assert video["file_names"] == ["y/f1.jpg", "y/f2.jpg", "y/f10.jpg"]
    for row in content["annotations"]:
        assert row["segmentations"][1] is row["bboxes"][1] is row["areas"][1] is None
        for runs, area, labels in zip(row["segmentations"], row["areas"], clip_labels(), strict=True):
            if runs is not None:
                mask = coco_mask.decode(runs)
                np.testing.assert_array_equal(mask > 0, labels == row["id"])
                assert area == mask.sum()


def test_npz_opens_without_pickle(tmp_path: Path, davis: Path) -> None:
    convert(davis, tmp_path / "n.npz", Format.NPZ)
    with np.load(tmp_path / "n.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["labels"], np.stack(clip_labels()))
        assert arrays["labels"].dtype == np.uint16
        assert arrays["frames"].tolist() == ["f1", "f2", "f10"]
        assert dict(zip(arrays["ids"].tolist(), arrays["names"].tolist(), strict=True)) == NAMES


@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_npz_holds_ids_above_255_in_16_bits(tmp_path: Path, largest: int, dtype: type) -> None:
    (tmp_path / "davis").mkdir()
    writer = MaskWriter(tmp_path / "davis", davis_palette(), {largest: "last"})
    labels = np.full((HEIGHT, WIDTH), largest, np.uint16)
    labels[:2] = 0
    writer.write("0", labels)
    writer.write_names()
    convert(tmp_path / "davis", tmp_path / "n.npz", Format.NPZ)
    with np.load(tmp_path / "n.npz") as arrays:
        assert arrays["labels"].dtype == dtype
        np.testing.assert_array_equal(arrays["labels"][0], labels)


def test_binary_has_a_mask_of_every_object_on_every_frame(tmp_path: Path, davis: Path) -> None:
    convert(davis, tmp_path / "b", Format.BINARY)
    folders = {path.name for path in (tmp_path / "b").iterdir() if path.is_dir()}
    assert folders == {"a dog", "bus & _tram_", "kid"}
    for folder in folders:
        assert len(list((tmp_path / "b" / folder).glob("*.png"))) == 3
    assert set(np.unique(read_labels(tmp_path / "b" / "kid" / "f1.png")).tolist()) == {0, 255}


@pytest.mark.parametrize("wanted", [Format.LABELME, Format.YOLO])
def test_polygon_targets_say_so(tmp_path: Path, davis: Path, wanted: Format) -> None:
    exact = convert(davis, tmp_path / "exact", wanted)
    assert any("polygons follow the edges" in note for note in exact.notes)
    rough = convert(davis, tmp_path / "rough", wanted, tolerance=2.0)
    assert any("simplified by up to 2 pixels" in note for note in rough.notes)
    convert(tmp_path / "rough", tmp_path / "back", Format.DAVIS)  # still outlines that can be read


def filled(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    parts = [fill_polygon(points, shape[1], shape[0]) for points in polygons]
    total = np.sum(parts, axis=0) if parts else np.zeros(shape, int)
    assert total.max(initial=0) <= 1  # pieces do not overlap
    return np.asarray(total > 0)


def test_outlines_cover_every_small_mask_exactly() -> None:
    for bits in itertools.product((False, True), repeat=12):
        mask = np.array(bits).reshape(3, 4)
        np.testing.assert_array_equal(filled(outlines(mask), mask.shape), mask)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_outlines_cover_noise_exactly(share: float) -> None:
    mask = np.random.default_rng(0).random((24, 31)) < share
    np.testing.assert_array_equal(filled(outlines(mask), mask.shape), mask)


def test_outline_of_a_box_has_four_corners() -> None:
    mask = np.zeros((9, 9), bool)
    mask[2:5, 3:8] = True
    (points,) = outlines(mask)
    assert {tuple(point) for point in points.tolist()} == {(3, 2), (8, 2), (8, 5), (3, 5)}
    assert len(points) == 4


@pytest.mark.parametrize("wanted", [Format.DAVIS, Format.COCO, Format.CVAT_IMAGES, Format.NPZ, Format.YOLO])
def test_frames_are_held_one_at_a_time(
    tmp_path: Path, davis: Path, wanted: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stma_cli.convert import pictures

    alive: list[Callable[[], object]] = []
    most = 0

    def counted(path: Path) -> np.ndarray:
        nonlocal most
        labels = np.array(read_labels(path))
        alive.append(weakref.ref(labels))
        most = max(most, sum(reference() is not None for reference in alive))
        return labels

    monkeypatch.setattr(pictures, "read_labels", counted)
    names = {**NAMES, 255: "void"}  # so that the masks go through `read_labels` of this module
    (davis / "names.json").write_text(
        json.dumps({"objects": [{"id": key, "name": name} for key, name in names.items()]})
    )
    for number in range(20, 30):
        (davis / f"f{number}.png").write_bytes((davis / "f1.png").read_bytes())
    assert convert(davis, target(tmp_path, wanted, "s-"), wanted).frames == 13
    assert most <= 3
