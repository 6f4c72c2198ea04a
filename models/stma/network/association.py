"""ID association at stride 16, the coarser association level: values of the memory read for the test frame."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import ModelConfig
from stma.network.affinity import HOTTEST, Temperature, weighted_sums
from stma.network.layers import unit


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
