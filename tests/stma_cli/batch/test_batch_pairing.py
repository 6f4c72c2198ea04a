"""Which clips a batch finds, and which masks it gives them."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from stma.errors import InputError, MaskError, SettingsError, VideoError
from stma_cli.batch.clips import Pair, clip_at, find_clips
from stma_cli.batch.pairing import pair
from stma_cli.soft_file import mark_soft_masks


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".jpg", ".png"):
            Image.new("L", (4, 4)).save(path)
        else:
            path.touch()


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    touch(tmp_path, "clips/b10.mp4", "clips/b2.MOV", "clips/deep/er/c.v1.mkv", "clips/deep/frames/1.jpg")
    touch(tmp_path, "clips/.hidden.mp4", "clips/notes.txt", "clips/deep/thumbnail.jpg", "masks/.keep")
    return tmp_path / "clips"


def names(root: Path, *leave_out: Path) -> list[str]:
    return [clip.name for clip in find_clips(root, leave_out).clips]


def by_name(clips: Path, masks: Path) -> dict[str, Pair]:
    return {item.clip.name: item for item in pair(clips, masks).pairs}


def test_files_and_frame_folders_at_any_depth(clips: Path) -> None:
    assert names(clips) == ["b2", "b10", "deep/er/c.v1", "deep/frames"]


def test_results_and_masks_among_the_clips_are_no_clips(clips: Path) -> None:
    touch(clips, "out/b2/00000.png", "first/b2.png")
    assert names(clips, clips / "out", clips / "first") == names(clips, clips / "out", clips / "first", clips)
    assert not {"out/b2", "first"} & set(names(clips, clips / "out", clips / "first"))


def test_a_link_to_its_own_parent_does_not_loop(clips: Path) -> None:
    os.symlink(clips, clips / "deep" / "again")
    assert names(clips) == ["b2", "b10", "deep/er/c.v1", "deep/frames"]


def test_a_single_folder_of_frames_is_left_to_segment(clips: Path) -> None:
    with pytest.raises(VideoError, match="use stma segment"):
        find_clips(clips / "deep" / "frames")
    with pytest.raises(VideoError, match="not a folder"):
        find_clips(clips / "b2.MOV")


def test_masks_by_path_by_stem_and_in_folders(clips: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    touch(masks, "deep/er/c.v1.json", "elsewhere/b2.png", "b10/00000.png", "b10/00007.png", "deep/frames.png")
    pairs = by_name(clips, masks)
    assert {name: item.masks for name, item in pairs.items()} == {
        "deep/er/c.v1": (str(masks / "deep/er/c.v1.json"),),
        "deep/frames": (str(masks / "deep/frames.png"),),
        "b2": (str(masks / "elsewhere/b2.png"),),
        "b10": (str(masks / "b10"),),
    }
    assert all(item.problem is None for item in pairs.values())


def test_links_among_the_masks_are_followed(clips: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    touch(tmp_path, "elsewhere/frames.png", "elsewhere/more/b10.png", "masks/z/b2.png")
    os.symlink(tmp_path / "elsewhere", masks / "deep")
    for name in ("a", "z/again"):
        os.symlink(masks / "z", masks / name)
    os.symlink(tmp_path / "absent", masks / "c.v1.png")
    pairs = by_name(clips, masks)
    assert {name: item.masks for name, item in pairs.items() if item.masks} == {
        "deep/frames": (str(masks / "deep/frames.png"),),
        "b10": (str(masks / "deep/more/b10.png"),),
        "b2": (str(masks / "z/b2.png"),),
    }


def test_masks_beside_the_clips(clips: Path) -> None:
    touch(clips, "b2.png", "deep/frames.json", "deep/er/c.v1.npy")
    pairs = by_name(clips, clips)
    assert pairs["b2"].masks == (str(clips / "b2.png"),)
    assert pairs["deep/er/c.v1"].masks == (str(clips / "deep/er/c.v1.npy"),)
    assert pairs["deep/frames"].masks == (str(clips / "deep/frames.json"),)
    assert "there is no mask for it" in str(pairs["b10"].problem)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_labelme_leaves_the_masks_among_the_frames(clips: Path, ending: str) -> None:
    touch(clips, *(f"labelled/f{number}.{ending}" for number in range(3)), "labelled/f1.json")
    touch(clips, f"other/f0.{ending}", "other/camera.json")
    pairs = by_name(clips, clips)
    assert pairs["labelled"].masks == (str(clips / "labelled"),)
    assert "there is no mask for it" in str(pairs["other"].problem)
    touch(clips, "labelled.png")
    assert by_name(clips, clips)["labelled"].masks == (str(clips / "labelled.png"),)


def test_a_folder_of_masks_beside_its_clip_is_no_clip(clips: Path) -> None:
    touch(clips, "b10/00016.png", "b10/00040.json", "b10/00050.npy")
    touch(clips, "deep/er/c.v1/00000.png", "b2/00000.png", "b2/00001.jpg")
    Image.new("RGB", (4, 4)).save(clips / "deep/er/c.v1/00001.png")
    pairs = by_name(clips, clips)
    assert pairs["b10"].masks == (str(clips / "b10"),)
    assert pairs["b10"].problem is None
    for frames in ("b2", "deep/er/c.v1"):
        assert f"share the results folder {frames}; rename one" in str(pairs[frames].problem)


def test_a_folder_that_sam_has_left_beside_its_clip_is_its_mask(clips: Path) -> None:
    touch(clips, "b10/0.png", "b10/1.png")
    (clips / "b10/metadata.csv").write_text("id,area,bbox_x0,bbox_y0\n0,16,0,0\n")
    pairs = by_name(clips, clips)
    assert pairs["b10"].masks == (str(clips / "b10"),)
    assert pairs["b10"].problem is None


def test_what_cannot_be_paired_is_a_problem_of_that_clip(clips: Path, tmp_path: Path) -> None:
    touch(clips, "deep/b2.mp4", "b10.mkv")
    touch(tmp_path / "masks", "b2.png", "sub/c.v1.png", "sub/c.v1.json")
    pairs = by_name(clips, tmp_path / "masks")
    assert pairs["b2"].problem is None
    assert "there is no mask" in str(pairs["deep/b2"].problem)
    assert "several masks fit" in str(pairs["deep/er/c.v1"].problem)
    assert "share the results folder b10" in str(pairs["b10"].problem)


def test_names_that_differ_in_case_alone_clash(clips: Path, tmp_path: Path) -> None:
    touch(clips, "Cat.mp4", "cat.avi")
    touch(tmp_path / "masks", "Cat.png", "cat.png", "b2.png")
    pairs = by_name(clips, tmp_path / "masks")
    assert "Cat.mp4 and cat.avi would share the results folder Cat where upper" in str(pairs["Cat"].problem)
    assert "cat.avi and Cat.mp4 would share the results folder cat where" in str(pairs["cat"].problem)
    assert pairs["b2"].problem is None


@pytest.mark.parametrize("mark", ["report.json", ".stma-checkpoint"])
def test_results_are_neither_clips_nor_masks(clips: Path, tmp_path: Path, mark: str) -> None:
    touch(
        clips, "b2.png", "b2/00000.png", "b2/overlay.mp4", "b2/deep.mp4", "old/00000.png", "other/00000.png"
    )
    for folder in ("b2", "old"):
        (clips / folder / mark).write_text('{\n  "identity": {},\n  "frames": [\n')
    (clips / "other" / "report.json").write_text("{}")
    before = names(clips)
    assert {"b2", "b2/deep", "other"} <= set(before)
    assert not {"b2/overlay", "old"} & set(before)
    pairs = by_name(clips, clips)
    assert (pairs["b2"].masks, pairs["b2"].problem) == ((str(clips / "b2.png"),), None)


def test_soft_masks_are_neither_clips_nor_masks(clips: Path) -> None:
    touch(clips, "soft.mp4", "00000.mp4", "b2_soft/1/00000.png", "b2_soft/1/00001.png", "b2.png")
    mark_soft_masks(clips / "b2_soft", clips / "b2_stma")
    pairs = by_name(clips, clips)
    assert set(pairs) == {"b2", "b10", "soft", "00000", "deep/er/c.v1", "deep/frames"}
    assert all("there is no mask for it" in str(pairs[name].problem) for name in ("soft", "00000"))
    touch(clips, "deep/1/0.png")
    (clips / "deep" / "soft.json").write_text("{}")
    assert by_name(clips, clips)["soft"].masks == (str(clips / "deep/soft.json"),)
    assert "deep/1" in names(clips)


def test_each_mask_file_is_looked_at_once(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, *(f"clips/{number}.mp4" for number in range(40)))
    (tmp_path / "masks").mkdir(exist_ok=True)
    for number in range(40):
        (tmp_path / "masks" / f"{number}.png").touch()
    looked: list[Path] = []
    with_suffix = Path.with_suffix

    def counted(path: Path, suffix: str) -> Path:
        looked.append(path)
        return with_suffix(path, suffix)

    monkeypatch.setattr(Path, "with_suffix", counted)
    pairs = by_name(clips, tmp_path / "masks")
    assert pairs["39"].masks == (str(tmp_path / "masks" / "39.png"),)
    assert len(looked) <= 40


def test_masks_have_to_be_somewhere(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="neither a folder nor a manifest"):
        pair(clips, tmp_path / "absent")


def test_a_clip_is_refused_before_its_masks_are_looked_for(clips: Path) -> None:
    for wrong in (clips / "absent", clips / "b2.MOV"):
        with pytest.raises(VideoError, match=f"{wrong.name} is not a folder; give the folder with the clips"):
            pair(wrong, wrong)  # as without --masks


def test_a_csv_manifest(clips: Path, tmp_path: Path) -> None:
    touch(tmp_path, "m/a.png", "m/fix.png", "m/dog=x.png")
    manifest = tmp_path / "m" / "list.csv"
    manifest.write_text(
        "clip,mask,frame,object,end\nb2.MOV,a.png,,,30\nb2.MOV,fix.png,12,dog,\ndeep/frames,dog=x.png,,,\n",
        "utf-8-sig",
    )
    pairs = by_name(clips, manifest)
    folder = tmp_path / "m"
    assert pairs["b2"].masks == (str(folder / "a.png"), f"12:dog={folder / 'fix.png'}")
    assert pairs["b2"].end == 30
    assert pairs["deep/frames"].masks == (str(folder / "dog=x.png"),)


def test_clips_of_one_stem_do_not_share_their_masks(clips: Path, tmp_path: Path) -> None:
    touch(tmp_path, "clips/b2.mp4", "a.png", "b.png")
    manifest = tmp_path / "list.csv"
    manifest.write_text("clip,mask\nb2.MOV,a.png\nb2.mp4,b.png\nb2,b.png\n")
    first, second, unknown = pair(clips, manifest).pairs
    assert "b2.MOV and b2.mp4 would share the results folder b2; rename one" in str(first.problem)
    assert (second.clip.path.name, second.masks) == ("b2.mp4", ())
    assert (unknown.clip.name, "does not exist" in str(unknown.problem)) == ("b2 (line 4)", True)


def test_any_line_of_a_clip_may_tell_its_range(clips: Path, tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "fix.png")
    manifest = tmp_path / "list.csv"
    manifest.write_text("clip,mask,frame,start,end\nb2.MOV,a.png,,,\nb2.MOV,fix.png,12,5,30\n")
    joined = by_name(clips, manifest)["b2"]
    assert (joined.start, joined.end, len(joined.masks)) == (5, 30, 2)


@pytest.mark.parametrize(("column", "values"), [("start", "05"), ("end", "89"), ("objects", "12")])
def test_lines_of_a_clip_that_contradict_each_other(
    clips: Path, tmp_path: Path, column: str, values: str
) -> None:
    touch(tmp_path, "a.png", "fix.png")
    manifest = tmp_path / "list.csv"
    first, second = values
    manifest.write_text(f"clip,mask,frame,{column}\nb2.MOV,a.png,,{first}\nb2.MOV,fix.png,12,{second}\n")
    problem = by_name(clips, manifest)["b2"].problem
    assert problem == f"its lines give the {column} {first} and {second}; give it once"


def test_a_json_manifest(clips: Path, tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "all.json")
    rows = [
        {
            "clip": "deep/er/c.v1.mkv",
            "masks": ["a.png", {"file": "a.png", "frame": 9, "object": "cat"}],
            "start": 3,
        },
        {"clip": "b10.mp4", "mask": "all.json#00010.jpg", "objects": "1,2"},
    ]
    manifest = tmp_path / "list.json"
    manifest.write_text(json.dumps(rows))
    pairs = by_name(clips, manifest)
    assert pairs["deep/er/c.v1"].masks == (str(tmp_path / "a.png"), f"9:cat={tmp_path / 'a.png'}")
    assert pairs["deep/er/c.v1"].start == 3
    assert pairs["b10"].masks == (f"{tmp_path / 'all.json'}#00010.jpg",)
    assert pairs["b10"].objects == "1,2"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"clip": "../secret.mp4", "mask": "a.png"}, "not a path below"),
        ({"clip": "/etc/passwd", "mask": "a.png"}, "not a path below"),
        ({"clip": "absent.mp4", "mask": "a.png"}, "does not exist"),
        ({"clip": "", "mask": "a.png"}, "gives no name"),
        ({"clip": "b2\x00.MOV", "mask": "a.png"}, "entry 1"),
        ({"clip": "b2.MOV", "mask": "absent.png"}, "absent.png does not exist"),
        ({"clip": "b2.MOV"}, "no mask is given"),
        ({"clip": "b2.MOV", "mask": "a.png", "frame": "-1"}, "frame is '-1'"),
        ({"clip": "b2.MOV", "mask": "a.png", "object": "a=b"}, "no name"),
        ({"clip": "b2.MOV", "masks": [7]}, "7 is no mask"),
        ({"clip": "b2.MOV", "masks": ["a.png"], "frame": 4}, '"frame" stands beside "masks"; write it into'),
        ({"clip": "b2.MOV", "masks": ["a.png"], "object": "dog"}, '"object" stands beside "masks"'),
    ],
)
def test_bad_lines_of_a_manifest_spoil_only_themselves(
    clips: Path, tmp_path: Path, row: dict[str, object], problem: str
) -> None:
    touch(tmp_path, "a.png")
    manifest = tmp_path / "list.json"
    manifest.write_text(json.dumps([row, {"clip": "b10.mp4", "mask": "a.png"}]))
    bad, good = pair(clips, manifest).pairs
    assert problem in str(bad.problem)
    assert good.problem is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"video,mask\n", "has the columns video, mask"),
        ("a.csv", b"clip,mask\n", "names no clip"),
        ("a.csv", b"clip,mask\na,b,c\n", "line 2"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read"),
        ("a.json", b"{", "cannot be read"),
        ("a.json", b"{}", "no list of objects"),
        ("a.json", b"[" * 100_000, "cannot be read"),
        ("a.json", b'[{"clip": "b2.MOV", "masc": 1}]', "the key 'masc'"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    clips: Path, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        pair(clips, tmp_path / name)


@pytest.mark.parametrize("name", ["...mp4", "..", ".", "batch.json.mp4"])
def test_no_name_leads_out_of_the_results(clips: Path, name: str) -> None:
    if not (clips / name).exists():
        (clips / name).touch()
    with pytest.raises(InputError):
        clip_at(clips, name)
    assert not {".", "..", "batch.json"} & set(names(clips))
