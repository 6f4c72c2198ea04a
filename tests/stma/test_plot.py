"""The plot of a training run."""

import json
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from stma.training.plot import plot_run


def test_a_plot_leaves_matplotlib_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matplotlib.rcParams, "backend", "svg")
    row = {"loss": 1.0, "cross_entropy": 0.5, "dice": 0.5, "labels": 0.1, "iou": 0.5}
    (tmp_path / "train.jsonl").write_text("".join(json.dumps({"step": n, **row}) + "\n" for n in range(60)))
    plot = plot_run(tmp_path)
    assert plot is not None
    with Image.open(plot) as image:
        assert image.width > 500
    assert matplotlib.rcParams["backend"] == "svg"


def test_nothing_is_plotted_of_a_run_without_a_log(tmp_path: Path) -> None:
    assert plot_run(tmp_path) is None
