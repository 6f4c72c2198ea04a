"""When the state of a run may be saved: never ahead of the masks that are complete files."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from fakes import CopySegmenter, FakePrediction

from stma.palette import davis_palette
from stma_cli.masks import MaskWriter
from stma_cli.pipeline.held_back import HeldBack, HeldState
from stma_cli.segment.checkpoint import Checkpoint, load_checkpoint
from stma_cli.segment.checkpointer import Checkpointer
from stma_cli.segment.identity import RunIdentity
from stma_cli.segment.kept_states import KeptStates
from stma_cli.segment.report import ReportState, ReportWriter
from stma_cli.segment.settings import SegmentSettings
from stma_cli.video import Frame

EMPTY = np.zeros((4, 6), np.uint8)


def pairs(first: int, last: int) -> list[tuple[Frame, FakePrediction]]:
    pixels = np.zeros((4, 6, 3), np.uint8)
    return [
        (Frame(index, pixels, Fraction(index), f"{index:05d}"), FakePrediction(EMPTY, (), {}, {}))
        for index in range(first, last)
    ]


def saved_frame(folder: Path) -> int:
    checkpoint = load_checkpoint(folder)
    assert checkpoint is not None
    return checkpoint.next_frame


def test_a_state_waits_for_the_masks_of_all_frames_before_it(tmp_path: Path) -> None:
    settings = SegmentSettings(Path("clip.mp4"), (), tmp_path, checkpoint=4)
    begin = Checkpoint(0, None, {}, None, HeldState(0), ReportState())
    held_back, states = HeldBack(None, 0, HeldState(0)), KeptStates(tmp_path, 2)
    with (
        ReportWriter(tmp_path) as report,
        Checkpointer(settings, CopySegmenter(), held_back, report, begin, states) as checkpointer,
    ):
        assert list(held_back(iter(pairs(0, 4))))
        checkpointer.before_chunk(4, 2)  # the mask of frame 3 is not written yet
        assert saved_frame(tmp_path) == 0
        assert not checkpointer.save_newest(2)
        assert list(held_back(iter(pairs(4, 8))))
        checkpointer.before_chunk(8, 3)
        assert saved_frame(tmp_path) == 4, "so many frames lie between two checkpoints"
        assert checkpointer.save_newest(7)
        assert saved_frame(tmp_path) == 8
        checkpointer.finish()


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    identity = RunIdentity("video", "masks", "weights", {"end": None})
    with ReportWriter(tmp_path) as report:
        report.add(pairs(3, 4)[0][0], FakePrediction(EMPTY, (1,), {1: 0.5}, {1: 4}))
        saved = Checkpoint(4, identity, {"version": "1"}, None, HeldState(4), report.state())
        saved.save(tmp_path)
        report.add(pairs(4, 5)[0][0], FakePrediction(EMPTY, (1,), {1: 0.5}, {1: 4}))
        assert load_checkpoint(tmp_path) == saved, "a state does not grow with the report"
    assert saved.changes(identity, {"version": "2"}) == ["version 1 -> 2"]


def test_a_checkpoint_of_another_version_is_told(tmp_path: Path) -> None:
    Checkpoint(4, None, {}, None, HeldState(4), ReportState()).save(tmp_path)
    read = load_checkpoint(tmp_path)
    assert read is not None
    assert read.changes(RunIdentity("", "", "", {}), {}) == ["the version of stma"]


def test_tensors_are_saved_without_the_larger_block_that_they_are_views_of(tmp_path: Path) -> None:
    block = torch.zeros(1000, 100)
    state = {"keys": block[:1], "more": [block[1:2]]}
    Checkpoint(4, None, {}, state, HeldState(4), ReportState()).save(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10_000
    assert saved_frame(tmp_path) == 4


def test_rows_of_frames_after_the_checkpoint_are_not_in_the_report_twice(tmp_path: Path) -> None:
    names = {1: "dog"}
    writer = MaskWriter(tmp_path, davis_palette(), names)
    for index in range(6):
        writer.write(f"{index:05d}", EMPTY)
    seen = FakePrediction(EMPTY, (1,), {1: 0.5}, {1: 4})
    with ReportWriter(tmp_path) as report:
        for frame, _ in pairs(0, 4):
            report.add(frame, seen)
        state = report.state()
        for frame, _ in pairs(4, 6):  # then the process is killed
            report.add(frame, seen)
        report.keep_rows = True
    with ReportWriter(tmp_path) as report:
        report.resume(state)
        report.add(pairs(4, 5)[0][0], seen)
        report.finish({}, names)
    content = json.loads((tmp_path / "report.json").read_text())
    assert [row["frame"] for row in content["frames"]] == [0, 1, 2, 3, 4]
    assert content["objects"][0]["mean_area"] == 4.0
    assert content["objects"][0]["frames_visible"] == 5


def test_an_object_that_left_counts_as_no_area_in_the_mean(tmp_path: Path) -> None:
    with ReportWriter(tmp_path) as report:
        for (frame, _), area in zip(pairs(0, 2), (4, 0), strict=True):
            report.add(frame, FakePrediction(EMPTY, (1,), {1: 0.5}, {1: area}))
        report.finish({}, {})
    (row,) = json.loads((tmp_path / "report.json").read_text())["objects"]
    assert (row["mean_area"], row["frames_visible"]) == (2.0, 1)
