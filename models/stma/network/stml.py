"""Spatial-temporal multi-level (STML) feature association: three decoupled correlations per block.

Streams: object tokens o, reference tokens r, test tokens t. Information flows o -> r -> t only, so the
references' keys and values depend on the memory alone and are computed once per change of the memory.
The decoupled block equals one masked attention over [o; r; t].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import AFFINITY_LIMIT, ModelConfig
from stma.network.layers import pool_twice, to_map, to_tokens

MASKED = -1e4  # finite, so that a clip without any object stays free of NaN, and within range of fp16


@dataclass(frozen=True)
class ReferenceCache:
    """Keys and values of the references for every block: each (B, heads, m*N, width/heads)."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention of (B, heads, N, D) queries to (B, heads, M, D) keys and values.

    For inference in bf16 on a CPU by parts whose weights stay in the cache: plain products run nearer to the machine's
    peak there than torch's fused attention does (8.5 against 13.5 ms for 1590 queries, 1215 keys and 4 heads of 64
    channels on two Zen 4 cores; in fp32 the fused one is faster, 13.4 against 16.1).
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or torch.is_grad_enabled():
        return functional.scaled_dot_product_attention(query, key, value)
    rows = max(1, AFFINITY_LIMIT // (query.shape[0] * query.shape[1] * key.shape[2]))
    transposed = key.transpose(2, 3)
    scale = query.shape[3] ** -0.5
    parts = [
        torch.matmul(torch.matmul(part * scale, transposed).softmax(dim=3), value)
        for part in query.split(rows, dim=2)
    ]
    return torch.cat(parts, dim=2)


class STMLBlock(nn.Module):
    """One block; projection, feed-forward and norms are shared by the three streams."""

    def __init__(self, width: int, heads: int, feed_forward_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward_ratio * width),
            nn.ReLU(inplace=True),
            nn.Linear(feed_forward_ratio * width, width),
        )
        for last in (self.output, self.feed_forward[2]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)  # a new block starts as the identity
            nn.init.zeros_(last.bias)

    def project(self, tokens: Tensor, grid: tuple[int, int] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, C) tokens to queries, keys and values of (B, heads, N, C/heads); with the rows and columns of the N
        cells, keys and values are averages of 2x2 of them."""
        query, read = self.projection(self.norm_attention(tokens)).split(
            [tokens.shape[2], 2 * tokens.shape[2]], dim=2
        )
        if grid is not None:
            read = to_tokens(pool_twice(to_map(read, *grid)))  # (B, N/4, 2C)
        key, value = read.chunk(2, dim=2)
        return self._by_head(query), self._by_head(key), self._by_head(value)

    def _by_head(self, tokens: Tensor) -> Tensor:
        """(B, N, C) to (B, heads, N, C/heads)."""
        by_head: Tensor = tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return by_head

    def finish(self, tokens: Tensor, attended: Tensor) -> Tensor:
        """Residual additions of the attended values (B, heads, N, C/heads) and of the feed-forward part."""
        tokens = tokens + self.output(attended.transpose(1, 2).flatten(2))
        result: Tensor = tokens + self.feed_forward(self.norm_feed_forward(tokens))
        return result

    def memory_streams(
        self, objects: Tensor, references: Tensor, object_valid: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Object self-attention and reference object enhancement.

        Args:
            objects: (B, n, C) object tokens.
            references: (B, m, N, C) tokens of m reference frames.
            object_valid: (B, n) bool; padded tokens are False and are never attended to.

        Returns:
            objects and references after the block, and the references' keys and values of the block,
            (B, heads, m*N, C/heads) each.
        """
        batch, frames, count, _ = references.shape
        object_query, object_key, object_value = self.project(objects)
        flat = references.flatten(0, 1)  # (B*m, N, C): each reference frame by itself
        query, key, value = self.project(flat)
        mask = torch.zeros_like(object_valid, dtype=query.dtype).masked_fill(~object_valid, MASKED)
        mask = mask[:, None, None, :]  # (B, 1, 1, n), added to the scores; stays a view when expanded
        attended_objects = functional.scaled_dot_product_attention(
            object_query, object_key, object_value, attn_mask=mask.expand(-1, -1, objects.shape[1], -1)
        )
        joint_mask = torch.cat([mask.new_zeros(batch, 1, 1, count), mask], dim=3)  # (B, 1, 1, N+n)
        attended = functional.scaled_dot_product_attention(
            query,
            torch.cat([key, object_key.repeat_interleave(frames, 0)], dim=2),
            torch.cat([value, object_value.repeat_interleave(frames, 0)], dim=2),
            attn_mask=joint_mask.repeat_interleave(frames, 0).expand(-1, -1, count, -1),
        )
        new_references = self.finish(flat, attended).unflatten(0, (batch, frames))
        key = key.unflatten(0, (batch, frames)).transpose(1, 2).flatten(2, 3)  # (B, heads, m*N, C/heads)
        value = value.unflatten(0, (batch, frames)).transpose(1, 2).flatten(2, 3)
        return self.finish(objects, attended_objects), new_references, key, value

    def test_stream(
        self,
        test: Tensor,
        reference_key: Tensor,
        reference_value: Tensor,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Test-reference correlation: test tokens attend to themselves and to the references.

        Args:
            test: (B, N, C) test tokens.
            reference_key, reference_value: (B, heads, M, C/heads), see `memory_streams`.
            grid: rows and columns of the N cells: then a token attends to averages of 2x2 of its own frame's cells,
                at a quarter of the cost; None for the cells themselves.
        """
        query, key, value = self.project(test, grid)
        attended = attend(
            query, torch.cat([key, reference_key], dim=2), torch.cat([value, reference_value], dim=2)
        )
        return self.finish(test, attended)


class STML(nn.Module):
    """The stack of STML blocks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            STMLBlock(config.widths[2], config.heads, config.feed_forward_ratio)
            for _ in range(config.stml_blocks)
        )
        self.norm = nn.LayerNorm(config.widths[2])

    def encode_references(self, objects: Tensor, references: Tensor, object_valid: Tensor) -> ReferenceCache:
        """Run the object and reference streams through all blocks; see `STMLBlock.memory_streams`."""
        keys, values = [], []
        for block in self.blocks:
            assert isinstance(block, STMLBlock)
            objects, references, key, value = block.memory_streams(objects, references, object_valid)
            keys.append(key)
            values.append(value)
        return ReferenceCache(tuple(keys), tuple(values))

    def encode_test(self, test: Tensor, cache: ReferenceCache, grid: tuple[int, int] | None = None) -> Tensor:
        """Run the test stream, (B, N, C) tokens, through all blocks; the result is normalised.

        `grid` as in `STMLBlock.test_stream`.
        """
        for block, key, value in zip(self.blocks, cache.keys, cache.values, strict=True):
            assert isinstance(block, STMLBlock)
            test = block.test_stream(test, key, value, grid)
        result: Tensor = self.norm(test)
        return result
