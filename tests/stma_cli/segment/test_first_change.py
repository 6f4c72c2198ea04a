"""Where a correction begins: the first frame whose mask differs, and the latest state that has not seen it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stma_cli.masks import Annotation
from stma_cli.pipeline.held_back import HeldState
from stma_cli.segment.checkpoint import CHECKPOINT_FILE, Checkpoint
from stma_cli.segment.corrections import Change, FinishedRun, digests
from stma_cli.segment.identity import RunIdentity
from stma_cli.segment.kept_states import KeptStates
from stma_cli.segment.report import ReportState


def given(**ids: int) -> dict[int, Annotation]:
    """Masks by frame, each of one object that fills the frame: given(_3=1) is object 1 on frame 3."""
    return {
        int(frame[1:]): Annotation(np.full((4, 6), number, np.int32), {number: f"object {number}"})
        for frame, number in ids.items()
    }


def finished(masks: dict[int, Annotation]) -> FinishedRun:
    names = {key: name for mask in masks.values() for key, name in mask.names.items()}
    identity = RunIdentity("", "", "", {"start": 0})
    return FinishedRun(
        identity=identity,
        runtime={},
        masks=digests(masks),
        names=names,
        drawing={},
        frame_count=20,
        frame_rate="24",
    )


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (given(_0=1, _5=1, _9=1), None),
        (given(_0=1, _5=2, _9=2), Change(5, "the mask of frame 5 has changed")),
        (given(_0=1), Change(5, "the mask of frame 5 is gone")),
        (given(_0=1, _3=1, _5=1, _9=2), Change(3, "the mask of frame 3 is new")),
        (given(_0=1, _5=1, _9=300), Change(0, "ids above 255 ask for other files")),
    ],
)
def test_the_first_of_several_changes_counts(now: dict[int, Annotation], change: Change | None) -> None:
    earlier = finished(given(_0=1, _5=1, _9=1))
    names = {key: name for mask in now.values() for key, name in mask.names.items()}
    assert earlier.first_change(now, names, {}) == change


@pytest.mark.parametrize(
    ("then", "now", "frame"),
    [({}, {1: 7}, 7), ({1: 7}, {}, 7), ({1: 7}, {1: 12}, 7), ({1: 7}, {1: 3}, 3), ({1: 40}, {1: 9}, 9)],
)
def test_another_end_counts_from_the_earlier_of_both(
    then: dict[int, int], now: dict[int, int], frame: int
) -> None:
    masks = given(_0=1)
    before = finished(masks)
    ends = {str(object_id): end for object_id, end in then.items()}
    earlier = replace(before, identity=replace(before.identity, ends=ends))
    change = Change(frame, f"--until says something else of frame {frame}")
    assert earlier.first_change(masks, {1: "object 1"}, now) == change
    assert earlier.first_change(masks, {1: "object 1"}, then) is None
    assert before.first_change(masks, {1: "object 1"}, {1: 20}) is None  # behind the last frame


def test_other_names_change_the_last_frame_alone() -> None:
    masks = given(_0=1)
    assert finished(masks).first_change(masks, {1: "dog"}, {}) == Change(19, "names have changed")


def test_a_state_of_the_frame_that_comes_next_has_not_seen_it(tmp_path: Path) -> None:
    states = KeptStates(tmp_path, 9)
    for frame in (4, 8, 9, 12):
        Checkpoint(frame, None, {}, {"frame": frame}, HeldState(frame), ReportState()).save(tmp_path)
        states.keep(tmp_path / CHECKPOINT_FILE, frame)
    newest = states.newest_until(8)
    assert newest is not None
    assert newest.next_frame == 8
    states.drop_from(8)
    assert sorted(path.name for path in (tmp_path / ".stma-states").iterdir()) == ["00000004", "00000008"]
