"""Labels at the frame's size whose outlines follow the frame's colours."""

import numpy as np
import pytest
import torch

from stma.config import SegmenterConfig
from stma.guided import color_lines, guided_labels, guided_labels_on_device, guided_masks
from stma.hard_labels import hard_labels
from stma.metrics import region_similarity
from stma.resize import resize_frame

CELL = 4
SHAPE = (30, 44)


def discs(centres: list[tuple[float, float]], radius: float, scale: int = 1) -> np.ndarray:
    """(scale * h, scale * w) uint8: discs of this radius in cells at centres in cells, numbered from 1."""
    rows, columns = np.mgrid[: SHAPE[0] * scale, : SHAPE[1] * scale]
    labels = np.zeros(rows.shape, np.uint8)
    for number, (row, column) in enumerate(centres, start=1):
        away = np.hypot((rows + 0.5) / scale - row, (columns + 0.5) / scale - column)
        labels[away < radius] = number
    return labels


def painted(labels: np.ndarray, noise: float = 0.0) -> np.ndarray:
    colours = np.array([[60, 70, 80], [180, 60, 50], [50, 160, 190]], np.float32)
    frame = colours[labels]
    if noise:
        frame = frame + np.random.default_rng(0).normal(0, noise, frame.shape)
    return frame.clip(0, 255).astype(np.uint8)


def soft_logits(labels: np.ndarray) -> np.ndarray:
    """(3, h, w) logits as soft as a network's: discs whose outlines are blurred by a cell."""
    maps = torch.from_numpy(np.stack([labels == number for number in range(3)])).float()[None]
    shares = torch.nn.functional.avg_pool2d(maps, 5, stride=1, padding=2, count_include_pad=False)[0]
    return (shares.clamp(1e-3, 1 - 1e-3)).log().numpy()


@pytest.mark.parametrize("scale", [CELL, 9])
@pytest.mark.parametrize("noise", [0.0, 8.0])
def test_an_outline_that_is_off_moves_to_where_the_colours_change(scale: int, noise: float) -> None:
    centres = [(14.0, 12.0), (15.0, 30.0)]
    truth = discs(centres, 6.5, scale)
    logits = soft_logits(discs([(row + 0.7, column - 0.7) for row, column in centres], 7.0))
    frame = painted(truth, noise)
    plain, guided = hard_labels(logits, *truth.shape), guided_labels(logits, frame, *frame.shape[:2])
    assert guided.shape == truth.shape
    for number in (1, 2):
        before, after = (region_similarity(found == number, truth == number) for found in (plain, guided))
        assert after > before + 0.05
        assert after > 0.93


def test_a_frame_scaled_down_leads_outlines_to_the_same_place() -> None:
    centres = [(14.0, 12.0), (15.0, 30.0)]
    truth = discs(centres, 6.5, 9)
    logits = soft_logits(discs([(row + 0.7, column - 0.7) for row, column in centres], 7.0))
    frame = painted(truth, noise=8.0)
    by_frame = guided_labels(logits, frame, *truth.shape)
    scaled = guided_labels(logits, resize_frame(frame, *(CELL * side for side in SHAPE)), *truth.shape)
    for number in (1, 2):
        here, there = (region_similarity(found == number, truth == number) for found in (by_frame, scaled))
        assert there > here - 0.02
        assert region_similarity(by_frame == number, scaled == number) > 0.96


def test_a_frame_smaller_than_the_cells_has_labels() -> None:
    labels = discs([(14.0, 12.0)], 6.5)
    frame = np.full((15, 22, 3), 128, np.uint8)
    assert guided_labels(soft_logits(labels), frame, 15, 22).shape == (15, 22)


def test_without_colours_an_outline_stays_within_a_cell() -> None:
    labels = discs([(14.0, 12.0), (15.0, 30.0)], 6.5)
    logits = soft_logits(labels)
    grey = np.full((SHAPE[0] * CELL, SHAPE[1] * CELL, 3), 128, np.uint8)
    plain, guided = hard_labels(logits, *grey.shape[:2]), guided_labels(logits, grey, *grey.shape[:2])
    for number in (1, 2):
        assert region_similarity(plain == number, guided == number) > 0.93


def sure_logits(labels: np.ndarray) -> np.ndarray:
    """(2, h, w) logits of one object, of which a network is certain in every cell."""
    return np.stack([np.where(labels == 0, 9.0, -9.0), np.where(labels == 1, 9.0, -9.0)]).astype(np.float32)


@pytest.mark.parametrize("size", [(2, 2), (2, 24), (3, 3)])
def test_a_small_object_of_the_colour_of_what_is_around_it_is_not_wiped_out(size: tuple[int, int]) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[10 : 10 + size[0], 9 : 9 + size[1]] = 1
    logits = sure_logits(labels)
    grey = np.full((SHAPE[0] * CELL, SHAPE[1] * CELL, 3), 128, np.uint8)
    plain, guided = hard_labels(logits, *grey.shape[:2]), guided_labels(logits, grey, *grey.shape[:2])
    assert region_similarity(plain == 1, guided == 1) > 0.9
    pictures = (torch.from_numpy(picture) for picture in (resize_frame(grey, *SHAPE), grey))
    assert np.array_equal(guided, guided_labels_on_device(torch.from_numpy(logits), *pictures).numpy())


