"""A finished run that is run again after a mask has changed: only what that affects, and the same as from the start."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from colour_network import colour_network
from fakes import save_mask
from media import decoded, make_clip, make_folder
from PIL import Image
from running import ctrl_c_in_chunk, lines_as_on_windows
from typer.testing import CliRunner, Result

from stma.errors import OutputError
from stma.palette import davis_palette
from stma.weights import save_weights
from stma_cli.main import app
from stma_cli.masks import Annotation, read_names
from stma_cli.result_layout import STATES_FOLDER
from stma_cli.segment.corrections import digests
from stma_cli.segment.kept_states import KeptStates

WIDTH, HEIGHT = 96, 64  # whole macroblocks: of others x264 does not always code the first frame alike
COUNT = 30
OPTIONS = [
    "--mask",
    "masks",
    "--model",
    "tiny.safetensors",
    "--threads",
    "1",
    "--checkpoint",
    "4",
    "--states",
    "20",
]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny.safetensors, clip.mp4, and masks/00000.png with the objects 1 and 3."""
    monkeypatch.chdir(tmp_path)
    save_weights(colour_network(), Path("tiny.safetensors"))
    make_clip(Path("clip.mp4"), COUNT, width=WIDTH, height=HEIGHT)
    Path("masks").mkdir()
    save_mask("masks/00000.png", 1, 3, width=WIDTH, height=HEIGHT)
    return tmp_path


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, ["segment", "clip.mp4", *OPTIONS, *words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def correct(frame: int, *, left: bool = True) -> None:
    labels = np.full((HEIGHT, WIDTH), 255 if left else 0, np.uint8)
    labels[30:45, 40:60], labels[5:25, 5:25] = 3, 0
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().tobytes())
    image.save(f"masks/{frame:05d}.png")


def begun_at(result: Result) -> int:
    """Return the frame that a correction began at; which states are kept depends on how fast masks are written."""
    found = re.search(r"frames are computed from (\d+), where the memory was kept", result.stdout)
    assert found, result.stdout
    return int(found[1])


