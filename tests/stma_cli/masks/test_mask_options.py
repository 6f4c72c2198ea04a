"""--mask and --objects: frames, names, several files."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pictures import save, save_indexed
from PIL import Image
from running import run_command

from stma.errors import InputError, MaskError
from stma.labels import LEAVE
from stma.palette import davis_palette
from stma_cli.masks import expand_folders, first_masks, read_mask_options, select_objects

WIDTH, HEIGHT = 40, 30


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with binary masks a.png and b.png (they overlap), an indexed one and an empty one."""
    monkeypatch.chdir(tmp_path)
    for name, columns in (("a", slice(2, 14)), ("b", slice(10, 22)), ("empty", slice(0, 0))):
        plane = np.zeros((HEIGHT, WIDTH), np.uint8)
        plane[5:15, columns] = 255
        Image.fromarray(plane).save(f"{name}.png")
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[2:10, 2:10], labels[2:10, 20:30] = 3, 5
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().tobytes())
    image.save("indexed.png")
    return tmp_path


def test_one_file_belongs_to_the_first_frame(masks: Path) -> None:
    assert list(read_mask_options(["indexed.png"], WIDTH, HEIGHT)) == [0]
    assert list(read_mask_options(["indexed.png"], WIDTH, HEIGHT, first_frame=100)) == [100]


def test_named_files_are_numbered_in_the_order_given(masks: Path) -> None:
    annotation = read_mask_options(["person=a.png", "dog=b.png"], WIDTH, HEIGHT)[0]
    assert annotation.names == {1: "person", 2: "dog"}
    assert annotation.labels[6, 3] == 1
    assert annotation.labels[6, 12] == 2
    assert annotation.notes == ("dog covers 40 pixels of person: the later wins",)


def test_frames_and_names_together(masks: Path) -> None:
    read = read_mask_options(["120=indexed.png", "dog=a.png", "60:cat=b.png", "60:dog=a.png"], WIDTH, HEIGHT)
    assert list(read) == [0, 60, 120]
    assert read[120].object_ids == (3, 5)
    assert read[0].object_ids == (1,)
    assert read[60].names == {1: "dog", 2: "cat"}


def test_an_object_may_be_called_like_a_negative_number(masks: Path) -> None:
    assert read_mask_options(["0:-1=a.png"], WIDTH, HEIGHT)[0].names == {1: "-1"}
    assert read_mask_options(["-1st=a.png"], WIDTH, HEIGHT)[0].names == {1: "-1st"}


def test_ids_go_by_the_order_given_whatever_the_frames(masks: Path) -> None:
    read = read_mask_options(["60:dog=a.png", "cat=b.png"], WIDTH, HEIGHT)
    assert (read[60].names, read[0].names) == ({1: "dog"}, {2: "cat"})


def test_a_path_with_an_equals_sign_is_a_path(masks: Path) -> None:
    (masks / "a.png").rename(masks / "x=1.png")
    assert read_mask_options(["x=1.png"], WIDTH, HEIGHT)[0].object_ids == (1,)


def test_empty_first_mask_with_a_later_one(masks: Path) -> None:
    read = read_mask_options(["empty.png", "7=a.png"], WIDTH, HEIGHT)
    assert read[0].object_ids == ()
    assert read[7].object_ids == (1,)
    assert (read[0].notes, read[7].notes) == (
        (
            "it marks nothing and is ignored; to erase objects on its frame, fill an indexed PNG with 255 (as "
            "predicted) and paint 0 over them",
        ),
        (),
    )
    with pytest.raises(MaskError, match="empty, all of it is background"):
        read_mask_options(["empty.png", "9=empty.png"], WIDTH, HEIGHT)


def test_masks_wait_for_their_frame_in_few_bytes(masks: Path) -> None:
    save(Path("wide.png"), np.full((HEIGHT, WIDTH), 300, np.uint16))
    left = np.full((HEIGHT, WIDTH), 255, np.uint8)
    left[:9] = 3
    save_indexed(Path("left.png"), left)
    read = read_mask_options(["empty.png", "7=indexed.png", "8=wide.png", "9=left.png"], WIDTH, HEIGHT)
    assert [read[frame].labels.dtype for frame in (7, 8, 9)] == [np.uint8, np.uint16, np.int16]
    assert read[0].labels.base.nbytes == 1  # nothing is held of an empty one
    np.testing.assert_array_equal(read[9].labels, np.where(left == 255, LEAVE, 3))
    assert select_objects(read, "5")[7].labels.dtype == np.uint8


