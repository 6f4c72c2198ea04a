"""`stma batch` from options to batch.json, with the workers in this process and a model that copies."""

import json
import re
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batches import COUNT, HEIGHT, WIDTH, Model, document, reasons, run, set_up_batch, statuses
from fakes import save_mask
from fsspec.implementations.memory import MemoryFileSystem
from media import make_clip
from rich.console import Console
from typer.testing import CliRunner

from stma.config import MODEL_CONFIGS
from stma.errors import MaskError, OutputError, SettingsError, StmaError, WeightsError
from stma.network.model import STMA
from stma.saving import output_error
from stma.weights import save_weights
from stma_cli.batch.clips import Clip, Pair
from stma_cli.batch.dry_run import ClipPreview, _timed
from stma_cli.batch.jobs import ClipOutcome, Status
from stma_cli.batch.plan import PlannedClip
from stma_cli.batch.settings import BatchResult
from stma_cli.batch.show import print_result, progress_line
from stma_cli.batch.storage import LocalStorage, storage_at
from stma_cli.main import app
from stma_cli.masks import read_labels
from stma_cli.segment.model_setup import set_up_model
from stma_cli.segment.settings import SegmentSettings


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    return set_up_batch(tmp_path, monkeypatch)


@pytest.fixture
def workplace(tmp_path: Path, model: Model) -> Path:
    """The folder of `set_up_batch`."""
    return tmp_path


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="no such names on this system")
def test_names_that_are_no_utf8(workplace: Path) -> None:
    for name in ("clips/three.mkv", "masks/three.png"):
        Path(name).rename(name.replace("three", "caf\udce9"))
    assert run().exit_code == 0
    assert statuses()["caf\udce9"] == "done"
    assert run("--dry-run", "--json").exit_code == 0


