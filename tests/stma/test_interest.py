"""Regions of interest: an object is looked for where it may be, and its mask there is what it is on the whole frame."""

import numpy as np
import pytest
import torch
from colour_network import colour_network

from stma.config import MODEL_CONFIGS, SegmenterConfig
from stma.network.decoder import NOWHERE, Decoder, DecoderContext
from stma.network.embedding import Features
from stma.network.interest import MARGIN, Box, boxes_of_interest, covered
from stma.network.label_propagation import PropagatedLabels
from stma.network.memory_encoder import MemoryEncoder
from stma.segmenter import Segmenter
from stma.synthetic import SyntheticScene
from stma.weights import load_model

TINY = MODEL_CONFIGS["tiny"]
ROWS, COLUMNS = 12, 15  # cells at stride 16
SEEN8, SEEN4 = 5, 8  # cells at stride 8 that maps at strides 8 and 4 depend on, around their own


def test_an_object_may_be_where_the_readout_finds_it_and_where_it_was() -> None:
    coarse, newest = torch.full((3, ROWS, COLUMNS), -9.0), torch.zeros(3, ROWS, COLUMNS)
    coarse[0, 5, 6] = 1.0
    newest[0, 5, 9] = 0.5
    newest[1, 0, 14] = 1.0  # at the border
    boxes = boxes_of_interest(coarse, newest)
    assert boxes == (
        Box(5 - MARGIN, 7 + MARGIN, 6 - MARGIN, 10 + MARGIN),  # of 5 rows 6: sides are even
        Box(0, 2 + MARGIN, 13 - MARGIN, COLUMNS),
        Box(0, ROWS, 0, COLUMNS),  # it is nowhere, so it is looked for everywhere
    )
    cells = covered(boxes[:2], 2 * ROWS, 2 * COLUMNS, 2)
    assert cells[2 * 5, 2 * 6]
    assert cells[0, 2 * COLUMNS - 1]
    assert not cells[-1].any()


