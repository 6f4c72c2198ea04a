"""`stma batch` again: what is complete stays, what is interrupted goes on, what has changed is done anew."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batches import COUNT, HEIGHT, WEIGHTS, WIDTH, Model, document, reasons, run, set_up_batch, statuses
from fakes import save_mask
from media import make_clip
from typer.testing import CliRunner

from stma_cli.batch import plan as batch_plan
from stma_cli.batch.standing import ClipStanding, look
from stma_cli.main import app
from stma_cli.masks import read_labels
from stma_cli.result_layout import BACKWARD_FOLDER
from stma_cli.segment.identity import hash_masks


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    return set_up_batch(tmp_path, monkeypatch)


@pytest.fixture
def workplace(tmp_path: Path, model: Model) -> Path:
    """The folder of `set_up_batch`."""
    return tmp_path


def test_the_second_run_does_nothing(workplace: Path, model: Model) -> None:
    assert run().exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")}
    chunks = model.chunks
    result = run()
    assert result.exit_code == 0
    assert set(statuses().values()) == {"unchanged"}
    assert model.chunks == chunks
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")} == before
    assert "3 complete already" in result.stdout


def test_only_what_has_changed_is_done_again(workplace: Path) -> None:
    assert run().exit_code == 0
    os.utime("clips/a/one.mp4")
    assert reasons() == {}
    make_clip(Path("clips/a/one.mp4"), COUNT - 2, width=WIDTH, height=HEIGHT)
    assert reasons() == {"a/one": "changed: the video"}
    assert len(list(Path("out/a/one").glob("*.png"))) == COUNT - 2
    save_mask("masks/three.png", 3, 4)
    assert reasons() == {"three": "changed: the masks"}
    Path("out/a/two/f3.png").unlink()
    assert reasons() == {"a/two": "f3.png is missing"}
    Path("out/a/two/f2.png").write_bytes(b"")
    assert reasons() == {"a/two": "f2.png is missing"}
    whole = Path("out/a/two/f3.png").read_bytes()
    Path("out/a/two/f3.png").write_bytes(whole[:-20])
    assert reasons() == {"a/two": "f3.png is damaged"}
    assert Path("out/a/two/f3.png").read_bytes() == whole
    shutil.rmtree("out/three")
    assert reasons() == {"three": "new"}
    assert reasons("--size", "40") == dict.fromkeys(
        ["a/one", "a/two", "three"], "changed: size not given -> 40"
    )
    assert reasons("--size", "40", "--workers", "1", "--checkpoint", "9") == {}
    assert set(reasons("--size", "40", "--force")) == {"a/one", "a/two", "three"}


def test_an_overlay_of_another_run_and_other_names_are_done_again(workplace: Path) -> None:
    assert run("--overlay").exit_code == 0
    assert reasons("--overlay") == {}
    clips = ["a/one", "a/two", "three"]
    assert set(reasons("--size", "40")) == set(clips)
    assert reasons("--size", "40") == {}
    assert reasons("--size", "40", "--overlay") == dict.fromkeys(clips, "overlay.mp4 is of another run")
    Path("masks/names.json").write_text('{"objects": [{"id": 3, "name": "cat"}]}')
    assert reasons("--size", "40", "--overlay") == {"three": "changed: the masks"}
    assert json.loads(Path("out/three/names.json").read_text())["objects"][0]["name"] == "cat"


def test_an_overlay_drawn_anew_names_its_own_option(workplace: Path) -> None:
    assert run().exit_code == 0
    result = run("--overlay", "--overlay-objects", "3")
    assert result.exit_code == 1
    assert "a/one: --overlay-objects asks for 3, which is in no mask" in result.output
    assert statuses()["three"] == "done"


def test_the_names_that_a_run_itself_writes_beside_its_mask_change_nothing(workplace: Path) -> None:
    save_mask("masks/a/first.png", 1)
    before = hash_masks(["masks/a/first.png"], out=Path("masks/a"))
    Path("masks/a/names.json").write_text('{"objects": []}')
    assert hash_masks(["masks/a/first.png"], out=Path("masks/a")) == before
    assert hash_masks(["masks/a/first.png"], out=Path("out")) != before


@pytest.mark.parametrize("out", ["clips", "masks"])
def test_results_may_lie_among_the_clips_or_masks(workplace: Path, out: str) -> None:
    shutil.rmtree("clips/a/two")
    words = ["batch", "clips", "--masks", "masks", "--out", out, "--overlay"]
    for _ in range(2):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert "2 clips: 2 unchanged" in result.stdout
    Path(out, "three/00003.png").unlink()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert len(list(Path(out, "three").glob("*.png"))) == COUNT


@pytest.mark.parametrize("out", ["near", "file://{}/far"])
def test_only_masks_of_an_earlier_run_are_removed(workplace: Path, model: Model, out: str) -> None:
    out = out.format(workplace)
    words = ["batch", "clips", "--masks", "masks", "--out", out, "--chunk", "3", "--checkpoint", "3"]
    results = workplace / Path(out).name / "three"
    assert CliRunner().invoke(app, words).exit_code == 0
    save_mask(str(results / "mine.png"), 1)

    def shortened(count: int, fail_at: int | None = None) -> None:
        make_clip(Path("clips/three.mkv"), count, width=WIDTH, height=HEIGHT)
        model.chunks, model.fail_at = 0, {} if fail_at is None else {fail_at: KeyboardInterrupt()}
        assert CliRunner().invoke(app, words).exit_code == (0 if fail_at is None else 1)

    def masks() -> list[str]:
        return sorted(path.name for path in results.glob("*.png"))

    shortened(8, fail_at=3)
    assert masks() == [*(f"{index:05d}.png" for index in range(6)), "mine.png"]
    shortened(4)
    assert masks() == [*(f"{index:05d}.png" for index in range(4)), "mine.png"]
    shortened(2)
    assert masks() == ["00000.png", "00001.png", "mine.png"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"\xff{",
        lambda whole: whole[:-60],
        lambda whole: whole[: whole.index(b'  "frames"')],
        lambda whole: whole.replace(b'"file": "f3.png", ', b""),
    ],
)
def test_results_with_a_damaged_report_are_not_replaced_unasked(
    workplace: Path, damage: Callable[[bytes], bytes]
) -> None:
    assert run().exit_code == 0
    report = Path("out/a/two/report.json")
    report.write_bytes(damage(report.read_bytes()))
    assert run().exit_code == 1
    assert "add --force" in document()["clips"][1]["message"]
    assert set(reasons("--force")) == {"a/one", "a/two", "three"}


def test_what_force_does_to_files_of_others_is_said(workplace: Path) -> None:
    Path("out/three").mkdir(parents=True)
    save_mask("out/three/00000.png", 9)
    mine = Path("out/three/00000.png").read_bytes()
    assert run().exit_code == 1
    message = document()["clips"][-1]["message"]
    assert message.endswith("add --force to write into it, replacing files of the same name")
    assert Path("out/three/00000.png").read_bytes() == mine
    assert run("--force").exit_code == 0
    assert Path("out/three/00000.png").read_bytes() != mine


def test_the_report_of_a_long_clip_is_read_by_line(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run().exit_code == 0
    report, objects = (
        Path("out/three/report.json"),
        {str(i): {"area": i, "confidence": 0.5} for i in range(30)},
    )
    row = json.dumps({"frame": 0, "file": "00000.png", "time": 0.0, "objects": objects})
    begin = '"frames": [\n'
    report.write_text(report.read_text("utf-8").replace(begin, begin + f"{row},\n" * 4000), "utf-8")
    peaks: list[int] = []

    def measured(*given: Any) -> ClipStanding:
        look(*given)  # what it imports stays, and is no part of a report
        tracemalloc.start()
        finding = look(*given)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return finding

    monkeypatch.setattr(batch_plan, "look", measured)
    assert run().exit_code == 0
    assert set(statuses().values()) == {"unchanged"}
    assert max(peaks) < report.stat().st_size / 3


def test_other_weights_are_noticed(workplace: Path) -> None:
    assert run().exit_code == 0
    report = Path("out/three/report.json")
    report.write_text(report.read_text().replace(WEIGHTS, "0" * 64))
    assert reasons() == {"three": "changed: the weights"}


def test_a_clip_goes_on_where_it_was_interrupted(workplace: Path, model: Model) -> None:
    model.fail_at = {2: KeyboardInterrupt()}
    assert run("--chunk", "3").exit_code == 1
    assert statuses() == {"a/one": "waiting", "a/two": "done", "three": "done"}
    assert Path("out/a/one/.stma-checkpoint").exists()
    assert run("--chunk", "3").exit_code == 0
    row = next(row for row in document()["clips"] if row["clip"] == "a/one")
    assert (row["status"], row["reason"], row["resumed_at"], row["computed"]) == ("done", "interrupted", 3, 6)
    assert not Path("out/a/one/.stma-checkpoint").exists()


def test_an_interrupted_clip_with_other_settings_starts_again(workplace: Path, model: Model) -> None:
    model.fail_at = {2: KeyboardInterrupt()}
    run("--chunk", "3")
    assert run("--chunk", "2").exit_code == 0
    row = next(row for row in document()["clips"] if row["clip"] == "a/one")
    assert (row["status"], row["computed"]) == ("done", COUNT)
    assert "resumed_at" not in row


def test_a_damaged_clip_is_done_once_it_is_mended(workplace: Path) -> None:
    make_clip(Path("clips/three.mkv"), 60, width=WIDTH, height=HEIGHT)
    whole = Path("clips/three.mkv").read_bytes()
    Path("clips/three.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    for _ in range(2):
        assert run("--checkpoint", "4").exit_code == 1
        assert statuses()["three"] == "failed"
        assert "cut off" in document()["clips"][2]["message"]
    Path("clips/three.mkv").write_bytes(whole)
    assert run("--checkpoint", "4").exit_code == 0
    assert len(list(Path("out/three").glob("*.png"))) == 60


@pytest.mark.parametrize("out", ["near", "file://{}/far"])
def test_both_directions_go_on_where_they_were_interrupted(workplace: Path, model: Model, out: str) -> None:
    Path("list.csv").write_text("clip,mask,frame\nthree.mkv,masks/three.png,8\n")
    out = out.format(workplace)
    words = ["batch", "clips", "--masks", "list.csv", "--out", out, "--direction", "both", "--chunk", "3"]
    words += ["--checkpoint", "3"]
    results = workplace / Path(out).name / "three"
    model.fail_at = {5: KeyboardInterrupt()}  # after three chunks backward and one forward
    assert CliRunner().invoke(app, words).exit_code == 1
    assert len(list((results / BACKWARD_FOLDER).iterdir())) == COUNT
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    (row,) = json.loads((results.parent / "batch.json").read_text())["clips"]
    assert (row["resumed_at"], row["computed"]) == (3, COUNT - 3)
    assert all(read_labels(path).max() == 3 for path in results.glob("*.png"))
    assert sorted(path.name for path in results.iterdir()) == [
        *(f"{index:05d}.png" for index in range(COUNT)),
        "names.json",
        "report.json",
    ]


def test_without_the_backward_pass_a_clip_starts_again(workplace: Path, model: Model) -> None:
    Path("list.csv").write_text("clip,mask,frame\nthree.mkv,masks/three.png,8\n")
    words = ["batch", "clips", "--masks", "list.csv", "--out", "out", "--direction", "both", "--chunk", "3"]
    model.fail_at = {6: KeyboardInterrupt()}
    assert CliRunner().invoke(app, words).exit_code == 1
    shutil.rmtree(Path("out/three", BACKWARD_FOLDER))
    assert CliRunner().invoke(app, words).exit_code == 0
    (row,) = document()["clips"]
    assert "resumed_at" not in row
    assert all(read_labels(path).max() == 3 for path in Path("out/three").glob("*.png"))
