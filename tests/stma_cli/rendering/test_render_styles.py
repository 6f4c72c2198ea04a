"""Styles: the right pixels are kept, by object and inverted, with hard and soft edges."""

import numpy as np
import pytest

from stma.errors import MaskError, SettingsError
from stma_cli.rendering.choose import make_renderer
from stma_cli.rendering.composite import coverage
from stma_cli.rendering.settings import RenderSettings, Style

NAMES = {1: "cat", 3: "cup"}
GENERATOR = np.random.default_rng(0)
FRAME = GENERATOR.integers(60, 200, (120, 160, 3), dtype=np.uint8)


def labels(dtype: type = np.uint8) -> np.ndarray:
    """A cat on the left and a cup on the right."""
    picture = np.zeros((120, 160), dtype)
    picture[40:80, 20:60] = 1
    picture[40:80, 100:140] = 3
    return picture


def rendered(style: Style, **options: object) -> np.ndarray:
    return make_renderer(RenderSettings(style, **options), NAMES).render(FRAME, labels())


def test_cutout_keeps_objects_and_clears_the_rest() -> None:
    picture = rendered(Style.CUTOUT)
    assert picture.shape == (120, 160, 4)
    np.testing.assert_array_equal(picture[..., 3], np.where(labels() > 0, 255, 0))
    np.testing.assert_array_equal(picture[labels() > 0, :3], FRAME[labels() > 0])
    assert not picture[labels() == 0].any()


def test_margin_keeps_colours_around_a_cutout() -> None:
    picture = make_renderer(RenderSettings(Style.CUTOUT), NAMES, margin=8).render(FRAME, labels())
    np.testing.assert_array_equal(picture[32:88, 12:68, :3], FRAME[32:88, 12:68])
    assert not picture[:32].any()
    assert not picture[:, :12].any()


@pytest.mark.parametrize("wanted", ["cup", "3", " cup ,3,", "cat,3"])
def test_objects_are_chosen_by_name_or_id(wanted: str) -> None:
    matte = rendered(Style.MATTE, objects=wanted)
    shown = labels() > 0 if "cat" in wanted else labels() == 3
    np.testing.assert_array_equal(matte, np.where(shown, 255, 0))


def test_objects_that_are_not_there_are_refused() -> None:
    with pytest.raises(MaskError, match=r"--objects asks for dog.*choose from 1 \(cat\), 3 \(cup\)"):
        rendered(Style.MATTE, objects="dog")
    with pytest.raises(MaskError, match=r"--overlay-objects asks for 2"):
        make_renderer(RenderSettings(objects="2"), NAMES, option="--overlay-objects")
    with pytest.raises(MaskError, match="names no object; give"):
        rendered(Style.MATTE, objects=" , ")
    with pytest.raises(MaskError, match="have no names; give ids"):
        make_renderer(RenderSettings(objects="cat"), {})
    matte = make_renderer(RenderSettings(Style.MATTE, objects="1"), {}).render(FRAME, labels())
    np.testing.assert_array_equal(matte, np.where(labels() == 1, 255, 0))


def test_inverted_matte_is_the_opposite() -> None:
    np.testing.assert_array_equal(rendered(Style.MATTE, invert=True), 255 - rendered(Style.MATTE))
    inverted = rendered(Style.MATTE, invert=True, objects="cat")
    np.testing.assert_array_equal(inverted, np.where(labels() == 1, 0, 255))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_coverage_takes_any_label_type(dtype: type) -> None:
    np.testing.assert_array_equal(coverage(labels(dtype), [3]), np.where(labels() == 3, 255, 0))


def test_green_has_one_colour_behind_the_objects() -> None:
    picture = rendered(Style.GREEN)
    assert (picture[labels() == 0] == (0, 255, 0)).all()
    np.testing.assert_array_equal(picture[labels() > 0], FRAME[labels() > 0])
    assert (rendered(Style.GREEN, background="#102030")[0, 0] == (16, 32, 48)).all()
    assert (rendered(Style.GREEN, background="white", invert=True)[60, 40] == 255).all()


