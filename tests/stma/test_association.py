"""What the memory says: ID association and label propagation, on keys and masks made by hand."""

import copy

import numpy as np
import pytest
import torch
from tiny_network import tiny_network
from torch.nn import functional

from stma.config import MODEL_CONFIGS, tile_side
from stma.network.affinity import HOTTEST, weighted_sums
from stma.network.association import IDAssociation, with_known
from stma.network.label_propagation import LabelEntry
from stma.network.model import STMA
from stma.network.windows import by_strips, unfolded

TINY = MODEL_CONFIGS["tiny"]


@pytest.fixture(scope="module")
def model() -> STMA:
    return tiny_network()


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
    monkeypatch.setattr("stma.network.affinity.AFFINITY_LIMIT", limit)
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


def test_long_affinities_are_computed_in_parts(model: STMA, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.label_propagation(label_query(), [label_entry()]).masks
    monkeypatch.setattr("stma.network.affinity.AFFINITY_LIMIT", 5 * 17 * 20)
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
