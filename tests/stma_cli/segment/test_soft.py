"""`stma segment --soft`: a probability per object, frame and pixel, the same after an interruption."""

from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from colour_network import colour_network
from fakes import save_mask
from media import make_clip, make_folder
from PIL import Image
from running import ctrl_c_in_chunk, refused_segment, run_segment

from stma.errors import SettingsError
from stma.weights import save_weights
from stma_cli.masks import read_labels
from stma_cli.segment import run as segment_run

COUNT = 12
WORDS = [
    "clip.mp4",
    "--mask",
    "first.png",
    "--model",
    "tiny.safetensors",
    "--threads",
    "1",
    "--checkpoint",
    "4",
]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with tiny.safetensors, clip.mp4 and masks of two frames."""
    monkeypatch.chdir(tmp_path)
    save_weights(colour_network(), Path("tiny.safetensors"))
    make_clip(Path("clip.mp4"), COUNT, width=90, height=66)
    save_mask("first.png", 1, width=90, height=66)
    save_mask("late.png", 0, 3, width=90, height=66)


def files(folder: str) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(Path(folder).rglob("*.png"))
    }


def test_each_object_has_a_probability_on_each_frame() -> None:
    result = run_segment(*WORDS, "--mask", "6=late.png", "--out", "a", "--soft", "s", "--smooth", "1")
    assert result.exit_code == 0, result.output
    assert list(files("s")) == [
        f"{object_id}/{frame:05d}.png" for object_id in (1, 3) for frame in range(COUNT)
    ]
    with Image.open("s/1/00000.png") as image:
        assert image.mode == "L"
        soft = np.asarray(image)
    inside = read_labels(Path("first.png")) == 1
    assert soft[inside].mean() > 128 > soft[~inside].mean()
    with Image.open("s/3/00005.png") as image:
        assert not np.asarray(image).any(), "before its first mask"


def test_they_go_on_exactly_with_the_run() -> None:
    more = ["--smooth", "1", "--soft"]
    assert run_segment(*WORDS, "--out", "whole", *more, "s").exit_code == 0
    with ctrl_c_in_chunk(3):
        assert run_segment(*WORDS, "--out", "stopped", *more, "t").exit_code == 130
    assert run_segment(*WORDS, "--out", "stopped", *more, "t", "--resume").exit_code == 0
    assert files("t") == files("s")


def test_they_are_made_where_they_are_missing() -> None:
    assert run_segment(*WORDS, "--out", "a").exit_code == 0
    assert "s/1/00000.png is missing" in run_segment(*WORDS, "--out", "a", "--soft", "s").stdout
    whole = files("s")
    Path("s/1/00009.png").unlink()
    assert "s/1/00009.png is missing" in run_segment(*WORDS, "--out", "a", "--soft", "s").stdout
    assert files("s") == whole
    assert "nothing is computed" in run_segment(*WORDS, "--out", "a", "--soft", "s").stdout


def test_what_cannot_be() -> None:
    with ctrl_c_in_chunk(3):
        assert run_segment(*WORDS, "--out", "stopped").exit_code == 130
    message = refused_segment(*WORDS, "--out", "stopped", "--resume", "--soft", "s")
    assert "s/1/00000.png is missing" in message
    assert "leave out one" in refused_segment(*WORDS, "--soft", "s", "--direction", "both")
    assert "folder of the masks" in refused_segment(*WORDS, "--soft", "a", "--out", "a")
    assert "holds the folder of the masks" in refused_segment(*WORDS, "--soft", "b", "--out", "b/a")
    assert "would write into the overlay" in refused_segment(*WORDS, "--soft", "o", "--overlay", "o")
    make_folder(Path("1"), ["0.png"], 90, 66)
    for soft in ("1", "."):
        message = refused_segment("1", *WORDS[1:], "--soft", soft, "--out", "a", "--force")
        assert f"--soft {soft} would write into the folder of the frames" in message
    Path("m/1").mkdir(parents=True)
    save_mask("m/1/00006.png", 1, width=90, height=66)
    message = refused_segment(*WORDS, "--mask", "6=m/1/00006.png", "--soft", "m", "--force")
    assert "--mask 00006.png lies in --soft m/1, where the result of its name would replace it" in message
    Path("mine").mkdir()
    Path("mine/file").touch()
    assert "mine is not empty; choose another folder with --soft" in refused_segment(*WORDS, "--soft", "mine")


def test_those_from_before_a_correction_are_not_taken() -> None:
    again = [*WORDS, "--out", "a"]
    assert run_segment(*again, "--soft", "s").exit_code == 0
    again += ["--mask", "6=late.png"]
    assert run_segment(*again).exit_code == 0
    result = run_segment(*again, "--soft", "s")
    assert "s/3/00000.png is missing: all frames are computed" in result.stdout
    Path("first.png").write_bytes(Path("late.png").read_bytes())
    assert run_segment(*again).exit_code == 0
    result = run_segment(*again, "--soft", "s")
    assert "--soft s does not hold those of this run: all frames are computed" in result.stdout
    assert run_segment(*again, "--out", "b", "--soft", "fresh").exit_code == 0
    assert {name: content for name, content in files("s").items() if name[0] == "3"} == files("fresh")
    assert "nothing is computed" in run_segment(*again, "--soft", "s").stdout


def test_those_of_another_run_are_not_taken() -> None:
    assert run_segment(*WORDS, "--out", "a", "--soft", "s").exit_code == 0
    theirs = files("s")
    other = [*WORDS, "--size", "96", "--out", "b", "--soft", "s"]
    assert run_segment(*other[:-2]).exit_code == 0
    assert "s is not empty; choose another folder with --soft" in refused_segment(*other)
    with ctrl_c_in_chunk(3):
        assert run_segment(*other[:-2], "--force").exit_code == 130
    message = refused_segment(*other, "--resume")
    assert "--soft s does not hold those of this run; add --force in place of --resume" in message
    assert files("s") == theirs
    assert run_segment(*other, "--resume", "--force").exit_code == 0
    assert files("s") != theirs
    assert "s is not empty" in refused_segment(*WORDS, "--out", "a", "--soft", "s")


def test_a_run_that_went_on_without_them_does_not_hold_them() -> None:
    words = [*WORDS, "--out", "a", "--soft", "s"]
    with ctrl_c_in_chunk(2):
        assert run_segment(*words).exit_code == 130
    with ctrl_c_in_chunk(2):
        assert run_segment(*words[:-2], "--resume").exit_code == 130
    assert "add --force in place of --resume" in refused_segment(*words, "--resume")
    assert run_segment(*words[:-2], "--resume").exit_code == 0
    assert "all frames are computed" in run_segment(*words).stdout


def test_what_an_earlier_run_has_left_is_said() -> None:
    words = [*WORDS, "--out", "a", "--soft", "s"]
    assert run_segment(*words, "--mask", "6=late.png").exit_code == 0
    assert "s also holds 12 PNG files of an earlier run" in run_segment(*words).stdout
    result = run_segment(*words, "--end", "10", "--force")
    assert "s also holds 14 PNG files of an earlier run" in result.stdout


def test_a_place_that_cannot_be_is_refused_before_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_model(*given: object) -> NoReturn:
        raise SettingsError("the model is loaded", "do not")

    monkeypatch.setattr(segment_run, "set_up_model", no_model)
    message = refused_segment(*WORDS, "--out", "a", "--soft", "clip.mp4", "--force")
    assert message == "clip.mp4 is a file; choose another folder with --soft"
    assert "the model is loaded" in refused_segment(*WORDS, "--out", "a", "--soft", "a/s")
    assert not Path("a").exists()


def test_what_else_has_changed_is_said_before_what_they_lack() -> None:
    make_folder(Path("frames"), [f"{number:02d}.png" for number in range(16)], 90, 66)
    words = ["frames", *WORDS[1:], "--out", "a", "--soft", "s"]
    with ctrl_c_in_chunk(3):
        assert run_segment(*words).exit_code == 130
    assert "differs from this one: the masks" in refused_segment(*words, "--mask", "6=late.png", "--resume")
    for picture in sorted(Path("frames").iterdir())[5:]:
        picture.unlink()
    assert "differs from this one: the video" in refused_segment(*words, "--resume")
    result = run_segment(*words, "--resume", "--force")
    assert result.exit_code == 0, result.output
    assert "done     5 frames" in result.stdout


def test_a_correction_without_them_says_that_they_stay() -> None:
    words = [*WORDS, "--out", "a"]
    run_segment(*words, "--soft", "s")
    place = Path("s").resolve()
    said = run_segment(*words, "--mask", "6=late.png").stdout
    assert f"note     the soft masks in {place} stay those of the run before, as --soft is not given" in said
