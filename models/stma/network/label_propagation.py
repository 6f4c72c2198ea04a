"""Label propagation at stride 8, the finer association level: masks of the memory carried to the test frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import NARROW_TILE, ModelConfig
from stma.network.affinity import HOTTEST, Temperature, weighted_sums
from stma.network.layers import to_tokens
from stma.network.windows import by_strips, unfolded

UNLIKENESS = 0.5  # at first, when all keys are still alike: next to nothing; it is learned
FAINTEST = 1e-6  # weight below which a match is no better than none
MATCH_SCALE = 5.0  # brings the logarithms of weights between none and a hundred cells to about -3..1


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
    elif query.device.type == "cpu" and window > NARROW_TILE and not torch.is_grad_enabled():
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
