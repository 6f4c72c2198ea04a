"""What is learned from a clip: losses of the scored frames."""

from collections import defaultdict
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from stma.guided import guided_masks
from stma.network.decoder import Decoded
from stma.network.entries import MemoryEntry
from stma.network.label_propagation import LabelEntry
from stma.network.model import STMA, Readout, TestFrame
from stma.training.config import LossConfig
from stma.training.losses import (
    bootstrapped_cross_entropy,
    coarse_loss,
    dice,
    iou_loss,
    label_loss,
    one_hot,
    region_loss,
)
from stma.training.regions import REGIONS

LEAST_SHARE = 1e-3  # of a refined mask: a line may overshoot to zero and below, where a logarithm ends


@dataclass(frozen=True)
class ClipLoss:
    """Losses of one batch; `total` carries the gradient, `iou` is the training IoU of the hard masks."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    labels: Tensor
    regions: Tensor
    coarse: Tensor
    quality: Tensor
    iou: Tensor

    def numbers(self) -> dict[str, float]:
        """All of them by name, brought to main memory at once."""
        names = [field.name for field in fields(self)]
        values = torch.stack([getattr(self, name).detach().float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))


@dataclass(frozen=True)
class ClipTruth:
    """What is true of every frame.

    Attributes:
        labels: (B, T, H, W) uint8 object index, 0 = background.
        masks: (B, T, K, H, W) float32.
        cells: (B, T, K+R, h, w) float32 shares of the objects in cells of 8 pixels, and of R regions, or of none, that
            are nothing where unknown.
        object_valid: (B, K) bool.
    """

    labels: Tensor
    masks: Tensor
    cells: Tensor
    object_valid: Tensor

    @staticmethod
    def of(labels: Tensor, regions: Tensor | None, object_valid: Tensor) -> "ClipTruth":
        """Of what `ClipBatch` holds."""
        masks = one_hot(labels, object_valid.shape[1])
        cells = functional.avg_pool2d(masks.flatten(0, 1), 8).unflatten(0, masks.shape[:2])
        if regions is not None:
            cells = torch.cat([cells, one_hot(regions, REGIONS)], dim=2)
        return ClipTruth(labels, masks, cells, object_valid)


@dataclass(frozen=True)
class FollowedFrame:
    """What was said about a frame.

    Attributes:
        time: of the frame.
        entries: it was said from, and their times.
        test: the frame.
        readout: what the memory says about it.
        decoded: what the decoder makes of that.
        logits: (B, K+1, h, w) at stride 4, background first.
        masks: (B, K, h, w) soft masks.
    """

    time: int
    entries: list[tuple[int, MemoryEntry]]
    test: TestFrame
    readout: Readout
    decoded: Decoded
    logits: Tensor
    masks: Tensor


class ClipScores:
    """Adds up the losses of the scored frames."""

    def __init__(self, truth: ClipTruth, hard_share: float, config: LossConfig) -> None:
        self._truth, self._hard_share, self._config = truth, hard_share, config
        self._zero = torch.zeros((), device=truth.labels.device)
        self._sums: defaultdict[str, Tensor] = defaultdict(lambda: self._zero)
        self._frames = 0

    def add(self, model: STMA, followed: FollowedFrame, frame: Tensor) -> None:
        """Score what was said about a frame, (B, 3, H, W) uint8."""
        self._frames += 1
        self._add_masks(followed, frame)
        if self._config.teaches_keys:
            self._add_keys(model, followed)
        valid = self._truth.object_valid
        cells = self._truth.cells[:, followed.time, : valid.shape[1]]
        self._add("coarse", coarse_loss(followed.decoded.coarse, functional.avg_pool2d(cells, 2), valid))
        self._add_quality(model, followed)

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value

    def _add_masks(self, followed: FollowedFrame, frame: Tensor) -> None:
        target = self._truth.labels[:, followed.time].long()
        full = functional.interpolate(followed.logits, scale_factor=4.0, mode="bilinear", align_corners=False)
        scored = [full]
        if self._config.refine_edges:
            scored.append(_refined(followed.masks, frame))
        share = 1 / len(scored)
        for maps in scored:
            masks = maps.softmax(dim=1)[:, 1:]
            self._add("cross_entropy", share * bootstrapped_cross_entropy(maps, target, self._hard_share))
            self._add("dice", share * dice(masks, target, self._truth.object_valid))

    def _add_keys(self, model: STMA, followed: FollowedFrame) -> None:
        """What true labels of the entries would say about the frame."""
        cells, valid = self._truth.cells, self._truth.object_valid
        labels = [
            LabelEntry(entry.label_key, cells[:, time].flatten(2), annotated=index == 0)
            for index, (time, entry) in enumerate(followed.entries)
        ]
        key = followed.test.features.label_key
        taught = model.label_propagation(key, labels, self._config.key_sharpness).masks
        objects, target = valid.shape[1], cells[:, followed.time]
        self._add("labels", label_loss(taught[:, :objects], target[:, :objects], valid))
        if self._config.region_weight:
            self._add("regions", region_loss(taught[:, objects:], target[:, objects:]))

    def _add_quality(self, model: STMA, followed: FollowedFrame) -> None:
        valid = self._truth.object_valid
        with torch.no_grad():
            hard = one_hot(followed.logits.argmax(dim=1), valid.shape[1]) * valid[:, :, None, None]
            coarse = self._truth.masks[:, followed.time, :, 2::4, 2::4]  # counted in a sixteenth of the time
            shared, joined = (hard * coarse).sum((2, 3)), ((hard + coarse) > 0).sum((2, 3))
            self._add("shared", shared)
            self._add("joined", joined)
            # rightly empty masks count 1
            reached = torch.where(joined > 0, shared / joined.clamp(min=1), 1.0)
        expected = model.judge(followed.decoded, followed.masks, followed.readout)
        self._add("quality", iou_loss(expected, reached, valid))

    def loss(self) -> ClipLoss:
        """The means over the frames scored so far, one or more."""
        weights = {
            "cross_entropy": 1.0,
            "dice": 1.0,
            "labels": self._config.label_weight,
            "regions": self._config.region_weight,
            "coarse": self._config.coarse_weight,
            "quality": self._config.quality_weight,
        }
        means = {name: self._sums[name] / self._frames for name in weights}
        total = sum((weight * means[name] for name, weight in weights.items()), start=self._zero)
        iou = (self._sums["shared"] + 1e-6) / (self._sums["joined"] + 1e-6)
        detached = {name: mean.detach() for name, mean in means.items()}
        return ClipLoss(total, **detached, iou=iou[self._truth.object_valid].mean())


def _refined(masks: Tensor, frames: Tensor) -> Tensor:
    """(B, K, h, w) soft masks whose outlines follow the colours of (B, 3, H, W) uint8 frames: (B, K+1, H, W) logits."""
    colours = frames.float() / 255
    guides = functional.avg_pool2d(colours, 4)
    guided = guided_masks(masks, guides, colours)
    distribution = torch.cat([1 - guided.sum(1, keepdim=True), guided], dim=1)
    return distribution.clamp(min=LEAST_SHARE).log()