def test_255_and_0_alone_erase_before_the_mask_that_shows_an_object_too(masks: Path) -> None:
    plane = np.full((HEIGHT, WIDTH), 255, np.uint8)
    plane[:10] = 0
    image = Image.fromarray(plane)
    image.putpalette(davis_palette().tobytes())
    image.save("erase.png")
    for options in (["3=erase.png", "6=indexed.png"], ["6=indexed.png", "3=erase.png"]):
        read = read_mask_options(options, WIDTH, HEIGHT)
        np.testing.assert_array_equal(read[3].labels, np.where(plane == 255, LEAVE, 0))
        assert (read[3].names, read[6].object_ids) == ({}, (3, 5))
    assert read_mask_options(["3=erase.png"], WIDTH, HEIGHT)[3].object_ids == (255,)
    both = read_mask_options(["empty.png", "9=erase.png", "3=erase.png"], WIDTH, HEIGHT)
    assert (both[3].object_ids, both[9].object_ids) == ((255,), (255,))


def test_names_given_later_hold_for_all_frames(masks: Path) -> None:
    (masks / "late").mkdir()
    (masks / "late" / "names.json").write_text('{"objects": [{"id": 3, "name": "dog"}]}')
    (masks / "late" / "fix.png").write_bytes((masks / "indexed.png").read_bytes())
    read = read_mask_options(["indexed.png", "9=late/fix.png"], WIDTH, HEIGHT)
    assert read[0].names == {3: "dog", 5: "object 5"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "add --mask"),
        (["a.png", "b.png"], "name every file"),
        (["0=a.png", "b.png"], "frame 0 has 2 masks"),
        (["dog=a.png", "dog=b.png"], "two masks named dog"),
        (["dog=indexed.png"], "holds 2 objects"),
        (["dog=empty.png"], "empty.png is empty"),
        (["one=a.png", "two=a.png"], "nothing is left of one"),
        (["120=absent.png"], "no mask file absent.png"),
        (["-1=a.png"], "the frame -1, but frames count from 0.*or --mask 0:-1=a.png for an object called -1"),
        (["-12:dog=a.png"], "the frame -12, but frames count from 0"),
    ],
)
def test_contradictions(masks: Path, options: list[str], words: str) -> None:
    with pytest.raises(MaskError, match=words):
        read_mask_options(options, WIDTH, HEIGHT)


def test_objects_are_chosen_by_id_or_name(masks: Path) -> None:
    read = read_mask_options(["dog=a.png", "cat=b.png", "9=indexed.png"], WIDTH, HEIGHT)
    chosen = select_objects(read, "cat, 5")
    assert chosen[0].names == {2: "cat"}
    assert chosen[9].object_ids == (5,)


def test_the_first_mask_of_each_object_alone(masks: Path) -> None:
    plane = np.full((HEIGHT, WIDTH), 255, np.uint8)  # objects 5 and 7, and else "as predicted"
    plane[2:10, 20:30], plane[20:28, 20:30] = 5, 7
    image = Image.fromarray(plane)
    image.putpalette(davis_palette().tobytes())
    image.save("later.png")
    read = read_mask_options(["empty.png", "2=indexed.png", "3=indexed.png", "4=later.png"], WIDTH, HEIGHT)
    first = first_masks(read)
    assert {frame: annotation.names for frame, annotation in first.items()} == {
        2: {3: "object 3", 5: "object 5"},
        4: {7: "object 7"},
    }
    np.testing.assert_array_equal(first[2].labels, read[2].labels)
    np.testing.assert_array_equal(first[4].labels, np.where(plane == 7, 7, 0))  # all others stay as predicted


