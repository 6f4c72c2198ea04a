"""ID association at stride 16 and label propagation at stride 8: what the memory says about the test frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import ModelConfig
from stma.network.layers import to_tokens

AFFINITY_LIMIT = 1 << 24  # cells of affinity held at once per clip: bounds memory at any frame size
TILE = 8  # cells of a query tile: small tiles waste little of a window, large ones fill the matrix units


class Temperature(nn.Module):
    """Learned positive factor of cosine similarities, kept as a logarithm."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self) -> Tensor:
        return self.logarithm.exp().clamp(max=100.0)


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
        affinity = torch.matmul(query * self.temperature().to(query.dtype), keys.transpose(1, 2))  # (B, N, M)
        affinity = affinity.softmax(dim=2).to(values.dtype)
        return torch.matmul(affinity[:, None], values)


@dataclass(frozen=True)
class LabelEntry:
    """What the label propagation reads of one remembered frame.

    Attributes:
        key: (B, h*w, key_width) unit keys at stride 8.
        mask: (B, K, h*w) soft masks in 0..1 at stride 8.
        window: largest displacement in cells that a label may travel from here, or None for any.
    """

    key: Tensor
    mask: Tensor
    window: int | None = None


class LabelPropagation(nn.Module):
    """Finer association level: soft masks of the memory carried to the test frame at stride 8.

    One softmax runs over the cells of all entries. Since keys are unit vectors, exp(temperature * (cosine - 1))
    cannot overflow, so numerator and denominator are summed up entry by entry without a pass for the maximum.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.temperature = Temperature(config.initial_temperature)

    def forward(self, query: Tensor, entries: Sequence[LabelEntry]) -> Tensor:
        """Propagate labels.

        Args:
            query: (B, key_width, h, w) unit keys of the test frame.
            entries: remembered frames of the same size with the same K objects, one or more.

        Returns:
            (B, K, h, w) soft masks in 0..1.
        """
        height, width = query.shape[2:]
        temperature = self.temperature().to(query.dtype)
        total: Tensor | None = None
        for entry in entries:
            weighed = torch.cat([entry.mask, torch.ones_like(entry.mask[:, :1])], dim=1).to(query.dtype)
            if entry.window is None or entry.window >= max(height, width):
                part = _everywhere(query, entry.key, weighed, temperature)
            else:
                part = _nearby(query, entry.key, weighed, temperature, entry.window)
            total = part if total is None else total + part
        assert total is not None
        return total[:, :-1] / total[:, -1:].clamp(min=1e-30)


def _everywhere(query: Tensor, key: Tensor, weighed: Tensor, temperature: Tensor) -> Tensor:
    """Sums over all cells of an entry: (B, K+1, h, w), the weights' own sum last."""
    height, width = query.shape[2:]
    tokens = to_tokens(query) * temperature  # (B, h*w, key_width)
    transposed, values = key.transpose(1, 2), weighed.transpose(1, 2)
    rows = max(1, AFFINITY_LIMIT // key.shape[1])
    sums = torch.cat(
        [
            torch.matmul((torch.matmul(part, transposed) - temperature).exp_(), values)
            for part in tokens.split(rows, dim=1)
        ],
        dim=1,
    )  # (B, h*w, K+1)
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
    tiles = tiles.permute(0, 2, 4, 3, 5, 1).reshape(batch * rows * columns, TILE * TILE, channels)
    both = torch.cat([key.transpose(1, 2), weighed], dim=1).unflatten(2, (height, width))  # (B, C+K+1, h, w)
    both = functional.pad(both, (window, right + window, window, below + window))
    both = both.unfold(2, side, TILE).unfold(3, side, TILE)  # (B, C+K+1, rows, columns, side, side)
    both = both.permute(0, 2, 3, 1, 4, 5).reshape(batch * rows * columns, -1, side * side)
    affinity = (
        torch.bmm(tiles * temperature, both[:, :channels]) - temperature
    ).exp_()  # (tiles, TILE^2, side^2)
    sums = torch.bmm(affinity, both[:, channels:].transpose(1, 2))  # (tiles, TILE^2, K+1)
    sums = sums.view(batch, rows, columns, TILE, TILE, -1).permute(0, 5, 1, 3, 2, 4)
    return sums.reshape(batch, -1, rows * TILE, columns * TILE)[:, :, :height, :width]
