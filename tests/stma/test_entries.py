"""Entries of a part of a frame as entries of the whole."""

import torch

from stma.network.entries import MemoryEntry
from stma.network.interest import Box
from stma.network.region import Region


def entry(rows: int, columns: int, mark: float) -> MemoryEntry:
    cells = rows * columns
    return MemoryEntry(
        tokens=torch.full((1, cells, 8), mark),
        key=torch.full((1, cells, 6), mark),
        value=torch.full((1, cells, 2, 5), mark),
        mask=torch.full((1, 2, rows, columns), mark),
        label_key=torch.full((1, 4 * cells, 6), mark),
        label_mask=torch.full((1, 2, 4 * cells), mark),
        certainty=torch.full((1, cells), mark),
        label_certainty=torch.full((1, 4 * cells), mark),
    )


def test_an_entry_of_a_region_is_new_there_and_that_of_the_frame_before_beyond() -> None:
    region = Region(Box(2, 6, 4, 10), 8, 12)
    placed = entry(4, 6, 2.0).placed(region, entry(8, 12, 1.0), None)
    maps = (
        placed.mask,
        placed.label_key.unflatten(1, (16, 24)).permute(0, 3, 1, 2),
        placed.label_mask.unflatten(2, (16, 24)),
        placed.label_certainty.unflatten(1, (16, 24)),
    )
    for one in maps:
        assert region.part(one).eq(2).all()
        assert one.sum() == one.numel() + region.part(one).numel()
    assert placed.key.shape == (1, 24, 6), "the ID association reads the region's cells alone"
    every = torch.full((1, 6, 16, 24), 3.0)
    whole = entry(4, 6, 2.0).placed(region, entry(8, 12, 1.0), every)
    assert whole.label_key.eq(3).all(), "keys of the whole frame are new everywhere"
