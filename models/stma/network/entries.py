"""What the network remembers of a frame, and what it reads of several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from stma.config import NEWEST_WINDOW
from stma.network.interest import Box
from stma.network.label_propagation import LabelEntry
from stma.network.layers import to_map, to_tokens
from stma.network.region import Region


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered frame of a batch of B clips with K objects.

    Attributes:
        tokens: (B, N', C) reference tokens straight from the embedding (spatial memory), averages of 2x2 cells at
            stride 16: to find out what is where, a reference needs less detail than the test frame.
        key: (B, N, key_width) unit keys at stride 16.
        value: (B, N, K, value_width+1) per-object ID features at stride 16 (temporal memory), as they are read: the
            last number of a cell is 1 where it holds a feature of the object, and 0 where it does not count for it.
        mask: (B, K, h, w) soft masks at stride 16.
        label_key: (B, 4N, key_width) unit keys at stride 8.
        label_mask: (B, K, 4N) soft masks at stride 8.
        certainty: (B, N) float32 weights of the cells at stride 16 in 0..1, see `certainty_of`.
        label_certainty: (B, 4N) the same at stride 8.
    """

    tokens: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor
    label_key: Tensor
    label_mask: Tensor
    certainty: Tensor
    label_certainty: Tensor

    def within(self, box: Box) -> "MemoryEntry":
        """As it is read by the ID association in a box of cells at stride 16 alone; all of it where it was made for a
        region and has no other cells."""
        size = (self.mask.shape[2], self.mask.shape[3])
        if self.key.shape[1] != size[0] * size[1]:
            return self
        key, value, certainty = (
            cells.unflatten(1, size)[(slice(None), *box.at(1))].flatten(1, 2)
            for cells in (self.key, self.value, self.certainty)
        )
        return replace(self, key=key, value=value, certainty=certainty)

    def placed(self, region: Region, before: "MemoryEntry", label_key: Tensor | None) -> "MemoryEntry":
        """An entry of a region as one of the whole frame; the ID association alone reads any number of cells.

        Args:
            region: that this entry was made for.
            before: the entry of the frame before, which stands for what lies beyond.
            label_key: (B, key_width, 2h, 2w) of the whole frame, if it is known.
        """
        size = (2 * region.height, 2 * region.width)
        if label_key is None:
            keys = before.label_key.unflatten(1, size).permute(0, 3, 1, 2)  # (B, key_width, 2h, 2w)
            some = region.part(keys)
            label_key = region.renewed(keys, to_map(self.label_key, *some.shape[2:]))
        masks = before.label_mask.unflatten(2, size)  # (B, K, 2h, 2w)
        certainty = before.label_certainty.unflatten(1, size)  # (B, 2h, 2w)
        return replace(
            self,
            mask=region.renewed(before.mask, self.mask),
            label_key=to_tokens(label_key),
            label_mask=region.renewed(masks, self.label_mask).flatten(2),
            label_certainty=region.renewed(certainty, self.label_certainty).flatten(1),
        )


@dataclass(frozen=True)
class MemoryView:
    """What one group of objects reads: all entries at stride 16, some of them at stride 8."""

    keys: tuple[Tensor, ...]  # (B, N, key_width) of each entry
    values: tuple[Tensor, ...]  # (B, N, K, value_width+1) of each entry
    certainties: tuple[Tensor, ...]  # (B, N) of each entry
    labels: tuple[LabelEntry, ...]
    label_sharpness: float = 1.0
    readout_sharpness: float = 1.0

    def newest(self, height: int, width: int) -> Tensor:
        """(B, K, height, width) soft masks of the newest frame, at stride 8."""
        mask = self.labels[-1].mask
        return mask.view(*mask.shape[:2], height, width)


def join_entries(
    entries: Sequence[MemoryEntry],
    labels: Sequence[LabelEntry] | None = None,
    label_sharpness: float = 1.0,
    readout_sharpness: float = 1.0,
) -> MemoryView:
    """View of entries; the labels propagate from all of them, the first of which is annotated, unless given apart."""
    if labels is None:
        labels = label_entries(entries)
    return MemoryView(
        keys=tuple(entry.key for entry in entries),
        values=tuple(entry.value for entry in entries),
        certainties=tuple(entry.certainty for entry in entries),
        labels=tuple(labels),
        label_sharpness=label_sharpness,
        readout_sharpness=readout_sharpness,
    )


def label_entries(entries: Sequence[MemoryEntry]) -> list[LabelEntry]:
    """Entries of a short memory, oldest first, of which the first is annotated: labels travel from all of them
    anywhere, but from the newest only near by."""
    *older, newest = entries
    return [
        *(LabelEntry(e.label_key, e.label_mask, annotated=n == 0) for n, e in enumerate(older or entries)),
        LabelEntry(newest.label_key, newest.label_mask, NEWEST_WINDOW, annotated=False, newest=True),
    ]
