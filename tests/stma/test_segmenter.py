"""`Segmenter`: what a caller may rely on, with a tiny network that follows plain colours."""

import copy
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from colour_network import colour_network
from segmenting import CONFIG, first_mask, moving_frames, run, saved_and_read

from stma.config import SegmenterConfig
from stma.errors import MaskError, SettingsError, VideoError
from stma.labels import LEAVE
from stma.network.embedding import Features
from stma.network.model import STMA
from stma.resize import resize_labels
from stma.segmenter import Segmenter


@pytest.fixture(scope="module")
def model() -> STMA:
    return colour_network()


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return moving_frames()


def test_annotated_frame_comes_back_exactly(model: STMA, frames: list[np.ndarray]) -> None:
    prediction = Segmenter(model, CONFIG).step(frames[0], first_mask())
    assert np.array_equal(prediction.labels, first_mask())
    assert prediction.object_ids == (3, 7)
    assert prediction.area == {3: 600, 7: 600}


def test_both_objects_are_followed_to_the_end(model: STMA, frames: list[np.ndarray]) -> None:
    labels = run(Segmenter(model, CONFIG), frames, first_mask())[-1]
    for object_id in (3, 7):  # or the tests below would compare empty masks
        truth = np.roll(first_mask(), (4, 4), (0, 1)) == object_id
        assert np.count_nonzero((labels == object_id) & truth) > 300


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
def test_the_objects_of_a_mask_are_part_of_the_state(
    model: STMA, frames: list[np.ndarray], object_ids: tuple[int, ...] | None
) -> None:
    first, second = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    without = first.state_dict()
    first.step(frames[0], first_mask(), object_ids)
    second.load_state_dict(saved_and_read(first))
    expected, found = first.step(frames[1]), second.step(frames[1])
    assert found.object_ids == expected.object_ids == (object_ids or (3, 7))
    assert np.array_equal(found.soft, expected.soft)
    first.load_state_dict(without)
    assert first.step(frames[0]).object_ids == ()


