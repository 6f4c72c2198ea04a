"""The differentiable run over one batch of clips: the same steps as inference, on a short memory."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from stma.config import MemoryConfig
from stma.guided import guided_masks
from stma.memory import StoredEntry, propagated_entries
from stma.network.embedding import Features
from stma.network.entries import MemoryEntry, join_entries
from stma.network.label_propagation import LabelEntry
from stma.network.model import STMA
from stma.network.soft_masks import masks_from_logits, sharpen_foreground
from stma.training.config import LossConfig
from stma.training.disturb import disturb_masks
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

CAPACITY = 6  # entries in memory: the first, four like `MemoryConfig.capacity`, and the newest
LEAST_SHARE = 1e-3  # of a refined mask: a line may overshoot to zero and below, where a logarithm ends


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one size.

    Attributes:
        frames: (B, T, 3, H, W) uint8 RGB.
        labels: (B, T, H, W) uint8 object index, 0 = background.
        regions: (B, T, H/8, W/8) uint8 region that a cell belongs to in every frame, 0 = unknown.
        object_valid: (B, K) bool, False for padding.
    """

    frames: Tensor
    labels: Tensor
    regions: Tensor
    object_valid: Tensor

    def to(self, device: torch.device) -> "ClipBatch":
        """The same clips on a device, without the columns that are padding in all of them."""
        frames, labels, regions, valid = (
            part.to(device, non_blocking=True)
            for part in (self.frames, self.labels, self.regions, self.object_valid)
        )
        return ClipBatch(frames, labels, regions, valid[:, : int(self.object_valid.sum(1).max())])


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


def _taught(
    model: STMA, query: Tensor, entries: Sequence[MemoryEntry], truths: Sequence[Tensor], sharpness: float
) -> Tensor:
    """(B, K+R, h, w): what true labels of the entries say about a test frame."""
    labels = [
        LabelEntry(entry.label_key, truth, annotated=index == 0)
        for index, (entry, truth) in enumerate(zip(entries, truths, strict=True))
    ]
    masks: Tensor = model.label_propagation(query, labels, sharpness).masks
    return masks


