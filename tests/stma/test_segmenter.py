"""`Segmenter`: what a caller may rely on, with an untrained tiny network."""

import copy
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from stma.config import MODEL_CONFIGS, MemoryConfig, SegmenterConfig
from stma.errors import DeviceError, MaskError, SettingsError, VideoError
from stma.labels import LEAVE
from stma.network.embedding import Features
from stma.network.model import STMA
from stma.resize import resize_labels
from stma.segmenter import Segmenter

CONFIG = SegmenterConfig(size=48, device="cpu", precision="fp32", memory=MemoryConfig(interval=2, capacity=2))


@pytest.fixture(scope="module")
def model() -> STMA:
    torch.manual_seed(4)
    return STMA(MODEL_CONFIGS["tiny"]).eval()


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    scene = generator.integers(0, 255, (80, 120, 3), dtype=np.uint8)
    return [np.ascontiguousarray(scene[i : i + 61, 2 * i : 2 * i + 83]) for i in range(9)]


def first_mask() -> np.ndarray:
    mask = np.zeros((61, 83), dtype=np.uint8)
    mask[10:30, 10:40] = 7
    mask[35:55, 45:75] = 3
    return mask


def run(segmenter: Segmenter, frames: list[np.ndarray], mask: np.ndarray) -> list[np.ndarray]:
    return [segmenter.step(frame, mask if i == 0 else None).labels for i, frame in enumerate(frames)]


def saved_and_read(segmenter: Segmenter) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(segmenter.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def test_annotated_frame_comes_back_exactly(model: STMA, frames: list[np.ndarray]) -> None:
    prediction = Segmenter(model, CONFIG).step(frames[0], first_mask())
    assert np.array_equal(prediction.labels, first_mask())
    assert prediction.object_ids == (3, 7)
    assert prediction.area == {3: 600, 7: 600}


def test_odd_sizes_round_trip(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], first_mask())
    prediction = segmenter.step(frames[1])
    assert prediction.labels.shape == (61, 83)
    assert prediction.labels.dtype == np.uint8
    assert set(np.unique(prediction.labels)) <= {0, 3, 7}
    probability = prediction.probability(7)
    assert probability.shape == (61, 83)
    assert 0 <= probability.min() <= probability.max() <= 1
    assert all(0 <= value <= 1 for value in prediction.confidence.values())


def test_chunks_give_the_same_masks(model: STMA, frames: list[np.ndarray]) -> None:
    single = run(Segmenter(model, CONFIG), frames, first_mask())
    chunked = Segmenter(model, CONFIG)
    together = [p.labels for p in chunked.steps(frames[:4], {0: first_mask()}) + chunked.steps(frames[4:])]
    assert all(np.array_equal(a, b) for a, b in zip(single, together, strict=True))


def test_refined_edges_change_labels_and_nothing_that_is_remembered(
    model: STMA, frames: list[np.ndarray]
) -> None:
    model = copy.deepcopy(model)
    model.decoder.logit.bias.data.fill_(3)  # untrained it finds nothing
    plain, refined = (Segmenter(model, replace(CONFIG, refine_edges=on)) for on in (False, True))
    differ = 0
    for index, frame in enumerate(frames):
        one, other = (s.step(frame, first_mask() if index == 0 else None) for s in (plain, refined))
        assert np.array_equal(one.soft, other.soft)
        assert one.confidence == other.confidence
        differ += int((one.labels != other.labels).sum())
    assert differ > 0


def test_paused_run_goes_on_exactly(model: STMA, frames: list[np.ndarray]) -> None:
    straight = run(Segmenter(model, CONFIG), frames, first_mask())
    first = Segmenter(model, CONFIG)
    run(first, frames[:5], first_mask())
    second = Segmenter(model, CONFIG)
    second.load_state_dict(saved_and_read(first))
    resumed = [second.step(frame) for frame in frames[5:]]
    assert [p.frame_index for p in resumed] == [5, 6, 7, 8]
    assert all(np.array_equal(a, p.labels) for a, p in zip(straight[5:], resumed, strict=True))


