"""ID association at stride 16 and label propagation at stride 8: what the memory says about the test frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import AFFINITY_LIMIT, ModelConfig
from stma.network.layers import to_tokens

HOTTEST = 60.0  # exp(-2 * 60) is still a float32
FAINTEST = 1e-6  # weight below which a match is no better than none
MATCH_SCALE = 5.0  # brings the logarithms of weights between none and a hundred cells to about -3..1
TILE = 8  # cells of a query tile: small tiles waste little of a window, large ones fill the matrix units


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
        return functional.normalize(self.key(tokens), dim=2)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Read the memory.

        Args:
            query: (B, N, key_width) unit keys of the test frame.
            keys: (B, M, key_width) unit keys of all memory cells.
            values: (B, K, M, value_width) values of K objects in these cells.

        Returns:
            (B, K, N, value_width) readout.
        """
        batch, objects, cells, width = values.shape
        joined = values.transpose(1, 2).reshape(
            batch, cells, objects * width
        )  # all objects share one product
        weighed = torch.cat([joined, joined.new_ones(batch, cells, 1)], dim=2)
        sums = weighted_sums(query, keys, weighed, self.temperature().to(query.dtype))  # (B, N, K*width + 1)
        readout: Tensor = sums[:, :, :-1] / sums[:, :, -1:].clamp(min=1e-30)
        return readout.view(batch, -1, objects, width).transpose(1, 2)


