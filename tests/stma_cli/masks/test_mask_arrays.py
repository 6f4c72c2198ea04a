"""Masks of other programs' own: NumPy arrays, and what Segment Anything writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media import make_folder
from pictures import save
from pycocotools import mask as coco_mask

from stma.errors import AnnotationError, MaskError
from stma.labels import LEAVE
from stma_cli.check.findings import Level
from stma_cli.check.run import run_check
from stma_cli.masks import Annotation, expand_folders, read_mask_options

WIDTH, HEIGHT = 40, 30
WHOLE, PART, APART = (
    (slice(2, 20), slice(2, 20)),
    (slice(5, 10), slice(5, 10)),
    (slice(22, 28), slice(25, 35)),
)


def plane(*areas: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for area in areas:
        mask[area] = True
    return mask


def read(*options: object) -> Annotation:
    return read_mask_options([str(option) for option in options], WIDTH, HEIGHT)[0]


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


LABELS = np.where(plane(WHOLE), 3, np.where(plane(APART), 7, 0))
STACK = np.stack([plane(PART), plane(APART), plane(WHOLE)])  # the whole lies over its part
OF_STACK = np.where(plane(PART), 1, np.where(plane(APART), 2, np.where(plane(WHOLE), 3, 0)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_a_plane_of_ids(tmp_path: Path, dtype: type) -> None:
    np.testing.assert_array_equal(read(saved(tmp_path / "a.npy", LABELS.astype(dtype))).labels, LABELS)
    np.savez(tmp_path / "a.npz", LABELS.astype(dtype))
    np.testing.assert_array_equal(read(tmp_path / "a.npz").labels, LABELS)


def test_arrays_in_a_folder_of_masks(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    saved(folder / "00000.npy", LABELS)
    np.savez(folder / "00008.npz", STACK)
    by_frame = read_mask_options([str(folder)], WIDTH, HEIGHT)
    np.testing.assert_array_equal(by_frame[0].labels, LABELS)
    np.testing.assert_array_equal(by_frame[8].labels, OF_STACK)


def test_arrays_among_the_frames(tmp_path: Path) -> None:
    frames = make_folder(tmp_path / "frames", ["f0.png", "f1.png"], WIDTH, HEIGHT)
    mask = saved(frames / "f1.npy", LABELS)
    assert expand_folders([str(frames)], ["f0", "f1"], frames) == (f"1={mask}",)


@pytest.mark.parametrize("mask", [plane(PART), plane(PART) * 1.0, plane(PART) * np.uint8(255)])
def test_one_object(tmp_path: Path, mask: np.ndarray) -> None:
    np.testing.assert_array_equal(read(saved(tmp_path / "a.npy", mask)).labels, plane(PART))
    assert read(f"dog={saved(tmp_path / 'b.npy', mask[None])}").names == {1: "dog"}


def test_255_in_a_plane_of_ids_leaves_pixels_as_in_a_picture(tmp_path: Path) -> None:
    labels = np.where(LABELS == 7, 255, LABELS)
    assert (read(saved(tmp_path / "a.npy", labels)).labels == LEAVE).sum() == plane(APART).sum()


@pytest.mark.parametrize("stack", [STACK, STACK[:, None].astype(np.float32), STACK * np.uint8(255)])
def test_one_plane_per_object(tmp_path: Path, stack: np.ndarray) -> None:
    annotation = read(saved(tmp_path / "a.npy", stack))
    np.testing.assert_array_equal(annotation.labels, OF_STACK)
    assert annotation.notes == ("objects overlap on 25 pixels, where the smaller one wins",)


def test_sams_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", masks=STACK, scores=np.ones(3), logits=np.ones((3, 256, 256)))
    np.testing.assert_array_equal(read(tmp_path / "a.npz").labels, OF_STACK)


def rows(compressed: bool) -> list[dict[str, Any]]:
    made = []
    for mask in STACK:
        counts: Any = np.diff(np.flatnonzero(np.diff(mask.T.ravel(), prepend=[1 - mask[0, 0]], append=[2])))
        if compressed:
            counts = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        else:
            counts = counts.tolist()
        made.append({"segmentation": {"size": [HEIGHT, WIDTH], "counts": counts}, "area": int(mask.sum())})
    return made


@pytest.mark.parametrize("compressed", [True, False])
def test_json_of_the_automatic_mask_generator_and_of_sa_1b(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.json"
    for content in (rows(compressed), {"image": {"image_id": 1}, "annotations": rows(compressed)}):
        path.write_text(json.dumps(content))
        np.testing.assert_array_equal(read(path).labels, OF_STACK)
    content = rows(compressed)
    content[1]["segmentation"]["size"] = [WIDTH, HEIGHT]
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match="mask 2 has run lengths for the size"):
        read(path)


def test_a_folder_of_the_masks_of_one_picture(tmp_path: Path) -> None:
    folder = tmp_path / "picture"
    folder.mkdir()
    for number, mask in enumerate(STACK):
        save(folder / f"{number}.png", mask * np.uint8(255))
    (folder / "metadata.csv").write_text("id,area,bbox_x0,bbox_y0,bbox_w,bbox_h\n0,25,5,5,5,5\n")
    assert expand_folders([str(folder)]) == (str(folder),)
    annotation = read(folder)
    np.testing.assert_array_equal(annotation.labels, OF_STACK)
    assert annotation.notes[0] == "taken for the masks of one picture, 0.png is object 1"
    save(folder / "3.png", np.full((8, 9), 255, np.uint8))
    with pytest.raises(MaskError, match=r"3\.png is not a grey picture of 40x30"):
        read(folder)


def test_covered_objects_are_left_out(tmp_path: Path) -> None:
    halves = np.stack([plane(WHOLE), plane(WHOLE), plane(APART)])
    annotation = read(saved(tmp_path / "a.npy", halves))
    assert annotation.object_ids == (2, 3)
    assert annotation.notes[-1] == "nothing is left of object 1, covered by smaller ones"


NESTED = np.stack([plane(WHOLE), plane(PART), plane((slice(4, 12), slice(4, 12)))])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("array", "words"),
    [
        (NESTED, "holds 3 masks that lie on one another, as the alternatives that SAM gives"),
        (np.stack([LABELS, LABELS]), "several values each, as a clip of label maps"),
        (np.where(plane(PART), -1, LABELS), "holds values from -1 to 7"),
        (LABELS * 10_000, "holds values from 0 to 70000"),
        (LABELS * 10_000.0, "holds values from 0.0 to 70000.0"),
        (LABELS * 1e300, r"holds values from 0.0 to 7e\+300"),
        (np.where(plane(PART), np.inf, 0), "of the type float64 that are no ids"),
        (np.where(plane(PART), -np.inf, 1), "of the type float64 that are no ids"),
        (np.where(plane(PART), np.nan, 0), "of the type float64 that are no ids"),
        (LABELS / 2, "of the type float64 that are no ids"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), r"of the shape \(30, 40, 3\)"),
        (np.ones(5, np.uint8), r"of the shape \(5,\)"),
        (np.ones((20, 20), np.uint8), "is 20x20, but the video is 40x30"),
        (np.zeros((HEIGHT, WIDTH)), "is empty"),
        (np.array([{}]), "cannot be read"),
    ],
)
def test_what_is_no_mask_of_one_frame(tmp_path: Path, array: np.ndarray, words: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(MaskError, match=words):
        read(tmp_path / "a.npy")


def test_archives_without_a_mask(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, labels=np.ones((2, HEIGHT, WIDTH), np.uint8), frames=np.array(["a", "b"]))
    with pytest.raises(
        MaskError, match=r"holds the masks of a clip; run stma convert .* then give --mask masks"
    ):
        read(path)
    other = path.rename(tmp_path / "a.npy")
    with pytest.raises(MaskError, match=r"masks of a clip; name it .npz, and run stma convert on it$"):
        read(other)
    np.savez(path, a=LABELS, b=LABELS)
    with pytest.raises(MaskError, match="none called 'masks'"):
        read(path)
    path.write_bytes(b"PK\3\4 cut off")
    with pytest.raises(MaskError, match="cannot be read"):
        read(path)
    with pytest.raises(MaskError, match="no mask file"):
        read(tmp_path / "absent.npy")


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 255), (np.int32, 65535)])
def test_check_says_what_an_array_leaves(tmp_path: Path, dtype: type, value: int) -> None:
    video = make_folder(tmp_path / "video", ["0.png"], WIDTH, HEIGHT)
    labels = np.where(plane(WHOLE), 300 if value > 255 else 1, np.where(plane(APART), value, 0)).astype(dtype)
    result = run_check(video, [str(saved(tmp_path / "a.npy", labels))], quick=True)
    left = next(finding for finding in result.masks if finding.code == "left")
    assert left.level is Level.NOTE
    assert left.problem.startswith(f"{value} leaves pixels as predicted")


def test_check_reads_them_too(tmp_path: Path) -> None:
    video = make_folder(tmp_path / "video", ["0.png", "1.png"], WIDTH, HEIGHT)
    good = run_check(video, [str(saved(tmp_path / "a.npy", STACK))], quick=True)
    assert [(finding.level, finding.code) for finding in good.masks] == [(Level.NOTE, "mask")]
    bad = run_check(video, [str(saved(tmp_path / "b.npy", NESTED))], quick=True)
    assert [finding.level for finding in bad.masks] == [Level.ERROR]
