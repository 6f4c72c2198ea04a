"""Logs of a run and their plot: training loss and IoU, and the validation scores, over steps."""

import json
from contextlib import suppress
from json import JSONDecodeError
from os import SEEK_END
from pathlib import Path
from typing import Any

import numpy as np

from stma.evaluation import MEASURES
from stma.saving import replacing, writing

TRAIN_LOG, GRADIENTS_LOG, VALIDATION_LOG = "train.jsonl", "gradients.jsonl", "validation.jsonl"


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a log of JSON lines, one per step, the last of each step: a resumed run repeats a few.

    Lines that are no JSON are left out: a full disk cuts a row short.
    """
    if not path.is_file():
        return []
    rows = {}
    for line in path.read_text("utf-8").splitlines():
        with suppress(JSONDecodeError):
            row = json.loads(line)
            rows[row["step"]] = row
    return [rows[step] for step in sorted(rows)]


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a log of JSON lines, on a line of its own also where the one before was cut short.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path), path.open("ab+") as log:
        if log.tell():
            log.seek(-1, SEEK_END)
            if log.read(1) != b"\n":
                log.write(b"\n")
        log.write(json.dumps(row).encode() + b"\n")


def plot_run(run: Path) -> Path | None:
    """Draw `train.jsonl` and `validation.jsonl` of a run folder to `training.png`; None when nothing was logged."""
    from matplotlib.figure import Figure

    train, validation = read_log(run / TRAIN_LOG), read_log(run / VALIDATION_LOG)
    if not train:
        return None
    steps = np.array([row["step"] for row in train])
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, label in (
        ("loss", "total"),
        ("cross_entropy", "cross entropy"),
        ("dice", "dice"),
        ("labels", "labels"),
    ):
        left.plot(*_smooth(steps, np.array([row[name] for row in train])), label=label)
    left.set(xlabel="step", ylabel="loss, running mean", yscale="log")
    left.legend()
    right.plot(*_smooth(steps, np.array([row["iou"] for row in train])), label="training IoU, running mean")
    for name in MEASURES:
        if validation:
            right.plot(
                [r["step"] for r in validation],
                [r[name] for r in validation],
                "o-",
                label=f"validation {name}",
            )
    right.set(xlabel="step", ylim=(0, 1))
    right.legend()
    path = run / "training.png"
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path


def _smooth(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Running mean over a fiftieth of the run."""
    width = max(1, len(values) // 50)
    return steps[width - 1 :], np.convolve(values, np.ones(width) / width, mode="valid")
