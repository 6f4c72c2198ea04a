"""ID association at stride 16 and label propagation at stride 8: what the memory says about the test frame."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import ModelConfig
from stma.network.layers import to_tokens

AFFINITY_LIMIT = 1 << 24  # cells of affinity held at once per clip: bounds memory at any frame size


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


class LabelPropagation(nn.Module):
    """Finer association level: soft masks of the memory carried to the test frame at stride 8."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.temperature = Temperature(config.initial_temperature)

    def forward(self, query: Tensor, keys: Tensor, masks: Tensor) -> Tensor:
        """Propagate labels.

        Args:
            query: (B, key_width, h, w) unit keys of the test frame.
            keys: (B, M, key_width) unit keys of the memory cells.
            masks: (B, K, M) soft masks in 0..1 of K objects in these cells.

        Returns:
            (B, K, h, w) soft masks in 0..1.
        """
        height, width = query.shape[2:]
        tokens = to_tokens(query) * self.temperature().to(query.dtype)  # (B, h*w, key_width)
        transposed, values = keys.transpose(1, 2), masks.transpose(1, 2).to(query.dtype)
        rows = max(1, AFFINITY_LIMIT // keys.shape[1])
        propagated = torch.cat(
            [
                torch.matmul(torch.matmul(part, transposed).softmax(dim=2), values)
                for part in tokens.split(rows, dim=1)
            ],
            dim=1,
        )  # (B, h*w, K)
        return propagated.transpose(1, 2).unflatten(2, (height, width))
