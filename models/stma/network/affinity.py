"""Affinities, the weights of what is remembered: how they are scaled and rounded, and sums of values with them."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stma.config import AFFINITY_LIMIT, GPU_AFFINITIES
from stma.network.powers import powers_of_two, steps

HOTTEST = 120.0  # a cosine of 0.1 less then counts for nothing: 1 to 160,000

# Multiples that sizes of products are brought to in 16 bits: oneDNN takes 0.4 ms for each new size, and keeps 0.6 MB
# for good.
QUERIES = 32
CELLS = 512  # of memory

HALF_ROOM = 64.0  # fp16 ends at 65504: the sum of so many weights of 1 is a large frame's


class Temperature(nn.Module):
    """Learned positive factor of cosine similarities, kept as a logarithm."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self) -> Tensor:
        return self.logarithm.exp().clamp(max=HOTTEST)


def multiples(dtype: torch.dtype) -> tuple[int, int]:
    """Multiples that the numbers of queries and of memory cells in products are brought to, in this precision."""
    return (1, 1) if dtype == torch.float32 else (QUERIES, CELLS)


def at_once(device: torch.device) -> int:
    """Cells of affinity that a device holds at once."""
    return AFFINITY_LIMIT if device.type == "cpu" else GPU_AFFINITIES


def headroom(dtype: torch.dtype) -> float:
    """Factor by which weights are made smaller before they are summed up in this precision."""
    return HALF_ROOM if dtype == torch.float16 else 1.0


def restored(sums: Tensor, room: float) -> Tensor:
    """Float32 sums of weights that `headroom` made smaller, at their own size."""
    return sums if room == 1 else sums * room


def binary(temperature: Tensor) -> Tensor:
    """The factor whose powers of 2 are the powers of e of a temperature: exp2 takes nine tenths of the time of exp."""
    return temperature * math.log2(math.e)


def offset_channels(offset: Tensor, dtype: torch.dtype) -> Tensor:
    """Two channels for keys, whose products with queries of two ones add `offset` before anything is rounded.

    A product of 100 has steps of 0.5 in bf16; taken off afterwards, an exponent near zero would keep that error. Two,
    since the offset itself has more digits than bf16.

    Returns:
        (..., 2) of this type for offsets of any shape; gradients reach them.
    """
    high = offset.to(torch.bfloat16).to(dtype)
    return torch.stack([high, (offset.float() - high.float()).to(dtype)], dim=-1)


def with_ones(queries: Tensor) -> Tensor:
    """(..., C) queries with the two ones that `offset_channels` need, in the steps of `powers_of_two`: (..., C+2)."""
    padded, fine = functional.pad(queries, (0, 2), value=1.0), steps(queries)
    return padded if fine == 1 else padded * fine


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
