"""`stma check --fix`: what is repaired passes the check and is read as it was meant."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import make_clip
from pictures import save_indexed
from PIL import Image

from stma.errors import OutputError, SettingsError
from stma.palette import davis_palette
from stma_cli.check.findings import Level
from stma_cli.check.regions import find_pinholes
from stma_cli.check.repair import clean
from stma_cli.check.run import CheckResult, run_check
from stma_cli.masks import read_annotation

WIDTH, HEIGHT = 160, 96


def scene(objects: np.ndarray) -> np.ndarray:
    """Return a frame on which the objects can be seen."""
    frame = np.full((*objects.shape, 3), 90, dtype=np.uint8)
    frame[objects > 0] = (220, 180, 60)
    return frame


def truth() -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[10:50, 20:50] = 1
    cv2.circle(labels, (110, 55), 25, 2, -1)
    return labels


@pytest.fixture
def video(tmp_path: Path) -> Path:
    folder = tmp_path / "video"
    folder.mkdir()
    Image.fromarray(scene(truth())).save(folder / "0.png")
    return folder


def repaired(video: Path, mask: Path, out: Path) -> tuple[CheckResult, np.ndarray]:
    before = mask.read_bytes()
    result = run_check(video, [str(mask)], fix=out)
    assert mask.read_bytes() == before
    assert not result.failed, result.given
    assert result.repair is not None
    assert result.repair.path == out
    assert all(finding.level is Level.NOTE for finding in result.after)
    with Image.open(out) as image:
        assert image.mode == "P"
        assert image.getpalette("RGB") == davis_palette().ravel().tolist()
    return result, read_annotation(out, image.width, image.height).labels


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def agreement(labels: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean(labels == expected))


def test_smoothed_colours_are_snapped(video: Path, tmp_path: Path) -> None:
    soft = cv2.GaussianBlur(davis_palette()[truth()], (5, 5), 0)
    result, labels = repaired(video, save(tmp_path / "soft.png", soft), tmp_path / "out.png")
    assert set(np.unique(labels)) == {0, 1, 2}
    assert agreement(labels, truth()) > 0.98
    assert any("main colours" in change for change in result.repair.changes)  # type: ignore[union-attr]


def test_smoothed_white_on_black_and_jpeg(video: Path, tmp_path: Path) -> None:
    white = ((truth() > 0) * 255).astype(np.uint8)
    for name, pixels in (("soft.png", cv2.GaussianBlur(white, (5, 5), 0)), ("mask.jpg", white)):
        _, labels = repaired(video, save(tmp_path / name, pixels), tmp_path / f"{name}.out.png")
        assert agreement(labels, truth() > 0) > 0.98


def test_colours_of_a_jpeg_keep_the_ids_of_the_palette(video: Path, tmp_path: Path) -> None:
    labels = np.where(truth() > 0, 3 - truth(), 0)  # the first colour from the top left is not that of id 1
    Image.fromarray(davis_palette()[labels]).save(tmp_path / "mask.jpg", quality=90, subsampling=0)
    _, mended = repaired(video, tmp_path / "mask.jpg", tmp_path / "out.png")
    assert agreement(mended, labels) > 0.97


def test_grey_between_white_and_black_is_not_taken_for_another_object(video: Path, tmp_path: Path) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[truth() == 1] = 128
    pixels[truth() == 2] = 255
    soft = cv2.GaussianBlur(pixels, (5, 5), 0)
    _, labels = repaired(video, save(tmp_path / "soft.png", soft), tmp_path / "out.png")
    ring = labels[30:81, 85:136]  # round the white disc, far from the grey square
    assert len(np.unique(ring)) == 2


def test_half_transparent_edges(video: Path, tmp_path: Path) -> None:
    alpha = cv2.GaussianBlur(((truth() > 0) * 255).astype(np.uint8), (5, 5), 0)
    for number, colour in enumerate(((0, 0, 0), (200, 10, 10))):
        pixels = np.dstack([np.full((HEIGHT, WIDTH, 3), colour, dtype=np.uint8), alpha])
        mask = save(tmp_path / f"{number}.png", pixels)
        _, labels = repaired(video, mask, tmp_path / f"{number}_out.png")
        assert agreement(labels, truth() > 0) > 0.98


def test_smoothed_palette_picture(video: Path, tmp_path: Path) -> None:
    soft = Image.fromarray(cv2.GaussianBlur(davis_palette()[truth()], (5, 5), 0)).quantize(64, dither=0)
    soft.save(tmp_path / "soft.png")
    _, labels = repaired(video, tmp_path / "soft.png", tmp_path / "out.png")
    assert set(np.unique(labels)) == {0, 1, 2}
    assert agreement(labels, truth()) > 0.97


def test_exact_rgb_keeps_its_ids(video: Path, tmp_path: Path) -> None:
    _, labels = repaired(video, save(tmp_path / "rgb.png", davis_palette()[truth()]), tmp_path / "out.png")
    assert np.array_equal(labels, truth())


def test_specks_and_pinholes_go(video: Path, tmp_path: Path) -> None:
    labels = truth()
    labels[2, 2] = labels[30, 35] = 2  # on nothing, and inside object 1
    labels[55, 110] = 0
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().tobytes())
    image.save(tmp_path / "mask.png")
    result, mended = repaired(video, tmp_path / "mask.png", tmp_path / "out.png")
    assert np.array_equal(mended, truth())
    assert len(result.repair.changes) == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("repainted", [True, False])
def test_what_a_correction_says_stays(video: Path, tmp_path: Path, repainted: bool) -> None:
    labels = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    labels[70:73, 100:104] = 0  # erases
    if repainted:
        labels[truth() == 1] = 1
        labels[30:33, 30:33] = 255  # within object 1
    mask = save_indexed(tmp_path / "mask.png", labels)
    result = run_check(video, [f"0={mask}"], fix=tmp_path / "out.png")
    assert result.repair is not None
    assert result.repair.path is None, result.repair.changes


@pytest.mark.parametrize("grey", [False, True])
def test_a_correction_is_cleaned_round_what_it_leaves(video: Path, tmp_path: Path, grey: bool) -> None:
    expected = truth()
    expected[60:, :60] = expected[2:5, 2:5] = 255
    labels = expected.copy()
    labels[80, 20] = 1  # a speck on what is left
    labels[55, 110] = 0  # a pinhole of object 2
    mask = (save if grey else save_indexed)(tmp_path / "mask.png", labels)
    result = run_check(video, [f"0={mask}"], fix=tmp_path / "out.png")
    assert {"specks", "holes", "left"} <= {finding.code for finding in result.masks}
    assert [finding.code for finding in result.after] == ["left"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)


def test_pinholes_that_touch_at_a_corner_are_filled() -> None:
    labels = truth()
    labels[20, 30] = labels[21, 31] = 0
    (pinholes,) = find_pinholes(labels)
    assert (pinholes.object_id, pinholes.count, pinholes.pixels) == (1, 2, 2)
    assert (pinholes.x, pinholes.y) == (30, 20)
    mended, changes = clean(labels)
    assert np.array_equal(mended, truth())
    assert changes == ["2 pinholes of object 1 filled"]


def test_scaled(video: Path, tmp_path: Path) -> None:
    large = cv2.resize(truth(), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    result, labels = repaired(video, save(tmp_path / "grey.png", large), tmp_path / "out.png")
    assert np.array_equal(labels, truth())
    assert result.after == ()


def test_transposed_mask_is_laid_on_the_picture(video: Path, tmp_path: Path) -> None:
    for name, wrong in (("swapped", truth().T), ("turned", np.rot90(truth()))):
        mask = save(tmp_path / f"{name}.png", np.ascontiguousarray(wrong))
        _, labels = repaired(video, mask, tmp_path / f"{name}_out.png")
        assert np.array_equal(labels, truth())


def test_video_that_is_stored_turned_says_how(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "r.mp4", 2, rotation=-90)
    _, labels = repaired(clip, save(tmp_path / "stored.png", truth()), tmp_path / "out.png")
    assert np.array_equal(labels, np.rot90(truth(), -1))


def test_unclear_turn_is_not_guessed(tmp_path: Path) -> None:
    video = tmp_path / "flat"
    video.mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), (50, 60, 70)).save(video / "0.png")
    mask = save(tmp_path / "mask.png", np.ascontiguousarray(truth().T))
    result = run_check(video, [str(mask)], fix=tmp_path / "out.png")
    assert result.failed
    assert [finding.code for finding in result.masks] == ["turned", "not-repaired"]
    assert not (tmp_path / "out.png").exists()


def test_photograph_is_not_repaired(video: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    result = run_check(video, [str(save(tmp_path / "photo.png", noise))], fix=tmp_path / "out.png")
    assert result.failed
    assert "photograph" in result.masks[-1].problem
    assert not (tmp_path / "out.png").exists()


def test_good_mask_is_left_alone(video: Path, tmp_path: Path) -> None:
    image = Image.fromarray(truth())
    image.putpalette(davis_palette().tobytes())
    image.save(tmp_path / "mask.png")
    result = run_check(video, [str(tmp_path / "mask.png")], fix=tmp_path / "out.png")
    assert result.repair is not None
    assert result.repair.path is None
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("name", "out"), [("sam", "out.png"), ("sam", "out.json"), ("a.npy", "out.png"), ("sam.json", "out.json")]
)
def test_what_needs_no_repair_is_said_to(video: Path, tmp_path: Path, name: str, out: str) -> None:
    (tmp_path / "sam").mkdir()
    (tmp_path / "sam" / "metadata.csv").write_text("id,area,bbox_x0,bbox_y0\n")
    save(tmp_path / "sam" / "0.png", (truth() > 0) * np.uint8(255))
    np.save(tmp_path / "a.npy", truth())
    rows = [{"segmentation": {"size": [HEIGHT, WIDTH], "counts": [99, HEIGHT * WIDTH - 99]}}]
    (tmp_path / "sam.json").write_text(json.dumps(rows))
    result = run_check(video, [str(tmp_path / name)], fix=tmp_path / out)
    refused = next(finding for finding in result.masks if finding.code == "not-repaired")
    assert refused.problem == "it is neither a picture nor JSON with the outlines of one"
    assert "leave --fix out" in refused.fix
    assert not (tmp_path / out).exists()


def test_nothing_is_overwritten(video: Path, tmp_path: Path) -> None:
    mask = save(tmp_path / "rgb.png", davis_palette()[truth()])
    before = mask.read_bytes()
    with pytest.raises(OutputError, match="new name"):
        run_check(video, [str(mask)], fix=mask)
    assert mask.read_bytes() == before
    for out in (tmp_path / "out.jpg", tmp_path / "nowhere" / "out.png"):
        with pytest.raises(OutputError):
            run_check(video, [str(mask)], fix=out)
    with pytest.raises(SettingsError, match="one mask"):
        run_check(video, [], fix=tmp_path / "out.png")


def test_an_ending_in_capitals_does_not_replace_another_file(video: Path, tmp_path: Path) -> None:
    mask = save(tmp_path / "rgb.png", davis_palette()[truth()])
    other = tmp_path / "out.png"
    other.write_text("precious")
    with pytest.raises(OutputError, match=r"ends in \.png"):
        run_check(video, [str(mask)], fix=tmp_path / "out.PNG")
    assert other.read_text() == "precious"
    assert not (tmp_path / "out.PNG").exists()
