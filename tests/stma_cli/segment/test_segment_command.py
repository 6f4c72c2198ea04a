"""`stma segment` from option to file, with a stand-in for the model."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import fake_setup, save_mask
from media import decoded, make_clip, make_folder
from PIL import Image
from running import refused_segment as refused
from running import run_segment as run

from stma_cli.masks import read_labels, read_names
from stma_cli.segment import run as segment_run
from stma_cli.segment.settings import SegmentSettings

WIDTH, HEIGHT, COUNT = 64, 48, 10


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clip.mp4 of ten frames, masks, and a model that copies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    make_clip(Path("clip.mp4"), COUNT, width=WIDTH, height=HEIGHT)
    save_mask("first.png", 1, 4)
    save_mask("empty.png")
    save_mask("wide.png", 1, width=WIDTH * 3)
    return tmp_path


def test_masks_names_report_and_overlay(workplace: Path) -> None:
    result = run("clip.mp4", "--mask", "first.png", "--overlay", "seen.mp4")
    assert result.exit_code == 0, result.output
    out = workplace / "clip_stma"
    assert sorted(path.name for path in out.iterdir()) == [
        *(f"{index:05d}.png" for index in range(COUNT)),
        "names.json",
        "report.json",
    ]
    np.testing.assert_array_equal(read_labels(out / "00009.png"), read_labels(workplace / "first.png"))
    assert read_names(out) == {1: "object 1", 4: "object 4"}
    assert len(decoded(workplace / "seen.mp4")) == COUNT
    for line in ("fake on cpu in fp32", "at 64x48", "objects  2", "clip_stma", "overlay  seen.mp4"):
        assert line in result.stdout


def test_report_holds_every_frame_and_where_the_time_went(workplace: Path) -> None:
    run("clip.mp4", "--mask", "person=first.png", "--out", "a")  # two objects under one name
    assert not (workplace / "a").exists()
    assert run("clip.mp4", "--mask", "first.png", "--out", "a").exit_code == 0
    report: dict[str, Any] = json.loads((workplace / "a" / "report.json").read_text())
    assert [row["frame"] for row in report["frames"]] == list(range(COUNT))
    assert report["frames"][3]["file"] == "00003.png"
    assert report["frames"][3]["objects"] == {
        "1": {"area": 100, "confidence": 0.5},
        "4": {"area": 100, "confidence": 0.5},
    }
    assert report["objects"][1]["name"] == "object 4"
    assert report["objects"][1]["frames_visible"] == COUNT
    assert set(report["seconds"]) == {"decode", "model", "write", "wall"}
    assert set(report["seconds"]["write"]) == {"masks"}
    assert report["peak_memory_bytes"]["process"] > 10_000_000
    assert report["model"]["sha256"] == "0"
    assert report["settings"]["size"] is None  # what suits the objects
    assert {"stma", "python", "torch", "av"} <= set(report["versions"])


@pytest.mark.parametrize(
    ("side", "typed", "size"),
    [(3, [], 600), (30, [], 480), (3, ["--size", "96"], 96), (3, ["--size", "0"], None)],
)
def test_small_objects_are_worked_on_larger_unless_a_size_is_typed(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, side: int, typed: list[str], size: int | None
) -> None:
    labels = np.zeros((48, 64), np.uint8)
    labels[5 : 5 + side, 5 : 5 + side] = 1
    Image.fromarray(labels).save("square.png")
    asked = []

    def set_up(settings: SegmentSettings, side: int | None, height: int, width: int) -> Any:
        asked.append(side)
        return fake_setup(settings, side, height, width)

    monkeypatch.setattr(segment_run, "set_up_model", set_up)
    assert run("clip.mp4", "--mask", "square.png", "--out", "a", *typed).exit_code == 0
    assert asked == [size]


def test_json_summary_is_all_there_is_on_stdout(workplace: Path) -> None:
    result = run("clip.mp4", "--mask", "first.png", "--json", "--out", "a")
    summary = json.loads(result.stdout)
    assert summary["frames"] == COUNT
    assert summary["masks"] == "a"
    assert summary["overlay"] is None
    assert "fake on cpu" in result.stderr


def test_range_counts_frames_of_the_whole_video(workplace: Path) -> None:
    save_mask("fix.png", 0, 2)
    words = ("--start", "3", "--end", "8", "--mask", "first.png", "--mask", "6=fix.png", "--out", "a")
    result = run("clip.mp4", *words, "--overlay", "a.mp4")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (workplace / "a").glob("*.png")) == [
        f"{i:05d}.png" for i in range(3, 8)
    ]
    assert 2 not in np.unique(read_labels(workplace / "a" / "00005.png"))
    assert 2 in np.unique(read_labels(workplace / "a" / "00006.png"))
    assert len(decoded(workplace / "a.mp4")) == 5


def test_a_range_beyond_the_end_is_told(workplace: Path) -> None:
    result = run("clip.mp4", "--mask", "first.png", "--end", "4321")
    assert result.exit_code == 0
    assert "note     the range was to end at frame 4321, but the video has 10 frames\n" in result.stdout
    assert result.stdout.count("4321") == 1
    assert "stma overlay clip.mp4 clip_stma --end 10" in result.stdout


def test_a_result_holds_the_notes_that_were_printed(workplace: Path) -> None:
    settings = SegmentSettings(Path("clip.mp4"), ("2=first.png",), Path("out"), end=50, quiet=True)
    for again in (False, True):
        said: list[str] = []
        notes = segment_run.segment_video(settings, said.append).notes
        assert [line.removeprefix("note     ") for line in said if line.startswith("note ")] == list(notes)
        assert notes[0].startswith("nothing is marked before frame 2")
        assert any("the video has 10 frames" in note for note in notes) != again


def test_numbers_in_the_names_of_frames_are_told_from_those_that_count(workplace: Path) -> None:
    make_folder(Path("plate"), [f"shot.{number}.png" for number in range(1001, 1013)], WIDTH, HEIGHT)
    there = r"from 0 to 11 \(frame 1005 is number 4 here\)"
    assert re.search(there, refused("plate", "--mask", "1005=first.png"))
    assert "(frame" not in refused("plate", "--mask", "1013=first.png")
    there = "from 0 to 11 (frame 1003 is number 2 here)"
    assert there in refused("plate", "--mask", "first.png", "--start", "1003")
    result = run("plate", "--mask", "first.png", "--end", "1010")
    assert "plate has 12 images (frame 1010 is number 9 here)" in result.stdout


def test_masks_on_most_frames_are_told_and_only_the_first_is_used_on_request(workplace: Path) -> None:
    Path("truth").mkdir()
    for frame in range(COUNT):
        save_mask(f"truth/{frame:05d}.png", *((1, 0, 4) if frame < 3 else (0, 1, 0, 7)))
    told = "note     10 of 10 frames have a mask; each counts as a correction"
    result = run("clip.mp4", "--mask", "truth", "--out", "all")
    assert told in result.stdout
    assert "the objects that it shows are taken as given" in result.stdout
    assert told in run("clip.mp4", "--mask", "truth", "--out", "beyond", "--end", "1000").stdout
    assert "have a mask" not in run("clip.mp4", "--mask", "first.png", "--out", "first").stdout
    result = run("clip.mp4", "--mask", "truth", "--first-mask-only", "--end", "9", "--out", "a")
    assert "the first mask of each object alone is used, on frame 0, 3" in result.stdout
    assert "is taken as given" not in result.stdout
    last = read_labels(workplace / "a" / "00008.png")  # of a model that copies
    np.testing.assert_array_equal(last == 1, read_labels(workplace / "truth" / "00000.png") == 1)
    np.testing.assert_array_equal(last == 7, read_labels(workplace / "truth" / "00003.png") == 7)
    report = json.loads((workplace / "a" / "report.json").read_text())
    assert [(row["frame"], row["objects"]) for row in report["masks"]] == [(0, [1, 4]), (3, [7])]
    assert report["settings"]["first_mask_only"] is True
    result = run("clip.mp4", "--mask", "truth", "--first-mask-only", "--out", "all")
    assert "changed  the mask of frame 1 is gone" in result.stdout
    assert "same     all" in run("clip.mp4", "--mask", "truth", "--first-mask-only", "--out", "all").stdout
    settings = SegmentSettings(Path("clip.mp4"), ("truth",), Path("all"), first_mask_only=True)
    assert settings.resume_command().endswith("--resume --first-mask-only --config none")


def test_objects_picks_some(workplace: Path) -> None:
    assert run("clip.mp4", "--mask", "first.png", "--objects", "4", "--out", "a").exit_code == 0
    assert np.unique(read_labels(workplace / "a" / "00000.png")).tolist() == [0, 4]
    assert "--objects asks for 7" in refused("clip.mp4", "--mask", "first.png", "--objects", "7")


def test_empty_first_mask_with_a_later_one(workplace: Path) -> None:
    result = run("clip.mp4", "--mask", "empty.png", "--mask", "4=first.png", "--out", "a")
    assert "nothing is marked before frame 4" in result.stdout
    assert "ffmpeg" not in result.stdout
    assert read_labels(workplace / "a" / "00003.png").max() == 0
    assert read_labels(workplace / "a" / "00004.png").max() == 4


def test_a_folder_of_sams_masks_is_one_mask(workplace: Path) -> None:
    (workplace / "sam").mkdir()
    (workplace / "sam" / "metadata.csv").write_text("id,area,bbox_x0,bbox_y0\n")
    save_mask("sam/0.png", 1)
    save_mask("sam/1.png", 0, 1)
    result = run("clip.mp4", "--mask", "sam", "--out", "a")
    assert "objects  2: 1 = object 1, 2 = object 2" in result.stdout
    assert "mask of frame 0: taken for the masks of one picture, 0.png is object 1" in result.stdout
    assert "same     a holds" in run("clip.mp4", "--mask", "sam", "--out", "a").stdout


def test_the_same_note_on_several_masks_is_said_once(workplace: Path) -> None:
    masks = [word for frame in range(1, 6) for word in ("--mask", f"{frame}=empty.png")]
    result = run("clip.mp4", "--mask", "first.png", *masks, "--out", "a")
    said = [line for line in result.stdout.splitlines() if "marks nothing" in line]
    assert len(said) == 1
    assert said[0].startswith(
        "note     masks of 5 frames (1, 2, 3, 4, ...), each: it marks nothing and is ignored"
    )


def test_a_mask_of_frame_1_may_be_of_pictures_numbered_from_1(workplace: Path) -> None:
    result = run("clip.mp4", "--mask", "1=first.png", "--out", "a")
    assert "nothing is marked before frame 1" in result.stdout
    assert "ffmpeg has numbered the pictures from 1" in result.stdout


def test_an_empty_mask_is_no_annotation_that_smoothing_leaves_alone(workplace: Path) -> None:
    save_mask("two.png", 2)
    words = (
        "clip.mp4",
        "--mask",
        "first.png",
        "--mask",
        "4=two.png",
        "--mask",
        "6=first.png",
        "--smooth",
        "2",
    )
    run(*words, "--out", "plain")
    run(*words, "--mask", "5=empty.png", "--out", "a")
    found = [np.unique(read_labels(workplace / out / "00005.png")).tolist() for out in ("plain", "a")]
    assert found == [[0, 1, 4]] * 2  # that of most frames around it
    np.testing.assert_array_equal(
        np.unique(read_labels(workplace / "plain" / "00004.png")), [0, 2, 4]
    )  # as given


def test_overlay_in_another_style_of_some_objects(workplace: Path) -> None:
    words = ("clip.mp4", "--mask", "first.png", "--out", "a", "--style", "cutout", "--overlay-objects", "4")
    assert run(*words, "--overlay", "cut").exit_code == 0
    files = sorted((workplace / "cut").iterdir())
    assert [file.name for file in files] == [f"{index:05d}.png" for index in range(COUNT)]
    with Image.open(files[-1]) as image:
        alpha = np.asarray(image)[..., 3]
    np.testing.assert_array_equal(alpha, np.where(read_labels(workplace / "first.png") == 4, 255, 0))
    report = json.loads((workplace / "a" / "report.json").read_text())
    assert report["settings"]["rendering"]["style"] == "cutout"
    again = run(*words, "--force")
    assert "--style cutout --objects 4 -o overlay.webm" in again.stdout


def test_one_frame_is_told_as_one(workplace: Path) -> None:
    make_folder(workplace / "frames", ["1.png"], WIDTH, HEIGHT)
    said = run("frames", "--mask", "first.png", "--chunk", "1").stdout
    for line in ("about 1 frame,", "1 frame at once", "done     1 frame in"):
        assert line in said


def test_folder_of_frames_keeps_its_names(workplace: Path) -> None:
    make_folder(workplace / "frames", ["f2.png", "f10.png", "f1.png"], WIDTH, HEIGHT)
    assert run("frames", "--mask", "first.png").exit_code == 0
    out = workplace / "frames_stma"
    assert sorted(path.stem for path in out.glob("*.png")) == ["f1", "f10", "f2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.mp4", "--mask", "first.png"], "absent.mp4 does not exist"),
        (["https://a.org/cat.mp4", "--mask", "first.png"], "https://a.org/cat.mp4 is an address"),
        (["frames/*.png", "--mask", "first.png"], "give the folder that holds the frames, frames"),
        (["frames/%05d.png", "--mask", "first.png"], "give the folder that holds the frames, frames"),
        (["first.txt", "--mask", "first.png"], "first.txt"),
        (["clip.mp4"], "add --mask first.png"),
        (["clip.mp4", "--mask", "absent.png"], "no mask file absent.png"),
        (["clip.mp4", "--mask", "empty.png"], "empty.png is empty"),
        (["clip.mp4", "--mask", "wide.png"], "of another shape"),
        (["clip.mp4", "--mask", "first.txt"], "not a picture"),
        (["clip.mp4", "--mask", "other.json"], "does not know"),
        (["clip.mp4", "--mask", "50=first.png"], r"frame 50, but clip.mp4 has 10 frames"),
        (["clip.mp4", "--mask", "10=first.png"], r"frame 10, but clip.mp4 has 10 frames"),
        (["clip.mp4", "--mask", "5=first.png", "--end", "5"], "frame 5 is not before --end 5"),
        (["clip.mp4", "--mask", "2=first.png", "--start", "5"], "frame 2 is before --start 5"),
        (["clip.mp4", "--mask", "8=first.png", "--end", "5"], "frame 8 is not before --end 5"),
        (["clip.mp4", "--mask", "first.png", "--start", "5", "--end", "5"], "--end of 6 or more"),
        (["clip.mp4", "--mask", "first.png", "--start", "50"], "give a start from 0 to 9"),
        (["clip.mp4", "--mask", "first.png", "--start", "50s"], "give a start from 0 to 9"),
        (["clip.mp4", "--mask", "first.png", "--end", "0"], "--end of 1 or more"),
        (["clip.mp4", "--mask", "first.png", "--end", "0.5"], "give one such as 120, 65.2s or 1:05.2"),
        (["clip.mp4", "--mask", "first.png", "--overlay", "clip.mp4"], "is the video itself"),
        (["clip.mp4", "--mask", "first.png", "--overlay", "first.png"], "end in .mp4"),
        (["clip.mp4", "--mask", "first.png", "--overlay", "a.mp4", "--style", "cutout"], "no transparency"),
        (
            ["clip.mp4", "--mask", "first.png", "--overlay", "a.mp4", "--feather", "2"],
            "no edge for --feather",
        ),
        (["clip.mp4", "--mask", "first.png", "--overlay", "clip_stma"], "is a folder of the masks"),
        (["clip.mp4", "--mask", "first.png", "--feather", "2"], "no edge for --feather"),
        (["clip.mp4", "--mask", "first.png", "--overlay-objects", "2"], "--overlay-objects asks for 2"),
        (
            ["clip.mp4", "--mask", "first.png", "--overlay", "a.mp4", "--overlay-objects", "2"],
            "--overlay-objects asks for 2",
        ),
        (["clip.mp4", "--mask", "first.png", "--overlay", "full.mp4", "--force"], "full.mp4 is a folder"),
        (["clip.mp4", "--mask", "first.png", "--out", "full"], "add --force"),
        (["clip.mp4", "--mask", "first.png", "--out", "first.txt"], "is a file"),
        (["clip.mp4", "--mask", "first.png", "--out", "-"], "give a folder"),
        (["clip.mp4", "--mask", "first.png", "--overlay", "-"], "- is not a name"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    Path("first.txt").write_text("hello")
    Path("other.json").write_text("{}")
    Path("full").mkdir()
    Path("full.mp4").mkdir()
    Path("full/kept").touch()
    before = sorted(workplace.rglob("*"))

    def must_not_load(*given: object) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(segment_run, "set_up_model", must_not_load)
    assert message in refused(*words)
    assert sorted(workplace.rglob("*")) == before


def test_force_writes_into_a_folder_and_keeps_other_files(workplace: Path) -> None:
    Path("full").mkdir()
    Path("full/kept.png").touch()
    result = run("clip.mp4", "--mask", "first.png", "--out", "full", "--force")
    assert "also holds 1 PNG files of an earlier run" in result.stdout
    assert Path("full/kept.png").exists()


def test_masks_never_replace_the_frames(workplace: Path) -> None:
    make_folder(workplace / "frames", ["0.png", "1.png"], WIDTH, HEIGHT)
    assert "folder of the frames" in refused("frames", "--mask", "first.png", "--out", "frames", "--force")
    assert "--out clip.mp4 is the video itself" in refused(
        "clip.mp4", "--mask", "first.png", "-o", "clip.mp4"
    )


@pytest.mark.parametrize("mask", ["given", "2=given/00002.png", "cat=given/00000.png", "link"])
def test_results_never_replace_the_masks_given(workplace: Path, mask: str) -> None:
    Path("given").mkdir()
    for name in ("00000.png", "00002.png"):
        save_mask(f"given/{name}", 1)
    Path("link").symlink_to("given")
    before = {path: path.read_bytes() for path in Path("given").iterdir()}
    message = refused("clip.mp4", "--mask", mask, "--out", "given", "--force")
    assert "choose another folder" in message
    assert {path: path.read_bytes() for path in Path("given").iterdir()} == before


def test_a_mask_of_its_own_name_may_lie_among_the_results(workplace: Path) -> None:
    make_folder(workplace / "frames", ["a0.png", "a1.png"], WIDTH, HEIGHT)
    Path("out").mkdir()
    save_mask("out/0.png", 1)
    save_mask("out/a1.png", 1)
    for words in (["clip.mp4"], ["frames"]):
        result = run(*words, "--mask", "out/0.png", "--out", "out", "--force")
        assert result.exit_code == 0, result.output
    assert "replace it" in refused("frames", "--mask", "1=out/a1.png", "--out", "out", "--force")


def test_post_processing_changes_results_and_is_recorded(workplace: Path) -> None:
    result = run(
        "clip.mp4", "--mask", "first.png", "--out", "a", "--grow", "2", "--smooth", "1", "--overlay", "a.mp4"
    )
    assert result.exit_code == 0, result.output
    assert "after    smoothing over 3 frames\nafter    objects grown by 2 px\n" in result.stdout
    report = json.loads(Path("a/report.json").read_text())
    assert report["postprocessing"] == ["smoothing over 3 frames", "objects grown by 2 px"]
    assert report["settings"]["postprocess"]["grow"] == 2
    assert len(report["frames"]) == len(decoded(Path("a.mp4"))) == len(list(Path("a").glob("*.png"))) == COUNT
    area = np.count_nonzero(read_labels(Path("a/00009.png")) == 4)
    assert report["frames"][9]["objects"]["4"]["area"] == area > 100
