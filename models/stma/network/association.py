"""ID association at stride 16 and label propagation at stride 8: what the memory says about the test frame."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import TILE, ModelConfig
from stma.network.layers import to_tokens, unit
from stma.network.powers import powers_of_two
from stma.network.windows import (
    at_once,
    binary,
    by_strips,
    headroom,
    multiples,
    offset_channels,
    restored,
    unfolded,
    with_ones,
)

HOTTEST = 120.0  # a cosine of 0.1 less then counts for nothing: 1 to 160,000
UNLIKENESS = 0.5  # at first, when all keys are still alike: next to nothing; it is learned
FAINTEST = 1e-6  # weight below which a match is no better than none
MATCH_SCALE = 5.0  # brings the logarithms of weights between none and a hundred cells to about -3..1


class Temperature(nn.Module):
    """Learned positive factor of cosine similarities, kept as a logarithm."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self) -> Tensor:
        return self.logarithm.exp().clamp(max=HOTTEST)


class IDAssociation(nn.Module):
    """Readout of the temporal memory: one affinity, shared by all objects, over per-object values.

    Query and memory keys come from the same projection (STCN, arXiv 2106.05210) and are L2-normalised.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.key = nn.Linear(config.widths[2], config.key_width)
        self.temperature = Temperature(config.initial_temperature)

    def keys(self, tokens: Tensor) -> Tensor:
        """(B, N, C) final tokens of a frame to (B, N, key_width) unit keys."""
        return unit(self.key(tokens), dim=2)

    def forward(
        self,
        query: Tensor,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        sharpness: float = 1.0,
        certainties: Sequence[Tensor] | None = None,
        rows: Sequence[np.ndarray] | None = None,
    ) -> Tensor:
        """Read the memory: one softmax over the cells of all entries, summed up entry by entry.

        Args:
            query: (B, N, key_width) unit keys of the test frame.
            keys: (B, M, key_width) unit keys of the cells of each entry.
            values: (B, M, K, value_width+1) of each entry: values of K objects in these cells, see `with_known`.
            sharpness: factor on the learned temperature, see `MemoryConfig.readout_sharpness`.
            certainties: as of `weighted_sums`.
            rows: as of `weighted_sums`, for each object.

        Returns:
            (B, N, K, value_width) readout, 0 where nothing was read.
        """
        temperature = (self.temperature() * sharpness).clamp(max=HOTTEST).to(query.dtype)
        sums = weighted_sums(query, keys, values, temperature, certainties, rows)
        return (sums[..., :-1] / sums[..., -1:].clamp(min=1e-30)).to(query.dtype)


def with_known(values: Tensor, known: Tensor | None = None) -> Tensor:
    """Values of which some cells may hold none: (B, M, K, value_width) and (B, M, K) of 1 and 0, None where all are
    known, as (B, M, K, value_width+1). The sums of the last are those of the weights."""
    if known is None:
        return functional.pad(values, (0, 1), value=1.0)
    return torch.cat([values, known[..., None]], dim=3)


def weighted_sums(
    query: Tensor,
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    temperature: Tensor,
    certainties: Sequence[Tensor] | None = None,
    rows: Sequence[np.ndarray] | None = None,
) -> Tensor:
    """Sums of values with the weights certainty * exp(temperature * (cosine - 1)): a softmax's numerator, and with a
    value of 1 its denominator.

    Unit keys bound the exponent by zero, so no pass for the maximum is needed, and the sums of several memories
    add up. A GPU reads all of them in one product, a CPU one after the other, so that none is copied.

    Args:
        query: (B, N, C) unit keys.
        keys: (B, M, C) unit keys of each memory.
        values: (B, M, K, D) of K objects, of each memory.
        temperature: scalar.
        certainties: (B, M) float32 above 0 of each memory, None where all cells count alike.
        rows: of one clip, for each object the numbers of the queries that are read for it, in ascending order; None for
            all queries and objects.

    Returns:
        (B, N, K, D) sums, float32; 0 where nothing was read.
    """
    if certainties is None:
        certainties = [key.new_ones(key.shape[:2], dtype=torch.float32) for key in keys]
    if query.device.type != "cpu":
        keys, values = [torch.cat(list(keys), dim=1)], [torch.cat(list(values), dim=1)]
        certainties = [torch.cat(list(certainties), dim=1)]
    room = headroom(query.dtype)
    factor = binary(temperature)
    queries = with_ones(query * factor)
    memories = []
    for key, value, certainty in zip(keys, values, certainties, strict=True):
        offset = offset_channels(certainty.log2() - factor - math.log2(room), key.dtype)  # (B, M, 2)
        transposed = torch.cat([key.transpose(1, 2), offset.transpose(1, 2)], dim=1)  # (B, C+2, M)
        memories.append((transposed, value))
    most = max(1, at_once(query.device) // max(key.shape[0] * key.shape[1] for key in keys))
    sums = []
    for start in range(0, queries.shape[1], most):
        some = queries[:, start : start + most]
        affinities = ((powers_of_two(torch.matmul(some, key)), value) for key, value in memories)
        if rows is None:
            total = query.new_zeros((*some.shape[:2], *values[0].shape[2:]), dtype=torch.float32)
            for weights, value in affinities:
                total = total + torch.matmul(weights, value.flatten(2)).view_as(total)
            sums.append(total)
        else:
            near = _within(rows, start, start + some.shape[1])
            sums.append(_of_rows(affinities, near, multiples(query.dtype)[0]))
    return restored(torch.cat(sums, dim=1), room)


def _within(rows: Sequence[np.ndarray], first: int, last: int) -> list[np.ndarray]:
    """Of ascending numbers those from `first` up to `last` (exclusive), counted from there."""
    ends = (np.searchsorted(one, (first, last)) for one in rows)
    return [one[begin:end] - first for one, (begin, end) in zip(rows, ends, strict=True)]


def _of_rows(
    affinities: Iterable[tuple[Tensor, Tensor]], rows: Sequence[np.ndarray], multiple: int
) -> Tensor:
    """Sums of the products of each memory's (1, R, M) weights and (1, M, K, D) values, for the rows of each object
    alone, whose number is brought to a multiple in products: (1, R, K, D) float32."""
    parts: dict[int, Tensor] = {}
    chosen = {
        number: torch.from_numpy(np.pad(one, (0, -len(one) % multiple), "edge"))  # the last one is repeated
        for number, one in enumerate(rows)
        if len(one)
    }
    for weights, value in affinities:
        for number, some in chosen.items():
            part = torch.mm(weights[0].index_select(0, some), value[0, :, number])
            parts[number] = parts[number].add_(part) if number in parts else part.float()
    total = weights.new_zeros((1, weights.shape[1], len(rows), value.shape[3]), dtype=torch.float32)
    for number, part in parts.items():
        count = len(rows[number])
        total[0, :, number].index_copy_(0, chosen[number][:count], part[:count])
    return total


class _Kind(NamedTuple):
    """What a `LabelEntry` counts as."""

    annotated: bool
    newest: bool


@dataclass(frozen=True)
class LabelEntry:
    """What the label propagation reads of one remembered frame.

    Attributes:
        key: (B, h*w, key_width) unit keys at stride 8.
        mask: (B, K, h*w) soft masks in 0..1 at stride 8.
        window: largest displacement in cells that a label may travel from here, or None for any.
        annotated: whether a person marked the frame; at least one entry of a memory is.
        newest: whether this is the frame before the test frame. An annotated frame that is the newest is an entry
            twice: as annotated, and as newest.
        certainty: (B, h*w) float32 above 0, by which its cells count; None where all count alike.
    """

    key: Tensor
    mask: Tensor
    window: int | None = None
    annotated: bool = True
    newest: bool = False
    certainty: Tensor | None = None

    @property
    def kind(self) -> _Kind:
        """What its sums are kept apart by."""
        return _Kind(self.annotated, self.newest)

    @property
    def weights(self) -> Tensor:
        """(B, h*w) float32: `certainty`, or ones."""
        if self.certainty is None:
            return self.key.new_ones(self.key.shape[:2], dtype=torch.float32)
        return self.certainty


@dataclass(frozen=True)
class PropagatedLabels:
    """What the label propagation says about a test frame, and how sure of it the memory can be.

    Attributes:
        masks: (B, K, h, w) soft masks in 0..1 from all entries.
        annotated: the same from the annotated frames alone: what a person marked there cannot have drifted; objects
            that the mark did not name are there as predicted.
        newest: the same from the newest frame alone, within the window of its entry.
        match: (B, K, 3, h, w) how well a cell is matched by annotated frames, by the others, and by the newest:
            logarithm of the summed weights, 0 where one cell looks exactly the same, scaled to a few units.
    """

    masks: Tensor
    annotated: Tensor
    newest: Tensor
    match: Tensor

    @staticmethod
    def join(parts: "Sequence[PropagatedLabels]") -> "PropagatedLabels":
        """Several groups of objects as one."""
        return PropagatedLabels(
            torch.cat([part.masks for part in parts], dim=1),
            torch.cat([part.annotated for part in parts], dim=1),
            torch.cat([part.newest for part in parts], dim=1),
            torch.cat([part.match for part in parts], dim=1),
        )


class LabelPropagation(nn.Module):
    """Finer association level: soft masks of the memory carried to the test frame at stride 8.

    One softmax runs over the cells of all entries and one more that is background and looks a little like everything:
    numerators and denominators are summed up entry by entry. What nothing remembered looks like is background then,
    not the least unlike object.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.temperature = Temperature(config.initial_temperature)
        self.unlikeness = nn.Parameter(torch.tensor(UNLIKENESS))  # 1 - cosine of that one cell and any other

    def forward(
        self,
        query: Tensor,
        entries: Sequence[LabelEntry],
        sharpness: float = 1.0,
        wanted: np.ndarray | None = None,
    ) -> PropagatedLabels:
        """Propagate labels.

        Args:
            query: (B, key_width, h, w) unit keys of the test frame.
            entries: remembered frames of the same size with the same K objects, one annotated or more.
            sharpness: factor on the learned temperature, see `MemoryConfig.label_sharpness`.
            wanted: (h, w) bool, the cells that matter; others may stay without labels and matches where that saves
                time. None for all.
        """
        temperature = (self.temperature() * sharpness).clamp(max=HOTTEST).to(query.dtype)
        objects = entries[0].mask.shape[1]
        annotated = others = newest = query.new_zeros((), dtype=torch.float32)
        groups: dict[tuple[int | None, _Kind | None], list[LabelEntry]] = {}
        apart = query.device.type != "cpu"  # a GPU would hold the windows of all kinds at once
        for entry in entries:
            groups.setdefault((entry.window, entry.kind if apart else None), []).append(entry)
        for (window, _), alike in groups.items():
            for kind, part in _sums(query, alike, temperature, window, wanted).items():
                if kind.annotated:
                    annotated = annotated + part
                else:
                    others = others + part
                if kind.newest:
                    newest = part
        every = annotated + others
        background = (-self.unlikeness.clamp(min=0) * temperature).float().exp()
        kinds = [annotated, others.expand_as(every), newest.expand_as(every)]
        weights = torch.stack([sums[:, -1:].expand(-1, objects, -1, -1) for sums in kinds], dim=2)
        return PropagatedLabels(
            _shares(every, background),
            _shares(annotated, background),
            _shares(kinds[2], background),
            (weights.detach() + FAINTEST).log() / MATCH_SCALE,  # (B, K, 3, h, w)
        )


