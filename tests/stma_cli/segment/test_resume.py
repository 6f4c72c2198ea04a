"""A run that was interrupted or killed goes on exactly: masks byte for byte as without the interruption."""

import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from colour_network import colour_network
from fakes import save_mask
from media import decoded, make_clip, make_folder
from running import ctrl_c_in_chunk, lines_as_on_windows
from typer.testing import CliRunner, Result

from stma.device import has_fast_int8
from stma.errors import OutputError, SettingsError, VideoError
from stma.processor import has_fast_bf16
from stma.weights import save_weights
from stma_cli.main import app
from stma_cli.result_layout import CHECKPOINT_FILE
from stma_cli.segment.checkpoint import load_checkpoint

WIDTH, HEIGHT, COUNT = 90, 66, 30
MASKS = ("--mask", "first.png", "--mask", "13=late.png")
OPTIONS = [*MASKS, "--model", "tiny.safetensors", "--threads", "1", "--checkpoint", "8"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny.safetensors, clip.mp4 and masks of two frames; `stopped` holds an interrupted run."""
    monkeypatch.chdir(tmp_path)
    save_weights(colour_network(), Path("tiny.safetensors"))
    make_clip(Path("clip.mp4"), COUNT, width=WIDTH, height=HEIGHT)
    save_mask("first.png", 1, 3, width=WIDTH, height=HEIGHT)
    save_mask("late.png", 0, 0, 7, width=WIDTH, height=HEIGHT)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["segment", "clip.mp4", *OPTIONS, *words])


@pytest.fixture
def stopped(workplace: Path, request: pytest.FixtureRequest) -> Path:
    """The output folder of a run that Ctrl-C ended in its fifth chunk of four frames; parameters: options."""
    more = getattr(request, "param", ())
    with ctrl_c_in_chunk(5):
        assert run("--out", "stopped", *more).exit_code == 130
    return workplace / "stopped"


def masks(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.png")}


@pytest.mark.parametrize("stopped", [("--no-refine-edges",)], indirect=True)
def test_edges_stay_as_they_were_chosen(stopped: Path) -> None:
    refused = run("--out", "stopped", "--resume")
    assert isinstance(refused.exception, SettingsError)
    assert "refine-edges off -> on" in str(refused.exception)
    assert run("--out", "stopped", "--resume", "--no-refine-edges").exit_code == 0


def test_ctrl_c_loses_no_complete_chunk_and_the_rest_is_the_same(stopped: Path) -> None:
    checkpoint = load_checkpoint(stopped)
    assert checkpoint is not None
    assert checkpoint.next_frame == 16
    assert run("--out", "stopped", "--resume", "--overlay", "seen.mp4").exit_code == 0
    assert run("--out", "whole").exit_code == 0
    assert len(masks("whole")) == COUNT
    assert masks("stopped") == masks("whole")
    assert len(decoded(Path("seen.mp4"))) == COUNT
    assert not (stopped / CHECKPOINT_FILE).exists()


def test_a_run_goes_on_where_lines_end_as_on_windows(workplace: Path) -> None:
    with lines_as_on_windows():
        with ctrl_c_in_chunk(5):
            assert run("--out", "stopped").exit_code == 130
        assert run("--out", "stopped", "--resume").exit_code == 0
    assert run("--out", "whole").exit_code == 0
    rows = [json.loads(Path(folder, "report.json").read_text())["frames"] for folder in ("stopped", "whole")]
    assert rows[0] == rows[1]
    assert b"\r" not in Path("stopped/report.json").read_bytes()


@pytest.mark.parametrize("stopped", [("--overlay", "cut", "--style", "cutout")], indirect=True)
def test_a_folder_of_pictures_is_completed(stopped: Path) -> None:
    assert 0 < len(list(Path("cut").iterdir())) < COUNT
    again = run("--out", "stopped", "--resume", "--overlay", "cut", "--style", "cutout")
    assert again.exit_code == 0, again.output
    assert len(list(Path("cut").iterdir())) == COUNT


def test_kill_loses_at_most_the_frames_since_the_checkpoint(workplace: Path) -> None:
    code = "import sys; from stma_cli.main import main; sys.argv[0] = 'stma'; main()"
    command = [sys.executable, "-c", code, "segment", "clip.mp4", *OPTIONS, "--out", "killed"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None and not Path("killed/00010.png").exists():
        time.sleep(0.002)
    process.kill()
    process.wait()
    checkpoint = load_checkpoint(Path("killed"))
    if checkpoint is None:
        pytest.skip("the run was over before it could be killed")
    between_threads = 3 * 4
    assert checkpoint.next_frame >= len(masks("killed")) - 8 - between_threads
    result = run("--out", "killed", "--resume", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["computed"] == COUNT - checkpoint.next_frame
    assert run("--out", "whole").exit_code == 0
    assert masks("killed") == masks("whole")


def test_the_command_that_goes_on_keeps_what_was_typed_over_a_configuration(workplace: Path) -> None:
    Path("stma.toml").write_text("[segment]\nsmooth = 3\nremove-specks = 5\n")
    with ctrl_c_in_chunk(5):
        stopped = run("--out", "stopped", "--smooth", "0")
    command = shlex.split(stopped.stderr.split("go on with: ")[1])
    again = CliRunner().invoke(app, command[1:])
    assert again.exit_code == 0, again.exception
    assert run("--out", "whole", "--smooth", "0").exit_code == 0
    assert masks("stopped") == masks("whole")


SMOOTHED = ["--smooth", "3", "--remove-specks", "5"]


@pytest.mark.parametrize("stopped", [SMOOTHED], indirect=True)
def test_frames_that_smoothing_holds_back_are_part_of_it(stopped: Path) -> None:
    checkpoint = load_checkpoint(stopped)
    assert checkpoint is not None
    assert (checkpoint.next_frame, checkpoint.held.next_mask, len(checkpoint.held.recent)) == (16, 13, 6)
    assert run("--out", "stopped", "--resume", *SMOOTHED).exit_code == 0
    assert run("--out", "whole", *SMOOTHED).exit_code == 0
    assert masks("stopped") == masks("whole")
    rows = [
        json.loads((Path(folder) / "report.json").read_text())["frames"] for folder in ("stopped", "whole")
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == COUNT


def test_resume_starts_where_there_is_nothing(workplace: Path) -> None:
    assert run("--out", "new", "--resume").exit_code == 0
    assert len(masks("new")) == COUNT


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (["--size", "64"], "size not given -> 64"),
        (["--objects", "1,7"], "objects not given -> 1,7"),
        (["--smooth", "2"], "one: smooth 0 -> 2;"),
        (["--mask", "20=first.png"], "the masks"),
        (["--first-mask-only"], "the masks"),
        (["--precision", "bf16"], "precision"),
    ],
)
def test_another_run_does_not_go_on_from_it(stopped: Path, words: list[str], change: str) -> None:
    result = run("--out", "stopped", "--resume", *words)
    assert isinstance(result.exception, SettingsError)
    assert change in str(result.exception)
    assert load_checkpoint(stopped) is not None


@pytest.mark.skipif(not has_fast_int8(), reason="this CPU has no fast 8-bit products")
@pytest.mark.parametrize("stopped", [("--precision", "int8")], indirect=True)
def test_int8_does_not_go_on_in_another_arithmetic(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = has_fast_bf16()
    monkeypatch.setattr("stma.device.has_fast_bf16", lambda: not halves)
    result = run("--out", "stopped", "--resume", "--precision", "int8")
    assert isinstance(result.exception, SettingsError)
    rests = ["bf16", "fp32"] if halves else ["fp32", "bf16"]
    assert re.search(r"precision int8 .*{}\) -> int8 .*{}\)".format(*rests), str(result.exception))


def test_a_changed_video_is_noticed(stopped: Path) -> None:
    make_clip(Path("clip.mp4"), COUNT + 1, width=WIDTH, height=HEIGHT)
    assert "the video" in str(run("--out", "stopped", "--resume").exception)


def test_a_missing_mask_is_noticed(stopped: Path) -> None:
    (stopped / "00003.png").unlink()
    result = run("--out", "stopped", "--resume")
    assert isinstance(result.exception, OutputError)
    assert "the mask 00003.png is gone" in str(result.exception)
    assert str(result.exception).endswith("add --force to start again")
    assert run("--out", "stopped", "--force").exit_code == 0
    assert len(masks("stopped")) == COUNT


@pytest.mark.parametrize("left", [0, -20])
def test_a_damaged_mask_is_noticed(stopped: Path, left: int) -> None:
    mask = stopped / "00003.png"
    mask.write_bytes(mask.read_bytes()[:left])
    result = run("--out", "stopped", "--resume")
    assert isinstance(result.exception, OutputError)
    assert str(result.exception).startswith("the mask 00003.png is damaged in stopped; ")
    assert run("--out", "stopped", "--resume", "--force").exit_code == 0
    assert run("--out", "whole").exit_code == 0
    assert masks("stopped") == masks("whole")


@pytest.fixture
def damaged(workplace: Path) -> Path:
    """A folder of frames of which the last but two is cut off, in place of clip.mp4."""
    Path("clip.mp4").unlink()
    frames = make_folder(Path("clip.mp4"), [f"{index:02d}.jpg" for index in range(COUNT)], WIDTH, HEIGHT)
    spoilt = frames / f"{COUNT - 3}.jpg"
    spoilt.write_bytes(spoilt.read_bytes()[:-60])
    return frames


@pytest.mark.parametrize("after", [(), ("--smooth", "3")])
def test_a_damaged_frame_can_be_left_out(damaged: Path, after: tuple[str, ...]) -> None:
    result = run("--out", "a", *after)
    assert isinstance(result.exception, VideoError)
    assert f"{COUNT - 3} masks in a are complete" in result.stdout
    checkpoint = load_checkpoint(Path("a"))
    assert checkpoint is not None
    command = shlex.split(result.stdout.split("without the damage, with: ")[1])
    assert "--force" not in command
    again = CliRunner().invoke(app, [*command[1:], "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["computed"] == COUNT - 3 - checkpoint.held.next_mask
    assert run("--out", "whole", "--end", str(COUNT - 3), *after).exit_code == 0
    assert masks("a") == masks("whole")


def test_a_damaged_frame_before_the_first_checkpoint(damaged: Path) -> None:
    result = run("--out", "a", "--checkpoint", "50")
    assert sorted(path.name for path in Path("a").iterdir() if path.suffix != ".png") == ["names.json"]
    command = shlex.split(result.stdout.split("without the damage, with: ")[1])
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    assert len(masks("a")) == COUNT - 3


def test_an_end_before_the_checkpoint_is_refused(stopped: Path) -> None:
    result = run("--out", "stopped", "--resume", "--end", "16")
    assert isinstance(result.exception, SettingsError)
    assert "end not given -> 16" in str(result.exception)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_is_full_for_a_checkpoint_is_called_so(workplace: Path) -> None:
    Path("full").mkdir()
    Path(f"full/.{CHECKPOINT_FILE}.part").symlink_to("/dev/full")
    result = run("--out", "full", "--force")
    assert isinstance(result.exception, OutputError)
    assert str(result.exception).startswith("the disk is full")


@pytest.mark.parametrize("size", [0, 1000])
def test_a_damaged_checkpoint_is_refused(stopped: Path, size: int) -> None:
    file = stopped / CHECKPOINT_FILE
    file.write_bytes(file.read_bytes()[:size])
    result = run("--out", "stopped", "--resume")
    assert isinstance(result.exception, SettingsError)
    assert "start again with --force" in str(result.exception)