def masks(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.png"))}


def rows(folder: str) -> list[object]:
    return list(json.loads((Path(folder) / "report.json").read_text())["frames"])


def require_as_from_the_start(folder: str, *words: str) -> None:
    run("--out", "whole", "--force", *words)
    assert masks(folder) == masks("whole")
    assert rows(folder) == rows("whole")
    assert read_names(Path(folder)) == read_names(Path("whole"))


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("after", [(), ("--smooth", "2", "--grow", "1")])
def test_only_what_a_correction_affects_is_computed(
    workplace: Path, left: bool, after: tuple[str, ...]
) -> None:
    run("--out", "a", *after)
    before = masks("a")
    correct(17, left=left)
    result = run("--out", "a", *after)
    assert "the mask of frame 17 is new" in result.stdout
    begin = begun_at(result)
    assert 4 <= begin <= 17
    assert f"{COUNT - begin + (2 if after else 0)} of {COUNT} frames" in result.stdout
    untouched = 15 if after else 17  # smoothing looks two frames ahead
    assert dict(list(before.items())[:untouched]) == dict(list(masks("a").items())[:untouched])
    assert before != masks("a")
    require_as_from_the_start("a", *after)
    assert json.loads(Path("a/report.json").read_text())["computed_from"] == begin


def test_corrections_follow_each_other_and_can_be_taken_back(workplace: Path) -> None:
    run("--out", "a")
    first = masks("a")
    correct(21)
    run("--out", "a")
    correct(10)
    assert begun_at(run("--out", "a")) <= 10
    require_as_from_the_start("a")
    Path("masks/00010.png").unlink()
    result = run("--out", "a")
    assert "frame 10 is gone" in result.stdout
    assert begun_at(result) <= 10
    require_as_from_the_start("a")
    Path("masks/00021.png").unlink()
    run("--out", "a")
    assert masks("a") == first


def test_a_correction_where_lines_end_as_on_windows(workplace: Path) -> None:
    with lines_as_on_windows():
        run("--out", "a")
        correct(17)
        assert 4 <= begun_at(run("--out", "a")) <= 17
    require_as_from_the_start("a")


def test_nothing_is_computed_when_nothing_changed(workplace: Path) -> None:
    run("--out", "a")
    stamps = {path: path.stat().st_mtime_ns for path in Path("a").rglob("*")}
    result = run("--out", "a")
    assert "nothing is computed" in result.stdout
    assert "done " not in result.stdout
    assert {path: path.stat().st_mtime_ns for path in Path("a").rglob("*")} == stamps
    run("--out", "a", "--overlay", "seen.mp4")
    assert len(decoded(Path("seen.mp4"))) == COUNT
    assert not [path for path in Path("a").iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("words", [(), ("--overlay", "seen.mp4")])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_result_that_is_gone_or_damaged_is_made_again(
    workplace: Path, damaged: bool, words: tuple[str, ...]
) -> None:
    run("--out", "a")
    before, gap = masks("a"), Path("a/00013.png")
    Path("a/00021.png").unlink()
    gap.unlink()
    if damaged:
        gap.write_bytes(before[gap.name][:-20])
    result = run("--out", "a", *words)
    assert "a/00013.png is missing or damaged" in result.stdout
    assert 4 <= begun_at(result) <= 13
    assert masks("a") == before
    assert "nothing is computed" in run("--out", "a", *words).stdout


def test_a_gap_before_a_correction_is_closed(workplace: Path) -> None:
    run("--out", "a")
    Path("a/00009.png").unlink()
    correct(17)
    assert begun_at(run("--out", "a")) <= 9
    require_as_from_the_start("a")


def test_a_mask_given_by_itself_is_the_same_as_in_a_folder(workplace: Path) -> None:
    words = ["clip.mp4", "--mask", "masks/00000.png", *OPTIONS[2:], "--out", "a"]
    assert CliRunner().invoke(app, ["segment", *words]).exit_code == 0
    assert "nothing is computed" in run("--out", "a").stdout


def test_the_overlay_of_the_run_is_drawn_again(workplace: Path) -> None:
    # A GIF: x264 does not code equal pictures alike each time.
    run("--out", "a", "--overlay", "seen.gif")
    before = Path("seen.gif").read_bytes()
    correct(17)
    run("--out", "a", "--overlay", "seen.gif")
    run("--out", "whole", "--overlay", "whole.gif")
    assert before != Path("seen.gif").read_bytes()
    for (_, one), (_, other) in zip(decoded(Path("seen.gif")), decoded(Path("whole.gif")), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_overlay_that_was_drawn_later_is_known_as_that_of_the_run(workplace: Path) -> None:
    run("--out", "a")
    frames = rows("a")
    overlay = ("--out", "a", "--overlay", "seen.gif")
    run(*overlay)
    drawn = Path("seen.gif").read_bytes()
    run(*overlay, "--style", "green")
    assert Path("seen.gif").read_bytes() != drawn
    run(*overlay)
    assert Path("seen.gif").read_bytes() == drawn
    stamp = Path("seen.gif").stat().st_mtime_ns
    run(*overlay)
    assert Path("seen.gif").stat().st_mtime_ns == stamp
    assert rows("a") == frames
    correct(17)
    run(*overlay)
    assert Path("seen.gif").read_bytes() != drawn
    require_as_from_the_start("a")


def test_without_a_kept_state_all_is_computed_and_said(workplace: Path) -> None:
    run("--out", "a", "--states", "0")
    assert not (workplace / "a" / STATES_FOLDER).exists()
    correct(17)
    assert "no memory was kept before it" in run("--out", "a", "--states", "0").stdout
    require_as_from_the_start("a", "--states", "0")


def test_damaged_states_are_passed_over(workplace: Path) -> None:
    run("--out", "a")
    *_, newest = sorted(path for path in Path("a", STATES_FOLDER).iterdir() if int(path.name) <= 17)
    newest.write_bytes(b"no state")
    correct(17)
    assert begun_at(run("--out", "a")) < int(newest.name)
    require_as_from_the_start("a")


def test_another_first_mask_and_large_ids_begin_at_the_start(workplace: Path) -> None:
    run("--out", "a")
    save_mask("masks/00020.png", 0, 0, 300, width=WIDTH, height=HEIGHT)
    assert "ids above 255" in run("--out", "a").stdout
    require_as_from_the_start("a")
    save_mask("masks/00000.png", 3, 1, width=WIDTH, height=HEIGHT)
    assert "frame 0 has changed: all frames" in run("--out", "a").stdout
    require_as_from_the_start("a")


def test_new_names_change_no_mask(workplace: Path) -> None:
    run("--out", "a")
    before = masks("a")
    Path("masks/names.json").write_text('{"objects": [{"id": 3, "name": "dog"}]}')
    assert "names have changed" in run("--out", "a").stdout
    assert masks("a") == before
    assert read_names(Path("a"))[3] == "dog"
    require_as_from_the_start("a")


def test_other_settings_are_refused_and_leave_all_as_it_is(workplace: Path) -> None:
    run("--out", "a")
    before = {path: path.stat().st_mtime_ns for path in Path("a").rglob("*")}
    result = CliRunner().invoke(app, ["segment", "clip.mp4", *OPTIONS, "--out", "a", "--size", "64"])
    assert isinstance(result.exception, OutputError)
    assert "size not given -> 64" in str(result.exception)
    assert "--force" in str(result.exception)
    assert {path: path.stat().st_mtime_ns for path in Path("a").rglob("*")} == before


def test_an_interrupted_correction_goes_on(workplace: Path) -> None:
    run("--out", "a")
    correct(17)
    with ctrl_c_in_chunk(3):
        assert CliRunner().invoke(app, ["segment", "clip.mp4", *OPTIONS, "--out", "a"]).exit_code == 130
    assert not Path("a/report.json").exists()
    run("--out", "a", "--resume")
    require_as_from_the_start("a")


def test_an_interrupted_correction_goes_on_with_its_overlay(workplace: Path) -> None:
    words = ["segment", "clip.mp4", *OPTIONS, "--out", "a", "--overlay", "seen.gif"]
    run("--out", "a", "--overlay", "seen.gif")
    before = Path("seen.gif").read_bytes()
    correct(17)
    with ctrl_c_in_chunk(3):
        stopped = CliRunner().invoke(app, words)
    Path("mine.gif").touch()
    other = CliRunner().invoke(app, [*words[:-1], "mine.gif", "--resume"])
    assert "mine.gif exists" in str(other.exception)
    command = shlex.split(stopped.stderr.split("go on with: ")[1])
    assert "--force" not in command
    again = CliRunner().invoke(app, command[1:])
    assert again.exit_code == 0, again.exception
    assert Path("seen.gif").read_bytes() != before
    require_as_from_the_start("a")


@pytest.fixture
def pictures(workplace: Path) -> None:
    """A folder of pictures in place of clip.mp4."""
    Path("clip.mp4").unlink()
    make_folder(Path("clip.mp4"), [f"{index:05d}.jpg" for index in range(COUNT)], WIDTH, HEIGHT)


def test_another_frame_rate_changes_times_and_overlay_alone(pictures: None) -> None:
    words = ("--out", "a", "--overlay", "seen.gif")
    run(*words)
    before, drawn = masks("a"), Path("seen.gif").read_bytes()
    assert "nothing is computed" in run(*words, "--frame-rate", "24").stdout
    assert Path("seen.gif").read_bytes() == drawn
    assert "nothing is computed" in run("--out", "a", "--frame-rate", "12.5").stdout
    assert Path("seen.gif").read_bytes() == drawn
    assert "nothing is computed" in run(*words, "--frame-rate", "25/2").stdout
    assert Path("seen.gif").read_bytes() != drawn
    assert masks("a") == before
    report = json.loads(Path("a/report.json").read_text())
    assert [row["time"] for row in report["frames"]] == [index * 0.08 for index in range(COUNT)]
    assert report["video"]["frame_rate"] == "25/2"
    assert not [note for note in report["notes"] if "24 frames per second" in note]
    correct(17)
    assert 4 <= begun_at(run(*words, "--frame-rate", "7")) <= 17
    require_as_from_the_start("a", "--frame-rate", "7")


@pytest.mark.parametrize("corrected", [False, True])
def test_notes_on_an_overlay_drawn_afterwards_are_told_once(pictures: None, corrected: bool) -> None:
    preview, words = "seen.gif is a preview", ("--out", "a", "--overlay", "seen.gif")
    run(*words if corrected else words[:2])
    if corrected:
        correct(17)
    said = run(*words).stdout
    assert said.count(preview) == said.count("pictures have no frame rate") == 1, said
    notes = json.loads(Path("a/report.json").read_text())["notes"]
    assert [note.split(":")[0].split(";")[0] for note in notes] == ["pictures have no frame rate", preview]


def test_an_interrupted_run_goes_on_at_another_frame_rate(pictures: None) -> None:
    with ctrl_c_in_chunk(5):
        assert CliRunner().invoke(app, ["segment", "clip.mp4", *OPTIONS, "--out", "a"]).exit_code == 130
    run("--out", "a", "--resume", "--frame-rate", "10")
    require_as_from_the_start("a", "--frame-rate", "10")


def test_a_mask_is_known_again_however_its_labels_are_held() -> None:
    labels = np.array([[0, 3], [7, 0]], np.int32)
    annotation = Annotation(labels, {3: "object 3", 7: "object 7"})
    assert annotation.compact().labels.dtype == np.uint8
    assert digests({0: annotation.compact()}) == digests({0: annotation})


def test_states_are_spread_over_the_video(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").touch()
    states = KeptStates(tmp_path, 4)
    for frame in range(50, 2050, 50):
        states.keep(tmp_path / "checkpoint", frame)
    kept = sorted(int(path.name) for path in (tmp_path / STATES_FOLDER).iterdir())
    assert len(kept) == 4
    gaps = np.diff([0, *kept, 2050])
    assert gaps.max() <= 2050 / 2
    states.drop_from(kept[1])
    assert sorted(int(path.name) for path in (tmp_path / STATES_FOLDER).iterdir()) == kept[:2]
    states.drop_from(-1)
    assert not (tmp_path / STATES_FOLDER).exists()
    for frame in (50, 100):
        states.keep(tmp_path / "checkpoint", frame)
    states.drop_from(49)  # the state named 50 has seen it
    assert not (tmp_path / STATES_FOLDER).exists()
