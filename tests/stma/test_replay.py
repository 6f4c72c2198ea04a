"""Clips that are learned from more than once."""

from collections.abc import Iterator

import pytest
import torch

from stma.errors import SettingsError
from stma.training.config import TrainConfig
from stma.training.replay import KEPT, Replay

CPU = torch.device("cpu")
SIDE = 8


def numbered(batch: int) -> Iterator[list[torch.Tensor]]:
    """Clips whose frames hold their number in the left half and nothing in the right; one or two objects."""
    number = 0
    while True:
        frames = torch.zeros(batch, 2, 3, SIDE, SIDE, dtype=torch.int32)
        valid = torch.zeros(batch, 3, dtype=torch.bool)
        for row in range(batch):
            number += 1
            frames[row, ..., : SIDE // 2] = number
            valid[row, : 1 + number % 2] = True
        yield [frames, frames[:, :, 0].clone(), frames[:, :, 0, ::8, ::8].clone(), valid]


def numbers(frames: torch.Tensor) -> list[int]:
    return [int(clip.max()) for clip in frames]


def test_once_is_what_the_loader_gives() -> None:
    replay = Replay(numbered(3), 3, 1, CPU)
    for first in (1, 4):
        clips, new = replay.draw(torch.Generator().manual_seed(0))
        assert new == 3
        assert numbers(clips.frames) == [first, first + 1, first + 2]


def test_clips_come_again_as_often_as_asked() -> None:
    replay, generator = Replay(numbered(4), 8, 2, CPU), torch.Generator().manual_seed(0)
    clips, new = replay.draw(generator)
    assert (new, sorted(numbers(clips.frames))) == (8, list(range(1, 9))), "nothing to be drawn again yet"
    seen: dict[int, int] = dict.fromkeys(numbers(clips.frames), 1)
    mirrored = 0
    for _ in range(KEPT):
        clips, new = replay.draw(generator)
        assert new == 4
        assert len(clips.frames) == 8
        for number, frames, labels in zip(numbers(clips.frames), clips.frames, clips.labels, strict=True):
            seen[number] = seen.get(number, 0) + 1
            flipped = bool(frames[0, 0, 0, -1])
            assert bool(labels[0, 0, -1]) == flipped, "labels are mirrored with their frames"
            mirrored += flipped
    old = [
        seen[number] for number in range(KEPT + 1, 3 * KEPT)
    ]  # drawn once all places are taken, and given up since
    assert sum(old) / len(old) == pytest.approx(2, abs=0.15)
    assert mirrored / (4 * KEPT) == pytest.approx(0.5, abs=0.1)


def test_columns_of_objects_that_no_clip_has_are_left_out() -> None:
    clips, _ = Replay(numbered(2), 2, 2, CPU).draw(torch.Generator().manual_seed(0))
    assert clips.object_valid.shape == (2, 2)
    assert clips.object_valid.sum(1).tolist() == [1 + number % 2 for number in numbers(clips.frames)]


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(SettingsError, match="divisor"):
        TrainConfig(batch=4, uses=3)
