"""--direction: objects followed backward, both ways, and the merge of the two."""

import re
import shutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from colour_network import colour_network
from fakes import CopySegmenter, FakePrediction, fake_setup, save_mask
from media import decoded, make_clip, make_folder
from typer.testing import CliRunner, Result

from stma.errors import OutputError, SettingsError
from stma.labels import LEAVE
from stma.weights import save_weights
from stma_cli.main import app
from stma_cli.masks import Annotation, read_labels
from stma_cli.result_layout import BACKWARD_FOLDER
from stma_cli.segment import run as segment_run
from stma_cli.segment.direction import MergeRule, MergingSegmenter, SavedPredictions
from stma_cli.video import Frame

WIDTH, HEIGHT, COUNT = 64, 48, 10


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clip.mp4 of ten frames, masks of one or two objects, and a model that copies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    make_clip(Path("clip.mp4"), COUNT, width=WIDTH, height=HEIGHT)
    save_mask("one.png", 1)
    save_mask("other.png", 0, 1)
    save_mask("four.png", 0, 0, 4)
    return tmp_path


def run(*words: str, out: str = "a", video: str = "clip.mp4") -> Result:
    return CliRunner().invoke(app, ["segment", video, "--out", out, *words])


def places(folder: str) -> list[set[tuple[int, int]]]:
    """Return, for each frame, the objects and the place from the left at which each is."""
    found = []
    for path in sorted(Path(folder).glob("*.png")):
        labels = read_labels(path)
        found.append(
            {(int(labels[12, 6 + 16 * place]), place) for place in range(4)} - {(0, p) for p in range(4)}
        )
    return found


def test_forward_is_the_default_and_names_the_other(workplace: Path) -> None:
    result = run("--mask", "6=one.png")
    assert "add --direction both" in result.stdout
    assert places("a") == [set()] * 6 + [{(1, 0)}] * 4


def test_backward_goes_from_the_last_mask_to_the_first_frame(workplace: Path) -> None:
    result = run("--mask", "6=one.png", "--direction", "backward")
    assert result.exit_code == 0, result.output
    assert "backward 7 frames from 6 to 0" in result.stdout
    assert "masks after frame 6 are empty" in result.stdout
    assert places("a") == [{(1, 0)}] * 7 + [set()] * 3
    assert not Path("a", BACKWARD_FOLDER).exists()


def test_both_fills_the_whole_video(workplace: Path) -> None:
    result = run("--mask", "6=one.png", "--direction", "both", "--overlay", "seen.mp4", "--smooth", "1")
    assert result.exit_code == 0, result.output
    assert places("a") == [{(1, 0)}] * 10
    assert len(decoded(Path("seen.mp4"))) == COUNT


def test_the_nearer_annotation_decides(workplace: Path) -> None:
    assert run("--mask", "2=one.png", "--mask", "8=other.png", "--direction", "both").exit_code == 0
    added = {(1, 0), (1, 1)}  # the stand-in adds the second mask to the first
    assert places("a")[:2] == [added] * 2  # backward, after both masks
    assert places("a")[2:6] == [{(1, 0)}] * 4  # frame 5 is as near to both: the earlier one
    assert places("a")[6:8] == [{(1, 1)}] * 2
    assert places("a")[8:] == [added] * 2


def test_each_object_goes_by_its_own_annotations(workplace: Path) -> None:
    assert run("--mask", "2=one.png", "--mask", "8=four.png", "--direction", "both").exit_code == 0
    assert places("a") == [{(1, 0), (4, 2)}] * 10


def test_ranges_and_folders(workplace: Path) -> None:
    make_folder(workplace / "frames", [f"f{i}.png" for i in range(12)], WIDTH, HEIGHT)
    words = ("--mask", "7=one.png", "--direction", "both", "--start", "3", "--end", "11")
    assert run(*words, video="frames").exit_code == 0
    assert {path.stem for path in Path("a").glob("*.png")} == {f"f{i}" for i in range(3, 11)}
    assert places("a") == [{(1, 0)}] * 8