def _shares(sums: Tensor, background: Tensor) -> Tensor:
    """Sums of labels, (B, K+1, h, w), over the weights' own sum, which is the last, and the background's weight: (B,
    K, h, w)."""
    return sums[:, :-1] / (sums[:, -1:] + background).clamp(min=1e-30)


def _sums(
    query: Tensor,
    entries: Sequence[LabelEntry],
    temperature: Tensor,
    window: int | None,
    wanted: np.ndarray | None,
) -> dict[_Kind, Tensor]:
    """Sums over the cells of the entries of each kind, all of one window: (B, K+1, h, w) float32, the weights' own sum
    last."""
    height, width = query.shape[2:]
    keys, certainties = [entry.key for entry in entries], [entry.weights for entry in entries]
    kinds = list(dict.fromkeys(entry.kind for entry in entries))
    values = [_values(entry, kinds) for entry in entries]
    if window is None or window >= max(height, width):
        masks = [value.transpose(1, 2).to(query.dtype)[..., None] for value in values]  # (B, h*w, D, 1)
        sums = weighted_sums(to_tokens(query), keys, masks, temperature, certainties)[..., 0]
        sums = sums.transpose(1, 2).reshape(sums.shape[0], -1, height, width)
    elif query.device.type == "cpu" and window > TILE and not torch.is_grad_enabled():
        sums = by_strips(query, keys, values, certainties, temperature, window, wanted)
    else:
        sums = unfolded(query, keys, values, certainties, temperature, window)
    return dict(zip(kinds, sums.chunk(len(kinds), dim=1), strict=True))


def _values(entry: LabelEntry, kinds: Sequence[_Kind]) -> Tensor:
    """(B, (K+1) * kinds, h*w): masks and ones in the place of the entry's own kind, 0 in that of others, so that one
    affinity serves all kinds."""
    own = torch.cat([entry.mask, torch.ones_like(entry.mask[:, :1])], dim=1)
    before = kinds.index(entry.kind)
    after, rows = len(kinds) - 1 - before, own.shape[1]
    return functional.pad(own, (0, 0, before * rows, after * rows)) if len(kinds) > 1 else own