@pytest.mark.parametrize("object_ids", [None, (3, 7, 9)])
def test_a_mask_that_waits_is_part_of_the_state(
    model: STMA, frames: list[np.ndarray], object_ids: tuple[int, ...] | None
) -> None:
    first, second = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    without = first.state_dict()
    first.add_mask(first_mask(), object_ids)
    second.load_state_dict(saved_and_read(first))
    expected, found = first.step(frames[0]), second.step(frames[0])
    assert found.object_ids == expected.object_ids == (object_ids or (3, 7))
    assert np.array_equal(found.soft, expected.soft)
    first.add_mask(first_mask())
    first.load_state_dict(without)
    assert first.step(frames[0]).object_ids == ()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(CONFIG, size=80), r"working size \(48, 64\), not \(80, 112\); use it"),
        (replace(CONFIG, precision="bf16"), "precision fp32, not bf16; use it"),
        (replace(CONFIG, adapt=1), "adapt 0, not 1; use it"),
    ],
)
def test_a_state_of_other_settings_is_refused(
    model: STMA, frames: list[np.ndarray], config: SegmenterConfig, message: str
) -> None:
    first, second = Segmenter(model, CONFIG), Segmenter(model, config)
    first.step(frames[0], first_mask())
    with pytest.raises(SettingsError, match=message):
        second.load_state_dict(saved_and_read(first))
    assert second.object_ids == ()
    assert second.bank.empty


def test_large_ids_are_kept_in_16_bits(model: STMA, frames: list[np.ndarray]) -> None:
    mask = np.where(first_mask() == 7, 4000, first_mask().astype(np.int32))
    segmenter = Segmenter(model, CONFIG)
    assert np.array_equal(segmenter.step(frames[0], mask).labels, mask)
    assert segmenter.step(frames[1]).labels.dtype == np.uint16


def test_frames_before_the_first_mask_are_background(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    assert not segmenter.step(frames[0]).labels.any()
    assert segmenter.step(frames[1], first_mask()).object_ids == (3, 7)


@pytest.mark.parametrize("focus", [True, False])
def test_frames_before_the_first_mask_are_not_looked_at(
    model: STMA, frames: list[np.ndarray], focus: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, embed = [], STMA.embed

    def counted(self: STMA, pixels: torch.Tensor) -> Features:
        seen.append(len(pixels))
        return embed(self, pixels)

    monkeypatch.setattr(STMA, "embed", counted)
    segmenter = Segmenter(model, replace(CONFIG, focus=focus))
    before = segmenter.steps(frames[:2], {1: np.zeros((61, 83), np.uint8)})
    assert seen == []
    assert all(not prediction.labels.any() and prediction.soft.size == 0 for prediction in before)
    after = segmenter.steps(frames[2:4], {1: first_mask()})
    assert seen == ([1] if focus else [2])
    assert [prediction.object_ids for prediction in after] == [(), (3, 7)]


def test_empty_first_mask_is_fine_when_a_later_one_has_objects(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    assert segmenter.step(frames[0], np.zeros((61, 83), np.uint8)).object_ids == ()
    segmenter.step(frames[1], first_mask())
    assert segmenter.step(frames[2]).object_ids == (3, 7)


def test_late_object_joins_and_old_ones_stay(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], np.where(first_mask() == 7, 7, 0))
    segmenter.step(frames[1])
    late = np.zeros((61, 83), np.uint8)
    late[40:50, 50:70] = 9
    prediction = segmenter.step(frames[2], late)
    assert prediction.object_ids == (7, 9)
    assert (prediction.labels[late == 9] == 9).all()
    assert not (prediction.labels[late == 0] == 9).any()
    assert segmenter.step(frames[3]).object_ids == (7, 9)


def test_object_can_be_declared_invisible(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], first_mask())
    gone = np.where(first_mask() == 3, 3, 0)
    prediction = segmenter.step(frames[1], gone, object_ids=(3, 7))
    assert prediction.area[7] == 0


def test_pixels_to_leave_stay_as_predicted_on_a_corrected_frame(
    model: STMA, frames: list[np.ndarray]
) -> None:
    plain, corrected = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    for frame in frames[:3]:
        before = plain.step(frame, first_mask() if frame is frames[0] else None)
        corrected.step(frame, first_mask() if frame is frames[0] else None)
    predicted = plain.step(frames[3]).labels
    mask = np.full((61, 83), LEAVE, np.int16)
    mask[5:15, 5:15], mask[30:50, 20:60] = 7, 0
    labels = corrected.step(frames[3], mask).labels
    assert before.object_ids == (3, 7)
    np.testing.assert_array_equal(labels[mask == LEAVE], predicted[mask == LEAVE])
    np.testing.assert_array_equal(labels[mask >= 0], mask[mask >= 0])


def test_an_object_that_a_mask_does_not_name_keeps_its_pixels(model: STMA, frames: list[np.ndarray]) -> None:
    plain, corrected = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    plain.steps(frames[:3], {0: first_mask()})
    corrected.steps(frames[:3], {0: first_mask()})
    predicted = plain.step(frames[3]).labels
    mask = np.zeros((61, 83), np.uint8)
    mask[5:15, 5:15] = 7
    labels = corrected.step(frames[3], mask).labels
    np.testing.assert_array_equal((labels == 3)[mask == 0], (predicted == 3)[mask == 0])
    np.testing.assert_array_equal(labels == 7, mask == 7)


def test_a_mask_that_leaves_everything_is_no_annotation(model: STMA, frames: list[np.ndarray]) -> None:
    plain, told = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    nothing = {2: np.full((61, 83), LEAVE, np.int32)}
    for one, other in zip(
        plain.steps(frames, {0: first_mask()}), told.steps(frames, {0: first_mask()} | nothing), strict=True
    ):
        np.testing.assert_array_equal(one.labels, other.labels)


def test_left_pixels_of_the_first_mask_are_background(model: STMA, frames: list[np.ndarray]) -> None:
    mask = first_mask().astype(np.int32)
    mask[:4] = LEAVE
    prediction = Segmenter(model, CONFIG).step(frames[0], mask)
    np.testing.assert_array_equal(prediction.labels, np.maximum(mask, 0))
    assert Segmenter(model, CONFIG).step(frames[0], np.minimum(mask, 0)).object_ids == ()


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5])
def test_a_small_object_of_a_large_frame_is_remembered(model: STMA, side: int) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    for top, left in ((301, 701), (288, 696), (0, 1280 - side)):
        labels = np.full((720, 1280), LEAVE)
        labels[:, :400] = 0
        labels[top : top + side, left : left + side] = 2
        soft = Segmenter(model, replace(CONFIG, size=120)).step(frame, labels).soft[0]
        assert soft.sum() * (frame[..., 0].size / soft.size) == pytest.approx(side**2, rel=1e-4)