def test_an_object_is_looked_for_where_it_was_on_the_frame_before(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def noted(coarse: torch.Tensor, newest: torch.Tensor) -> tuple[Box, ...]:
        seen.append(newest)
        return boxes_of_interest(coarse, newest)

    monkeypatch.setattr("stma.network.model.boxes_of_interest", noted)
    config = SegmenterConfig(size=None, device="cpu", precision="fp32")
    segmenter, scene = Segmenter(colour_network(), config), SyntheticScene(96, 128, 1)
    segmenter.step(*scene.frame(0))
    segmenter.step(scene.frame(1)[0])
    before = segmenter.bank.newest(2)
    assert before is not None
    segmenter.step(scene.frame(2)[0])
    torch.testing.assert_close(seen[-1], before.mask[0])
    assert not torch.equal(before.mask, segmenter.bank.entries[0].entry.mask)


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(3)
    decoder = Decoder(TINY).eval().requires_grad_(False)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return decoder


def test_within_a_box_an_object_is_decoded_as_on_the_whole_frame(decoder: Decoder) -> None:
    generator = torch.Generator().manual_seed(6)

    def maps(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    wide, thin, objects = TINY.decoder_width, TINY.decoder_width // 2, 3
    context = DecoderContext(
        maps(1, wide, ROWS, COLUMNS),
        maps(1, wide, 2 * ROWS, 2 * COLUMNS),
        maps(1, thin, 4 * ROWS, 4 * COLUMNS),
    )
    draft = decoder.draft(context, maps(1, objects, TINY.value_width, ROWS, COLUMNS))
    labels = PropagatedLabels(
        *(maps(1, objects, 2 * ROWS, 2 * COLUMNS) for _ in range(3)),
        match=maps(1, objects, 3, 2 * ROWS, 2 * COLUMNS),
    )
    whole = decoder(context, draft, labels)
    boxes = (Box(0, ROWS, 0, COLUMNS), Box(1, 11, 3, 13), Box(4, 6, 0, 3))
    parts = decoder.within(context, draft, labels, boxes)
    assert parts.logits.shape == whole.logits.shape
    torch.testing.assert_close(parts.logits[:, 0], whole.logits[:, 0])
    torch.testing.assert_close(parts.stride8[0], whole.stride8[0])
    inner8 = slice(2 + SEEN8, 22 - SEEN8), slice(6 + SEEN8, 26 - SEEN8)
    inner4 = slice(2 * (2 + SEEN4), 2 * (22 - SEEN4)), slice(2 * (6 + SEEN4), 2 * (26 - SEEN4))
    torch.testing.assert_close(parts.stride8[1][:, *inner8], whole.stride8[1][:, *inner8])
    torch.testing.assert_close(parts.logits[0, 1][inner4], whole.logits[0, 1][inner4])
    outside = parts.logits[0, 1].clone()
    outside[boxes[1].at(4)] = NOWHERE
    assert outside.eq(NOWHERE).all()
    assert not parts.stride8[2][:, 12:].any()


NEAR = (Box(0, ROWS, 0, COLUMNS), Box(1, 11, 3, 13))


def inside(seen: int) -> tuple[slice, slice]:
    """What of the second of these boxes does not see its border, which is so many cells at stride 16 away."""
    box = NEAR[1]
    return Box(box.top + seen, box.bottom - seen, box.left + seen, box.right - seen).at(1)


def test_a_draft_within_boxes_is_that_of_the_whole_frame(decoder: Decoder) -> None:
    generator = torch.Generator().manual_seed(7)
    wide, thin = TINY.decoder_width, TINY.decoder_width // 2
    shapes = ((wide, ROWS, COLUMNS), (wide, 2 * ROWS, 2 * COLUMNS), (thin, 4 * ROWS, 4 * COLUMNS))
    context = DecoderContext(*(torch.rand(1, *shape, generator=generator) for shape in shapes))
    readout = torch.rand(1, 2, TINY.value_width, ROWS, COLUMNS, generator=generator)
    whole, parts = decoder.draft(context, readout), decoder.draft(context, readout, NEAR)
    torch.testing.assert_close(parts.hidden[0], whole.hidden[0])
    torch.testing.assert_close(parts.coarse[:, 0], whole.coarse[:, 0])
    inner = inside(3)
    torch.testing.assert_close(parts.coarse[0, 1][inner], whole.coarse[0, 1][inner])
    parts.coarse[(0, 1, *NEAR[1].at(1))] = NOWHERE
    assert parts.coarse[0, 1].eq(NOWHERE).all()


@pytest.mark.parametrize("remembered", [False, True])
def test_values_within_boxes_are_those_of_the_whole_frame(remembered: bool) -> None:
    torch.manual_seed(8)
    encoder = MemoryEncoder(TINY).eval().requires_grad_(False)
    width4, width8, width16 = TINY.widths
    features = Features(
        torch.rand(1, width4, 4 * ROWS, 4 * COLUMNS),
        torch.rand(1, width8, 2 * ROWS, 2 * COLUMNS),
        torch.rand(1, width16, ROWS, COLUMNS),
        torch.rand(1, TINY.key_width, 2 * ROWS, 2 * COLUMNS),
    )
    masks = torch.rand(1, 2, 4 * ROWS, 4 * COLUMNS) / 2
    readout = torch.rand(1, 2, TINY.value_width, ROWS, COLUMNS) if remembered else None
    whole, parts = encoder(features, masks, readout), encoder(features, masks, readout, NEAR)
    torch.testing.assert_close(parts[:, 0], whole[:, 0])
    inner = inside(4)
    torch.testing.assert_close(parts[0, 1][:, *inner], whole[0, 1][:, *inner])
    parts[(0, 1, slice(None), *NEAR[1].at(1))] = 0
    assert not parts[0, 1].any()


@pytest.mark.parametrize("objects", [1, 3])
def test_masks_of_the_shipped_network_stay_what_they_are_without_focus(objects: int) -> None:
    scene = SyntheticScene(192, 256, objects)
    model = load_model("small").model
    everywhere, focused = (
        Segmenter(model, SegmenterConfig(size=192, device="cpu", precision="fp32", focus=focus))
        for focus in (False, True)
    )
    different = found = 0
    for index in range(7):
        frame, labels = scene.frame(index)
        one, other = (s.step(frame, labels if index == 0 else None).labels for s in (everywhere, focused))
        different += np.count_nonzero(one != other)
        found += np.count_nonzero(one)
    assert found > 7 * np.count_nonzero(scene.frame(0)[1]) / 2
    assert different <= found / 1000
