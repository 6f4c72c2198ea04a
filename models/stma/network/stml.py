"""Spatial-temporal multi-level (STML) feature association: three decoupled correlations per block.

Streams: object tokens o, reference tokens r, test tokens t. Information flows o -> r -> t only, so the
references' keys and values depend on the memory alone and are computed once per change of the memory.
The decoupled block equals one masked attention over [o; r; t].
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import AFFINITY_LIMIT, ModelConfig
from stma.network.layers import pool_twice, to_map, to_tokens
from stma.network.powers import powers_of_two, steps
from stma.network.region import Region

MASKED = -1e4  # finite, so that a clip without any object stays free of NaN, and within range of fp16


@dataclass(frozen=True)
class BlockCache:
    """Keys and values that test tokens find, for every block: of the references, or of the test frame itself; each
    (B, heads, M, width/heads) for M cells."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def state_dict(self) -> dict[str, list[Tensor]]:
        """What `from_state` restores."""
        return {"keys": list(self.keys), "values": list(self.values)}

    @staticmethod
    def from_state(state: Mapping[str, Sequence[Tensor]], device: torch.device) -> "BlockCache":
        """Restore on a device what `state_dict` gave."""
        keys, values = (tuple(one.to(device) for one in state[name]) for name in ("keys", "values"))
        return BlockCache(keys, values)


@dataclass(frozen=True)
class Around:
    """Keys and values of a whole frame, (B, heads, h/2 * w/2, C/heads) each, of which a region is to be renewed."""

    key: Tensor
    value: Tensor
    region: Region

    def renewed(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The same with these keys and values of the region."""
        return self._renewed(self.key, key), self._renewed(self.value, value)

    def _renewed(self, old: Tensor, new: Tensor) -> Tensor:
        region = self.region.halved
        size = (region.height, region.width)
        maps = old.unflatten(2, size).movedim(4, 2)  # (B, heads, C/heads, h/2, w/2), a view
        part = new.unflatten(2, region.part(maps).shape[3:]).movedim(4, 2)
        return region.renewed(maps, part).movedim(2, 4).flatten(2, 3)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of (B, heads, N, D) queries to (B, heads, M, D) keys and values.

    For inference in bf16 on a CPU by parts whose weights stay in the cache: plain products and `powers_of_two` run
    nearer to the machine's peak there than torch's fused attention does (3.7 against 14 ms for 960 queries, 1215 keys
    and 4 heads of 64 channels on one Zen 5 core; in fp32 the fused one is faster, 13.4 against 15.5).

    Args:
        mask: (B, 1, 1, M), added to the scores of each key: 0, or `MASKED` where it must not be attended to; None where
            all are.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or torch.is_grad_enabled():
        wide = None if mask is None else mask.expand(-1, -1, query.shape[2], -1)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=wide)
    rows = max(1, AFFINITY_LIMIT // (query.shape[0] * query.shape[1] * key.shape[2]))
    transposed = key.transpose(2, 3)
    scale = math.log2(math.e) * steps(query) * query.shape[3] ** -0.5
    parts = []
    for part in query.split(rows, dim=2):
        weights = powers_of_two(torch.matmul(part * scale, transposed))  # (B, heads, rows, M)
        if mask is not None:
            weights = weights.mul_(mask == 0)
        parts.append(torch.matmul(weights, value).div_(weights.sum(dim=3, keepdim=True)))
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
        self.reset_to_identity()

    def reset_to_identity(self) -> None:
        """Let all streams through as they are, which is how a new block starts."""
        for last in (self.output, self.feed_forward[2]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
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
        attended = attend(
            query,
            torch.cat([key, object_key.repeat_interleave(frames, 0)], dim=2),
            torch.cat([value, object_value.repeat_interleave(frames, 0)], dim=2),
            joint_mask.repeat_interleave(frames, 0),
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
        around: Around | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Test-reference correlation: test tokens attend to themselves and to the references.

        Args:
            test: (B, N, C) test tokens.
            reference_key, reference_value: (B, heads, M, C/heads), see `memory_streams`.
            grid: rows and columns of the N cells: then a token attends to averages of 2x2 of its own frame's cells,
                at a quarter of the cost; None for the cells themselves.
            around: where `test` is a region of a frame, what stands for the rest of it; then with `grid`.

        Returns:
            test tokens after the block, and keys and values of their own frame.
        """
        query, key, value = self.project(test, grid)
        if around is not None:
            key, value = around.renewed(key, value)
        attended = attend(
            query, torch.cat([key, reference_key], dim=2), torch.cat([value, reference_value], dim=2)
        )
        return self.finish(test, attended), key, value


class STML(nn.Module):
    """The stack of STML blocks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            STMLBlock(config.widths[2], config.heads, config.feed_forward_ratio)
            for _ in range(config.stml_blocks)
        )
        self.norm = nn.LayerNorm(config.widths[2])

    def encode_references(self, objects: Tensor, references: Tensor, object_valid: Tensor) -> BlockCache:
        """Run the object and reference streams through all blocks; see `STMLBlock.memory_streams`."""
        keys, values = [], []
        for block in self.blocks:
            assert isinstance(block, STMLBlock)
            objects, references, key, value = block.memory_streams(objects, references, object_valid)
            keys.append(key)
            values.append(value)
        return BlockCache(tuple(keys), tuple(values))

    def encode_test(
        self,
        test: Tensor,
        cache: BlockCache,
        grid: tuple[int, int] | None = None,
        before: BlockCache | None = None,
        region: Region | None = None,
    ) -> tuple[Tensor, BlockCache]:
        """Run the test stream, (B, N, C) tokens, through all blocks.

        Args:
            test, cache, grid: as of `STMLBlock.test_stream`.
            before: where the tokens are of a region alone, what this returned for the frame before: it stands for what
                lies beyond the region.
            region: of the tokens.

        Returns:
            the normalised tokens, and keys and values that a token finds in its own frame, of each block.
        """
        keys, values = [], []
        for number, block in enumerate(self.blocks):
            assert isinstance(block, STMLBlock)
            around = None
            if before is not None and region is not None:
                around = Around(before.keys[number], before.values[number], region)
            test, key, value = block.test_stream(test, cache.keys[number], cache.values[number], grid, around)
            keys.append(key)
            values.append(value)
        return self.norm(test), BlockCache(tuple(keys), tuple(values))