def weighted_sums(query: Tensor, keys: Tensor, values: Tensor, temperature: Tensor) -> Tensor:
    """Sums of values with the weights exp(temperature * (cosine - 1)), a softmax's numerator.

    Unit keys bound the exponent by zero, so no pass for the maximum is needed; a column of ones among the values
    gives the denominator, and the sums of several memories add up.

    Args:
        query: (B, N, C) unit keys.
        keys: (B, M, C) unit keys.
        values: (B, M, D).
        temperature: scalar.

    Returns:
        (B, N, D) sums.
    """
    transposed = keys.transpose(1, 2)
    rows = max(1, AFFINITY_LIMIT // keys.shape[1])
    parts = [
        torch.matmul(torch.matmul(part, transposed).sub_(temperature).exp_(), values)
        for part in (query * temperature).split(rows, dim=1)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


@dataclass(frozen=True)
class LabelEntry:
    """What the label propagation reads of one remembered frame.

    Attributes:
        key: (B, h*w, key_width) unit keys at stride 8.
        mask: (B, K, h*w) soft masks in 0..1 at stride 8.
        window: largest displacement in cells that a label may travel from here, or None for any.
        annotated: whether a person marked the frame; at least one entry of a memory is.
    """

    key: Tensor
    mask: Tensor
    window: int | None = None
    annotated: bool = True


@dataclass(frozen=True)
class PropagatedLabels:
    """What the label propagation says about a test frame, and how sure of it the memory can be.

    Attributes:
        masks: (B, K, h, w) soft masks in 0..1 from all entries.
        annotated: the same from the annotated frames alone: they cannot have drifted.
        match: (B, K, 2, h, w) how well a cell is matched by annotated and by predicted frames: logarithm of the
            summed weights, 0 where one cell looks exactly the same, scaled to a few units.
    """

    masks: Tensor
    annotated: Tensor
    match: Tensor

    def columns(self, first: int, last: int) -> "PropagatedLabels":
        """The objects `first` up to `last` (exclusive)."""
        return PropagatedLabels(
            self.masks[:, first:last], self.annotated[:, first:last], self.match[:, first:last]
        )

    @staticmethod
    def join(parts: "Sequence[PropagatedLabels]") -> "PropagatedLabels":
        """Several groups of objects as one."""
        return PropagatedLabels(
            torch.cat([part.masks for part in parts], dim=1),
            torch.cat([part.annotated for part in parts], dim=1),
            torch.cat([part.match for part in parts], dim=1),
        )


class LabelPropagation(nn.Module):
    """Finer association level: soft masks of the memory carried to the test frame at stride 8.

    One softmax runs over the cells of all entries: numerators and denominators are summed up entry by entry.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.temperature = Temperature(config.initial_temperature)

    def forward(
        self, query: Tensor, entries: Sequence[LabelEntry], sharpness: float = 1.0
    ) -> PropagatedLabels:
        """Propagate labels.

        Args:
            query: (B, key_width, h, w) unit keys of the test frame.
            entries: remembered frames of the same size with the same K objects, one annotated or more.
            sharpness: factor on the learned temperature, see `MemoryConfig.label_sharpness`.
        """
        height, width = query.shape[2:]
        temperature = (self.temperature() * sharpness).clamp(max=HOTTEST).to(query.dtype)
        objects = entries[0].mask.shape[1]
        annotated = recent = query.new_zeros((), dtype=torch.float32)
        for entry in entries:
            weighed = torch.cat([entry.mask, torch.ones_like(entry.mask[:, :1])], dim=1).to(query.dtype)
            if entry.window is None or entry.window >= max(height, width):
                part = _everywhere(query, entry.key, weighed, temperature)
            else:
                part = _nearby(query, entry.key, weighed, temperature, entry.window)
            if entry.annotated:
                annotated = annotated + part.float()
            else:
                recent = recent + part.float()
        every = annotated + recent
        weights = torch.stack(
            [sums[:, -1:].expand(-1, objects, -1, -1) for sums in (annotated, recent.expand_as(every))], dim=2
        )  # (B, K, 2, h, w)
        return PropagatedLabels(
            every[:, :-1] / every[:, -1:].clamp(min=1e-30),
            annotated[:, :-1] / annotated[:, -1:].clamp(min=1e-30),
            (weights.detach() + FAINTEST).log() / MATCH_SCALE,
        )


def _everywhere(query: Tensor, key: Tensor, weighed: Tensor, temperature: Tensor) -> Tensor:
    """Sums over all cells of an entry: (B, K+1, h, w), the weights' own sum last."""
    height, width = query.shape[2:]
    sums = weighted_sums(to_tokens(query), key, weighed.transpose(1, 2), temperature)  # (B, h*w, K+1)
    return sums.transpose(1, 2).reshape(sums.shape[0], -1, height, width)


def _nearby(query: Tensor, key: Tensor, weighed: Tensor, temperature: Tensor, window: int) -> Tensor:
    """As `_everywhere`, over the cells within `window` of each tile of the query.

    Cells beyond the border carry no weight, neither for a mask nor for the sum, so they need no masking.
    """
    batch, channels, height, width = query.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    below, right = rows * TILE - height, columns * TILE - width
    side = TILE + 2 * window
    tiles = functional.pad(query, (0, right, 0, below))
    tiles = tiles.unflatten(3, (columns, TILE)).unflatten(
        2, (rows, TILE)
    )  # (B, C, rows, TILE, columns, TILE)
    both = torch.cat([key.transpose(1, 2), weighed], dim=1).unflatten(2, (height, width))  # (B, C+K+1, h, w)
    both = functional.pad(both, (window, right + window, window, below + window))
    both = both.unfold(2, side, TILE).unfold(3, side, TILE)  # (B, C+K+1, rows, columns, side, side)
    sums = []
    for row in range(rows):  # one row of tiles at a time stays in the cache
        queries = tiles[:, :, row].permute(0, 3, 2, 4, 1).reshape(batch * columns, TILE * TILE, channels)
        near = both[:, :, row].permute(0, 2, 1, 3, 4).reshape(batch * columns, -1, side * side)
        part = weighted_sums(
            queries, near[:, :channels].transpose(1, 2), near[:, channels:].transpose(1, 2), temperature
        )  # (B*columns, TILE^2, K+1)
        sums.append(part.view(batch, columns, TILE, TILE, -1).permute(0, 4, 2, 1, 3))
    joined = torch.stack(sums, dim=2)  # (B, K+1, rows, TILE, columns, TILE)
    return joined.reshape(batch, -1, rows * TILE, columns * TILE)[:, :, :height, :width]