def test_masks_of_enlarged_frames_are_remembered_as_their_pixels_say(
    model: STMA, frames: list[np.ndarray]
) -> None:
    enlarged = replace(CONFIG, size=80)  # to 80x112
    found = Segmenter(model, enlarged).step(frames[0], first_mask()).soft
    pixels = resize_labels(first_mask(), 80, 112)
    cells = np.stack([pixels == 3, pixels == 7]).reshape(2, 20, 4, 28, 4)
    assert np.array_equal(found, cells.mean((2, 4), dtype=np.float32))


def test_memory_is_constant_in_the_length(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    sizes = []
    for index in range(40):
        segmenter.step(frames[index % 9], first_mask() if index == 0 else None)
        file = io.BytesIO()
        torch.save(segmenter.state_dict(), file)
        sizes.append(file.tell())
    assert max(sizes[20:]) <= max(sizes[8:20])


def test_the_given_model_is_not_changed(model: STMA, frames: list[np.ndarray]) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run(Segmenter(model, CONFIG), frames[:2], first_mask())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((10, 10), np.uint8), "height and width"),
        (np.zeros((61, 83), np.float32), "integer"),
        (np.full((61, 83), -2, np.int32), "1 to 65535"),
        (np.full((61, 83), 70000, np.int32), "1 to 65535"),
    ],
)
def test_unusable_masks_are_refused(
    model: STMA, frames: list[np.ndarray], mask: np.ndarray, message: str
) -> None:
    with pytest.raises(MaskError, match=message):
        Segmenter(model, CONFIG).step(frames[0], mask)