def _scored(frames: int, config: LossConfig, generator: torch.Generator) -> list[bool]:
    """Which frames after the first are scored: some in a row, after a number of frames that are only watched; as many
    times as the settings say and the clip has room for. The clip ends with the last of them."""
    windows = max(1, min(config.scored_windows, (frames - 1) // config.scored_frames))
    spare = frames - 1 - windows * config.scored_frames
    watched = int(torch.randint(spare + 1, (), generator=generator)) if spare > 0 else 0
    cuts = torch.randint(watched + 1, (windows - 1,), generator=generator).sort().values.tolist()
    plan: list[bool] = []
    for before, until in zip([0, *cuts], [*cuts, watched], strict=True):
        plan += [False] * (until - before) + [True] * config.scored_frames
    return plan[: frames - 1]


def _embed(model: STMA, frames: Tensor, scored: Sequence[bool]) -> list[Features]:
    """Features of each frame of (B, T, 3, H, W) uint8 clips; of the frames after the first that are not scored, without
    gradient."""
    batch = frames.shape[0]

    def embed(part: Tensor) -> list[Features]:
        every = model.embed(part.transpose(0, 1).flatten(0, 1))  # frame-major: T*B
        return [every.frames(first, first + batch) for first in range(0, batch * part.shape[1], batch)]

    learning = [True, *scored]
    if all(learning):
        return embed(frames)
    learned = iter(embed(frames[:, learning]))
    with torch.no_grad():
        watched = iter(embed(frames[:, [not learns for learns in learning]]))
    return [next(learned if learns else watched) for learns in learning]


def _refined(masks: Tensor, frames: Tensor) -> Tensor:
    """(B, K, h, w) soft masks whose outlines follow the colours of (B, 3, H, W) uint8 frames: (B, K+1, H, W) logits."""
    colours = frames.float() / 255
    guides = functional.avg_pool2d(colours, 4)
    guided = guided_masks(masks, guides, colours)
    distribution = torch.cat([1 - guided.sum(1, keepdim=True), guided], dim=1)
    return distribution.clamp(min=LEAST_SHARE).log()


def _forget(entries: list[tuple[int, MemoryEntry]], generator: torch.Generator) -> None:
    """Above the capacity, drop any entry but the first and the newest: what stays is of all ages."""
    if len(entries) > CAPACITY:
        del entries[1 + int(torch.randint(len(entries) - 2, (), generator=generator))]


def _as_in_a_video(entries: Sequence[tuple[int, MemoryEntry]]) -> list[LabelEntry]:
    """What labels propagate from, and how far, with a memory bank at its defaults: so a watched frame errs as a frame
    of a video does, and takes less time."""
    stored = [StoredEntry(time, time == 0, entry) for time, entry in entries]
    return propagated_entries(stored, MemoryConfig())


def _drawn(between: tuple[float, float], generator: torch.Generator) -> float:
    """Log-uniform between two numbers."""
    low, high = between
    return float(low * (high / low) ** float(torch.rand((), generator=generator)))


def run_clip(
    model: STMA, clips: ClipBatch, hard_share: float, config: LossConfig, generator: torch.Generator
) -> ClipLoss:
    """Follow the objects of the first frame through the clip and score the frames at its end, and others on the way if
    the settings say so.

    The frames before the scored ones, a number drawn from none to all there are, are only watched: they fill the
    memory, without gradient, with all the errors that the network makes by itself.

    Args:
        model: the network in training mode.
        clips: clips of one size.
        hard_share: share of hardest pixels in the cross entropy.
        config: weights of the auxiliary losses, and what is done to the memory.
        generator: draws what is done to the memory; of the CPU.
    """
    plan = _scored(clips.frames.shape[1], config, generator)
    length = 1 + len(plan)
    frames, labels, object_valid = clips.frames[:, :length], clips.labels[:, :length], clips.object_valid
    batch, objects = object_valid.shape
    features = _embed(model, frames, plan)
    learning = torch.is_grad_enabled()

    truth = one_hot(labels, objects)  # (B, T, K, H, W)
    truth8 = functional.avg_pool2d(truth.flatten(0, 1), 8).unflatten(0, (batch, length))  # (B, T, K, h, w)
    taught_by = [truth8]
    if config.region_weight:
        regions = one_hot(clips.regions[:, :length], REGIONS)  # (B, T, R, h, w), nothing where unknown
        taught_by.append(regions)
    teacher = torch.cat(taught_by, dim=2).flatten(3)  # (B, T, K+R, h*w)
    first = model.remember_first(features[0], functional.avg_pool2d(truth[:, 0], 4), object_valid)
    entries: list[tuple[int, MemoryEntry]] = [(0, first)]
    cross_entropy = dice_loss = labels_loss = regions_loss = coarse_total = quality_loss = torch.zeros(
        (), device=frames.device
    )
    overlap = union = torch.zeros(batch, objects, device=frames.device)
    sharpness = _drawn(config.label_sharpness, generator), _drawn(config.readout_sharpness, generator)
    for time, scored in enumerate(plan, start=1):
        with torch.set_grad_enabled(learning and scored):
            remembered = [entry for _, entry in entries]
            references = remembered[:1] if time == 1 else [remembered[0], remembered[-1]]
            cache = model.encode_references(references, object_valid[:, None].expand(-1, len(references), -1))
            test = model.encode_test(features[time], cache)
            labels_from = _as_in_a_video(entries) if config.windowed or not scored else None
            view = join_entries(remembered, labels_from, *sharpness)
            readout, decoded = model.follow(test, [view], focus=False)
            aggregated, masks = masks_from_logits(decoded.logits, object_valid)
            if time + 1 < length:
                damaged = disturb_masks(masks, object_valid, config.disturbed_share, generator)
                decided = sharpen_foreground(damaged, config.mask_sharpness)
                entries.append((time, model.remember(test, decided, readout)))
        if not scored:
            _forget(entries, generator)
            continue
        full = functional.interpolate(aggregated, scale_factor=4.0, mode="bilinear", align_corners=False)
        target = labels[:, time].long()
        scored_maps = [full]
        if config.refine_edges:
            scored_maps.append(_refined(masks, frames[:, time]))
        for maps in scored_maps:
            share = 1 / len(scored_maps)
            cross_entropy = cross_entropy + share * bootstrapped_cross_entropy(maps, target, hard_share)
            dice_loss = dice_loss + share * dice(maps.softmax(dim=1)[:, 1:], target, object_valid)
        if config.teaches_keys:
            taught = _taught(
                model,
                test.features.label_key,
                remembered,
                [teacher[:, when] for when, _ in entries[: len(remembered)]],
                config.key_sharpness,
            )
            labels_loss = labels_loss + label_loss(taught[:, :objects], truth8[:, time], object_valid)
            if config.region_weight:
                regions_loss = regions_loss + region_loss(taught[:, objects:], regions[:, time])
        truth16 = functional.avg_pool2d(truth8[:, time], 2)
        coarse_total = coarse_total + coarse_loss(decoded.coarse, truth16, object_valid)
        with torch.no_grad():
            hard = one_hot(aggregated.argmax(dim=1), objects) * object_valid[:, :, None, None]
            coarse = truth[:, time, :, 2::4, 2::4]  # counting at stride 4 is a sixteenth of the work
            shared, joined = (hard * coarse).sum((2, 3)), ((hard + coarse) > 0).sum((2, 3))
            overlap, union = overlap + shared, union + joined
        expected = model.judge(decoded, masks, readout)
        reached = torch.where(joined > 0, shared / joined.clamp(min=1), 1.0)  # rightly empty masks count 1
        quality_loss = quality_loss + iou_loss(expected, reached, object_valid)
        _forget(entries, generator)
    cross_entropy, dice_loss, labels_loss, regions_loss, coarse_total, quality_loss = (
        x / sum(plan)
        for x in (cross_entropy, dice_loss, labels_loss, regions_loss, coarse_total, quality_loss)
    )
    iou = ((overlap + 1e-6) / (union + 1e-6))[object_valid].mean()
    return ClipLoss(
        cross_entropy
        + dice_loss
        + config.label_weight * labels_loss
        + config.region_weight * regions_loss
        + config.coarse_weight * coarse_total
        + config.quality_weight * quality_loss,
        cross_entropy.detach(),
        dice_loss.detach(),
        labels_loss.detach(),
        regions_loss.detach(),
        coarse_total.detach(),
        quality_loss.detach(),
        iou,
    )