def test_the_tree_is_mirrored(workplace: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert statuses() == {"a/one": "done", "a/two": "done", "three": "done"}
    assert sorted(path.name for path in Path("out/a/two").iterdir()) == [
        *(f"f{index}.png" for index in range(COUNT)),
        "names.json",
        "report.json",
    ]
    assert len(list(Path("out/three").glob("*.png"))) == COUNT
    assert "3 clips: 3 done" in result.stdout
    assert sorted(path.name for path in Path("out").iterdir()) == ["a", "batch.json", "three"]


def test_one_bad_clip_never_stops_the_rest(workplace: Path, model: Model) -> None:
    Path("clips/bad.mp4").write_bytes(b"no video")
    save_mask("masks/bad.png", 1)
    make_clip(Path("clips/lonely.mp4"), 3)
    model.fail_at = {1: RuntimeError("a bug"), 4: MemoryError()}
    result = run()
    assert result.exit_code == 1
    assert statuses() == {
        "a/one": "failed",
        "a/two": "failed",
        "bad": "failed",
        "lonely": "failed",
        "three": "done",
    }
    rows = {row["clip"]: row for row in document()["clips"]}
    assert rows["a/one"]["message"].startswith("unexpected RuntimeError: a bug")
    assert "in _on_chunk" in rows["a/one"]["traceback"]
    assert "smaller --size" in rows["a/two"]["message"]
    assert "cannot be read as a video" in rows["bad"]["message"]
    assert "there is no mask" in rows["lonely"]["message"]


def test_the_table_comes_also_when_the_disk_is_full(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(storage: LocalStorage, path: str, text: str) -> None:
        raise output_error(storage.root / path, OSError(28, "No space left on device"))

    monkeypatch.setattr(LocalStorage, "write", no_space)
    result = run()
    assert result.exit_code == 1
    assert "3 clips: 3 done" in result.stdout
    assert "batch.json cannot be written; free some space" in result.stderr


def test_files_of_others_are_not_touched(workplace: Path) -> None:
    Path("out/three").mkdir(parents=True)
    save_mask("out/three/mine.png", 1)
    assert run().exit_code == 1
    assert statuses()["three"] == "failed"
    assert [path.name for path in Path("out/three").iterdir()] == ["mine.png"]
    assert run("--force").exit_code == 0
    assert Path("out/three/mine.png").exists()


def test_masks_that_the_report_of_another_program_names_are_not_touched(workplace: Path) -> None:
    Path("out/three").mkdir(parents=True)
    Path("out/three/report.json").write_text(
        '{\n  "by": "me",\n  "frames": [\n{"file": "mine.png"}\n  ]\n}\n'
    )
    assert run().exit_code == 1
    assert statuses()["three"] == "failed", "JSON alone is of others too"
    save_mask("out/three/mine.png", 1)
    assert run("--force").exit_code == 0
    assert Path("out/three/mine.png").exists()


def test_masks_on_most_frames_are_told_and_only_the_first_is_used_on_request(workplace: Path) -> None:
    Path("masks/three.png").unlink()
    Path("masks/three").mkdir()
    for frame in range(COUNT):
        save_mask(f"masks/three/{frame:05d}.png", 3)
    told = "more than half of the frames have a mask in three; each counts as a correction"
    assert told in run("--dry-run").stdout
    assert told in run().stdout
    assert document()["clips"][2]["given"] == COUNT
    result = run("--first-mask-only")
    assert "is taken as given" not in result.stdout
    assert {row["clip"]: row.get("reason") for row in document()["clips"]} == dict.fromkeys(
        ("a/one", "a/two", "three"), "changed: the masks"
    )
    assert document()["clips"][2]["given"] == 1
    assert reasons("--first-mask-only") == {}


def test_overlays(workplace: Path) -> None:
    assert run("--overlay").exit_code == 0
    assert Path("out/a/two/overlay.mp4").stat().st_size > 1000
    assert reasons("--overlay") == {}
    Path("out/three/overlay.mp4").unlink()
    assert reasons("--overlay") == {"three": "overlay.mp4 is missing"}
    said = run("--overlay", "--no-audio", "--dry-run").stdout
    assert said.count("overlay.mp4 was drawn otherwise") == 3


def test_overlays_alone_are_drawn_from_the_masks_that_are_there(workplace: Path, model: Model) -> None:
    assert run().exit_code == 0
    chunks = model.chunks
    first = ["--overlay", "--style", "outline", "--no-audio"]
    assert reasons(*first) == dict.fromkeys(("a/one", "a/two", "three"), "overlay.mp4 is missing")
    assert reasons(*first) == {}
    plain = Path("out/three/overlay.mp4").read_bytes()
    assert set(reasons("--overlay", "--no-audio").values()) == {"overlay.mp4 was drawn otherwise"}
    assert Path("out/three/overlay.mp4").read_bytes() != plain
    assert model.chunks == chunks, "nothing is segmented"
    Path("out/three/00003.png").unlink()
    assert reasons("--overlay", "--no-audio") == {"three": "00003.png is missing"}
    assert model.chunks > chunks


def test_frames_at_another_rate(workplace: Path) -> None:
    assert run("--frame-rate", "10").exit_code == 0
    frames = json.loads(Path("out/a/two/report.json").read_text())["frames"]
    assert frames[5]["time"] == 0.5
    assert reasons("--frame-rate", "20/2") == {}
    assert reasons() == {"a/two": "changed: frame-rate 10 -> 24"}
    assert reasons("--frame-rate", "24") == {}


def test_a_manifest_with_ranges(workplace: Path) -> None:
    Path("list.csv").write_text("clip,mask,start,end\na/one.mp4,masks/a/one.png,2,6\n")
    result = CliRunner().invoke(app, ["batch", "clips", "--masks", "list.csv", "-o", "out", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["clips"][0]["frames"] == 4
    assert sorted(path.name for path in Path("out/a/one").glob("*.png")) == [
        f"{i:05d}.png" for i in range(2, 6)
    ]


def test_a_manifest_chooses_the_objects_of_a_clip(workplace: Path) -> None:
    save_mask("masks/a/one.png", 1, 2)
    Path("list.csv").write_text("clip,mask,objects\na/one.mp4,masks/a/one.png,2\n")
    assert CliRunner().invoke(app, ["batch", "clips", "--masks", "list.csv", "-o", "out"]).exit_code == 0
    assert np.unique(read_labels(Path("out/a/one/00005.png"))).tolist() == [0, 2]


def test_results_on_a_file_system_of_fsspec(workplace: Path, model: Model) -> None:
    words = ["batch", "clips", "--masks", "masks", "--out", f"file://{workplace}/far", "--chunk", "3"]
    words += ["--checkpoint", "3"]
    model.fail_at = {3: KeyboardInterrupt()}
    assert CliRunner().invoke(app, words).exit_code == 1
    far = workplace / "far"
    assert (far / "a/one/.stma-checkpoint").exists()
    assert len(list((far / "a/one").glob("*.png"))) == 6
    assert len(list((far / "a/two").glob("*.png"))) == COUNT
    assert CliRunner().invoke(app, words).exit_code == 0
    rows = {row["clip"]: row for row in json.loads((far / "batch.json").read_text())["clips"]}
    assert (rows["a/one"]["resumed_at"], rows["three"]["status"]) == (6, "unchanged")
    assert sorted(path.name for path in (far / "a/one").iterdir()) == [
        *(f"{index:05d}.png" for index in range(COUNT)),
        "names.json",
        "report.json",
    ]
    make_clip(Path("clips/three.mkv"), 4, width=WIDTH, height=HEIGHT)
    assert CliRunner().invoke(app, words).exit_code == 0
    assert len(list((far / "three").glob("*.png"))) == 4


def test_one_clip_and_one_frame_are_told_as_one() -> None:
    outcome = ClipOutcome("a", Status.DONE, frames=1, seconds=2.0)
    assert progress_line(outcome, 1, 1) == "done     1/1 a: 1 frame in 2.0 s"
    console = Console(file=StringIO(), width=120)
    print_result(BatchResult((outcome,), 2.0), console)
    assert "total    1 clip: 1 done; 2.0 s" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_table_shows_names_as_they_are(terminal: bool) -> None:
    outcomes = ClipOutcome("a[/b]", Status.DONE, frames=8), ClipOutcome("b", Status.FAILED, message="no [x]")
    stream = StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, color_system=None)
    print_result(BatchResult(outcomes), console)
    shown = stream.getvalue()
    assert "seconds" in shown
    for cells in (["a[/b]", "done", "8"], ["b", "failed", "no [x]"]):
        assert re.search((" +" if terminal else "\t+").join(map(re.escape, cells)), shown), shown


@pytest.mark.parametrize(("method", "path"), [("ls", "three"), ("open", "three/report.json")])
def test_a_place_that_the_file_system_refuses_fails_its_clip_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    words = ["batch", "clips", "--masks", "masks", "--out", "memory://far"]
    assert CliRunner().invoke(app, words).exit_code == 0
    allowed = getattr(MemoryFileSystem, method)

    def guarded(self: MemoryFileSystem, place: str, *more: Any, **options: Any) -> Any:
        if place.endswith(f"/far/{path}"):
            raise PermissionError("403 Forbidden")
        return allowed(self, place, *more, **options)

    monkeypatch.setattr(MemoryFileSystem, method, guarded)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1, result.output
    rows = json.loads(MemoryFileSystem().cat_file("/far/batch.json"))["clips"]
    assert {row["clip"]: row["status"] for row in rows} == {
        "a/one": "unchanged",
        "a/two": "unchanged",
        "three": "failed",
    }
    assert "403 Forbidden" in rows[-1]["message"]
    assert "check the address and the rights" in rows[-1]["message"]


def test_a_damaged_file_at_a_url_is_not_put_down_to_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    MemoryFileSystem().pipe_file("/far/report.json", b"\xff{")
    with pytest.raises(UnicodeDecodeError):
        list(storage_at("memory://far").lines("report.json"))


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--masks", "absent"], MaskError, "neither a folder nor a manifest"),
        (["--model", "absent"], WeightsError, "absent"),
        (["--out", "masks/three.png"], OutputError, "masks/three.png"),
        (["--out", "-"], SettingsError, "give a folder"),
        (["--engine", "ray", "--devices", "cuda:0"], SettingsError, "--devices is for --engine local"),
        (["--address", "auto"], SettingsError, "add --engine ray"),
        (["--overlay", "--style", "cutout"], SettingsError, "choose --style green"),
        (["--out", "nothing://there"], OutputError, "install the package of fsspec"),
    ],
)
def test_what_keeps_the_whole_batch_from_beginning(
    workplace: Path, words: list[str], kind: type[StmaError], message: str
) -> None:
    result = run(*words)
    assert isinstance(result.exception, kind), result.output
    assert message in str(result.exception)
    assert result.exception.exit_code == 2


def test_two_batches_do_not_write_into_one_folder(workplace: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="no file locks here")
    Path("out").mkdir()
    with Path("out/.stma-batch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another stma batch" in str(run().exception)
    assert run().exit_code == 0


def test_dry_run_shows_pairs_frames_and_time(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stma_cli.batch import dry_run

    learning = [5.0, 0.0]
    monkeypatch.setattr(dry_run, "_timed", lambda setup, chunk, clip: (learning[-1], 2.0))
    words = ["--dry-run", "--devices", "cpu", "--workers", "2"]
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert [(row["clip"], row["frames"], row["objects"], row["action"]) for row in shown["clips"]] == [
        ("a/one", COUNT, 1, "new"),
        ("a/two", COUNT, 1, "new"),
        ("three", COUNT, 1, "new"),
    ]
    assert shown["seconds"] == 27.0
    learning.pop()
    assert json.loads(run(*words, "--json").stdout)["seconds"] == 34.5, "each of three clips is learned from"
    for direction, seconds in (("both", 45.0), ("backward", 10.5)):
        shown = json.loads(run(*words, "--json", "--direction", direction).stdout)
        assert shown["seconds"] == seconds, "backward from the first frame, where the mask is"
        assert [row["frames"] for row in shown["clips"]] == [COUNT] * 3
    assert re.match(r"about \d+ M.* of RAM .*for each worker", shown["needs"]), shown["needs"]
    assert "needs    about" in run(*words).stdout
    assert not Path("out").exists()
    assert run().exit_code == 0
    Path("clips/bad.mp4").write_bytes(b"no video")
    save_mask("masks/bad.png", 1)
    result = run(*words)
    assert result.exit_code == 1
    assert "three\tthree.png\t\t9\t\t\tcomplete already" in result.stdout
    assert "4 clips: 0 to do, 1 cannot be used; nothing to do" in result.stdout


@pytest.mark.parametrize("steps", [0, 1])
def test_dry_run_times_what_is_learned_from_the_first_mask(steps: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_weights(STMA(MODEL_CONFIGS["tiny"]), tmp_path / "tiny.safetensors")
    settings = SegmentSettings(
        video=Path("clip.mp4"),
        masks=(),
        out=Path("out"),
        model=str(tmp_path / "tiny.safetensors"),
        device="cpu",
        threads=1,
        adapt=steps,
    )
    planned = PlannedClip(Pair(Clip("clip", Path("clip.mp4"))), None, None)
    clip = ClipPreview(planned=planned, width=WIDTH, height=HEIGHT, frames=COUNT, objects=1, annotated=1)
    learned, each = _timed(set_up_model(settings, 64, HEIGHT, WIDTH), 2, clip)
    assert (learned > 0) == (steps > 0)
    assert each > 0