def test_255_alone_is_an_object_of_the_first_mask(masks: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[5:15, 2:14] = 255
    save_indexed(Path("last.png"), labels)
    assert read_mask_options(["7=last.png"], WIDTH, HEIGHT)[7].object_ids == (255,)
    later = read_mask_options(["7=last.png", "indexed.png"], WIDTH, HEIGHT)
    assert later[7].object_ids == ()
    assert (later[7].labels == LEAVE).sum() == 120


def test_a_name_chooses_all_objects_that_have_it(masks: Path) -> None:
    rows = [{"id": 3, "name": "person"}, {"id": 5, "name": "person"}]
    (masks / "names.json").write_text(json.dumps({"objects": rows}))
    read = read_mask_options(["indexed.png"], WIDTH, HEIGHT)
    assert select_objects(read, "person")[0].object_ids == (3, 5)
    assert select_objects(read, "5")[0].object_ids == (5,)


@pytest.mark.parametrize(
    ("wanted", "words"), [("7", r"asks for 7.*choose from 3 \(object 3\)"), (" ,", "no object")]
)
def test_objects_that_are_not_there(masks: Path, wanted: str, words: str) -> None:
    with pytest.raises(MaskError, match=words):
        select_objects(read_mask_options(["indexed.png"], WIDTH, HEIGHT), wanted)


def test_a_folder_holds_masks_named_after_their_frames(masks: Path) -> None:
    folder = masks / "drawn"
    folder.mkdir()
    for source, target in (("indexed", "00000.png"), ("empty", "00009.png"), ("a", "120.png")):
        (folder / target).write_bytes((masks / f"{source}.png").read_bytes())
    (folder / "names.json").write_text('{"objects": [{"id": 3, "name": "dog"}]}')
    (folder / "00000.jpg").touch()
    (folder / ".DS_Store").touch()
    read = read_mask_options(["drawn", "60:cat=b.png"], WIDTH, HEIGHT)
    assert list(read) == [0, 9, 60, 120]
    assert read[0].names == {3: "dog", 5: "object 5"}
    assert read[120].object_ids == (1,)
    assert read[60].names == {2: "cat"}


@pytest.mark.parametrize("before", ["3", "dog", "3:dog"])
def test_a_folder_is_not_one_mask(masks: Path, before: str) -> None:
    (masks / "drawn").mkdir()
    with pytest.raises(MaskError, match="drawn is a folder and not one mask; give a file in it"):
        read_mask_options([f"{before}=drawn"], WIDTH, HEIGHT)


def test_masks_of_a_folder_of_frames_have_the_names_of_the_frames(masks: Path) -> None:
    folder = masks / "drawn"
    folder.mkdir()
    (folder / "f010.png").write_bytes((masks / "indexed.png").read_bytes())
    assert list(read_mask_options(["drawn"], WIDTH, HEIGHT, stems=["f002", "f010"])) == [1]
    (folder / "f010.png").rename(folder / "00001.png")
    assert list(read_mask_options(["drawn"], WIDTH, HEIGHT, stems=["f002", "f010"])) == [1]
    assert list(read_mask_options(["drawn"], WIDTH, HEIGHT, stems=["00001", "00002"])) == [0]


def test_labelme_leaves_the_masks_among_the_frames(masks: Path) -> None:
    for name in ("f0.tif", "f1.tif", "f1.json", "f2.tif", "f2.JSON", "names.json"):
        (masks / "frames").mkdir(exist_ok=True)
        (masks / "frames" / name).touch()
    expanded = ("1=frames/f1.json", "2=frames/f2.JSON")
    assert expand_folders(["frames"], ["f0", "f1", "f2"], masks / "frames") == expanded
    with pytest.raises(MaskError, match=r"f1.json and f1.tif .* are both masks of frame 1; move one"):
        expand_folders(["frames"], ["f0", "f1", "f2"], masks)
    (masks / "frames" / "f0.jpg").touch()  # so that f0.tif is no frame
    assert expand_folders(["frames"], ["f0", "f1", "f2"], masks / "frames") == ("0=frames/f0.tif", *expanded)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "holds no mask"),
        (["first.png"], "first.png is named after no frame.* or move it elsewhere$"),
        (
            ["cat.png", "dog.png"],
            "one object .*, give --mask cat=drawn/cat.png --mask dog=drawn/dog.png and so",
        ),
        (["00001.png", "1.png"], "both masks of frame 1"),
        (["00001.png", "report.json"], "holds the results of a run"),
    ],
)
def test_folders_that_cannot_be_used(masks: Path, files: list[str], words: str) -> None:
    (masks / "drawn").mkdir()
    for file in files:
        (masks / "drawn" / file).touch()
    with pytest.raises(MaskError, match=words):
        read_mask_options(["drawn"], WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", ["npz", "youtube-vis", "cvat-images", "cvat-video", "binary", "yolo"])
def test_the_command_that_converts_masks_is_named_and_works(masks: Path, kind: str) -> None:
    (masks / "drawn").mkdir()
    (masks / "drawn" / "frame_000003.png").write_bytes((masks / "indexed.png").read_bytes())
    given = {"npz": "x.npz", "youtube-vis": "x.json", "binary": "x", "yolo": "x"}.get(kind, "x.xml")
    run_command("convert", "drawn", "--to", kind, "-o", given)
    with pytest.raises(
        InputError, match=r"^x.*; run stma convert .* -o masks --to davis.*, then give --mask masks"
    ) as error:
        read_mask_options([given], WIDTH, HEIGHT)
    command = error.value.fix.removeprefix("run stma ").split(", then")[0]
    run_command(*command.replace("WIDTHxHEIGHT", f"{WIDTH}x{HEIGHT}").split())
    read = read_mask_options(["masks"], WIDTH, HEIGHT)
    frame = 0 if kind == "cvat-video" else 3  # which loses the names of frames
    np.testing.assert_array_equal(
        read[frame].labels, read_mask_options(["indexed.png"], WIDTH, HEIGHT)[0].labels
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.zip", r"a\.zip is an archive; unpack it"),
        (
            "a.txt",
            r"a\.txt is one file of YOLO labels; run stma convert labels -o masks --to davis --from yolo",
        ),
    ],
)
def test_files_that_are_no_masks_are_named(masks: Path, name: str, words: str) -> None:
    (masks / "labels").mkdir()
    (masks / "labels" / name).write_text("0 0.1 0.1 0.2 0.1 0.2 0.3")
    with pytest.raises(MaskError, match=words):
        read_mask_options([f"labels/{name}"], WIDTH, HEIGHT)


