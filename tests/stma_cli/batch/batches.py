"""A batch with its workers in the process of the test and a model that copies."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fakes import CopySegmenter, fake_setup, save_mask
from media import make_clip, make_folder
from typer.testing import CliRunner, Result

from stma.weights_file import find_weights, model_info
from stma_cli.batch import run as batch_run
from stma_cli.batch import worker as batch_worker
from stma_cli.batch.jobs import ClipJob, ClipOutcome, WorkerSpec
from stma_cli.batch.settings import BatchSettings
from stma_cli.batch.storage import Storage
from stma_cli.main import app
from stma_cli.segment.model_setup import ModelSetup
from stma_cli.segment.settings import SegmentSettings

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

    def __call__(
        self, settings: SegmentSettings, side: int | None, height: int, width: int, load: object = None
    ) -> ModelSetup:
        setup = fake_setup(settings, side, height, width, CopySegmenter(self._on_chunk))
        return replace(setup, model=replace(setup.model, sha256=WEIGHTS))

    def _on_chunk(self, chunks: int) -> None:
        self.chunks += 1
        if self.chunks in self.fail_at:
            raise self.fail_at[self.chunks]


def set_up_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Go to a folder with clips/a/one.mp4, clips/a/two (frames) and clips/three.mkv, and masks for them.

    Returns:
        The model that the workers, which are in this process, use.
    """
    model = Model()
    monkeypatch.setattr(batch_worker, "set_up_model", model)
    monkeypatch.setattr(batch_run, "_engine", InlineEngine)
    monkeypatch.chdir(folder)
    for name in ("clips/a", "masks/a"):
        Path(name).mkdir(parents=True)
    make_clip(Path("clips/a/one.mp4"), COUNT, width=WIDTH, height=HEIGHT)
    make_folder(Path("clips/a/two"), [f"f{index}.jpg" for index in range(COUNT)], WIDTH, HEIGHT)
    make_clip(Path("clips/three.mkv"), COUNT, width=WIDTH, height=HEIGHT)
    for name, object_id in (("a/one", 1), ("a/two", 2), ("three", 3)):
        save_mask(f"masks/{name}.png", object_id)
    return model


def run(*words: str) -> Result:
    """Run the batch with words added."""
    return CliRunner().invoke(app, ["batch", "clips", "--masks", "masks", "--out", "out", *words])


def statuses() -> dict[str, str]:
    """Return what batch.json says became of each clip."""
    return {row["clip"]: row["status"] for row in document()["clips"]}


def document() -> dict[str, Any]:
    """Return batch.json."""
    content: dict[str, Any] = json.loads(Path("out/batch.json").read_text())
    return content


def reasons(*words: str) -> dict[str, str]:
    """Run again and return why clips were done once more."""
    assert run(*words).exit_code == 0
    return {row["clip"]: row["reason"] for row in document()["clips"] if row["status"] == "done"}
