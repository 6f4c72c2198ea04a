"""The differentiable run over a clip: what is learned from, and what only fills the memory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stma.config import MODEL_CONFIGS, MemoryConfig
from stma.errors import SettingsError
from stma.network import model as network
from stma.network import soft_masks
from stma.network.decoder import Decoded
from stma.network.entries import MemoryEntry
from stma.network.stml import BlockCache
from stma.training.clip import CAPACITY, ClipBatch, run_clip
from stma.training.clips import ClipDataset
from stma.training.config import DataConfig, LossConfig
from stma.training.pool import scan

LONG = DataConfig(crop=64, frames=10, max_objects=2)


@pytest.fixture
def clips(training_folder: Path) -> ClipBatch:
    dataset = ClipDataset(scan(training_folder), LONG, seed=0, length=2)
    return ClipBatch(*(torch.stack(parts) for parts in zip(*(dataset[i] for i in range(2)), strict=True)))


def followed(
    clips: ClipBatch,
    config: LossConfig,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    windows: list[list[int | None]] | None = None,
) -> tuple[list[bool], list[int], network.STMA]:
    """Whether each frame was decoded with a gradient, how many entries it read, and the model afterwards.

    `windows` is given those of the entries that the labels of each frame came from.
    """
    torch.manual_seed(0)
    model = network.STMA(MODEL_CONFIGS["tiny"]).train()
    graded: list[bool] = []
    entries: list[int] = []
    follow = model.follow

    def noted_follow(
        test: network.TestFrame, views: Sequence[network.MemoryView], focus: bool
    ) -> tuple[network.Readout, Decoded]:
        graded.append(torch.is_grad_enabled())
        (view,) = views
        entries.append(len(view.keys))
        if windows is not None:
            windows.append([entry.window for entry in view.labels])
        return follow(test, views, focus)

    monkeypatch.setattr(model, "follow", noted_follow)
    run_clip(model, clips, 1.0, config, torch.Generator().manual_seed(seed)).total.backward()
    return graded, entries, model


def test_only_the_last_frames_are_learned_from(clips: ClipBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = set()
    for seed in range(8):
        graded, entries, model = followed(clips, LossConfig(scored_frames=3), seed, monkeypatch)
        assert graded == [False] * (len(graded) - 3) + [True] * 3
        assert entries == [min(1 + frame, CAPACITY) for frame in range(len(entries))]
        watched.add(len(graded) - 3)
    assert len(watched) > 2, "clips of all lengths are drawn"
    assert max(watched) <= 6
    for module in (model.embedding, model.label_propagation, model.memory_encoder, model.decoder):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_frames_on_the_way_are_learned_from_too(clips: ClipBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = set()
    for seed in range(8):
        config = LossConfig(scored_frames=2, scored_windows=2)
        graded, entries, _ = followed(clips, config, seed, monkeypatch)
        assert len(graded) <= 9
        assert graded[-2:] == [True, True]
        first = graded.index(True)
        assert graded == [False] * first + [True] * 2 + [False] * (len(graded) - first - 4) + [True] * 2
        assert entries == [min(1 + frame, CAPACITY) for frame in range(len(entries))]
        apart.add((first, len(graded) - first - 4))
    assert len(apart) > 3, "watched frames come before either"


def test_no_more_windows_are_scored_than_a_clip_has_room_for(
    clips: ClipBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded, _, _ = followed(clips, LossConfig(scored_frames=3, scored_windows=9), 0, monkeypatch)
    assert graded == [True] * 9


def test_labels_reach_watched_frames_as_they_do_in_a_video(
    clips: ClipBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryConfig()
    watched = 0
    for seed in range(8):
        windows: list[list[int | None]] = []
        graded, _, _ = followed(clips, LossConfig(scored_frames=1), seed, monkeypatch, windows)
        for frame, (learns, found) in enumerate(zip(graded, windows, strict=True)):
            older = min(frame, memory.label_recent) - 1
            expected = [memory.annotated_window, *[memory.label_window] * older, memory.newest_window]
            assert (found == expected) != learns
        watched = max(watched, graded.count(False))
    assert watched > memory.label_recent, "some memories hold more than labels come from"


def test_labels_reach_all_frames_as_in_a_video_when_asked(
    clips: ClipBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryConfig()
    windows: list[list[int | None]] = []
    graded, _, model = followed(clips, LossConfig(scored_frames=3, windowed=True), 0, monkeypatch, windows)
    assert any(graded)
    for found in windows:
        assert (found[0], found[-1]) == (memory.annotated_window, memory.newest_window)
    gradient = model.embedding.label_key.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_a_clip_of_scored_frames_alone_is_learned_from_wholly(
    clips: ClipBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded, _, _ = followed(clips, LossConfig(scored_frames=20), 0, monkeypatch)
    assert graded == [True] * 9


def test_masks_with_refined_edges_are_learned_from_as_well(clips: ClipBatch) -> None:
    found = {}
    for refine in (False, True):
        torch.manual_seed(0)
        model = network.STMA(MODEL_CONFIGS["tiny"]).train()
        config = LossConfig(refine_edges=refine, disturbed_share=0.0)
        loss = run_clip(model, clips, 1.0, config, torch.Generator().manual_seed(1))
        loss.total.backward()
        gradient = model.decoder.logit.weight.grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        found[refine] = (loss, gradient)
    assert found[True][0].cross_entropy != found[False][0].cross_entropy
    assert found[True][0].labels == found[False][0].labels  # only the final masks are scored otherwise
    assert not torch.allclose(found[True][1], found[False][1], rtol=1e-3)


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_masks_are_remembered_as_sharp_as_asked_for(
    clips: ClipBatch, sharpness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = network.STMA(MODEL_CONFIGS["tiny"]).train()
    remembered: list[torch.Tensor] = []
    remember = model.remember

    def noted(test: network.TestFrame, masks: torch.Tensor, readout: network.Readout) -> network.MemoryEntry:
        remembered.append(masks.detach())
        return remember(test, masks, readout)

    monkeypatch.setattr(model, "remember", noted)
    config = LossConfig(mask_sharpness=sharpness, disturbed_share=0.0)
    decided: list[torch.Tensor] = []
    aggregate = soft_masks.masks_from_logits

    def noted_masks(*given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = aggregate(*given)
        decided.append(found[1].detach())
        return found

    monkeypatch.setattr("stma.training.clip.masks_from_logits", noted_masks)
    run_clip(model, clips, 1.0, config, torch.Generator().manual_seed(0))
    assert len(remembered) == len(decided) - 1, "the last frame is not remembered"
    for masks, predicted in zip(remembered, decided, strict=False):
        torch.testing.assert_close(masks, soft_masks.sharpen_foreground(predicted, sharpness))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mask_sharpness": float("nan")}, r"mask_sharpness is nan; use 1"),
        ({"mask_sharpness": 0.9}, r"mask_sharpness is 0\.9; use 1 \(as predicted\) or more"),
        ({"scored_frames": 0}, "scored_frames is 0; use 1 or more"),
        ({"scored_windows": 0}, "scored_windows is 0; use 1 or more"),
        ({"label_sharpness": (3.0, 2.0)}, "label_sharpness is drawn from 3.0 to 2.0"),
        ({"readout_sharpness": (0.0, 2.0)}, "two positive numbers, lowest first"),
    ],
)
def test_impossible_losses_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        LossConfig(**wrong)  # type: ignore[arg-type]


def test_the_marked_frame_stays_and_references_are_this_one_and_the_newest(
    clips: ClipBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = network.STMA(MODEL_CONFIGS["tiny"]).train()
    made: list[MemoryEntry] = []
    first, remember = model.remember_first, model.remember
    encode, follow = model.encode_references, model.follow
    calls: list[bool] = []

    def noted_references(entries: list[MemoryEntry], valid: torch.Tensor) -> BlockCache:
        if made:  # not of the first frame itself
            calls.append(
                entries[0] is made[0] and entries[-1] is made[-1] and len(entries) == min(2, len(made))
            )
        return encode(entries, valid)

    def noted_follow(
        test: network.TestFrame, views: Sequence[network.MemoryView], focus: bool
    ) -> tuple[network.Readout, Decoded]:
        assert views[0].keys[0] is made[0].key, "the marked frame is never forgotten"
        assert views[0].keys[-1] is made[-1].key
        return follow(test, views, focus)

    def noted(entry: MemoryEntry) -> MemoryEntry:
        made.append(entry)
        return entry

    monkeypatch.setattr(model, "remember_first", lambda *given: noted(first(*given)))
    monkeypatch.setattr(model, "remember", lambda *given: noted(remember(*given)))
    monkeypatch.setattr(model, "encode_references", noted_references)
    monkeypatch.setattr(model, "follow", noted_follow)
    for seed in range(4):
        made.clear()
        run_clip(model, clips, 1.0, LossConfig(), torch.Generator().manual_seed(seed))
    assert len(made) > CAPACITY
    assert calls
    assert all(calls)


def test_a_rightly_empty_mask_is_a_perfect_one(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.zeros(1, 4, 64, 64, dtype=torch.uint8)
    labels[:, 0, 20:40, 20:40] = 1
    labels[:, 1, 20:40, 20:40] = 1  # then it is gone
    clips = ClipBatch(
        torch.zeros(1, 4, 3, 64, 64, dtype=torch.uint8),
        labels,
        torch.zeros(1, 4, 8, 8, dtype=torch.uint8),
        torch.ones(1, 1, dtype=torch.bool),
    )
    model = network.STMA(MODEL_CONFIGS["tiny"]).train()
    follow, reached = model.follow, []

    def nothing(
        test: network.TestFrame, views: Sequence[network.MemoryView], focus: bool
    ) -> tuple[network.Readout, Decoded]:
        readout, decoded = follow(test, views, focus)
        return readout, replace(decoded, logits=decoded.logits * 0 - 9)

    def noted(logits: torch.Tensor, iou: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        reached.append(float(iou))
        return logits.sum()

    monkeypatch.setattr(model, "follow", nothing)
    monkeypatch.setattr("stma.training.clip_loss.iou_loss", noted)
    run_clip(model, clips, 1.0, LossConfig(), torch.Generator())
    assert reached == [0.0, 1.0, 1.0]