def test_numbered_frames_go_by_their_own_numbers(masks: Path) -> None:
    (masks / "drawn").mkdir()
    (masks / "drawn" / "1.png").touch()
    with pytest.raises(MaskError, match="named after no frame"):
        expand_folders(["drawn"], stems=["1001", "1002"])
    (masks / "drawn" / "1.png").rename(masks / "drawn" / "1002.png")
    assert expand_folders(["drawn"], stems=["1001", "1002"]) == ("1=drawn/1002.png",)


def test_a_folder_of_folders_may_be_of_clips_or_of_objects(masks: Path) -> None:
    for name in ("bear", "dog"):
        (masks / "all" / name).mkdir(parents=True)
        (masks / "all" / name / "00000.png").write_bytes((masks / "a.png").read_bytes())
    with pytest.raises(
        MaskError, match="give one of the folders in it, or where each is an object, run stma"
    ):
        read_mask_options(["all"], WIDTH, HEIGHT)


def test_a_frame_in_a_folder_and_beside_it_is_refused(masks: Path) -> None:
    (masks / "drawn").mkdir()
    (masks / "drawn" / "00007.png").write_bytes((masks / "indexed.png").read_bytes())
    with pytest.raises(MaskError, match="frame 7 has 2 masks"):
        read_mask_options(["drawn", "7=a.png"], WIDTH, HEIGHT)


def coco(path: Path, names: list[str], marked: dict[int, int]) -> None:
    """Write a COCO file with so many squares on pictures, by their places in `names`."""
    rows = [
        {
            "image_id": place,
            "category_id": 1,
            "track_id": key,
            "segmentation": [[2, y, 12, y, 12, y + 9, 2, y + 9]],
        }
        for place, count in marked.items()
        for key, y in zip(range(count), (2, 15), strict=False)
    ]
    images = [
        {"id": place, "file_name": name, "width": WIDTH, "height": HEIGHT} for place, name in enumerate(names)
    ]
    categories = [{"id": 1, "name": "ball"}]
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))