def test_a_change_of_a_mask_affects_all_frames(workplace: Path) -> None:
    run("--mask", "6=one.png", "--direction", "both")
    result = run("--mask", "6=four.png", "--direction", "both")
    assert "frame 6 has changed, and backward it affects the frames before" in result.stdout
    assert places("a") == [{(4, 2)}] * 10
    assert "nothing is computed" in run("--mask", "6=four.png", "--direction", "both").stdout


def interrupted_at(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(chunks: int) -> None:
        if chunks == chunk:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        segment_run, "set_up_model", lambda *given: fake_setup(*given, CopySegmenter(interrupt))
    )


def test_interrupt_in_the_backward_pass_leaves_nothing(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_at(1, monkeypatch)
    assert run("--mask", "6=one.png", "--direction", "both").exit_code == 130
    assert not Path("a").exists()


def test_interrupt_in_the_forward_pass_goes_on_behind_the_backward_pass(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_at(4, monkeypatch)
    words = ("--mask", "6=one.png", "--direction", "both")
    assert run(*words).exit_code == 130
    assert Path("a", BACKWARD_FOLDER).exists()
    interrupted_at(2, monkeypatch)  # a third chunk is more than what is left
    result = run(*words, "--resume")
    assert result.exit_code == 0, result.output
    assert "backward" not in result.stdout
    assert places("a") == [{(1, 0)}] * 10
    assert not Path("a", BACKWARD_FOLDER).exists()


def test_going_on_without_the_backward_pass_is_refused(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_at(4, monkeypatch)
    words = ("--mask", "9=one.png", "--direction", "both", "--chunk", "4", "--checkpoint", "4")
    assert run(*words).exit_code == 130
    Path("a", BACKWARD_FOLDER, "00000009").unlink()
    result = run(*words, "--resume")
    assert isinstance(result.exception, OutputError), result.output
    assert re.fullmatch(
        r"a part of the backward pass is gone from a; add --force to start again",
        str(result.exception),
    )
    assert Path("a", ".stma-checkpoint").exists()
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    assert run(*words, "--force").exit_code == 0
    assert places("a") == [{(1, 0)}] * 10


@pytest.mark.parametrize("content", [None, b"", b"no prediction"])
def test_a_missing_or_damaged_prediction_is_no_empty_mask(tmp_path: Path, content: bytes | None) -> None:
    saved = SavedPredictions(tmp_path)
    saved.write(Frame(3, np.zeros((4, 20, 3), np.uint8), Fraction(0), "3"), prediction(o1=(0, 4)))
    assert saved.read(3).area == {1: 16}
    file = tmp_path / BACKWARD_FOLDER / "00000003"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    segmenter = MergingSegmenter(None, saved, MergeRule({1: (3,)}, forward=False), range(3, 4))
    with pytest.raises(SettingsError, match=r"00000003 cannot be read \(.+\); start again with --force"):
        segmenter.steps([np.zeros((4, 20, 3), np.uint8)])


def prediction(**places: tuple[int, int]) -> FakePrediction:
    labels = np.zeros((4, 20), np.uint8)
    for name, (first, last) in places.items():
        labels[:, first:last] = int(name[1:])
    ids = tuple(int(name[1:]) for name in places)
    confidence = {object_id: 0.1 * object_id for object_id in ids}
    return FakePrediction(labels, ids, confidence, {i: int((labels == i).sum()) for i in ids})


def test_pixels_to_leave_show_a_new_object_where_the_backward_pass_has_it(tmp_path: Path) -> None:
    saved, given, first_pixels = SavedPredictions(tmp_path), [], []

    class Listening(CopySegmenter):
        def steps(
            self, frames: Sequence[np.ndarray], masks: Mapping[int, np.ndarray] | None = None
        ) -> list[FakePrediction]:
            assert masks is not None
            given.append(masks[0][1].tolist())
            first_pixels.append(int(masks[0][0, 4]))
            return super().steps(frames, masks)

    pixels = np.zeros((4, 20, 3), np.uint8)
    saved.write(Frame(3, pixels, Fraction(0), "3"), prediction(o1=(0, 8), o2=(8, 12), o3=(12, 16)))
    rule = MergeRule({1: (3, 9), 2: (0, 3, 9), 3: (9,)})
    mask = np.full((4, 20), LEAVE, np.int32)
    mask[:, :2], mask[:, 2:4], mask[:, 10:12] = 0, 1, 2
    for given_mask in (mask, np.where(np.arange(20) < 8, mask, 0)):
        segmenter = MergingSegmenter(Listening(), saved, rule, range(3, 10))
        (merged,) = segmenter.steps([pixels], {0: given_mask})
        assert merged.labels[0, 5:8].tolist() == [1] * 3
    assert given[0] == [0] * 2 + [1] * 6 + [LEAVE] * 2 + [2] * 2 + [LEAVE] * 8
    assert given[1] == [0] * 2 + [1] * 6 + [0] * 12
    assert first_pixels == [
        1,
        LEAVE,
    ]  # of those to leave: without any, 0 would not be background for object 2


def test_the_backward_pass_begins_with_no_mask_that_leaves_pixels() -> None:
    def marked(*ids: int) -> Annotation:
        return Annotation(np.array([ids], np.int32), {key: str(key) for key in ids if key > 0})

    masks = {0: marked(1, LEAVE), 3: marked(1, 2), 6: marked(1, LEAVE), 9: marked(1, 2), 12: marked(LEAVE, 1)}
    rule = MergeRule.of(masks, forward=True)
    assert rule.annotated == {1: (0, 3, 6, 9), 2: (3, 9)}
    assert rule.choice(1, 11) == (True, 2)
    assert rule.backward_mask(12, masks[12].labels).tolist() == [[LEAVE, LEAVE]]
    assert rule.backward_mask(6, masks[6].labels).tolist() == [[1, LEAVE]]
    del masks[3], masks[9]
    assert MergeRule.of(masks, forward=True).annotated == {1: (0,)}
    alone = MergeRule.of(masks, forward=False)
    assert alone.annotated == {1: (0, 6, 12)}
    assert alone.backward_mask(12, masks[12].labels).tolist() == [[LEAVE, 1]]


def test_where_two_passes_overlap_the_nearer_annotation_is_in_front() -> None:
    rule = MergeRule({1: (0,), 2: (10,)})
    forward, backward = prediction(o1=(0, 10)), prediction(o2=(5, 15))
    near = rule.merge(2, forward, backward, (4, 20))
    assert near.labels[0].tolist() == [1] * 10 + [2] * 5 + [0] * 5
    assert near.area == {1: 40, 2: 20}
    assert near.confidence == {1: 0.1, 2: 0.2}
    assert rule.merge(8, forward, backward, (4, 20)).labels[0].tolist() == [1] * 5 + [2] * 10 + [0] * 5
    assert rule.merge(5, forward, backward, (4, 20)).labels[0].tolist() == [1] * 10 + [2] * 5 + [0] * 5


def test_choice() -> None:
    both, backward = MergeRule({1: (4, 10)}), MergeRule({1: (4, 10)}, forward=False)
    assert [both.choice(1, frame) for frame in (0, 4, 7, 8, 10, 13)] == [
        (False, 4), (True, 0), (True, 3), (False, 2), (True, 0), (True, 3),
    ]  # fmt: skip
    assert [backward.choice(1, frame) for frame in (0, 4, 7, 10, 13)] == [
        (False, 4), (False, 0), (False, 3), (False, 0), None,
    ]  # fmt: skip
    assert both.choice(2, 5) is None


def test_backward_is_forward_through_the_reversed_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_weights(colour_network(), Path("tiny.safetensors"))
    make_folder(Path("frames"), [f"{i:02d}.png" for i in range(9)], WIDTH, HEIGHT)
    Path("turned").mkdir()
    for i in range(9):
        shutil.copy(f"frames/{i:02d}.png", f"turned/{8 - i:02d}.png")
    save_mask("first.png", 1, 3)
    model = ("--model", "tiny.safetensors", "--threads", "1", "--chunk", "4")
    words = ("--mask", "08=first.png", *model)
    assert run(*words, "--direction", "backward", out="b", video="frames").exit_code == 0
    assert run("--mask", "first.png", *model, out="f", video="turned").exit_code == 0
    assert run(*words, "--direction", "both", out="both", video="frames").exit_code == 0
    for i in range(9):
        backward = Path(f"b/{i:02d}.png").read_bytes()
        assert backward == Path(f"f/{8 - i:02d}.png").read_bytes()
        assert backward == Path(f"both/{i:02d}.png").read_bytes()
