"""The part of a frame that is looked at: where it lies, and that what is seen there is what the whole frame shows."""

import pytest
import torch

from stma.config import MODEL_CONFIGS
from stma.network.interest import Box
from stma.network.layers import to_tokens
from stma.network.region import BORDER, REACH, STEP, Region, at_border, region_of_interest
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
        assert (last - first) % STEP == 0 or last == length


def test_the_whole_frame_is_looked_at_for_a_lost_object_and_for_large_ones() -> None:
    assert region_of_interest(masks_at(Box(12, 15, 20, 25), Box(0, 0, 0, 0))) is None
    assert region_of_interest(masks_at(Box(2, 28, 4, 50))) is None
    assert region_of_interest(masks_at(Box(2, 5, 2, 5), Box(25, 28, 48, 50))) is None


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