@pytest.mark.parametrize(
    ("option", "stems", "words"),
    [
        ("one.json", [], "drawn on frame_000004.PNG, named after frame 4; .*, give --mask 4=one.json"),
        ("ball=one.json", ["one", "f1", "f2"], None),
        ("4=one.json", [], None),
        ("f2.png", ["f0", "f1", "f2"], "is named after frame 2; .*, give --mask 2=f2.png"),
        ("ball=f2.png", ["f0", "f1", "f2"], "give --mask 2:ball=f2.png"),
        ("f2.png", [], None),
        ("labelme.json", ["f0", "f1", "f2"], "was drawn on ...img.f1.jpg, named after frame 1"),
        ("labelme.json", ["f1", "f0"], None),
    ],
)
def test_a_mask_that_is_named_after_another_frame_is_told(
    masks: Path, option: str, stems: list[str], words: str | None
) -> None:
    coco(masks / "one.json", ["frame_000004.PNG"], {0: 1})
    (masks / "f2.png").write_bytes((masks / "a.png").read_bytes())
    square = {"label": "ball", "points": [[2, 2], [12, 2], [12, 12]], "shape_type": "polygon"}
    (masks / "labelme.json").write_text(json.dumps({"shapes": [square], "imagePath": "..\\img\\f1.jpg"}))
    (annotation,) = read_mask_options([option], WIDTH, HEIGHT, stems=stems).values()
    assert len(annotation.notes) == (words is not None), annotation.notes
    assert words is None or re.search(words, annotation.notes[0])


def test_objects_on_further_pictures_of_a_file_are_told(masks: Path) -> None:
    names = [f"f_{number}.jpg" for number in (0, 3, 6, 9)]
    coco(masks / "all.json", names, {0: 1, 1: 1, 2: 1})
    (note,) = read_mask_options(["all.json", "3=all.json"], WIDTH, HEIGHT)[0].notes
    assert note.endswith("marks objects on f_6.jpg, left out here; to use them, add --mask 6=all.json")
    every = read_mask_options(["all.json", "3=all.json", "6=all.json"], WIDTH, HEIGHT)
    assert [annotation.notes for annotation in every.values()] == [(), (), ()]
    assert read_mask_options(["all.json#f_0.jpg"], WIDTH, HEIGHT)[0].notes == ()
    stems = ["f_0", "x", "f_9", "f_6"]  # a file that is also of other clips
    (note,) = read_mask_options(["all.json"], WIDTH, HEIGHT, stems=stems)[0].notes
    assert note.endswith("add --mask 3=all.json")


@pytest.mark.parametrize("option", ["late.json", "ball=late.json"])
def test_a_file_that_marks_only_other_frames_is_not_called_empty(masks: Path, option: str) -> None:
    coco(masks / "late.json", ["f_0.jpg", "f_4.jpg"], {1: 2})
    words = {
        "late.json": "late.json marks nothing on frame 0, but on f_4.jpg; give --mask 4=late.json",
        "ball=late.json": "late.json marks nothing on f_0.jpg, but on f_4.jpg; give the number",
    }
    with pytest.raises(MaskError, match=words[option]):
        read_mask_options([option], WIDTH, HEIGHT)
    assert read_mask_options(["4=late.json"], WIDTH, HEIGHT)[4].object_ids == (1, 2)


@pytest.mark.parametrize(
    "options",
    [["indexed.png", "9=erase.png"], ["9=erase.png", "indexed.png"], ["0=indexed.png", "9=erase.png"]],
)
def test_a_correction_may_erase_and_leave(masks: Path, options: list[str]) -> None:
    plane = np.full((HEIGHT, WIDTH), 255, np.uint8)
    plane[2:10, 2:10] = 0
    image = Image.fromarray(plane)
    image.putpalette(davis_palette().tobytes())
    image.save("erase.png")
    read = read_mask_options(options, WIDTH, HEIGHT)
    assert read[0].object_ids == (3, 5)
    assert read[9].object_ids == ()
    np.testing.assert_array_equal(read[9].labels, np.where(plane == 255, LEAVE, 0))
    only = select_objects(read, "5")
    assert only[0].object_ids == (5,)
    np.testing.assert_array_equal(only[9].labels, read[9].labels)
