"""The differentiable run over one batch of clips: the same steps as inference, on a short memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stma.config import MemoryConfig
from stma.memory import StoredEntry, propagated_entries
from stma.network.embedding import Features
from stma.network.entries import MemoryEntry, MemoryView, join_entries
from stma.network.label_propagation import LabelEntry
from stma.network.model import STMA
from stma.network.soft_masks import masks_from_logits, sharpen_foreground
from stma.training.clip_loss import ClipLoss, ClipScores, ClipTruth, FollowedFrame
from stma.training.config import LossConfig
from stma.training.disturb import disturb_masks

CAPACITY = 6  # entries in memory: the first, four like `MemoryConfig.capacity`, and the newest


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
    frames, object_valid = clips.frames[:, :length], clips.object_valid
    features = _embed(model, frames, plan)
    learning = torch.is_grad_enabled()
    regions = clips.regions[:, :length] if config.region_weight else None
    truth = ClipTruth.of(clips.labels[:, :length], regions, object_valid)
    scores = ClipScores(truth, hard_share, config)
    first = model.remember_first(features[0], functional.avg_pool2d(truth.masks[:, 0], 4), object_valid)
    entries: list[tuple[int, MemoryEntry]] = [(0, first)]
    sharpness = _drawn(config.label_sharpness, generator), _drawn(config.readout_sharpness, generator)
    for time, scored in enumerate(plan, start=1):
        with torch.set_grad_enabled(learning and scored):
            labels_from = _as_in_a_video(entries) if config.windowed or not scored else None
            view = join_entries([entry for _, entry in entries], labels_from, *sharpness)
            followed = _followed(model, features[time], time, entries, view, object_valid)
            if time + 1 < length:
                damaged = disturb_masks(followed.masks, object_valid, config.disturbed_share, generator)
                decided = sharpen_foreground(damaged, config.mask_sharpness)
                entries.append((time, model.remember(followed.test, decided, followed.readout)))
        if scored:
            scores.add(model, followed, frames[:, time])
        _forget(entries, generator)
    return scores.loss()


def _followed(
    model: STMA,
    features: Features,
    time: int,
    entries: Sequence[tuple[int, MemoryEntry]],
    view: MemoryView,
    object_valid: Tensor,
) -> FollowedFrame:
    """Follow all objects to the frame of a time, by what a view shows of entries."""
    remembered = [entry for _, entry in entries]
    references = [remembered[0], *remembered[1:][-1:]]
    cache = model.encode_references(references, object_valid[:, None].expand(-1, len(references), -1))
    test = model.encode_test(features, cache)
    readout, decoded = model.follow(test, [view], focus=False)
    return FollowedFrame(
        time, [*entries], test, readout, decoded, *masks_from_logits(decoded.logits, object_valid)
    )
