"""`stma segment --until`: objects that end."""

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import CopySegmenter, fake_setup, save_mask
from media import make_clip
from running import refused_segment as refused
from running import run_segment as run

from stma_cli.masks import read_labels
from stma_cli.segment import run as segment_run

COUNT = 10


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clip.mp4 of ten frames at 30000/1001 a second, a mask of two objects, and a model that copies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    make_clip(Path("clip.mp4"), COUNT, width=64, height=48)
    save_mask("first.png", 1, 4)
    return tmp_path


def ids(folder: str) -> list[list[int]]:
    """What each frame shows."""
    return [np.unique(read_labels(path))[1:].tolist() for path in sorted(Path(folder).glob("*.png"))]


@pytest.mark.parametrize("chunk", ["1", "4", "16"])
@pytest.mark.parametrize("end", ["6", "0.2s"])
def test_an_object_ends_at_its_frame(workplace: Path, chunk: str, end: str) -> None:
    words = ("--until", f"4={end}", "--until", "1=9", "--chunk", chunk)
    result = run("clip.mp4", "--mask", "first.png", "--out", "a", *words)
    assert result.exit_code == 0, result.output
    assert "until    frame 5: object 4" in result.stdout
    assert ids("a") == [[1, 4]] * 6 + [[1]] * 3 + [[]]
    report = json.loads(Path("a/report.json").read_text())
    assert report["identity"]["ends"] == {"4": 6, "1": 9}
    assert list(report["frames"][7]["objects"]) == ["1"]


@pytest.mark.parametrize("direction", ["backward", "both"])
def test_the_backward_pass_knows_no_object_behind_its_end(workplace: Path, direction: str) -> None:
    save_mask("late.png", 1)
    words = ("--mask", "3=first.png", "--mask", "8=late.png", "--until", "4=6", "--direction", direction)
    result = run("clip.mp4", *words, "--out", "a")
    assert result.exit_code == 0, result.output
    shown = ids("a")
    assert all(4 not in frame for frame in shown[6:])
    assert shown[3] == [1, 4]
    assert (4 in shown[5]) == (direction == "both")


def test_another_end_is_computed_from_there(workplace: Path) -> None:
    words = (
        "clip.mp4",
        "--mask",
        "first.png",
        "--out",
        "a",
        "--checkpoint",
        "2",
        "--chunk",
        "2",
        "--states",
        "9",
    )
    assert run(*words).exit_code == 0
    ended = run(*words, "--until", "object 4=7")
    assert "--until says something else of frame 7: frames are computed from" in ended.stdout
    assert ids("a") == [[1, 4]] * 7 + [[1]] * 3
    assert "same     a" in run(*words, "--until", "object 4=7").stdout
    assert run(*words).exit_code == 0
    assert ids("a") == [[1, 4]] * COUNT


def test_an_interrupted_run_goes_on_with_the_end(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(chunks: int) -> None:
        if chunks == 4:
            raise KeyboardInterrupt

    words = ("clip.mp4", "--mask", "first.png", "--out", "a", "--chunk", "2", "--checkpoint", "2")
    monkeypatch.setattr(
        segment_run, "set_up_model", lambda *given: fake_setup(*given, segmenter=CopySegmenter(stop))
    )
    stopped = run(*words, "--until", "4=3")
    assert "--until 4=3" in stopped.stderr
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    assert "differs from this one: --until;" in refused(*words, "--until", "4=9", "--resume")
    result = run(*words, "--until", "object 4=3", "--resume")
    assert "resumed" in result.stdout
    assert ids("a") == [[1, 4]] * 3 + [[1]] * 7


@pytest.mark.parametrize("radius", ["2", "5"])
def test_smoothing_brings_no_object_back(workplace: Path, radius: str) -> None:
    words = ("--until", "4=9", "--smooth", radius)
    assert run("clip.mp4", "--mask", "first.png", "--out", "a", *words).exit_code == 0
    assert ids("a") == [[1, 4]] * 9 + [[1]]


def test_an_end_behind_the_last_frame_is_told(workplace: Path) -> None:
    words = ("clip.mp4", "--mask", "first.png", "--out", "a")
    assert "--until ends object 4 on frame 10, behind the last one" in run(*words, "--until", "4=10").stdout
    assert "same     a" in run(*words).stdout


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("4", "--until 4 names no object or no frame; give both, as in --until ball=120"),
        ("4=x", "--until x is neither the number of a frame nor a time"),
        ("ball=3", "--until asks for ball, which is in no mask; choose from 1 (object 1), 4 (object 4)"),
        ("4=0", "--until 4=0 ends object 4, which has a mask on frame 0; give --until 4=1 or more"),
    ],
)
def test_ends_that_cannot_be_are_refused(workplace: Path, until: str, said: str) -> None:
    assert said in refused("clip.mp4", "--mask", "first.png", "--out", "a", "--until", until)
    assert not Path("a").exists()


def test_two_ends_of_one_object_are_refused(workplace: Path) -> None:
    said = refused("clip.mp4", "--mask", "first.png", "--out", "a", "--until", "4=3", "--until", "object 4=5")
    assert said == "--until ends object 4 on two frames; give one of them"
