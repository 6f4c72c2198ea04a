"""The part of a frame that is looked at: where it lies, and that what is seen there is what the whole frame shows."""

import pytest
import torch

from stma.config import MODEL_CONFIGS
from stma.network.interest import Box
from stma.network.layers import to_tokens
from stma.network.region import (
    AROUND,
    BORDER,
    REACH,
    SIZE_MULTIPLE,
    Region,
    at_border,
    boxes_within,
    read_from,
    region_of_interest,
    vanished,
)
from stma.network.stml import STML

ROWS, COLUMNS = 30, 53  # cells at stride 16 of 854x480


def masks_at(*boxes: Box) -> torch.Tensor:
    masks = torch.zeros(len(boxes), ROWS, COLUMNS)
    for mask, box in zip(masks, boxes, strict=True):
        mask[box.at(1)] = 1
    return masks


@pytest.mark.parametrize(
    "boxes",
    [
        (Box(12, 15, 20, 25),),
        (Box(0, 3, 50, 53),),
        (Box(29, 30, 0, 1),),
        (Box(4, 9, 7, 12), Box(10, 14, 17, 20)),
    ],
)
def test_a_region_holds_all_objects_and_where_they_may_move(boxes: tuple[Box, ...]) -> None:
    region = region_of_interest(masks_at(*boxes))
    assert region is not None
    assert (region.height, region.width) == (ROWS, COLUMNS)
    box = region.box
    assert box.top <= max(0, min(some.top for some in boxes) - REACH + 1)
    assert box.left <= max(0, min(some.left for some in boxes) - REACH + 1)
    assert box.bottom >= min(ROWS, max(some.bottom for some in boxes) + REACH - 1)
    assert box.right >= min(COLUMNS, max(some.right for some in boxes) + REACH - 1)
    for first, last, length in ((box.top, box.bottom, ROWS), (box.left, box.right, COLUMNS)):
        assert first % 2 == 0
        assert (last - first) % SIZE_MULTIPLE == 0 or last == length


def test_the_whole_frame_is_looked_at_for_a_lost_object_and_for_large_ones() -> None:
    assert region_of_interest(masks_at(Box(12, 15, 20, 25), Box(0, 0, 0, 0))) is None
    for boxes in ((Box(2, 28, 4, 50),), (Box(2, 5, 2, 5), Box(25, 28, 48, 50))):
        region = region_of_interest(masks_at(*boxes))
        assert region is not None
        assert region.whole
        assert region.box == Box(0, ROWS, 0, COLUMNS)


def test_remembered_frames_are_read_near_a_region_and_where_the_objects_were() -> None:
    region = Region(Box(10, 18, 20, 36), ROWS, COLUMNS)
    near = Box(10 - AROUND, 18 + AROUND, 20 - AROUND, 36 + AROUND)
    assert read_from([masks_at(Box(12, 14, 22, 24))], region) == near
    away = masks_at(Box(12, 14, 22, 24), Box(0, 2, 45, 48))
    box = read_from([masks_at(Box(12, 14, 22, 24)), away], region)
    assert (box.top, box.left, box.right) == (0, near.left, 48)
    assert near.bottom <= box.bottom == 24  # one of few sizes
    assert read_from([], Region(Box(0, 8, 40, COLUMNS), ROWS, COLUMNS)) == Box(0, 16, COLUMNS - 24, COLUMNS)


def test_each_of_several_objects_has_a_box_of_its_own_in_the_region() -> None:
    objects = (Box(4, 9, 7, 12), Box(20, 24, 37, 40))
    masks = masks_at(*objects)
    region = region_of_interest(masks)
    assert region is not None
    boxes = boxes_within(masks, region)
    assert boxes is not None
    height, width = region.box.bottom - region.box.top, region.box.right - region.box.left
    for some, box in zip(objects, boxes, strict=True):
        assert 0 <= box.top <= max(0, some.top - REACH - region.box.top + 1)
        assert min(height, some.bottom - region.box.top + REACH - 1) <= box.bottom <= height
        assert 0 <= box.left <= max(0, some.left - REACH - region.box.left + 1)
        assert min(width, some.right - region.box.left + REACH - 1) <= box.right <= width
        assert box.bottom - box.top < height