def test_a_refused_mask_changes_nothing(model: STMA, frames: list[np.ndarray]) -> None:
    plain, refused = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    late = np.where(first_mask() == 7, 9, 0)
    masks = {1: late, 3: np.zeros((61, 83), np.uint8)}  # the second names none of the objects known by then
    expected = plain.step(frames[0], first_mask())
    with pytest.raises(MaskError, match="mask of frame 3 names no object"):
        refused.steps(frames[:4], {0: first_mask(), **masks})
    assert refused.frame_index == 0
    found = refused.step(frames[0], first_mask())
    assert np.array_equal(found.soft, expected.soft)
    with pytest.raises(MaskError, match="mask of frame 4 names no object"):
        refused.steps(frames[1:5], masks)
    assert refused.object_ids == (3, 7)
    for one, other in zip(plain.steps(frames[1:5]), refused.steps(frames[1:5]), strict=True):
        assert np.array_equal(one.soft, other.soft)


def test_a_mask_that_waits_counts_for_the_first_frame_of_a_chunk(
    model: STMA, frames: list[np.ndarray]
) -> None:
    told, waiting = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    waiting.add_mask(np.full((61, 83), 5))
    waiting.add_mask(first_mask(), (3, 7, 9))
    expected = told.step(frames[0], first_mask(), (3, 7, 9))
    found, after = waiting.steps(frames[:2])
    assert np.array_equal(found.soft, expected.soft)
    assert found.object_ids == after.object_ids == (3, 7, 9)
    waiting.add_mask(first_mask())
    late = np.where(first_mask() == 7, 11, 0)
    assert waiting.steps(frames[2:4], {0: late})[0].confidence[11] == 1


@pytest.mark.parametrize(("count", "position"), [(2, 2), (2, -1), (0, 0)])
def test_masks_beyond_the_chunk_are_refused(
    model: STMA, frames: list[np.ndarray], count: int, position: int
) -> None:
    with pytest.raises(MaskError, match=rf"positions \[{position}\] of a chunk of {count} frames; count"):
        Segmenter(model, CONFIG).steps(frames[:count], {position: first_mask()})


def test_a_chunk_may_be_one_array(model: STMA, frames: list[np.ndarray]) -> None:
    listed, stacked = (Segmenter(model, CONFIG) for _ in range(2))
    for one, other in zip(
        listed.steps(frames[:2], {0: first_mask()}),
        stacked.steps(np.stack(frames[:2]), {0: first_mask()}),  # type: ignore[arg-type]
        strict=True,
    ):
        assert np.array_equal(one.soft, other.soft)
    assert stacked.steps(np.stack(frames)[:0]) == []  # type: ignore[arg-type]


def test_mask_with_undeclared_ids_is_refused(model: STMA, frames: list[np.ndarray]) -> None:
    with pytest.raises(MaskError, match="object_ids"):
        Segmenter(model, CONFIG).step(frames[0], first_mask(), object_ids=(3,))


@pytest.mark.parametrize(
    "object_ids", [(0, 3, 7), (3, 7, 7), (-1, 3, 7), (3, 7, 70000), (3.0, 7.0), (3, 7, 2.5), ("3", "7"), 3]
)
def test_impossible_object_ids_are_refused(model: STMA, frames: list[np.ndarray], object_ids: Any) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(MaskError, match="different whole numbers of 1 to 65535"):
        segmenter.step(frames[0], first_mask(), object_ids)
    assert segmenter.bank.empty


def test_no_object_ids_do_not_go_with_a_mask_of_objects(model: STMA, frames: list[np.ndarray]) -> None:
    with pytest.raises(MaskError, match="add them to object_ids"):
        Segmenter(model, CONFIG).step(frames[0], first_mask(), object_ids=())


def test_object_ids_of_numpy_are_saved_as_plain_numbers(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    prediction = segmenter.step(frames[0], first_mask(), np.unique(first_mask())[1:])
    assert {type(one) for one in prediction.object_ids} == {int}
    assert saved_and_read(segmenter)["object_ids"] == [3, 7]


def test_frames_of_another_size_or_type_are_refused(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], first_mask())
    with pytest.raises(VideoError, match="one size"):
        segmenter.step(frames[1][:50])
    with pytest.raises(VideoError, match="uint8 RGB"):
        segmenter.step(frames[1].astype(np.float32))


