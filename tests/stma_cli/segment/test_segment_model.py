"""`stma segment` with a real, tiny network of random weights: all parts fit together."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from colour_network import colour_network
from fakes import save_mask
from media import audio_packets, decoded, make_clip
from typer.testing import CliRunner

from stma.errors import DeviceError, StmaError, WeightsError
from stma.estimate import MemoryEstimate
from stma.network.model import STMA
from stma.weights import save_weights
from stma_cli.main import app
from stma_cli.masks import read_labels
from stma_cli.segment.model_setup import needed_memory, set_up_model
from stma_cli.segment.settings import SegmentSettings

WIDTH, HEIGHT, COUNT = 90, 66, 9


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny.safetensors, clip.mp4 with sound, and first.png with the objects 1 and 300."""
    monkeypatch.chdir(tmp_path)
    save_weights(colour_network(), Path("tiny.safetensors"))
    make_clip(Path("clip.mp4"), COUNT, width=WIDTH, height=HEIGHT, audio="aac")
    save_mask("first.png", 1, 300, width=WIDTH, height=HEIGHT)
    return tmp_path


def frames_of(out: Path) -> list[dict[str, Any]]:
    """The rows of a report."""
    rows: list[dict[str, Any]] = json.loads((out / "report.json").read_text())["frames"]
    return rows


def test_needed_memory_names_what_counts_on_the_device() -> None:
    estimate = MemoryEstimate(
        weights=100_000_000,
        bank=200_000_000,
        entries=0,
        activations=300_000_000,
        frames=4_000_000,
        process=450_000_000,
    )
    on_cpu, on_gpu = needed_memory(estimate, on_gpu=False), needed_memory(estimate, on_gpu=True)
    assert on_cpu == "about 1.1 GB of RAM at this size and number of objects, at any length"
    assert on_gpu.startswith("about 450 MB of RAM and 600 MB of GPU memory at this size")


def test_a_whole_run(workplace: Path) -> None:
    words = ["clip.mp4", "--mask", "first.png", "--model", "tiny.safetensors", "--size", "64", "--json"]
    result = CliRunner().invoke(
        app, ["segment", *words, "--overlay", "seen.mp4", "--chunk", "2", "--threads", "1"]
    )
    assert result.exit_code == 0, result.output
    assert "1 thread\n" in result.stderr
    assert "of RAM at this size and number of objects, at any length\n" in result.stderr
    assert json.loads(result.stdout)["frames"] == COUNT
    np.testing.assert_array_equal(read_labels(Path("clip_stma/00000.png")), read_labels(Path("first.png")))
    assert read_labels(Path("clip_stma/00008.png")).shape == (HEIGHT, WIDTH)
    assert len(decoded(Path("seen.mp4"))) == COUNT
    assert audio_packets(Path("seen.mp4"))
    report = json.loads(Path("clip_stma/report.json").read_text())
    assert len(report["frames"]) == COUNT
    assert [row["id"] for row in report["objects"]] == [1, 300]
    assert report["model"]["parameters"] > 0
    assert report["model"]["threads"] == torch.get_num_threads() == 1
    assert len(report["model"]["sha256"]) == 64


def test_memory_is_foreseen_for_the_frames_that_wait(workplace: Path) -> None:
    settings = SegmentSettings(
        Path("clip.mp4"), (), Path("out"), model="tiny.safetensors", chunk=1, device="cpu"
    )
    setup = set_up_model(settings, 64, 2160, 3840)
    assert setup.needs is not None
    held = 9 * 2160 * 3840 * 4  # four before the model, one in it, four behind; RGB and labels
    without = setup.segmenter.estimate(1, 1, 0, (2160, 3840))  # type: ignore[attr-defined]
    whole = replace(without, frames=held)
    assert setup.needs(1, 1) == needed_memory(whole, on_gpu=False)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["--model", "absent"], WeightsError),
        (["--model", "first.png"], WeightsError),
        (["--model", "tiny.safetensors", "--size", "5"], StmaError),
        pytest.param(
            ["--model", "tiny.safetensors", "--device", "cuda"],
            DeviceError,
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here"),
        ),
    ],
)
def test_what_the_model_needs_is_missing(workplace: Path, words: list[str], kind: type[StmaError]) -> None:
    result = CliRunner().invoke(app, ["segment", "clip.mp4", "--mask", "first.png", *words])
    assert isinstance(result.exception, kind)
    assert result.exception.exit_code == 2
    assert not Path("clip_stma").exists()


def test_the_model_learns_from_the_first_marked_frame(workplace: Path) -> None:
    words = ["segment", "clip.mp4", "--mask", "first.png", "--model", "tiny.safetensors", "--threads", "1"]
    for out, steps in (("plain", 0), ("once", 2), ("again", 2)):
        result = CliRunner().invoke(app, [*words, "--out", out, "--adapt", str(steps)])
        assert result.exit_code == 0, result.output
        assert ("adapts   2 steps on the first marked frame\n" in result.stdout) == (steps > 0)
        assert json.loads(Path(out, "report.json").read_text())["model"]["adapt"] == steps
    seen = {out: [frame["objects"] for frame in frames_of(Path(out))] for out in ("plain", "once", "again")}
    assert seen["once"] == seen["again"]
    assert seen["once"] != seen["plain"]


@pytest.mark.parametrize(
    ("direction", "told"),
    [
        ("backward", "on the last marked frame"),
        ("both", "on the last marked frame, and for the forward pass anew on the first one"),
    ],
)
def test_each_pass_learns_from_the_marked_frame_that_it_begins_with(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, direction: str, told: str
) -> None:
    learned_from = []

    def listening(model: STMA, frame: np.ndarray, labels: np.ndarray, *given: object) -> STMA:
        learned_from.append(int(labels.max()))
        return model

    monkeypatch.setattr("stma.adaptation.adapted", listening)
    save_mask("later.png", 1, 7, width=WIDTH, height=HEIGHT)
    words = ["segment", "clip.mp4", "--mask", "first.png", "--mask", "6=later.png", "--threads", "1"]
    words += ["--model", "tiny.safetensors", "--adapt", "2", "--direction", direction]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert f"adapts   2 steps {told}\n" in result.stdout
    assert learned_from == ([7] if direction == "backward" else [7, 300])


def test_a_correction_goes_on_with_what_was_learned(workplace: Path) -> None:
    words = ["segment", "clip.mp4", "--mask", "first.png", "--model", "tiny.safetensors", "--threads", "1"]
    words += ["--adapt", "2", "--checkpoint", "2", "--chunk", "2"]
    save_mask("later.png", 1, 300, width=WIDTH, height=HEIGHT)
    correction = ["--mask", "6=later.png"]
    for run in (["--out", "whole", *correction], ["--out", "parts"], ["--out", "parts", *correction]):
        result = CliRunner().invoke(app, [*words, *run])
        assert result.exit_code == 0, result.output
    assert "frames" in result.stdout
    for index in range(COUNT):
        whole, parts = (read_labels(Path(out, f"{index:05}.png")) for out in ("whole", "parts"))
        np.testing.assert_array_equal(whole, parts)