def test_a_speck_of_which_the_network_is_not_sure_is_smoothed_away() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:12, 9:11] = 1
    logits = sure_logits(labels) / 10
    grey = np.full((SHAPE[0] * CELL, SHAPE[1] * CELL, 3), 128, np.uint8)
    assert hard_labels(logits, *grey.shape[:2]).any()
    assert not guided_labels(logits, grey, *grey.shape[:2]).any()


def test_pixels_far_from_outlines_keep_their_label_whatever_their_colour() -> None:
    labels = discs([(14.0, 12.0), (15.0, 30.0)], 6.5)
    frame = painted(discs([(14.0, 12.0), (15.0, 30.0)], 6.5, CELL))
    frame[:8, -8:] = (180, 60, 50)  # the colour of object 1, far from it
    guided = guided_labels(soft_logits(labels), frame, *frame.shape[:2])
    assert not guided[:8, -8:].any()
    assert guided[14 * CELL, 12 * CELL] == 1
    assert not guided_labels(soft_logits(np.zeros_like(labels)), frame, *frame.shape[:2]).any()


def test_the_device_decides_as_main_memory_does() -> None:
    centres = [(14.0, 12.0), (15.0, 24.0)]
    logits = soft_logits(discs([(13.5, 12.5), (15.5, 23.5)], 7.0))
    frame = painted(discs(centres, 6.5, 7), noise=4)
    here = guided_labels(logits, frame, *frame.shape[:2])
    pictures = (torch.from_numpy(picture) for picture in (resize_frame(frame, *SHAPE), frame))
    there = guided_labels_on_device(torch.from_numpy(logits), *pictures).numpy()
    assert (here != there).mean() < 1e-3  # the smoothed frame has 8 bits here and 32 there


def test_the_device_decides_alike_between_many_unsure_objects() -> None:
    noise = torch.randn(1, 6, *SHAPE, generator=torch.Generator().manual_seed(7))
    logits = (4 * torch.nn.functional.avg_pool2d(noise, 7, stride=1, padding=3)[0]).log_softmax(0)
    assert logits.amax(0).exp().min() < 0.25, "the largest share of a cell is small in places"
    colours = np.random.default_rng(2).integers(30, 220, (6, 3), dtype=np.uint8)
    labels = logits.argmax(0).numpy().repeat(CELL, 0).repeat(CELL, 1)
    frame = np.ascontiguousarray(colours[np.roll(labels, 3, 0)])
    here = guided_labels(logits.numpy(), frame, *frame.shape[:2])
    pictures = (torch.from_numpy(picture) for picture in (resize_frame(frame, *SHAPE), frame))
    there = guided_labels_on_device(logits, *pictures).numpy()
    assert (here != there).mean() < 5e-3
    assert set(np.unique(here)) == set(range(6))


def test_gradients_of_refined_masks_reach_the_masks_around_an_outline() -> None:
    labels = discs([(14.0, 12.0)], 6.5)
    masks = torch.from_numpy(soft_logits(labels)).softmax(0)[None, 1:2].requires_grad_()
    frame = torch.from_numpy(painted(discs([(14.5, 12.5)], 6.5, CELL))).permute(2, 0, 1)[None].float() / 255
    refined = guided_masks(masks, torch.nn.functional.avg_pool2d(frame, CELL), frame)
    assert refined.shape == (1, 1, SHAPE[0] * CELL, SHAPE[1] * CELL)
    refined.square().sum().backward()
    assert masks.grad is not None
    assert masks.grad[0, 0, 14, 18].abs() > 1e-4


def test_lines_reproduce_a_mask_that_is_linear_in_colour() -> None:
    guide = torch.rand(2, 3, 20, 25, generator=torch.Generator().manual_seed(0))
    mask = 0.2 + 0.1 * guide[:, 0] + 0.3 * guide[:, 1] - 0.1 * guide[:, 2]
    lines = color_lines(mask[:, None], guide)[:, 0]  # (B, 4, h, w)
    again = (lines[:, :3] * guide).sum(1) + lines[:, 3]
    assert torch.allclose(again, mask, atol=0.01)  # EPSILON shrinks the factors a little


def test_frames_of_a_batch_are_refined_as_each_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    masks, frames = (torch.rand(3, maps, *SHAPE, generator=generator) for maps in (2, 3))
    frames = torch.nn.functional.interpolate(frames, scale_factor=4.0)
    guides = torch.nn.functional.avg_pool2d(frames, 4)
    together = guided_masks(masks, guides, frames)
    alone = [guided_masks(masks[i : i + 1], guides[i : i + 1], frames[i : i + 1])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_edges_are_refined_by_default() -> None:
    assert SegmenterConfig().refine_edges
