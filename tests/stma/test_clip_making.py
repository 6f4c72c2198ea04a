"""Clips made of a small synthetic folder, and what they are made from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stma.training import clips
from stma.training.clips import ClipDataset, ClipMaker
from stma.training.config import DataConfig
from stma.training.motion import placement
from stma.training.pool import WIDE_OUTLINES, LabelledImage, read_image, scan, true_label
from stma.training.regions import REGIONS
from stma.training.sources import Sources, cut_from_clip

DATA = DataConfig(crop=64, frames=3, max_objects=2)


BUSY = replace(
    DATA,
    newcomer_probability=0.5,
    leaver_probability=0.5,
    bars_probability=0.5,
    shadow_probability=0.5,
    moving_probability=0.5,
    absence_probability=0.5,
    close_up_probability=0.5,
    look_alike_probability=0.5,
)


def test_validation_sequences_are_kept_apart(training_folder: Path) -> None:
    pool = scan(training_folder)
    assert [s.name for s in pool.sequences] == ["made/moving"]
    assert [s.name for s in pool.validation] == ["made/held"]
    assert len(pool.stills) == 3


@pytest.mark.parametrize("data", [DATA, BUSY])
def test_clips_are_reproducible_and_well_formed(training_folder: Path, data: DataConfig) -> None:
    first, second = (ClipDataset(scan(training_folder), data, seed=3, length=40) for _ in range(2))
    for index in range(40):
        frames, labels, regions, valid = first[index]
        assert frames.shape == (3, 3, 64, 64)
        assert frames.dtype == torch.uint8
        assert labels.shape == (3, 64, 64)
        objects = int(valid.sum())
        assert set(labels[0].unique().tolist()) - {0} == set(range(1, objects + 1)), (
            "every object starts visible"
        )
        assert labels.max() <= objects
        assert torch.equal(frames, second[index][0])
        assert torch.equal(labels, second[index][1])
        assert regions.shape == (3, 8, 8)
        assert regions.max() <= REGIONS
        assert torch.equal(regions, second[index][2])


def test_twins_of_real_objects_are_followed_or_not(training_folder: Path) -> None:
    """Of a clip of one object, alone but for its twin: some twins have a label of their own and some have none."""
    alone = replace(DATA, real_share=1.0, paste_probability=0.0, bars_probability=0.0)
    pool = scan(training_folder)
    lonely = ClipDataset(pool, alone, 7, 12)
    twins = ClipDataset(pool, replace(alone, look_alike_probability=1.0), 7, 12)
    assert {int(lonely[index][3].sum()) for index in range(12)} == {1}
    assert {int(twins[index][3].sum()) for index in range(12)} == {1, 2}


def test_what_is_pasted_over_a_still_is_seen_by_its_camera(
    training_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close_up(
        rng: np.random.Generator, frames: int, closest: float, x: float, y: float
    ) -> list[np.ndarray]:
        return [placement(x, y, x, y, 0, factor) for factor in (3.0, 2.0, 1.0)]

    monkeypatch.setattr(clips, "zoom_walk", close_up)
    maker = ClipMaker(scan(training_folder), replace(DATA, close_up_probability=1.0))
    first = set()
    for seed in range(8):
        scene = maker._moving_still(np.random.default_rng(seed))
        factors = [float(view[0, 0]) for view in scene.camera]
        assert sorted(factors) == [1.0, 2.0, 3.0]
        areas = [np.count_nonzero(labels) for labels in scene.maps]
        assert (areas[0] > areas[-1]) == (factors[0] > factors[-1]), "where it is near, things are large"
        first.add(factors[0])
    assert first == {1.0, 3.0}


@pytest.mark.parametrize(("frames", "steps"), [(4, range(-3, 4)), (9, range(-1, 2)), (24, range(-1, 2))])
def test_a_sequence_is_played_to_and_fro_where_a_clip_is_longer(
    frames: int, steps: range, training_folder: Path
) -> None:
    config = DataConfig(frames=frames, max_gap=3)
    pool = scan(training_folder)
    sources = Sources(pool, config)
    (sequence,) = pool.sequences
    places = {int(read_image(frame.image)[:, :, 0].argmax()): i for i, frame in enumerate(sequence.frames)}
    for seed in range(20):
        images, labels = sources.frames(np.random.default_rng(seed))
        assert len(images) == len(labels) == frames
        shown = np.array([places[int(image[:, :, 0].argmax())] for image in images])
        moved = np.diff(shown)
        assert set(moved.tolist()) <= set(steps) - {0}, "no frame is shown twice in a row"
        if frames <= 9:
            assert (moved > 0).all() or (moved < 0).all()
        else:
            assert set(shown.tolist()) == set(range(9))


def test_what_is_too_small_is_not_cut_from_a_clip() -> None:
    image, label = np.zeros((40, 50, 3), np.uint8), np.zeros((40, 50), np.uint8)
    rng = np.random.default_rng(0)
    assert cut_from_clip(rng, [image] * 2, [label] * 2) is None
    label[:5, :5] = 1
    assert cut_from_clip(rng, [image] * 2, [label] * 2) is None
    moved = np.zeros_like(label)
    label[:20, :22], moved[10:30, 20:42] = 1, 1
    cut_out = cut_from_clip(rng, [image] * 2, [label, moved])
    assert cut_out is not None
    assert [alpha.shape for alpha in cut_out.alphas] == [(30, 42)] * 2
    assert [int((alpha > 0).sum()) for alpha in cut_out.alphas] == [440, 440]


def test_outlines_that_are_too_wide_are_drawn_in(tmp_path: Path) -> None:
    label = np.zeros((60, 80), np.uint8)
    label[20:60, 10:40] = 1  # to the lower border, where there is no outline
    label[20:60, 40:60] = 2
    Image.fromarray(label, mode="L").save(tmp_path / "0.png")
    (dataset, margin), *_ = WIDE_OUTLINES.items()
    kept = true_label(LabelledImage(tmp_path / "0.jpg", tmp_path / "0.png", dataset))
    expected = np.zeros_like(label)
    expected[20 + margin :, 10 + margin : 40 - margin] = 1
    expected[20 + margin :, 40 + margin : 60 - margin] = 2
    assert np.array_equal(kept, expected)
    same = true_label(LabelledImage(tmp_path / "0.jpg", tmp_path / "0.png", "another"))
    assert np.array_equal(same, label)


def test_colours_are_rgb(training_folder: Path) -> None:
    from stma.training.pool import read_image

    red, _, blue = read_image(training_folder / "video" / "made" / "moving" / "00000.jpg")[30, 20]
    assert red > 200
    assert blue < 80
