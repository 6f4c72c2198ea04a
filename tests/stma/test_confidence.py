"""Calibration of the confidence: what the head is shown, and what it learns from that."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stma.config import MODEL_CONFIGS, SegmenterConfig
from stma.errors import DataError
from stma.frame_step import ModelSteps
from stma.network.model import STMA
from stma.network.quality import AREA_COLUMN, SMALLEST, MaskQuality, is_empty
from stma.segmenter import Segmenter
from stma.step_graphs import Recording
from stma.training import confidence
from stma.training.confidence import Evidence, drawn_clips, fit, gather
from stma.training.config import CALIBRATION_DATA, FitConfig
from stma.training.pool import scan

CONFIG = MODEL_CONFIGS["tiny"]


def told_by_one_number(clips: int, masks: int) -> Evidence:
    """What the head sees is noise, but for one number that the IoU follows."""
    generator = torch.Generator().manual_seed(1)
    channels = MaskQuality(CONFIG).hidden.in_features
    seen = torch.randn(clips * masks, channels, generator=generator)
    region = torch.sigmoid(3 * seen[:, 7])
    return Evidence(seen, region, torch.arange(clips).repeat_interleave(masks))


def test_the_head_learns_what_tells_good_masks_from_lost_ones() -> None:
    torch.manual_seed(0)
    head = MaskQuality(CONFIG)
    report = fit(head, told_by_one_number(20, 40), FitConfig(visible=True, steps=600, learning_rate=2e-3))
    assert report.after.spearman > 0.9
    assert report.before.spearman < 0.6
    assert report.after.precision is not None
    assert report.after.precision > 0.8
    assert report.after.recall is not None
    assert report.after.recall > 0.8
    assert report.after.pairs == 4 * 40, "a fifth of the clips judges"


def test_empty_masks_are_learned_apart_from_those_that_can_be_seen() -> None:
    torch.manual_seed(0)
    head = MaskQuality(CONFIG)
    visible = copy.deepcopy(head.hidden.state_dict())
    generator = torch.Generator().manual_seed(1)
    seen = torch.randn(400, head.hidden.in_features, generator=generator) + 4  # of any mean
    empty = torch.arange(400) % 2 == 0
    seen[empty, AREA_COLUMN] = math.log(SMALLEST)
    seen[~empty, AREA_COLUMN] = math.log(0.1)
    found = seen[:, -1] - 4  # where the readout still finds the object, it was missed
    region = torch.where(empty, (found < 0).float(), torch.rand(400, generator=generator))
    evidence = Evidence(seen, region, torch.arange(20).repeat_interleave(20))
    assert torch.equal(is_empty(seen), empty)
    before = head.judge(seen)
    report = fit(head, evidence, FitConfig())
    after = head.judge(seen)
    assert torch.equal(before[~empty], after[~empty])
    assert torch.equal(head.hidden.weight, visible["weight"])
    assert ((after[empty] > 0) == (found[empty] < 0)).float().mean() > 0.95
    assert report.after.spearman > report.before.spearman


def test_clips_that_judge_teach_nothing() -> None:
    told = told_by_one_number(10, 30)
    seen = told.seen.clone()
    seen[::2, AREA_COLUMN] = math.log(SMALLEST)  # half of the masks are empty
    config = FitConfig(visible=True, steps=20)
    judging = torch.isin(
        told.clip, torch.randperm(10, generator=torch.Generator().manual_seed(config.seed))[:2]
    )
    heads = [MaskQuality(CONFIG) for _ in range(2)]
    heads[1].load_state_dict(heads[0].state_dict())
    for head, region in zip(
        heads, (told.region, torch.where(judging, 1 - told.region, told.region)), strict=True
    ):
        fit(head, replace(told, seen=seen, region=region), config)
    for one, other in zip(heads[0].parameters(), heads[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_same_seed_gives_the_same_head() -> None:
    heads = [MaskQuality(CONFIG) for _ in range(2)]
    heads[1].load_state_dict(heads[0].state_dict())
    for head in heads:
        fit(head, told_by_one_number(10, 10), FitConfig(visible=True, steps=20))
    for one, other in zip(heads[0].parameters(), heads[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_one_clip_cannot_be_kept_apart() -> None:
    with pytest.raises(DataError, match="10 clips or more"):
        fit(MaskQuality(CONFIG), told_by_one_number(1, 10), FitConfig(steps=1))


def test_evidence_is_of_every_predicted_mask(training_folder: Path) -> None:
    torch.manual_seed(0)
    model = STMA(CONFIG)
    settings = replace(CALIBRATION_DATA, crop=64, frames=4)
    clips = list(drawn_clips(scan(training_folder), settings, 3, seed=0))
    evidence = gather(model, clips, SegmenterConfig(size=None, device="cpu", precision="fp32"))
    assert evidence.seen.shape == (3 * sum(clip.objects for clip in clips), model.quality.hidden.in_features)
    assert evidence.clip.bincount().tolist() == [3 * clip.objects for clip in clips]
    assert evidence.region.min() >= 0
    assert evidence.region.max() <= 1
    first, second = (next(drawn_clips(scan(training_folder), settings, 1, seed)) for seed in (0, 1))
    assert (first.frames == clips[0].frames).all()
    assert (second.frames != first.frames).any()


class _Replaying(Segmenter):
    """Replays steps on a CPU where the settings ask for graphs: a replay calls nothing of the network."""

    def _use(self, model: STMA) -> None:
        super()._use(model)
        if self.config.graphs:
            self._steps = ModelSteps(
                self.model, False, self.config.memory, lambda step: Recording(lambda: None, step())
            )


def test_evidence_is_complete_where_a_gpu_would_replay_its_steps(
    training_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confidence, "Segmenter", _Replaying)
    settings = replace(CALIBRATION_DATA, crop=64, frames=40)
    clips = list(drawn_clips(scan(training_folder), settings, 1, seed=0))
    evidence = gather(STMA(CONFIG), clips, SegmenterConfig(size=None, device="cpu", focus=False))
    assert len(evidence.seen) == len(evidence.region) == 39 * clips[0].objects
