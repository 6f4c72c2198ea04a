"""Properties of the network that need neither data nor training."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from stma.config import MODEL_CONFIGS, tile_side
from stma.device import Precision
from stma.network.association import HOTTEST, IDAssociation, LabelEntry, weighted_sums, with_known
from stma.network.decoder import soft_aggregation
from stma.network.entries import join_entries
from stma.network.model import STMA
from stma.network.soft_masks import certainty_of, masks_from_logits, sharpen_foreground
from stma.network.stml import MASKED, STML, STMLBlock, attend
from stma.network.windows import by_strips, unfolded

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


@pytest.fixture(scope="module")
def model() -> STMA:
    torch.manual_seed(1)
    model = STMA(TINY).eval().requires_grad_(False)
    for parameter in model.stml.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


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


def run_two_frames(
    model: STMA, frames: torch.Tensor, masks: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    features = model.embed(frames)
    entry = model.remember_first(features.frames(0, 1), masks, valid)
    test = model.encode_test(features.frames(1, 2), model.encode_references([entry], valid[:, None]))
    logits = model.decode(test, model.read(test, join_entries([entry]))).logits
    return masks_from_logits(logits, valid)[1]


def two_frames() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    frames = 255 * torch.rand(2, 3, 64, 96, generator=generator)
    masks = torch.zeros(1, 3, 16, 24)
    masks[0, 0, 2:8, 2:8] = 1
    masks[0, 1, 6:14, 10:16] = 1
    masks[0, 2, 1:5, 17:23] = 1
    return frames, masks


def test_padded_objects_change_nothing(model: STMA) -> None:
    frames, masks = two_frames()
    alone = run_two_frames(model, frames, masks[:, :2], torch.ones(1, 2, dtype=torch.bool))
    padded = torch.cat([masks[:, :2], torch.zeros(1, 1, 16, 24)], dim=1)
    among = run_two_frames(model, frames, padded, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(among[:, :2], alone, rtol=1e-4, atol=1e-5)
    assert not among[:, 2].gt(1e-5).any()


def test_permuted_objects_permute_the_masks(model: STMA) -> None:
    frames, masks = two_frames()
    valid = torch.ones(1, 3, dtype=torch.bool)
    order = [2, 0, 1]
    straight = run_two_frames(model, frames, masks, valid)
    permuted = run_two_frames(model, frames, masks[:, order], valid)
    torch.testing.assert_close(permuted, straight[:, order], rtol=1e-4, atol=1e-5)


def test_soft_aggregation_is_a_distribution() -> None:
    probabilities = torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    distribution = soft_aggregation(probabilities).softmax(dim=1)
    torch.testing.assert_close(distribution.sum(1), torch.ones(2, 5, 6))
    assert soft_aggregation(torch.zeros(1, 3, 2, 2)).argmax(1).eq(0).all()


def test_soft_aggregation_weighs_by_odds_and_leaves_to_the_background_what_no_object_claims() -> None:
    claims = torch.tensor([0.28, 0.3, 0.6])  # (1 - 0.3) (1 - 0.6), and the objects
    odds = claims / (1 - claims)
    found = soft_aggregation(claims[1:].view(1, 2, 1, 1)).softmax(dim=1)
    torch.testing.assert_close(found.flatten(), odds / odds.sum())


@pytest.mark.parametrize("sharpness", [1.0, 1.5, 4.0])
def test_sharpening_decides_the_foreground_and_keeps_the_shares_of_it(sharpness: float) -> None:
    masks = torch.tensor([[0.0, 0.1, 0.25, 0.4, 0.6, 1.0], [0.0, 0.2, 0.25, 0.4, 0.0, 0.0]]).view(1, 2, 1, 6)
    sharp = sharpen_foreground(masks, sharpness)
    before, after = masks.sum(1).flatten(), sharp.sum(1).flatten()
    odds = before / (1 - before)
    torch.testing.assert_close(after[:5], (odds**sharpness / (1 + odds**sharpness))[:5])
    assert after[0] == 0
    assert after[5] == 1
    visible = before > 0
    torch.testing.assert_close(
        (sharp[0, 0] / sharp.sum(1)[0]).flatten()[visible], (masks[0, 0] / masks.sum(1)[0]).flatten()[visible]
    )


def test_sharpening_stays_finite_without_objects_and_above_one() -> None:
    assert sharpen_foreground(torch.zeros(1, 0, 2, 2), 2.0).shape == (1, 0, 2, 2)
    over = sharpen_foreground(torch.full((1, 1, 2, 2), 1 + 1e-6), 2.0)  # sums of a softmax round so
    torch.testing.assert_close(over, torch.ones(1, 1, 2, 2))


def test_preparing_for_inference_keeps_the_embedding() -> None:
    torch.manual_seed(2)
    model = STMA(TINY)
    model.train()
    for _ in range(3):
        model.embed(255 * torch.rand(2, 3, 32, 48))  # moves the running statistics away from their start
    model.eval()
    frames = 255 * torch.rand(1, 3, 32, 48)
    before = model.embed(frames)
    model.prepare(torch.device("cpu"), Precision("fp32", torch.float32))
    after = model.embed(frames)
    torch.testing.assert_close(after.stride16, before.stride16, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.label_key, before.label_key, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())


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


def label_entry(window: int | None = None) -> LabelEntry:
    keys = functional.normalize(
        torch.randn(1, 17 * 20, 16, generator=torch.Generator().manual_seed(1)), dim=2
    )
    return LabelEntry(keys, torch.rand(1, 2, 17 * 20, generator=torch.Generator().manual_seed(2)), window)


def label_query() -> torch.Tensor:
    return functional.normalize(torch.randn(1, 16, 17, 20, generator=torch.Generator().manual_seed(3)), dim=1)


@pytest.mark.parametrize("unlikeness", [0.13, 0.9])
def test_label_propagation_is_one_softmax_over_all_entries_and_background(
    model: STMA, unlikeness: float
) -> None:
    propagation = copy.deepcopy(model.label_propagation)
    propagation.unlikeness.fill_(unlikeness)
    query, first, second = label_query(), label_entry(), label_entry()
    second = LabelEntry(second.key.flip(1), second.mask)
    keys, masks = torch.cat([first.key, second.key], dim=1), torch.cat([first.mask, second.mask], dim=2)
    similarity = query.flatten(2).transpose(1, 2) @ keys.transpose(1, 2)
    similarity = functional.pad(similarity, (0, 1), value=1 - unlikeness)  # the cell that is background
    weights = (similarity * propagation.temperature()).softmax(dim=2)[..., :-1]
    expected = (weights @ masks.transpose(1, 2)).transpose(1, 2).view(1, 2, 17, 20)
    torch.testing.assert_close(propagation(query, [first, second]).masks, expected)


def test_what_looks_like_nothing_remembered_is_background(model: STMA) -> None:
    query, entry = label_query(), label_entry()
    everywhere = LabelEntry(entry.key, torch.ones_like(entry.mask))
    strange = model.label_propagation(query, [everywhere]).masks
    same = model.label_propagation(
        query, [LabelEntry(query.flatten(2).transpose(1, 2).contiguous(), everywhere.mask)]
    ).masks
    assert strange.max() < same.min()
    assert same.min() > 0.5


def test_annotated_frames_are_told_apart(model: STMA) -> None:
    query, first, second = label_query(), label_entry(), label_entry()
    drifted = LabelEntry(second.key.flip(1), second.mask, annotated=False)
    alone, both = model.label_propagation(query, [first]), model.label_propagation(query, [first, drifted])
    torch.testing.assert_close(both.annotated, alone.masks)
    assert not torch.allclose(both.masks, alone.masks)
    torch.testing.assert_close(both.match[:, :, 0], alone.match[:, :, 0])
    assert (both.match[:, :, 1] > alone.match[:, :, 1]).all(), (
        "nothing is recent when the first alone is there"
    )


def test_the_newest_frame_is_told_apart_and_counts_with_the_rest(model: STMA) -> None:
    query, first, second = label_query(), label_entry(), label_entry()
    newest = LabelEntry(second.key.flip(1), second.mask, window=2, annotated=False, newest=True)
    alone = model.label_propagation(query, [LabelEntry(newest.key, newest.mask, window=2)])
    both = model.label_propagation(query, [first, newest])
    torch.testing.assert_close(both.newest, alone.masks)
    torch.testing.assert_close(both.match[:, :, 2], alone.match[:, :, 0])
    torch.testing.assert_close(both.match[:, :, 1], both.match[:, :, 2])
    torch.testing.assert_close(both.annotated, model.label_propagation(query, [first]).masks)
    assert not torch.allclose(both.masks, both.annotated)


def test_several_memories_are_read_as_one() -> None:
    generator = torch.Generator().manual_seed(0)
    query, *keys = (
        torch.nn.functional.normalize(torch.randn(2, 30, 8, generator=generator), dim=2) for _ in range(4)
    )
    values = [with_known(torch.randn(2, 30, 2, 5, generator=generator)) for _ in keys]
    apart = weighted_sums(query, keys, values, torch.tensor(20.0))
    joined = weighted_sums(query, [torch.cat(keys, 1)], [torch.cat(values, 1)], torch.tensor(20.0))
    torch.testing.assert_close(apart, joined)


@pytest.mark.parametrize("limit", [1 << 20, 7 * 30])
def test_objects_are_read_for_their_own_rows_alone(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stma.network.windows.AFFINITY_LIMIT", limit)
    generator = torch.Generator().manual_seed(2)
    query, *keys = (
        torch.nn.functional.normalize(torch.randn(1, 30, 8, generator=generator), dim=2) for _ in range(3)
    )
    values = [with_known(torch.randn(1, 30, 3, 5, generator=generator)) for _ in keys]
    rows = [np.array([0, 5, 6, 7, 29]), np.arange(30), np.array([13])]
    every = weighted_sums(query, keys, values, torch.tensor(20.0))
    some = weighted_sums(query, keys, values, torch.tensor(20.0), rows=rows)
    read = torch.zeros(1, 30, 3, 1)
    for number, own in enumerate(rows):
        read[:, own, number] = 1
    torch.testing.assert_close(some, every * read)


def test_cells_without_a_value_of_an_object_do_not_count_for_it() -> None:
    generator = torch.Generator().manual_seed(3)
    association = IDAssociation(TINY).eval()
    query, key = (
        torch.nn.functional.normalize(torch.randn(1, n, TINY.key_width, generator=generator), dim=2)
        for n in (4, 30)
    )
    value = torch.randn(1, 30, 2, 5, generator=generator)
    known = torch.ones(1, 30, 2)
    known[:, 10:, 1] = 0  # of the second object
    found = association(query, [key], [with_known(value * known[..., None], known)])
    everywhere = association(query, [key], [with_known(value)])
    first_cells = association(query, [key[:, :10]], [with_known(value[:, :10])])
    torch.testing.assert_close(found[:, :, 0], everywhere[:, :, 0])
    torch.testing.assert_close(found[:, :, 1], first_cells[:, :, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memories_count_by_their_certainty(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    query, *keys = (
        torch.nn.functional.normalize(torch.randn(2, 30, 8, generator=generator), dim=2).to(dtype)
        for _ in range(3)
    )
    values = [torch.randn(2, 30, 1, 5, generator=generator).to(dtype) for _ in keys]
    certainties = [torch.rand(2, 30, generator=generator) + 1e-6 for _ in keys]
    found = weighted_sums(query, keys, [with_known(some) for some in values], torch.tensor(6.0), certainties)
    sums, weights = found[:, :, 0].split([5, 1], dim=2)
    exact, counted = torch.zeros(2, 30, 5), torch.zeros(2, 30, 1)
    for key, value, certainty in zip(keys, values, certainties, strict=True):
        alike = torch.exp(6 * (query.float() @ key.float().transpose(1, 2) - 1)) * certainty[:, None]
        exact += alike @ value[:, :, 0].float()
        counted += alike.sum(2, keepdim=True)
    close = {} if dtype == torch.float32 else {"rtol": 0.03, "atol": 0.03}
    torch.testing.assert_close(sums, exact, **close)
    torch.testing.assert_close(weights, counted, **close)


def test_labels_come_from_certain_cells(model: STMA) -> None:
    key = torch.zeros(1, 2, 16)
    key[..., 0] = 1  # two cells that look alike
    query = key[:, :1].transpose(1, 2)[..., None]  # (1, 16, 1, 1)
    masks = torch.tensor([[[1.0, 0.0]]])
    for certainty, expected in (([1.0, 0.01], 0.99), ([0.01, 1.0], 0.01), ([0.5, 0.5], 0.5)):
        entry = LabelEntry(key, masks, certainty=torch.tensor([certainty]))
        found = model.label_propagation(query, [entry], sharpness=5.0).masks.item()
        assert found == pytest.approx(expected, abs=0.005)


def test_what_was_a_guess_is_less_certain_and_never_quite_nothing() -> None:
    masks = torch.tensor([[0.0, 0.5, 0.25, 0.9, 0.5], [0.0, 0.0, 0.25, 0.0, 0.5]]).view(1, 2, 1, 5)
    certainty = certainty_of(masks.requires_grad_(), 4.0)
    assert not certainty.requires_grad
    torch.testing.assert_close(certainty.flatten(), torch.tensor([1.0, 1e-6, 1e-6, 0.8**4, 1.0]))
    assert certainty.gt(0).all(), "its logarithm is finite"
    assert certainty_of(masks, 0.0).eq(1).all()
    assert certainty_of(torch.zeros(1, 0, 2, 2), 4.0).eq(1).all(), "without objects all is background"


def test_long_affinities_are_computed_in_parts(model: STMA, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.label_propagation(label_query(), [label_entry()]).masks
    monkeypatch.setattr("stma.network.windows.AFFINITY_LIMIT", 5 * 17 * 20)
    torch.testing.assert_close(model.label_propagation(label_query(), [label_entry()]).masks, whole)


def test_window_bounds_how_far_labels_travel(model: STMA) -> None:
    query, entry = label_query(), label_entry(window=19)
    torch.testing.assert_close(
        model.label_propagation(query, [entry]).masks, model.label_propagation(query, [label_entry()]).masks
    )  # from a tile at the border, 19 cells reach everything
    mask = torch.zeros(1, 1, 17, 20)
    mask[0, 0, 0, 0] = 1
    near = model.label_propagation(query, [LabelEntry(entry.key, mask.flatten(2), window=2)]).masks[0, 0]
    assert (near[:8, :8] > 0).all(), "the tile of the cell"
    assert not near[8 + 2 :].any()
    assert not near[:, 8 + 2 :].any()


@pytest.mark.parametrize("window", [2, 9, 20])
def test_strips_and_unfolded_windows_give_the_sums_of_a_masked_affinity(window: int) -> None:
    generator = torch.Generator().manual_seed(4)
    height, width = 53, 47
    query = functional.normalize(torch.randn(2, 8, height, width, generator=generator), dim=1)
    keys = [
        functional.normalize(torch.randn(2, height * width, 8, generator=generator), dim=2) for _ in range(2)
    ]
    values = [torch.rand(2, 3, height * width, generator=generator) for _ in range(2)]
    certainties = [torch.rand(2, height * width, generator=generator) + 1e-6 for _ in range(2)]
    temperature = torch.tensor(9.0)

    def near(side: int) -> torch.Tensor:
        cell = torch.arange(side)
        first = cell // tile_side(window) * tile_side(window)  # of the query's tile
        return (cell >= first[:, None] - window) & (cell < first[:, None] + tile_side(window) + window)

    rows, columns = near(height), near(width)
    allowed = (rows[:, None, :, None] & columns[None, :, None, :]).flatten(2).flatten(0, 1)
    expected = torch.zeros(2, 3, height * width)
    for key, value, certainty in zip(keys, values, certainties, strict=True):
        cosine = query.flatten(2).transpose(1, 2) @ key.transpose(1, 2)
        weights = torch.exp(temperature * (cosine - 1)) * allowed  # (B, query, memory)
        expected += (value * certainty[:, None]) @ weights.transpose(1, 2)
    for way in (by_strips, unfolded):
        sums = way(query, keys, values, certainties, temperature, window)
        torch.testing.assert_close(sums.flatten(2), expected, rtol=1e-4, atol=1e-6)


def test_strips_read_for_the_wanted_cells_alone() -> None:
    generator = torch.Generator().manual_seed(5)
    query = functional.normalize(torch.randn(1, 8, 40, 50, generator=generator), dim=1)
    keys = [functional.normalize(torch.randn(1, 2000, 8, generator=generator), dim=2) for _ in range(2)]
    values = [torch.rand(1, 3, 2000, generator=generator) for _ in range(2)]
    certainties = [torch.rand(1, 2000, generator=generator) + 1e-6 for _ in range(2)]
    wanted = np.zeros((40, 50), dtype=bool)
    wanted[5:20, 12:18] = True  # of four tiles
    wanted[39, 49] = True
    every = by_strips(query, keys, values, certainties, torch.tensor(9.0), 20)
    some = by_strips(query, keys, values, certainties, torch.tensor(9.0), 20, wanted)
    torch.testing.assert_close(some, every * torch.from_numpy(wanted))
    nowhere = np.zeros_like(wanted)
    assert not by_strips(query, keys, values, certainties, torch.tensor(9.0), 20, nowhere).any()


def test_sums_stay_finite_in_fp16() -> None:
    cells = 70_000  # more than the largest number of fp16, as many as a 4K frame has twice
    key = torch.zeros(1, cells, 4, dtype=torch.float16)
    key[..., 0] = 1
    sums = weighted_sums(key[:, :3], [key], [torch.ones_like(key)[:, :, None]], torch.tensor(30.0).half())
    torch.testing.assert_close(sums, torch.full((1, 3, 1, 4), float(cells)), rtol=1e-2, atol=0)
    query = key[:, :256].transpose(1, 2).unflatten(2, (16, 16))
    certain = torch.ones(1, 256)
    near = unfolded(
        query, [key[:, :256]], [torch.ones(1, 2, 256)], [certain], torch.tensor(30.0).half(), window=3
    )
    assert near.dtype == torch.float32
    assert near.isfinite().all()
    assert near.max() == pytest.approx(11 * 11, rel=0.02)  # cut off at the border


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_hottest_temperature_stays_in_range_on_a_flat_frame(dtype: torch.dtype) -> None:
    key = torch.zeros(1, 70 * 70, 4, dtype=dtype)
    key[..., 0] = 1  # every cell looks the same: as many weights of 1 as a window has cells
    query = key.transpose(1, 2).unflatten(2, (70, 70))
    hottest, certain = torch.tensor(HOTTEST).to(dtype), torch.ones(1, 70 * 70)
    sums = by_strips(query, [key] * 6, [torch.ones(1, 2, 70 * 70)] * 6, [certain] * 6, hottest, 32)
    assert sums.isfinite().all()
    assert sums.max() == pytest.approx(6 * 70 * 70, rel=0.05)
    faint = torch.zeros_like(key)
    faint[..., 0], faint[..., 1] = 0.8, 0.6
    sums = by_strips(query, [faint], [torch.ones(1, 1, 70 * 70)], [certain], hottest, 32)
    assert (sums > 0).all(), "the best match counts, however faint"


class NoWaiting(TorchDispatchMode):
    """Raises where an operation makes the host wait for a value of the device."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, given: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        waits = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique2"}
        assert operation.overloadpacket.__name__ not in waits, f"{operation} waits for the device"
        return operation(*given, **(named or {}))


def test_a_step_never_makes_the_host_wait(model: STMA) -> None:
    frames, masks = two_frames()
    valid = torch.ones(1, 3, dtype=torch.bool)
    with NoWaiting():
        features = model.embed(frames)
        entry = model.remember_first(features.frames(0, 1), masks, valid)
        test = model.encode_test(features.frames(1, 2), model.encode_references([entry], valid[:, None]))
        near = LabelEntry(entry.label_key, entry.label_mask, window=3)
        readout = model.read(test, join_entries([entry], [near]))
        decoded = model.decode(test, readout)
        masks = masks_from_logits(decoded.logits)[1]
        model.judge(decoded, masks, readout)
        model.remember(test, masks, readout)
