"""`stma batch` from options to batch.json, with the workers in this process and a model that copies."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from fakes import CopySegmenter, fake_setup, save_mask
from media import make_clip, make_folder
from typer.testing import CliRunner, Result

from stma.config import MODEL_CONFIGS
from stma.errors import MaskError, OutputError, SettingsError, StmaError, WeightsError
from stma.network.model import STMA
from stma.weights import save_weights
from stma.weights_file import find_weights, model_info
from stma_cli.batch import run as batch_run
from stma_cli.batch import worker as batch_worker
from stma_cli.batch.clips import Clip
from stma_cli.batch.dry_run import ClipPreview, _timed
from stma_cli.batch.jobs import ClipJob, ClipOutcome, WorkerSpec
from stma_cli.batch.pairing import Pair
from stma_cli.batch.plan import PlannedClip
from stma_cli.batch.settings import BatchSettings
from stma_cli.batch.storage import Storage
from stma_cli.direction import BACKWARD_FOLDER
from stma_cli.main import app
from stma_cli.masks import read_labels
from stma_cli.model_setup import ModelSetup, set_up_model
from stma_cli.segment_settings import SegmentSettings

WIDTH, HEIGHT, COUNT = 64, 48, 9
WEIGHTS = model_info(find_weights("small")).sha256


class InlineEngine:
    """Runs the real worker in this process, one job after the other."""

    workers = ("here",)

    def __init__(self, settings: BatchSettings, storage: Storage, jobs: int) -> None:
        self._factory = batch_worker.ClipWorkerFactory(storage, settings.overlay)

    def run(self, jobs: Sequence[ClipJob], stop: Event) -> Iterator[ClipOutcome]:
        worker = self._factory(WorkerSpec("here", "cpu", 1))
        for job in jobs:
            if stop.is_set():
                return
            yield worker.run(job)


class Model:
    """Stands in for `set_up_model`; fails on chunks that the test names."""

    def __init__(self) -> None:
        self.chunks = 0
        self.fail_at: dict[int, BaseException] = {}

    def __call__(self, settings: SegmentSettings, height: int, width: int, load: object = None) -> ModelSetup:
        setup = fake_setup(settings, height, width, CopySegmenter(self._on_chunk))
        setup.description["sha256"] = WEIGHTS
        return setup

    def _on_chunk(self, chunks: int) -> None:
        self.chunks += 1
        if self.chunks in self.fail_at:
            raise self.fail_at[self.chunks]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    model = Model()
    monkeypatch.setattr(batch_worker, "set_up_model", model)
    monkeypatch.setattr(batch_run, "_engine", InlineEngine)
    return model


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model) -> Path:
    """A folder with clips/a/one.mp4, clips/a/two (frames) and clips/three.mkv, and masks for them."""
    monkeypatch.chdir(tmp_path)
    for folder in ("clips/a", "masks/a"):
        Path(folder).mkdir(parents=True)
    make_clip(Path("clips/a/one.mp4"), COUNT, width=WIDTH, height=HEIGHT)
    make_folder(Path("clips/a/two"), [f"f{index}.jpg" for index in range(COUNT)], WIDTH, HEIGHT)
    make_clip(Path("clips/three.mkv"), COUNT, width=WIDTH, height=HEIGHT)
    for name, object_id in (("a/one", 1), ("a/two", 2), ("three", 3)):
        save_mask(f"masks/{name}.png", object_id)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["batch", "clips", "--masks", "masks", "--out", "out", *words])


def statuses() -> dict[str, str]:
    return {row["clip"]: row["status"] for row in document()["clips"]}


def document() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path("out/batch.json").read_text())
    return content


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


def reasons(*words: str) -> dict[str, str]:
    """Run again and return why clips were done once more."""
    assert run(*words).exit_code == 0
    return {row["clip"]: row["reason"] for row in document()["clips"] if row["status"] == "done"}


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
    shutil.rmtree("out/three")
    assert reasons() == {"three": "new"}
    assert reasons("--size", "40") == dict.fromkeys(["a/one", "a/two", "three"], "changed: size 480 -> 40")
    assert reasons("--size", "40", "--workers", "1", "--checkpoint", "9") == {}
    assert set(reasons("--size", "40", "--force")) == {"a/one", "a/two", "three"}


def test_results_with_a_damaged_report_are_not_replaced_unasked(workplace: Path) -> None:
    assert run().exit_code == 0
    Path("out/a/two/report.json").write_bytes(b"\xff{")
    assert run().exit_code == 1
    assert "add --force" in document()["clips"][1]["message"]
    assert set(reasons("--force")) == {"a/one", "a/two", "three"}


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


def test_files_of_others_are_not_touched(workplace: Path) -> None:
    Path("out/three").mkdir(parents=True)
    save_mask("out/three/mine.png", 1)
    assert run().exit_code == 1
    assert statuses()["three"] == "failed"
    assert [path.name for path in Path("out/three").iterdir()] == ["mine.png"]
    assert run("--force").exit_code == 0
    assert Path("out/three/mine.png").exists()


def test_overlays(workplace: Path) -> None:
    assert run("--overlay").exit_code == 0
    assert Path("out/a/two/overlay.mp4").stat().st_size > 1000
    assert reasons("--overlay") == {}
    Path("out/three/overlay.mp4").unlink()
    assert reasons("--overlay") == {"three": "overlay.mp4 is missing"}


def test_a_manifest_with_ranges(workplace: Path) -> None:
    Path("list.csv").write_text("clip,mask,start,end\na/one.mp4,masks/a/one.png,2,6\n")
    result = CliRunner().invoke(app, ["batch", "clips", "--masks", "list.csv", "-o", "out", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["clips"][0]["frames"] == 4
    assert sorted(path.name for path in Path("out/a/one").glob("*.png")) == [
        f"{i:05d}.png" for i in range(2, 6)
    ]


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


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--masks", "absent"], MaskError, "neither a folder nor a manifest"),
        (["--model", "absent"], WeightsError, "absent"),
        (["--out", "masks/three.png"], OutputError, "masks/three.png"),
        (["--engine", "ray", "--devices", "cuda:0"], SettingsError, "--devices is for --engine local"),
        (["--address", "auto"], SettingsError, "add --engine ray"),
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
        size=64,
        device="cpu",
        threads=1,
        adapt=steps,
    )
    planned = PlannedClip(Pair(Clip("clip", Path("clip.mp4"))), None, None)
    clip = ClipPreview(planned, None, WIDTH, HEIGHT, COUNT, objects=1, annotated=1)
    learned, each = _timed(set_up_model(settings, HEIGHT, WIDTH), 2, clip)
    assert (learned > 0) == (steps > 0)
    assert each > 0