@pytest.mark.parametrize("marked", [0, 2])
def test_a_step_that_is_interrupted_on_an_annotated_frame_may_be_repeated(
    model: STMA, frames: list[np.ndarray], marked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any) -> None:
        raise KeyboardInterrupt

    first = np.where(first_mask() == 3, 3, 0)
    masks = {0: first_mask()} if marked == 0 else {0: first, 2: np.where(first_mask() == 7, 7, 0)}
    straight, stopped = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    for segmenter in (straight, stopped):
        for index in range(marked):
            segmenter.step(frames[index], masks.get(index))
    known = stopped.object_ids
    with monkeypatch.context() as patched:
        patched.setattr(stopped.model, "remember", interrupted)
        patched.setattr(stopped.model, "remember_first", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stopped.step(frames[marked], masks[marked])
    assert stopped.object_ids == known
    assert stopped.state_dict()["bank"]["groups"] == straight.state_dict()["bank"]["groups"]
    for index in (marked, marked + 1):
        expected, found = (one.step(frames[index], masks.get(index)) for one in (straight, stopped))
        assert found.object_ids == expected.object_ids == (3, 7)
        np.testing.assert_array_equal(found.soft, expected.soft)


@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_ids_above_255_need_more_than_a_byte(
    model: STMA, frames: list[np.ndarray], largest: int, dtype: type
) -> None:
    mask = np.where(first_mask() == 7, largest, first_mask().astype(np.int32))
    prediction = Segmenter(model, CONFIG).step(frames[0], mask)
    assert prediction.labels.dtype == dtype
    np.testing.assert_array_equal(prediction.labels, mask)


def test_what_a_mask_shows_is_certain_and_what_it_does_not_name_is_not(
    model: STMA, frames: list[np.ndarray]
) -> None:
    segmenter = Segmenter(model, CONFIG)
    run(segmenter, frames[:2], first_mask())
    assert all(value < 1 for value in segmenter.step(frames[2]).confidence.values())
    corrected = np.where(first_mask() == 7, 7, 0)
    confidence = segmenter.step(frames[3], corrected).confidence
    assert confidence[7] == 1.0
    assert confidence[3] < 1.0


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


def test_removed_objects_are_followed_no_longer(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.steps(frames[:4], {0: first_mask()})
    held = saved_and_read(segmenter)["bank"]["entries"]
    segmenter.remove([7])
    state = saved_and_read(segmenter)
    assert all(
        e["value"].numel() < h["value"].numel() for e, h in zip(state["bank"]["entries"], held, strict=True)
    )
    after = [segmenter.step(frame) for frame in frames[4:7]]
    truth = np.roll(first_mask(), (3, 3), (0, 1)) == 3
    for prediction in after:
        assert prediction.object_ids == (3,)
        assert set(np.unique(prediction.labels)) == {0, 3}
    assert np.count_nonzero((after[-1].labels == 3) & truth) > 300
    later = Segmenter(model, CONFIG)
    later.load_state_dict(state)
    assert np.array_equal(later.step(frames[4]).labels, after[0].labels)


def test_a_removed_object_may_be_named_again(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], first_mask())
    segmenter.remove(iter((3, 7)))  # type: ignore[arg-type]
    assert not segmenter.step(frames[1]).labels.any()
    assert segmenter.step(frames[2], first_mask()).object_ids == (3, 7)
    assert set(np.unique(segmenter.step(frames[3]).labels)) == {0, 3, 7}


def test_the_light_of_objects_that_are_all_removed_is_forgotten(
    model: STMA, frames: list[np.ndarray]
) -> None:
    dark = [frame // 3 for frame in frames[:2]]
    segmenter, fresh = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    segmenter.step(dark[0], first_mask())
    segmenter.step(dark[1])
    segmenter.remove([3, 7])
    after, alone = (each.steps(frames[2:6], {0: first_mask()}) for each in (segmenter, fresh))
    for one, other in zip(after, alone, strict=True):
        assert np.array_equal(one.labels, other.labels)


def test_an_object_that_is_not_followed_cannot_be_removed(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], first_mask())
    with pytest.raises(MaskError, match="object 5 is not followed; remove what is: 3, 7"):
        segmenter.remove([7, 5])
    assert segmenter.step(frames[1]).object_ids == (3, 7)


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


def test_pixels_to_leave_can_be_set_in_a_mask_of_small_numbers(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    segmenter.step(frames[0], first_mask())
    unsure = np.zeros((61, 83), bool)
    unsure[30:50, 20:60] = True
    mask = np.where(unsure, LEAVE, first_mask())
    assert (mask[unsure] == -1).all()
    assert segmenter.step(frames[1], mask).object_ids == (3, 7)
    with pytest.raises(OverflowError):
        first_mask()[unsure] = LEAVE


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


def test_references_are_read_anew_whenever_a_frame_was_remembered(
    model: STMA, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    newest: list[int] = []
    segmenter = Segmenter(model, CONFIG)
    encode = segmenter._steps.encode_references

    def noted(entries: Any, valid: Any) -> Any:
        newest.append(segmenter.bank.entries[-1].frame_index)
        assert entries[-1] is segmenter.bank.entries[-1].entry
        return encode(entries, valid)

    monkeypatch.setattr(segmenter._steps, "encode_references", noted)
    run(segmenter, frames[:6], first_mask())
    assert newest == [0, 2, 4], "of frames that only the next one reads nothing changes"


def test_a_mask_without_an_object_is_nothing_to_learn_from(
    model: STMA, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[np.ndarray] = []

    def adapted(network: STMA, frame: np.ndarray, labels: np.ndarray, *others: Any) -> STMA:
        learned.append(labels)
        return network

    monkeypatch.setattr("stma.adaptation.adapted", adapted)
    segmenter = Segmenter(model, replace(CONFIG, adapt=1))
    nothing = np.zeros((61, 83), np.int32)
    nothing[:9] = LEAVE
    segmenter.step(frames[0], nothing)
    segmenter.step(frames[1], first_mask())
    (labels,) = learned
    np.testing.assert_array_equal(labels, first_mask())


def test_the_given_model_is_not_changed(model: STMA, frames: list[np.ndarray]) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run(Segmenter(model, CONFIG), frames[:2], first_mask())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_mask_counts_for_the_first_frame_of_a_chunk(model: STMA, frames: list[np.ndarray]) -> None:
    single, chunked = Segmenter(model, CONFIG), Segmenter(model, CONFIG)
    expected = single.step(frames[0], first_mask())
    found, after = chunked.steps(frames[:2], {0: first_mask()})
    assert np.array_equal(found.soft, expected.soft)
    assert found.object_ids == after.object_ids == (3, 7)
    late = np.where(first_mask() == 7, 11, 0)
    assert chunked.steps(frames[2:4], {0: late})[0].confidence[11] == 1


def test_a_chunk_may_be_one_array(model: STMA, frames: list[np.ndarray]) -> None:
    listed, stacked = (Segmenter(model, CONFIG) for _ in range(2))
    for one, other in zip(
        listed.steps(frames[:2], {0: first_mask()}),
        stacked.steps(np.stack(frames[:2]), {0: first_mask()}),  # type: ignore[arg-type]
        strict=True,
    ):
        assert np.array_equal(one.soft, other.soft)
    assert stacked.steps(np.stack(frames)[:0]) == []  # type: ignore[arg-type]


def test_object_ids_of_numpy_are_saved_as_plain_numbers(model: STMA, frames: list[np.ndarray]) -> None:
    segmenter = Segmenter(model, CONFIG)
    prediction = segmenter.step(frames[0], first_mask(), np.unique(first_mask())[1:])
    assert {type(one) for one in prediction.object_ids} == {int}
    assert saved_and_read(segmenter)["object_ids"] == [3, 7]


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
    foreseen = segmenter.estimate(1, frame_size=frames[0].shape[:2])
    assert segmenter.frame_size is None
    segmenter.step(frames[0], object_ids=(5,))  # ids without a mask say nothing
    assert segmenter.estimate(1) == foreseen
    assert foreseen.total > 0
    assert segmenter.object_ids == ()