def test_a_single_object_and_large_ones_are_looked_for_in_all_of_the_region() -> None:
    for boxes in ((Box(4, 9, 7, 12),), (Box(2, 28, 4, 50), Box(3, 29, 3, 48))):
        masks = masks_at(*boxes)
        region = region_of_interest(masks)
        assert region is not None
        assert boxes_within(masks, region) is None


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_maps_of_a_region_keep_their_place(factor: int) -> None:
    region = Region(Box(2, 10, 4, 12), 12, 15)
    part = torch.rand(1, 3, 8 * factor, 8 * factor)
    whole = region.placed(part, fill=-2.0)
    assert whole.shape == (1, 3, 12 * factor, 15 * factor)
    assert torch.equal(region.part(whole), part)
    assert (whole == -2.0).sum() == whole.numel() - part.numel()
    old = torch.rand(1, 3, 12 * factor, 15 * factor)
    new = region.renewed(old, part)
    assert torch.equal(region.part(new), part)
    assert (new != old).sum() == part.numel()


def test_an_object_near_to_the_border_of_a_region_may_go_on_beyond() -> None:
    region = Region(Box(0, 16, 8, 24), ROWS, COLUMNS)
    assert not at_border(
        masks_at(Box(0, 16 - BORDER, 8 + BORDER, 24 - BORDER)), region
    )  # the frame ends above
    assert at_border(masks_at(Box(4, 16, 12, 14)), region)
    assert at_border(masks_at(Box(4, 6, 8, 14)), region)
    assert at_border(masks_at(Box(4, 6, 12, 14), Box(8, 9, 23, 24)), region)


def test_one_of_several_objects_may_vanish() -> None:
    masks = masks_at(Box(5, 7, 10, 12), Box(12, 14, 16, 18))
    assert not vanished(masks)
    masks[1] *= 0.4
    assert vanished(masks)


def test_an_object_near_to_the_border_of_its_own_box_may_go_on_beyond() -> None:
    region = Region(Box(2, 18, 8, 24), ROWS, COLUMNS)
    masks = masks_at(Box(5, 7, 10, 12), Box(12, 14, 16, 18))
    assert not at_border(masks, region, (Box(0, 8, 0, 8), Box(8, 16, 4, 12)))
    assert at_border(masks, region, (Box(0, 8, 0, 8), Box(8, 16, 8, 16))), "the second begins left of its box"
    assert at_border(masks, region, (Box(0, 5, 0, 8), Box(8, 16, 4, 12))), "the first ends in its last row"


def test_a_region_is_understood_as_within_its_frame() -> None:
    torch.manual_seed(4)
    stml = STML(MODEL_CONFIGS["tiny"]).double().eval().requires_grad_(False)
    for parameter in stml.parameters():
        parameter.copy_(torch.randn_like(parameter) / 4)
    width = MODEL_CONFIGS["tiny"].widths[2]
    frame = torch.randn(1, width, 12, 15, dtype=torch.float64)
    objects, references = torch.randn(1, 2, width).double(), torch.randn(1, 1, 9, width).double()
    cache = stml.encode_references(objects, references, torch.ones(1, 2, dtype=torch.bool))
    whole, own = stml.encode_test(to_tokens(frame), cache, (12, 15))
    region = Region(Box(2, 10, 4, 15), 12, 15)
    other = stml.encode_test(to_tokens(torch.randn_like(frame)), cache, (12, 15))[1]
    expected = region.part(whole.view(1, 12, 15, width).permute(0, 3, 1, 2))
    for before, alike in ((own, True), (other, False)):
        part, renewed = stml.encode_test(to_tokens(region.part(frame)), cache, (8, 11), before, region)
        found = part.view(1, 8, 11, width).permute(0, 3, 1, 2)
        assert torch.allclose(found, expected) == alike
        assert renewed.keys[0].shape == own.keys[0].shape
    torch.testing.assert_close(
        renewed.keys[0].unflatten(2, (6, 8))[:, :, 1:5, 2:], own.keys[0].unflatten(2, (6, 8))[:, :, 1:5, 2:]
    )
