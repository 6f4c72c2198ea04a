"""Clips that are learned from more than once: a GPU learns faster than a few cores make clips."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stma.training.clip import ClipBatch

KEPT = 512  # clips of which one is drawn again, on the device: 3.3 GB of 8 frames of 448 pixels


@dataclass(frozen=True)
class _Kept:
    """One clip on the device, as in `ClipBatch` without the batch, and how many objects it has."""

    frames: Tensor
    labels: Tensor
    regions: Tensor
    objects: int

    def mirrored(self) -> "_Kept":
        return _Kept(self.frames.flip(-1), self.labels.flip(-1), self.regions.flip(-1), self.objects)


class Replay:
    """Makes batches of which one part is new and the rest, mirrored half of the time, was seen a while ago."""

    def __init__(self, fresh: Iterator[list[Tensor]], batch: int, uses: int, device: torch.device) -> None:
        """Prepare.

        Args:
            fresh: batches of `batch // uses` new clips, the fields of `ClipBatch`, in main memory.
            batch: clips per step.
            uses: how often a clip is learned from on average; 1 keeps none.
            device: where the clips are kept.
        """
        self._fresh, self._batch, self._uses, self._device = fresh, batch, uses, device
        self._kept: list[_Kept] = []
        self._oldest = 0

    def draw(self, generator: torch.Generator) -> tuple[ClipBatch, int]:
        """The next batch, and how many of its clips are new."""
        if self._uses == 1:
            clips = ClipBatch(*next(self._fresh))
            return clips.to(self._device), len(clips.frames)
        missing = self._batch - self._batch // self._uses
        again = missing if len(self._kept) >= self._batch else 0
        picks = torch.randint(max(1, len(self._kept)), (again,), generator=generator).tolist()
        flips = torch.randint(2, (again,), generator=generator).tolist()
        old = [
            self._kept[pick].mirrored() if flip else self._kept[pick]
            for pick, flip in zip(picks, flips, strict=True)
        ]
        new = self._new()
        while len(new) + len(old) < self._batch:
            new += self._new()
        for clip in new:
            self._keep(clip)
        return _joined([*new, *old]), len(new)

    def _new(self) -> list[_Kept]:
        frames, labels, regions, valid = next(self._fresh)
        objects = [int(count) for count in valid.sum(1)]
        parts = (part.to(self._device, non_blocking=True) for part in (frames, labels, regions))
        return [_Kept(*clip) for clip in zip(*parts, objects, strict=True)]

    def _keep(self, clip: _Kept) -> None:
        if len(self._kept) < KEPT:
            self._kept.append(clip)
            return
        self._kept[self._oldest] = clip
        self._oldest = (self._oldest + 1) % KEPT


def _joined(clips: list[_Kept]) -> ClipBatch:
    counts = torch.tensor([clip.objects for clip in clips])
    valid = torch.arange(int(counts.max())) < counts[:, None]
    device = clips[0].frames.device
    return ClipBatch(
        torch.stack([clip.frames for clip in clips]),
        torch.stack([clip.labels for clip in clips]),
        torch.stack([clip.regions for clip in clips]),
        valid.to(device, non_blocking=True),
    )
