"""Calibration of the confidence: the mask quality head learns from whole clips that the network followed by itself.

Beside the network the head sees few lost objects: training clips are short. Here the real `Segmenter` follows longer
clips once, what the head is shown is kept together with the true IoU, and the head alone learns from that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.calibration import Calibration, calibration
from stma.config import SegmenterConfig
from stma.errors import DataError
from stma.metrics import region_similarity
from stma.network.model import STMA
from stma.network.quality import MaskQuality, is_empty
from stma.segmenter import Segmenter
from stma.training.clips import ClipMaker, TrainingClip
from stma.training.config import DataConfig, FitConfig
from stma.training.pool import TrainingPool


@dataclass(frozen=True)
class Evidence:
    """What the head saw of predicted masks, and how good they were.

    Attributes:
        seen: (N, C) float32.
        region: (N,) float32 IoU with the truth, 0..1; 1 where both are empty.
        clip: (N,) int64 number of the clip.
    """

    seen: Tensor
    region: Tensor
    clip: Tensor


@dataclass(frozen=True)
class FitReport:
    """Agreement of confidence and IoU on the clips that were kept apart, with the head before and after."""

    before: Calibration
    after: Calibration


def drawn_clips(pool: TrainingPool, config: DataConfig, count: int, seed: int) -> Iterator[TrainingClip]:
    """`count` clips of a pool, made one at a time; the same seed gives the same."""
    maker = ClipMaker(pool, config)
    return (maker.numbered(seed, index) for index in range(count))


def gather(model: STMA, clips: Iterable[TrainingClip], config: SegmenterConfig) -> Evidence:
    """Follow the objects of clips, and keep what the head is shown of every predicted mask.

    Args:
        model: network whose head is to learn.
        clips: with exact labels.
        config: of the `Segmenter`.

    Raises:
        DataError: no clip has a second frame.
    """
    config = replace(config, graphs=False)  # one that is replayed calls no hook
    seen: list[np.ndarray] = []
    regions: list[float] = []
    numbers: list[int] = []
    for number, clip in enumerate(clips):
        segmenter = Segmenter(model, config)
        shown: list[Tensor] = []
        segmenter.model.quality.hidden.register_forward_pre_hook(
            lambda _, inputs, shown=shown: shown.append(inputs[0])
        )
        segmenter.step(clip.frames[0], clip.labels[0])
        shown.clear()
        for frame, truth in zip(clip.frames[1:], clip.labels[1:], strict=True):
            predicted = segmenter.step(frame).labels
            seen.extend(shown.pop()[0].float().cpu().numpy())  # (K, C)
            regions.extend(region_similarity(predicted == i, truth == i) for i in segmenter.object_ids)
            numbers.extend(number for _ in segmenter.object_ids)
    if not seen:
        raise DataError("no clip has a second frame", "ask for clips of two frames or more")
    return Evidence(
        torch.from_numpy(np.stack(seen)), torch.tensor(regions, dtype=torch.float32), torch.tensor(numbers)
    )


def fit(head: MaskQuality, evidence: Evidence, config: FitConfig) -> FitReport:
    """Let a head go on learning from evidence, in place.

    Raises:
        DataError: fewer than two clips, so that none can be kept apart, or no empty mask where these alone teach.
    """
    generator = torch.Generator().manual_seed(config.seed)
    count = int(evidence.clip.max()) + 1
    if count < 2:
        raise DataError("one clip cannot be both learned from and kept apart", "ask for 10 clips or more")
    order = torch.randperm(count, generator=generator)
    held = torch.isin(evidence.clip, order[: max(1, int(config.held_share * count))])
    before = _agreement(head, evidence, held)
    empty = is_empty(evidence.seen)
    if not (config.visible or (empty & ~held).any()):
        raise DataError(
            "no mask of the clips is empty, so there is nothing to learn",
            "ask for more clips, or set visible to learn from visible masks too",
        )
    head.requires_grad_(True)
    if (empty & ~held).any():
        _learn_empty(head.empty, evidence, empty & ~held, config)
    if config.visible:
        network = nn.Sequential(head.hidden, nn.ReLU(), head.output)
        _learn(network, evidence, ~empty & ~held, config, generator)
    head.requires_grad_(False)
    return FitReport(before, _agreement(head, evidence, held))


def _learn_empty(layer: nn.Linear, evidence: Evidence, which: Tensor, config: FitConfig) -> None:
    """Ridge logistic regression on inputs of unit variance, which has one solution."""
    inputs, right = evidence.seen[which][:, -layer.in_features :], evidence.region[which]
    mean, spread = inputs.mean(0), inputs.std(0, correction=0).clamp(min=1e-2)
    known = (inputs - mean) / spread
    weight = torch.zeros(layer.in_features, requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        wrong = functional.binary_cross_entropy_with_logits(known @ weight + bias, right)
        total = wrong + config.ridge * weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    with torch.no_grad():
        layer.weight.copy_((weight / spread)[None])
        layer.bias.copy_((bias - (weight / spread * mean).sum())[None])


def _learn(
    network: nn.Module, evidence: Evidence, which: Tensor, config: FitConfig, generator: torch.Generator
) -> None:
    seen, region = evidence.seen[which], evidence.region[which]
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for _ in range(config.steps):
        some = torch.randint(len(seen), (config.batch,), generator=generator)
        loss = functional.binary_cross_entropy_with_logits(network(seen[some])[:, 0], region[some])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def _agreement(head: MaskQuality, evidence: Evidence, which: Tensor) -> Calibration:
    expected = torch.sigmoid(head.judge(evidence.seen[which]))
    return calibration(expected.tolist(), evidence.region[which].tolist())