def test_a_refused_frame_leaves_no_mask_behind(model: STMA, frames: list[np.ndarray]) -> None:
    plain, refused = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    for segmenter in (plain, refused):
        segmenter.step(frames[0], first_mask())
    with pytest.raises(VideoError, match="frame 1 is 83x50"):
        refused.step(frames[1][:50], np.where(first_mask() == 7, 9, 0))
    with pytest.raises(VideoError, match="frame 2 is 83x50"):
        refused.steps([frames[1], frames[2][:50]])
    found, expected = refused.step(frames[1]), plain.step(frames[1])
    assert found.object_ids == (3, 7)
    assert np.array_equal(found.soft, expected.soft)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (5, 5, 4), (5, 5)])
def test_a_refused_first_frame_says_nothing_about_the_size(
    model: STMA, frames: list[np.ndarray], shape: tuple[int, ...]
) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(VideoError, match="1 pixel or more"):
        segmenter.step(np.zeros(shape, np.uint8))
    with pytest.raises(VideoError, match="one size"):
        segmenter.steps([frames[0], frames[1][:50]])
    with pytest.raises(MaskError, match="height and width"):
        segmenter.step(frames[0][:50], first_mask())
    assert segmenter.frame_size is None
    assert segmenter.step(frames[0], first_mask()).object_ids == (3, 7)


def test_impossible_settings_are_refused(model: STMA) -> None:
    with pytest.raises(SettingsError, match="size"):
        SegmenterConfig(size=8)
    with pytest.raises(SettingsError, match="unknown"):
        Segmenter(model, SegmenterConfig(device="abacus"))
    with pytest.raises(SettingsError, match="fp16"):
        Segmenter(model, SegmenterConfig(device="cpu", precision="fp16"))
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="--device cpu"):
            Segmenter(model, SegmenterConfig(device="cuda"))


@pytest.mark.parametrize(
    ("size", "expected"), [(48, (48, 64)), (80, (80, 112)), (480, (176, 256)), (None, (64, 80))]
)
def test_working_size_enlarges_up_to_three_times(
    model: STMA, frames: list[np.ndarray], size: int | None, expected: tuple[int, int]
) -> None:
    segmenter = Segmenter(model, SegmenterConfig(size=size, device="cpu"))
    segmenter.step(frames[0])
    assert segmenter.working_size == expected


def test_a_state_from_before_the_first_mask_is_of_no_working_size(
    model: STMA, frames: list[np.ndarray]
) -> None:
    before, mask = (
        Segmenter(model, SegmenterConfig(size=48, device="cpu")),
        np.ones(frames[0].shape[:2], np.int32),
    )
    before.step(frames[0])
    larger = Segmenter(model, SegmenterConfig(size=80, device="cpu"))
    larger.load_state_dict(before.state_dict())
    assert larger.frame_index == 1
    before.step(frames[1], mask)
    with pytest.raises(SettingsError, match="working size"):
        larger.load_state_dict(before.state_dict())


def test_the_working_size_is_known_from_the_first_frame_on(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(VideoError, match="give a frame to step first"):
        _ = segmenter.working_size
    with pytest.raises(VideoError, match="give a frame to step first"):
        segmenter.estimate(1)
    segmenter.step(frames[0], object_ids=(5,))  # ids without a mask say nothing
    assert segmenter.estimate(1).total > 0
    assert segmenter.object_ids == ()


def test_a_refused_mask_waits_until_another_takes_its_place(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    with pytest.raises(MaskError, match="integer"):
        segmenter.add_mask(first_mask().astype(np.float32))
    segmenter.add_mask(first_mask()[:50])
    for _ in range(2):
        with pytest.raises(MaskError, match="height and width"):
            segmenter.step(frames[0])
    segmenter.add_mask(first_mask())
    assert segmenter.step(frames[0]).object_ids == (3, 7)
    assert segmenter.step(frames[1]).confidence[3] < 1


def test_a_mask_that_does_not_fit_the_frames_so_far_does_not_wait(
    model: STMA, frames: list[np.ndarray]
) -> None:
    plain, refused = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    for segmenter in (plain, refused):
        segmenter.step(frames[0], first_mask())
    with pytest.raises(MaskError, match=r"mask of frame 1 has shape .* height and width"):
        refused.add_mask(first_mask()[:50])
    assert np.array_equal(refused.step(frames[1]).soft, plain.step(frames[1]).soft)