def test_blur_leaves_objects_sharp_and_lends_none_of_their_colour() -> None:
    frame = np.full_like(FRAME, 90)
    frame[labels() > 0] = (255, 0, 0)
    frame[::2, :, 2] += 40  # detail that blurring removes
    picture = make_renderer(RenderSettings(Style.BLUR), NAMES).render(frame, labels())
    np.testing.assert_array_equal(picture[labels() > 0], frame[labels() > 0])
    around = picture[labels() == 0].astype(int)
    assert np.abs(around[:, :2] - 90).max() <= 1
    assert np.abs(around[:, 2] - 110).max() <= 4


def test_blur_of_a_frame_full_of_object() -> None:
    picture = make_renderer(RenderSettings(Style.BLUR, invert=True), {}).render(
        FRAME, np.ones((120, 160), np.uint8)
    )
    assert picture.std() < FRAME.std() / 2
    assert abs(picture.mean() - FRAME.mean()) < 2


def test_spotlight_darkens_the_rest() -> None:
    picture = rendered(Style.SPOTLIGHT)
    np.testing.assert_array_equal(picture[labels() > 0], FRAME[labels() > 0])
    outside = labels() == 0
    assert picture[outside].mean() < 0.4 * FRAME[outside].mean()
    assert np.ptp(picture[outside], axis=1).mean() < 0.2 * np.ptp(FRAME[outside], axis=1).mean()


def test_feather_is_a_ramp_of_the_width_asked_for() -> None:
    half = np.zeros((100, 200), np.uint8)
    half[:, 100:] = 1
    row = coverage(half, feather=20)[50] / 255
    assert 18 <= ((row > 0.1) & (row < 0.9)).sum() <= 21
    assert abs(row[99] + row[100] - 1) < 0.02
    assert row[0] == 0
    assert row[-1] == 1
    assert (coverage(half, feather=20)[0] == coverage(half, feather=20)[50]).all()


def test_feathered_edges_mix() -> None:
    picture = rendered(Style.GREEN, feather=6).astype(int)
    alpha = rendered(Style.CUTOUT, feather=6)[..., 3:] / 255
    expected = alpha * FRAME + (1 - alpha) * np.array([0, 255, 0])
    assert np.abs(picture - expected).max() <= 1
    assert len(np.unique(alpha)) > 10


def test_outline_draws_lines_only() -> None:
    picture = rendered(Style.OUTLINE, show_names=False)
    changed = (picture != FRAME).any(axis=2)
    assert changed[40, 20:60].all()
    assert not changed[50:70, 30:50].any()
    assert not changed[labels() == 0].any()


def test_overlay_of_some_objects_and_of_everything_else() -> None:
    cup_alone = (rendered(Style.OVERLAY, objects="cup", show_names=False) != FRAME).any(axis=2)
    assert not cup_alone[:, :90].any()
    assert cup_alone[60, 100:140].all()
    rest = (rendered(Style.OVERLAY, invert=True) != FRAME).any(axis=2)
    assert not rest[labels() > 0].any()
    assert rest[labels() == 0].mean() > 0.95
    unnamed = rendered(Style.OVERLAY, invert=True, show_names=False)
    np.testing.assert_array_equal(rendered(Style.OVERLAY, invert=True), unnamed)


def test_contradictions_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"overlay has no edge .* or choose cutout, green"):
        RenderSettings(feather=2).require_sense()
    with pytest.raises(SettingsError, match="not a colour; give one"):
        RenderSettings(Style.GREEN, background="no colour").require_sense()
    with pytest.raises(SettingsError, match="give 0 to 200 pixels"):
        RenderSettings(Style.MATTE, feather=999).require_sense()
    with pytest.raises(ValueError, match="labels of shape"):
        make_renderer(RenderSettings(Style.MATTE), {}).render(FRAME, labels()[:-1])


def test_options_repeat_the_settings() -> None:
    assert RenderSettings(objects="1").options("--overlay-objects") == ["--overlay-objects", "1"]
    assert RenderSettings().options() == []
    settings = RenderSettings(Style.GREEN, "cat,3", True, 2.5, "#000000")
    assert settings.options() == [
        *("--style", "green", "--objects", "cat,3", "--invert", "--feather", "2.5", "--background", "#000000")
    ]
