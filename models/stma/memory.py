"""Spatial-temporal memory bank: which frames are remembered, and which of them an object may read."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stma.config import MemoryConfig
from stma.network.entries import MemoryEntry, MemoryView, join_entries
from stma.network.label_propagation import LabelEntry
from stma.network.region import Region, read_from
from stma.network.soft_masks import SHOWN


@dataclass(frozen=True)
class StoredEntry:
    """A remembered frame and when it was written; permanent entries are annotated frames."""

    frame_index: int
    permanent: bool
    entry: MemoryEntry

    @cached_property
    def shown(self) -> list[int]:
        """Columns of the objects in sight; one that fills a quarter of a cell of 8 pixels is."""
        return (self.entry.label_mask[0] > SHOWN).any(dim=1).nonzero().flatten().tolist()  # of (K, cells)


@dataclass(frozen=True)
class ObjectGroup:
    """Objects that appeared on the same frame: columns `first` up to `last` (exclusive) of all values."""

    start: int
    first: int
    last: int


class MemoryBank:
    """Permanent annotated frames, a capped store of predicted ones, and the previous frame.

    Over the capacity the entry leaves that its objects miss least, never the newest.

    Its size depends on the number of annotated frames, the capacity and the number of objects, never on the
    length of the video. Objects are columns in the order of their first annotation. One clip (B = 1).
    """

    def __init__(self, config: MemoryConfig) -> None:
        self.config = config
        self.entries: list[StoredEntry] = []
        self.previous: StoredEntry | None = None
        self.groups: list[ObjectGroup] = []
        self.version = 0  # grows whenever a reference may have changed

    @property
    def empty(self) -> bool:
        return not self.entries

    @property
    def stored(self) -> list[StoredEntry]:
        """All that is remembered, oldest first."""
        return [*self.entries, *([self.previous] if self.previous else [])]

    @property
    def objects(self) -> int:
        return self.groups[-1].last if self.groups else 0

    def newest(self, frame_index: int) -> MemoryEntry | None:
        """The entry of the frame before this one, None where that was not remembered."""
        stored = self.stored
        return stored[-1].entry if stored and stored[-1].frame_index == frame_index - 1 else None

    def add_objects(self, count: int, frame_index: int) -> None:
        """Announce `count` new objects that are annotated on this frame."""
        if count:
            self.groups.append(ObjectGroup(frame_index, self.objects, self.objects + count))

    def remove_objects(self, columns: Collection[int]) -> None:
        """Forget the objects in these columns; the others move up. Entries without any object left go."""
        kept = [column for column in range(self.objects) if column not in columns]
        groups, self.groups = self.groups, []
        for group in groups:
            self.add_objects(sum(group.first <= column < group.last for column in kept), group.start)
        self.entries = [left for one in self.entries if (left := _without_others(one, kept)) is not None]
        self.previous = None if self.previous is None else _without_others(self.previous, kept)
        self.version += 1

    def write(self, entry: MemoryEntry, frame_index: int, permanent: bool) -> None:
        """Remember a frame; when the capacity is exceeded, of the entries that are not permanent the one leaves that
        its objects miss least, so that those out of sight are remembered for as long as they are."""
        # Of a chunk's features this entry keeps its own frame alone.
        entry = replace(entry, label_key=entry.label_key.clone())
        self.entries.append(StoredEntry(frame_index, permanent, entry))
        temporary = [stored for stored in self.entries if not stored.permanent]
        if len(temporary) > self.config.capacity:
            self.entries.remove(_missed_least(temporary))
        self.previous = None
        self.version += 1

    def write_predicted(self, entry: MemoryEntry, frame_index: int) -> None:
        """Remember a predicted frame: for good every `interval` frames, otherwise only until the next frame."""
        if self.keeps(frame_index):
            self.write(entry, frame_index, permanent=False)
        elif self.config.previous_frame:
            self.previous = StoredEntry(frame_index, False, entry)

    def keeps(self, frame_index: int) -> bool:
        """Whether a predicted frame of this index would be remembered for more than the next frame."""
        return frame_index - self.entries[-1].frame_index >= self.config.interval

    def due(self, frame_index: int) -> bool:
        """Whether a predicted frame of this index would be remembered at all, so that it must be encoded."""
        return self.config.previous_frame or self.keeps(frame_index)

    def view(self, group: ObjectGroup, region: Region | None = None, anywhere: bool = False) -> MemoryView:
        """What the objects of a group may read: entries written since they appeared, oldest first.

        For a region the ID association reads predicted frames only where the objects were and near it. Labels may
        travel `anywhere` where a new scene begins, in which nothing need be where it was.
        """
        stored = [
            replace(s, entry=_columns(s.entry, slice(group.first, group.last)))
            for s in self.stored
            if s.frame_index >= group.start
        ]
        config = self.config
        entries = [s.entry for s in stored]
        if region is not None and not region.whole:
            box = read_from([s.entry.mask[0] for s in stored if not s.permanent], region)
            entries = [s.entry if s.permanent else s.entry.within(box) for s in stored]
        labels = propagated_entries(stored, config)
        if anywhere:
            labels = [replace(one, window=None) for one in labels]
        return join_entries(
            entries,
            labels,
            config.label_sharpness,
            config.readout_sharpness,
        )

    def references(self) -> tuple[list[MemoryEntry], Tensor]:
        """Entries that the STML blocks read, padded to all objects, and their (1, m, K) validity.

        The first annotated frame and the newest written ones: what is certain and what is recent.
        """
        count = min(self.config.references, len(self.entries))
        chosen = self.entries[:1] + (self.entries[-(count - 1) :] if count > 1 else [])
        objects = self.objects
        entries = [_padded(stored.entry, objects) for stored in chosen]
        # Filled in place: a tensor that comes from main memory would make the host wait for the device.
        valid = torch.zeros(1, len(chosen), objects, dtype=torch.bool, device=entries[0].value.device)
        for row, stored in enumerate(chosen):
            for group in self.groups:
                valid[0, row, group.first : group.last].fill_(stored.frame_index >= group.start)
        return entries, valid

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, as tensors and plain numbers."""
        return {
            "entries": [
                {"frame_index": s.frame_index, "permanent": s.permanent, **vars(s.entry)} for s in self.stored
            ],
            "has_previous": self.previous is not None,
            "groups": [(group.start, group.first, group.last) for group in self.groups],
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore on a device what `state_dict` gave."""
        stored = []
        for row in state["entries"]:
            tensors = {name: value.to(device) for name, value in row.items() if isinstance(value, Tensor)}
            stored.append(StoredEntry(row["frame_index"], row["permanent"], MemoryEntry(**tensors)))
        self.previous = stored.pop() if state["has_previous"] else None
        self.entries = stored
        self.groups = [ObjectGroup(*group) for group in state["groups"]]
        self.version += 1


def _missed_least(stored: Sequence[StoredEntry]) -> StoredEntry:
    """The entry each of whose objects more later ones show than those of any other entry; one without objects before
    all, the oldest of several alike, never the last."""
    later: Counter[int] = Counter()
    spare = []
    for one in reversed(stored):
        spare.append(min((later[column] for column in one.shown), default=len(stored)))
        later.update(one.shown)
    *older, _ = reversed(spare)
    return stored[older.index(max(older))]


def propagated_entries(stored: Sequence[StoredEntry], config: MemoryConfig) -> list[LabelEntry]:
    """Entries for the label propagation, each with the window that its labels travel in: the first and the
    last annotated frame, and the newest predicted ones. At stride 8 an object's colours recur all over a frame,
    and many half-similar cells outvote the few that match; near to where the object was, they do not. The
    newest entry has a window of its own; if it is an annotated one, it counts both ways."""
    permanent = [s for s in stored if s.permanent]
    *older, newest = [s for s in stored if not s.permanent or s is stored[-1]][-config.label_recent :]
    annotated = permanent[:1] + permanent[1:][-1:]
    return [
        *(_label_entry(s, config.annotated_window, annotated=True) for s in annotated),
        *(_label_entry(s, config.label_window) for s in older),
        _label_entry(newest, config.newest_window, newest=True),
    ]


def _label_entry(
    stored: StoredEntry, window: int | None, annotated: bool = False, newest: bool = False
) -> LabelEntry:
    entry = stored.entry
    return LabelEntry(entry.label_key, entry.label_mask, window, annotated, newest, entry.label_certainty)


def _columns(entry: MemoryEntry, chosen: slice | list[int]) -> MemoryEntry:
    return replace(
        entry,
        value=entry.value[:, :, chosen],
        mask=entry.mask[:, chosen],
        label_mask=entry.label_mask[:, chosen],
    )


def _without_others(stored: StoredEntry, kept: Sequence[int]) -> StoredEntry | None:
    """An entry with these columns of the bank alone, of which it has those that were known when it was written."""
    own = [column for column in kept if column < stored.entry.mask.shape[1]]
    return replace(stored, entry=_columns(stored.entry, own)) if own else None


def _padded(entry: MemoryEntry, objects: int) -> MemoryEntry:
    """Entry with empty columns for objects that appeared after it was written."""
    missing = objects - entry.mask.shape[1]
    if missing == 0:
        return entry
    return replace(
        entry,
        value=functional.pad(entry.value, (0, 0, 0, missing)),
        mask=functional.pad(entry.mask, (0, 0, 0, 0, 0, missing)),
        label_mask=functional.pad(entry.label_mask, (0, 0, 0, missing)),
    )
