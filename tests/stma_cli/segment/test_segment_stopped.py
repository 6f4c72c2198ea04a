"""`stma segment` that ends early: Ctrl-C, a full disk, a video that is cut off; and how it goes on."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import CopySegmenter, fake_setup, save_mask
from media import decoded, make_clip
from PIL import Image
from running import refused_segment as refused
from running import run_segment as run

from stma.errors import OutputError
from stma_cli.masks import read_labels, read_names
from stma_cli.result_layout import CHECKPOINT_FILE, ROWS_FILE
from stma_cli.segment import report
from stma_cli.segment import run as segment_run
from stma_cli.segment.checkpoint import Checkpoint

WIDTH, HEIGHT, COUNT = 64, 48, 10


@pytest.fixture
def workplace(small_workplace: Path) -> Path:
    save_mask("first.png", 1, 4)
    return small_workplace


def full_after(count: int, patch: pytest.MonkeyPatch) -> None:
    """The disk is full once so many pictures are saved."""
    save, saved = Image.Image.save, []

    def no_space(self: Image.Image, target: Path, **options: Any) -> None:
        if len(saved) == count:
            raise OSError(28, "No space left on device")
        saved.append(target)
        save(self, target, **options)

    patch.setattr(Image.Image, "save", no_space)


def test_interrupt_before_the_first_frame(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(segment_run, "set_up_model", interrupt)
    result = run("clip.mp4", "--mask", "first.png")
    assert result.exit_code == 130
    assert "run the command again." in result.stderr
    assert not Path("clip_stma").exists()


def test_cut_off_video_is_an_error_and_leaves_complete_masks(workplace: Path) -> None:
    make_clip(Path("long.mkv"), 60, width=WIDTH, height=HEIGHT)
    content = Path("long.mkv").read_bytes()
    Path("cut.mkv").write_bytes(content[: len(content) * 2 // 3])
    refused("cut.mkv", "--mask", "first.png", "--out", "a", "--overlay", "a.mp4")
    left = list(Path("a").iterdir())
    assert not [path for path in left if path.name.startswith(".") or path.name == "report.json"]
    for path in Path("a").glob("*.png"):
        read_labels(path)
    assert not Path("a.mp4").exists()


def test_nothing_is_left_of_an_overlay_where_the_run_cannot_begin(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*arguments: object) -> None:
        raise OutputError("no space", "free some")

    monkeypatch.setattr(Checkpoint, "save", no_space)
    before = set(workplace.iterdir())
    result = run("clip.mp4", "--mask", "first.png", "--out", "a", "--overlay", "a.mp4")
    assert isinstance(result.exception, OutputError)
    assert {path.name for path in set(workplace.iterdir()) - before} <= {"a"}


def test_full_disk_is_an_output_error(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", no_space)
    result = run("clip.mp4", "--mask", "first.png", "--out", "a")
    assert isinstance(result.exception, OutputError)
    assert "disk is full" in str(result.exception)
    assert {path.name for path in Path("a").iterdir()} == {"names.json", CHECKPOINT_FILE, ROWS_FILE}


def test_full_disk_before_the_first_state_leaves_a_folder_to_begin_anew(workplace: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        full_after(4, patch)
        result = run("clip.mp4", "--mask", "first.png", "--out", "a", "--chunk", "10")
    assert isinstance(result.exception, OutputError)
    assert "4 masks in a are complete" in result.stdout
    command = shlex.split(result.stdout.split("from the start, once the error below is mended, with: ")[1])
    assert run(*command[2:]).exit_code == 0
    assert len(list(Path("a").glob("*.png"))) == COUNT


def test_full_disk_in_the_middle_says_how_to_go_on(workplace: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        full_after(4, patch)
        result = run("clip.mp4", "--mask", "first.png", "--out", "a")
    assert isinstance(result.exception, OutputError)
    assert "4 masks in a are complete" in result.stdout
    command = shlex.split(result.stdout.split("mended, with: ")[1])
    assert run(*command[2:]).exit_code == 0
    assert len(list(Path("a").glob("*.png"))) == COUNT


def test_a_report_that_cannot_be_written_is_no_loss(workplace: Path) -> None:
    def no_space(*given: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_copy_rows", no_space)
        result = run("clip.mp4", "--mask", "first.png", "--out", "a", "--overlay", "a.mp4")
    assert isinstance(result.exception, OutputError)
    assert f"{COUNT} masks in a are complete" in result.stdout
    resumed = run(*shlex.split(result.stdout.split("mended, with: ")[1])[2:])
    assert resumed.exit_code == 0
    assert f"of {COUNT} frames in" in resumed.stdout
    assert Path("a/report.json").is_file()


def test_interrupted_run_goes_on_to_the_same_result(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(chunks: int) -> None:
        if chunks == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        segment_run, "set_up_model", lambda *given: fake_setup(*given, CopySegmenter(interrupt))
    )
    save_mask("fix.png", 0, 2)
    words = ["--mask", "dog=a dog.png", "--mask", "8:cat=cat.png", "--chunk", "2", "--out", "a"]
    save_mask("a dog.png", 1)
    save_mask("cat.png", 0, 1)
    result = run("clip.mp4", *words, "--overlay", "a.mp4")
    assert result.exit_code == 130
    assert "4 masks in a are complete" in result.stderr
    assert sorted(path.name for path in Path("a").iterdir()) == [
        ".report.json.rows.part",
        ".stma-checkpoint",
        *(f"{i:05d}.png" for i in range(4)),
        "names.json",
    ]
    assert not Path("a.mp4").exists()
    assert "add --resume to go on" in refused("clip.mp4", *words)
    command = shlex.split(result.stderr.split("go on with: ")[1])
    assert command[:3] == ["stma", "segment", "clip.mp4"]

    model = CopySegmenter()
    monkeypatch.setattr(segment_run, "set_up_model", lambda *given: fake_setup(*given, model))
    resumed = run(*command[2:])
    assert resumed.exit_code == 0
    assert "resumed  at frame 4" in resumed.stdout
    assert model.chunks == [2, 2, 2]
    assert len(decoded(Path("a.mp4"))) == COUNT
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    assert run("clip.mp4", *words[:-1], "b").exit_code == 0
    assert sorted(path.name for path in Path("a").iterdir()) == sorted(
        path.name for path in Path("b").iterdir()
    )
    reports = [json.loads((Path(folder) / "report.json").read_text()) for folder in "ab"]
    assert reports[0]["frames"] == reports[1]["frames"]
    assert reports[0]["objects"] == reports[1]["objects"]
    assert [report["resumed_at"] for report in reports] == [[4], []]
    for path in sorted(Path("b").glob("*.png")):
        np.testing.assert_array_equal(read_labels(Path("a") / path.name), read_labels(path))
    assert read_names(Path("a")) == read_names(Path("b")) == {1: "dog", 2: "cat"}


def test_interrupt_as_json(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(chunks: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        segment_run, "set_up_model", lambda *given: fake_setup(*given, CopySegmenter(interrupt))
    )
    result = run("clip.mp4", "--mask", "first.png", "--json")
    assert result.exit_code == 130
    assert json.loads(result.stdout) == {
        "interrupted": True,
        "frames": 0,
        "masks": "clip_stma",
        "resume": None,
    }
    assert not Path("clip_stma").exists()
