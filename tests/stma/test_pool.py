"""Training folders: what label maps mean, and what is refused in them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_pairs import write_pair

from stma.errors import DataError
from stma.training import clips, sources
from stma.training.clips import ClipDataset, ClipMaker
from stma.training.config import DataConfig, TrainConfig
from stma.training.layers import LayeredScene
from stma.training.pool import read_image, scan
from stma.training.shards import write_shards
from stma.training.sources import CutOut, Sources
from stma.training.stress import stress_clip
from stma.training.trainer import Trainer
from stma.training.validate import read_frames
from stma.training.validation_sets import LOOPED, played

DATA = DataConfig(crop=64, frames=3, real_share=1.0, bars_probability=0.0, paste_probability=1.0)
EMPTY = np.zeros((80, 96), np.uint8)


def marked(*objects: int) -> np.ndarray:
    """A label map with a square of each of these numbers, side by side."""
    label = EMPTY.copy()
    for place, number in enumerate(objects):
        label[20:50, 30 * place + 3 : 30 * place + 30] = number
    return label


def write_clip(root: Path, labels: list[np.ndarray]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (80, 96, 3), dtype=np.uint8)
    for time, label in enumerate(labels):
        write_pair(root / "video" / "made" / "clip", f"{time:05d}", image, label)


def write_still(root: Path, label: np.ndarray) -> None:
    write_pair(root / "still" / "boxes", "a", np.full((80, 96, 3), 90, np.uint8), label)


def test_a_pasted_object_shares_its_number_with_none_that_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path, [marked(1), marked(1, 2), marked(1, 2)])
    write_still(tmp_path, marked(1))
    maker = ClipMaker(scan(tmp_path), replace(DATA, max_gap=1))
    shared = []
    paste = maker._paste

    def noted(rng: np.random.Generator, scene: LayeredScene, cut_out: CutOut, number: int) -> None:
        shared.append(any((labels == number).any() for labels in scene.maps))
        paste(rng, scene, cut_out, number)

    monkeypatch.setattr(maker, "_paste", noted)
    for index in range(30):
        maker.numbered(0, index)
    assert len(shared) >= 30
    assert not any(shared)


def test_pixels_of_value_255_are_background(tmp_path: Path) -> None:
    label = marked(1, 255, 255)
    write_clip(tmp_path, [label] * 4)
    write_still(tmp_path, label)
    drawn = ClipDataset(scan(tmp_path), replace(DATA, real_share=0.5, look_alike_probability=0.5), 0, 20)
    for index in range(20):
        labels, valid = drawn[index][1], drawn[index][3]
        assert set(torch.unique(labels).tolist()) <= set(range(int(valid.sum()) + 1))


def test_an_object_of_the_largest_number_leaves_none_to_paste_with(tmp_path: Path) -> None:
    write_clip(tmp_path, [marked(254)] * 4)
    write_still(tmp_path, marked(1))
    drawn = ClipDataset(scan(tmp_path), DATA, 0, 20)
    assert {int(drawn[index][3].sum()) for index in range(20)} == {1}


def test_what_is_marked_with_255_is_never_cut_out(tmp_path: Path) -> None:
    write_clip(tmp_path, [marked(1)] * 4)
    write_still(tmp_path, marked(7, 255, 255))
    still = Sources(scan(tmp_path), replace(DATA, moving_probability=0.0))
    widths = {still.cut_out(np.random.default_rng(seed)).box[2] for seed in range(20)}
    assert widths == {27}, "of object 7 alone"


@pytest.mark.parametrize(
    ("labels", "still", "message"),
    [
        ([EMPTY] * 3, EMPTY, "no object was found in 20 clips"),
        ([marked(255)] * 3, EMPTY, "ids from 1, and 255 is ignored"),
        ([marked(1)] * 3, EMPTY, "20 pictures of still/ show no object of 12 pixels"),
    ],
)
def test_a_folder_without_objects_is_refused_in_the_end(
    labels: list[np.ndarray], still: np.ndarray, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (clips, sources):
        monkeypatch.setattr(module, "TRIES", 20)
    write_clip(tmp_path, labels)
    write_still(tmp_path, still)
    paste = float(labels[0].max() == 1)
    maker = ClipMaker(scan(tmp_path), replace(DATA, paste_probability=paste))
    with pytest.raises(DataError, match=message):
        maker.numbered(0, 0)


def test_sequences_without_an_object_to_cut_out_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "TRIES", 20)
    write_clip(tmp_path, [EMPTY] * 3)
    write_still(tmp_path, marked(1))
    moving = Sources(scan(tmp_path), replace(DATA, moving_probability=1.0))
    with pytest.raises(DataError, match="20 pictures of video/"):
        moving.cut_out(np.random.default_rng(0))


def readers(root: Path) -> list[Callable[[], object]]:
    """All that reads pairs of pictures and label maps: training, validation, composed clips and packing."""
    pool, rng = scan(root), np.random.default_rng(0)
    shards = root.parent / "shards"
    if pool.stills:
        source = Sources(pool, DATA)
        return [
            lambda: source.still(rng),
            lambda: source.cut_out(rng),
            lambda: write_shards(root, pool, shards, 64, 10**6),
        ]
    held = replace(pool, validation=pool.sequences, plain=(pool.sequences[0].frames[0].image,))
    return [
        lambda: Sources(pool, DATA).frames(rng),
        lambda: list(read_frames(pool.sequences[0])),
        lambda: list(read_frames(played(pool.sequences[0], LOOPED))),
        lambda: stress_clip(held, "small", 0),
        lambda: write_shards(root, pool, shards, 64, 10**6),
    ]


@pytest.mark.parametrize("kind", ["video", "still"])
def test_a_label_map_of_another_size_than_its_picture_is_refused(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_clip(root, [marked(1)[::2, ::2]] * 3) if kind == "video" else write_still(root, marked(1)[::2, ::2])
    for read in readers(root):
        with pytest.raises(DataError, match=r"\.png has 48 x 40 pixels and .*\.jpg 96 x 80"):
            read()


@pytest.mark.parametrize("kind", ["video", "still"])
def test_a_label_map_that_is_cut_short_is_refused(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_clip(root, [marked(1)] * 3) if kind == "video" else write_still(root, marked(1))
    for label in root.rglob("*.png"):
        label.write_bytes(label.read_bytes()[:-60])
    for read in readers(root):
        with pytest.raises(DataError, match=r"\.png is not a readable label map"):
            read()


@pytest.mark.parametrize("kind", ["video", "still"])
def test_a_picture_that_is_cut_short_is_refused(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_clip(root, [marked(1)] * 3) if kind == "video" else write_still(root, marked(1))
    for picture in root.rglob("*.jpg"):
        picture.write_bytes(picture.read_bytes()[:-60])
    for read in readers(root):
        with pytest.raises(DataError, match=r"\.jpg is not a readable image, or is cut short"):
            read()


def test_pictures_with_more_after_their_end_are_read(tmp_path: Path) -> None:
    write_still(tmp_path, marked(1))
    (still,) = scan(tmp_path).stills
    expected = read_image(still.image)
    with still.image.open("ab") as file:
        file.write(bytes(40))
    assert np.array_equal(read_image(still.image), expected)
    for unreadable in (b"", b"no picture"):
        still.image.write_bytes(unreadable)
        with pytest.raises(DataError, match="not a readable image"):
            read_image(still.image)
    with pytest.raises(DataError, match="not a readable image"):
        read_image(tmp_path / "absent.jpg")


@pytest.mark.parametrize("held", ['"made/clip"', "null", '[["made/clip"]]', '{"made": 1}'])
def test_a_split_that_is_no_list_of_names_is_refused(held: str, tmp_path: Path) -> None:
    write_clip(tmp_path, [marked(1)] * 3)
    (tmp_path / "splits.json").write_text(f'{{"validation": {held}}}')
    with pytest.raises(DataError, match=r"splits\.json is not JSON of the form"):
        scan(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.usefixtures("ascii_by_default")
def test_a_split_is_utf_8_wherever_it_is_read(encoding: str, tmp_path: Path) -> None:
    write_clip(tmp_path, [marked(1)] * 3)
    (tmp_path / "video" / "made" / "clip").rename(tmp_path / "video" / "made" / "café")
    (tmp_path / "splits.json").write_text('{"validation": ["made/café"]}', encoding)
    assert [sequence.name for sequence in scan(tmp_path).validation] == ["made/café"]


def test_a_validation_clip_of_one_frame_is_not_called_absent(tmp_path: Path) -> None:
    write_clip(tmp_path, [marked(1)])
    (tmp_path / "splits.json").write_text('{"validation": ["made/clip"]}')
    with pytest.raises(DataError, match=r"names made/clip, of which .* holds no two labelled frames"):
        scan(tmp_path)


def test_frames_follow_each_other_as_they_are_counted(tmp_path: Path) -> None:
    for time in range(12):
        write_pair(
            tmp_path / "video" / "made" / "clip", str(time), np.zeros((8, 8, 3), np.uint8), EMPTY[:8, :8]
        )
    (sequence,) = scan(tmp_path).sequences
    assert [frame.image.stem for frame in sequence.frames] == [str(time) for time in range(12)]


def test_a_folder_of_validation_clips_alone_can_be_scored_but_not_trained_on(tmp_path: Path) -> None:
    write_clip(tmp_path, [marked(1)] * 3)
    (tmp_path / "splits.json").write_text('{"validation": ["made/clip"]}')
    assert [sequence.name for sequence in scan(tmp_path).validation] == ["made/clip"]
    with pytest.raises(DataError, match=r'all its sequences are named under "validation" in splits\.json'):
        Trainer(tmp_path, tmp_path / "run", TrainConfig(model="tiny", steps=1, device="cpu", threads=1))
    assert not (tmp_path / "run").exists()
