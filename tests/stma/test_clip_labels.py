"""Labels of training clips lie where the objects do, however both were moved, turned, mirrored and reversed.

All objects are white and all else is black, so that a frame shows its own labels.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training_pairs import write_pair

from stma.training.clips import ClipMaker
from stma.training.config import DataConfig
from stma.training.frame_clips import FrameClips
from stma.training.layers import LayeredScene
from stma.training.pool import scan
from stma.training.sources import cut_from_clip

PLAIN = DataConfig(crop=96, frames=6, paste_probability=0, blur_probability=0, bars_probability=0)
BRIGHT = 100  # of a mean of 255 where an object is, whatever its colours were changed to


def hook(rows: int, columns: int, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture with an L, which is unlike its mirror images, and its label map."""
    labels = np.zeros((rows, columns), np.uint8)
    labels[top : top + 50, left : left + 14], labels[top + 38 : top + 50, left : left + 34] = 1, 1
    return np.where(labels[..., None] > 0, np.uint8(250), np.uint8(4)).repeat(3, 2), labels


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> ClipMaker:
    root: Path = tmp_path_factory.mktemp("hooks")
    for time in range(8):
        write_pair(root / "video/a/b", f"{time:05d}", *hook(110, 140, 20 + 2 * time, 30 + 5 * time))
    write_pair(root / "still/a", "s", *hook(130, 100, 40, 30))
    (root / "plain/a").mkdir(parents=True)
    Image.new("RGB", (140, 120), (4, 4, 4)).save(root / "plain/a/p.jpg")
    return ClipMaker(scan(root), PLAIN)


def agreement(frames: list[np.ndarray], maps: list[np.ndarray]) -> list[float]:
    """IoU of what is bright and what is labelled, frame by frame."""
    bright = [frame.mean(2) > BRIGHT for frame in frames]
    marked = [labels > 0 for labels in maps]
    return [
        float((one & other).sum() / max(1, (one | other).sum()))
        for one, other in zip(bright, marked, strict=True)
    ]


@pytest.mark.parametrize("kind", ["_real", "_moving_still"])
def test_labels_of_clips_lie_on_their_objects(maker: ClipMaker, kind: str) -> None:
    for seed in range(12):
        scene: LayeredScene = getattr(maker, kind)(np.random.default_rng(seed))
        shown = [index for index, labels in enumerate(scene.maps) if np.count_nonzero(labels) > 150]
        frames, maps = ([part[index] for index in shown] for part in (scene.frames, scene.maps))
        assert min(agreement(frames, maps), default=1) > 0.75, seed
        assert set(np.unique(maps)) <= {0, 1, 2}


def test_regions_of_a_still_move_with_it(maker: ClipMaker) -> None:
    alike = []
    for seed in range(24):
        scene = maker._moving_still(np.random.default_rng(seed))
        counts = [
            np.bincount(regions[labels == 1], minlength=99)[1:]
            for regions, labels in zip(scene.regions, scene.maps, strict=True)
        ]
        shares = [count / max(1, count.sum()) for count in counts]
        alike += [np.minimum(one, shares[0]).sum() for one in shares[1:] if shares[0].any() and one.any()]
    assert np.mean(alike) > 0.77, "an object consists of the same parts throughout"


def test_cut_outs_are_mirrored_with_their_outlines(maker: ClipMaker) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        still, moving = maker.sources.cut_out(rng), cut_from_clip(rng, *maker.sources.frames(rng))
        assert moving is not None
        for cut_out in (still, moving):
            assert min(agreement(list(cut_out.images), list(cut_out.alphas))) > 0.85


def test_objects_of_one_frame_start_where_they_were(maker: ClipMaker) -> None:
    picture, labels = hook(110, 170, 10, 110)
    clips = FrameClips(picture, labels, side=96, frames=4, shorter=110)
    scenes = [clips._taken_apart(np.random.default_rng(seed)) for seed in range(6)]
    scenes += [clips._whole(np.random.default_rng(seed)) for seed in range(6)]
    for scene in scenes:
        shown = [index for index, found in enumerate(scene.maps) if np.count_nonzero(found) > 150]
        frames, maps = ([part[index] for index in shown] for part in (scene.frames, scene.maps))
        assert shown[0] == 0, "clips are drawn about an object"
        assert min(agreement(frames, maps)) > 0.6
