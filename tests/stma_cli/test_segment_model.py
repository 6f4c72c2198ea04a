"""`stma segment` with a real, tiny network of random weights: all parts fit together."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import save_mask
from media import audio_packets, decoded, make_clip
from typer.testing import CliRunner

from stma.config import MODEL_CONFIGS
from stma.errors import DeviceError, StmaError, WeightsError
from stma.network.model import STMA
from stma.weights import save_weights
from stma_cli.main import app
from stma_cli.masks import read_labels

WIDTH, HEIGHT, COUNT = 90, 66, 9


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny.safetensors, clip.mp4 with sound, and first.png with the objects 1 and 300."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_weights(STMA(MODEL_CONFIGS["tiny"]), Path("tiny.safetensors"))
    make_clip(Path("clip.mp4"), COUNT, width=WIDTH, height=HEIGHT, audio="aac")
    save_mask("first.png", 1, 300, width=WIDTH, height=HEIGHT)
    return tmp_path


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
