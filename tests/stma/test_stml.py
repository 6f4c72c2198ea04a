"""Properties of the STML blocks that need neither data nor training."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from stma.config import MODEL_CONFIGS
from stma.network.stml import MASKED, STML, STMLBlock, attend

TINY = MODEL_CONFIGS["tiny"]


@pytest.fixture
def block() -> STMLBlock:
    torch.manual_seed(0)
    block = STMLBlock(32, heads=2, feed_forward_ratio=2).double().eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block


@pytest.fixture
def stml() -> STML:
    torch.manual_seed(0)
    stml = STML(replace(TINY, stml_blocks=3)).double().eval()
    for parameter in stml.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return stml


def streams(objects: int = 3, references: int = 2, cells: int = 12) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(5)
    shape = dict(generator=generator, dtype=torch.float64)
    return (
        torch.randn(2, objects, 32, **shape),
        torch.randn(2, references, cells, 32, **shape),
        torch.randn(2, cells, 32, **shape),
    )


def test_decoupled_block_equals_one_masked_attention(block: STMLBlock) -> None:
    objects, references, test = streams()
    valid = torch.ones(2, 3, dtype=torch.bool)
    new_objects, new_references, key, value = block.memory_streams(objects, references, valid)
    new_test, *_ = block.test_stream(test, key, value)

    joint = torch.cat([objects, references.flatten(1, 2), test], dim=1)
    owner = torch.tensor([0] * 3 + [1] * 12 + [2] * 12 + [3] * 12)  # objects, two references, test
    allowed = owner[:, None] == owner[None, :]
    allowed |= ((owner == 1) | (owner == 2))[:, None] & (owner == 0)[None, :]  # references see objects
    allowed |= (owner == 3)[:, None] & ((owner == 1) | (owner == 2))[
        None, :
    ]  # the test frame sees references
    query, joint_key, joint_value = block.project(joint)
    attended = functional.scaled_dot_product_attention(query, joint_key, joint_value, attn_mask=allowed)
    expected = block.finish(joint, attended)

    got = torch.cat([new_objects, new_references.flatten(1, 2), new_test], dim=1)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_pooled_cells_are_averages_of_the_test_frames_own(block: STMLBlock) -> None:
    objects, references, _ = streams()
    test = streams(cells=15)[2]  # 3 x 5 cells: the last row and column have no partner
    *_, key, value = block.memory_streams(objects, references, torch.ones(2, 3, dtype=torch.bool))
    query, own_key, own_value = (x.unflatten(2, (3, 5)) for x in block.project(test))
    rows, columns = (slice(0, 2), slice(2, 3)), (slice(0, 2), slice(2, 4), slice(4, 5))
    pooled_key, pooled_value = (
        torch.stack([x[:, :, r, c].mean((2, 3)) for r in rows for c in columns], dim=2)
        for x in (own_key, own_value)
    )
    attended = functional.scaled_dot_product_attention(
        query.flatten(2, 3), torch.cat([pooled_key, key], dim=2), torch.cat([pooled_value, value], dim=2)
    )
    got, *_ = block.test_stream(test, key, value, grid=(3, 5))
    torch.testing.assert_close(got, block.finish(test, attended))


def test_cached_references_equal_recomputed_ones(stml: STML) -> None:
    objects, references, test = streams()
    valid = torch.ones(2, 3, dtype=torch.bool)
    cache = stml.encode_references(objects, references, valid)
    from_cache, _ = stml.encode_test(test, cache)

    streams_now = (objects, references)
    current = test
    for block in stml.blocks:
        new_objects, new_references, key, value = block.memory_streams(*streams_now, valid)
        current, *_ = block.test_stream(current, key, value)
        streams_now = (new_objects, new_references)
    torch.testing.assert_close(from_cache, stml.norm(current))


def test_information_flows_one_way(stml: STML) -> None:
    objects, references, test = (x.requires_grad_() for x in streams())
    valid = torch.ones(2, 3, dtype=torch.bool)
    first = stml.blocks[0]
    new_objects, new_references, key, value = first.memory_streams(objects, references, valid)
    assert torch.autograd.grad(new_objects.sum(), references, retain_graph=True, allow_unused=True)[0] is None
    assert torch.autograd.grad(new_references.sum(), test, retain_graph=True, allow_unused=True)[0] is None
    one_block, *_ = first.test_stream(test, key, value)
    reached = torch.autograd.grad(one_block.square().sum(), objects, retain_graph=True, allow_unused=True)[0]
    assert reached is None or not reached.any(), "objects reach the test frame only through the references"
    final, _ = stml.encode_test(test, stml.encode_references(objects, references, valid))
    assert torch.autograd.grad(final.square().sum(), objects)[0].abs().sum() > 0


def test_padded_tokens_change_nothing(stml: STML) -> None:
    objects, references, test = streams()
    valid = torch.ones(2, 3, dtype=torch.bool)
    padded = torch.cat([objects, torch.full((2, 2, 32), 7.0, dtype=torch.float64)], dim=1)
    padded_valid = torch.cat([valid, torch.zeros(2, 2, dtype=torch.bool)], dim=1)
    alone, _ = stml.encode_test(test, stml.encode_references(objects, references, valid))
    among, _ = stml.encode_test(test, stml.encode_references(padded, references, padded_valid))
    torch.testing.assert_close(alone, among)


@pytest.mark.parametrize("limit", [1 << 20, 700])
def test_attention_by_parts_is_fused_attention(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stma.network.stml.AFFINITY_LIMIT", limit)
    generator = torch.Generator().manual_seed(5)
    query, key, value = (torch.randn(2, 2, n, 8, generator=generator).bfloat16() for n in (37, 29, 29))
    with torch.inference_mode():
        found = attend(query, key, value)
    expected = functional.scaled_dot_product_attention(query.float(), key.float(), value.float())
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_masked_key_is_not_attended_to(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(6)
    query, key, value = (torch.randn(2, 2, n, 8, generator=generator).to(dtype) for n in (5, 29, 29))
    masked = torch.arange(29).view(1, 1, 1, 29).expand(2, -1, -1, -1) >= 21
    with torch.inference_mode():
        found = attend(query, key, value, torch.zeros(2, 1, 1, 29, dtype=dtype).masked_fill(masked, MASKED))
        expected = attend(query, key[:, :, :21], value[:, :, :21])
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
