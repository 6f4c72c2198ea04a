"""The committed sample clips fit together: video, first mask, polygons and ground truth."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stma.metrics import region_similarity
from stma.palette import davis_palette
from stma_cli.masks.label_image import read_labels
from stma_cli.masks.reader import read_annotation

SAMPLES = Path(__file__).parents[1] / "sample_videos"
CLIPS = {
    "astronaut": {1: "shuttle", 2: "astronaut", 3: "gold coin"},
    "cat_and_cup": {1: "cat", 2: "cup"},
    "coins": {1: "copper coin", 2: "silver coin", 3: "gold coin"},
}


def test_every_clip_is_known_here() -> None:
    assert {path.stem for path in SAMPLES.glob("*.mp4")} == set(CLIPS)


@pytest.mark.parametrize("clip", CLIPS)
def test_one_mask_per_frame_of_the_same_size(clip: str) -> None:
    with av.open(str(SAMPLES / f"{clip}.mp4")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert float(sound.duration * sound.time_base) == pytest.approx(
            float(video.duration * video.time_base), abs=0.05
        )
        sizes = [(frame.height, frame.width) for frame in container.decode(video=0)]
    masks = sorted((SAMPLES / "ground_truth" / clip).glob("*.png"))
    assert [path.name for path in masks] == [f"{index:05d}.png" for index in range(len(sizes))]
    for path, size in zip(masks, sizes, strict=True):
        labels = read_labels(path)
        assert labels.shape == size
        assert set(np.unique(labels)) <= {0, *CLIPS[clip]}


@pytest.mark.parametrize("clip", CLIPS)
def test_first_mask_is_the_first_ground_truth_in_the_davis_palette(clip: str) -> None:
    with Image.open(SAMPLES / f"{clip}.png") as image:
        assert image.mode == "P"
        palette = np.array(image.getpalette()).reshape(-1, 3)
        labels = np.asarray(image)
    np.testing.assert_array_equal(palette, davis_palette()[: len(palette)])
    np.testing.assert_array_equal(labels, read_labels(SAMPLES / "ground_truth" / clip / "00000.png"))
    assert set(np.unique(labels)) == {0, *CLIPS[clip]}


@pytest.mark.parametrize("clip", CLIPS)
def test_polygons_draw_the_first_mask(clip: str) -> None:
    labels = read_labels(SAMPLES / f"{clip}.png")
    height, width = labels.shape
    annotation = read_annotation(SAMPLES / f"{clip}.json", width, height)
    assert annotation.names == CLIPS[clip]
    for object_id in CLIPS[clip]:
        assert region_similarity(annotation.labels == object_id, labels == object_id) > 0.98
