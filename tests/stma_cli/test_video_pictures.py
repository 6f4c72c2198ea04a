"""Pictures as videos: 16-bit values, turned and floating-point TIFF files, transparency."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media import make_clip, make_folder, make_masks, picture
from PIL import Image
from running import run_overlay

from stma.errors import VideoError
from stma_cli.video import VideoSource, open_video

Pages = list[np.ndarray]
IGNORED = "transparency of the source is ignored"


def values(count: int, lowest: int, highest: int) -> Pages:
    """A ramp of 16-bit grey that gets darker by a tenth with each frame."""
    ramp = np.linspace(lowest, highest, 160 * 96).reshape(96, 160)
    return [(lowest + (ramp - lowest) * 0.9**index).astype(np.uint16) for index in range(count)]


def save_folder(path: Path, pages: Pages, ending: str = "png") -> Path:
    path.mkdir()
    for index, page in enumerate(pages):
        cv2.imwrite(str(path / f"{index}.{ending}"), page)  # Pillow writes no 16-bit colours
    return path


def frames_of(source: VideoSource) -> Pages:
    return [frame.pixels for frame in source.frames()]


@pytest.mark.parametrize(("lowest", "highest"), [(0, 4095), (100, 600)])
def test_dim_sixteen_bit_frames_are_stretched_alike(tmp_path: Path, lowest: int, highest: int) -> None:
    source = open_video(save_folder(tmp_path / "dim", values(4, lowest, highest)))
    frames = frames_of(source)
    assert frames[0].min() == 0
    assert 160 <= frames[0].max() <= 180  # brighter frames may come
    for index, pixels in enumerate(frames):
        assert abs(pixels.max() - frames[0].max() * 0.9**index) <= 1.5
        assert np.array_equal(next(iter(source.frames(index))).pixels, pixels)
    backward = [frame.pixels for frame in source.frames_backward(0, 4)]
    assert all(map(np.array_equal, backward[::-1], frames))
    assert [note for note in source.notes if f"hold values {lowest} to {highest}" in note]


def test_levels_are_those_of_the_first_frame_alone(tmp_path: Path) -> None:
    bright = np.full((96, 160), 60000, np.uint16)
    source = open_video(save_folder(tmp_path / "frames", [*values(1, 0, 4095), bright]))
    assert frames_of(source)[1].min() == 255


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_dim_sixteen_bit_colours_are_stretched(tmp_path: Path, ending: str) -> None:
    blue_first = picture(5)[..., ::-1]
    dim = save_folder(tmp_path / "dim", [blue_first.astype(np.uint16) * 16], ending)
    (pixels,) = frames_of(open_video(dim))
    expected = picture(5).astype(float) / 1.5
    assert np.abs(pixels - expected).max() <= 1


def test_sixteen_bit_frames_that_fill_their_range_are_as_they_were(tmp_path: Path) -> None:
    grey = open_video(save_folder(tmp_path / "grey", values(3, 0, 65535)))
    for pixels, page in zip(frames_of(grey), values(3, 0, 65535), strict=True):
        expected = (page.astype(np.float32) / 257 + 0.5).astype(np.uint8)
        assert np.array_equal(pixels, np.repeat(expected[..., None], 3, axis=2))
    colours = open_video(save_folder(tmp_path / "colours", [picture(5)[..., ::-1].astype(np.uint16) * 257]))
    assert np.array_equal(frames_of(colours)[0], picture(5))
    assert not any("16-bit" in note for note in [*grey.notes, *colours.notes])


def test_floating_point_frames_are_refused(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    grey = Image.fromarray(np.zeros((8, 8), np.float32))
    grey.save(tmp_path / "frames" / "0.tif")
    with pytest.raises(VideoError, match=r"no defined range; save as 8 or 16 bits$"):
        open_video(tmp_path / "frames")


def test_a_tiff_is_turned_once(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    Image.fromarray(picture(0)).save(tmp_path / "frames" / "0.tif", exif=exif, compression="tiff_lzw")
    source = open_video(tmp_path / "frames")
    assert (source.info.width, source.info.height, source.info.rotation) == (96, 160, 90)
    assert np.array_equal(frames_of(source)[0], np.rot90(picture(0), -1))


def test_transparency_of_frames_is_said_to_be_ignored(tmp_path: Path) -> None:
    clear = np.dstack([picture(0), np.full((96, 160), 7, np.uint8)])
    (tmp_path / "frames").mkdir()
    Image.fromarray(clear).save(tmp_path / "frames" / "0.png")
    source = open_video(tmp_path / "frames")
    assert source.notes.count(IGNORED) == 1
    assert np.array_equal(frames_of(source)[0], picture(0))
    assert IGNORED not in open_video(make_folder(tmp_path / "opaque", ["0.png"])).notes


@pytest.mark.parametrize(("ending", "noted"), [("mov", True), ("webm", True), ("mp4", False)])
def test_transparency_of_videos_is_said_to_be_ignored(tmp_path: Path, ending: str, noted: bool) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 3)
    made = tmp_path / f"made.{ending}"
    style = "cutout" if noted else "green"
    run_overlay(clip, make_masks(tmp_path / "masks", 3), "-o", made, "--style", style)
    assert (IGNORED in open_video(made).notes) is noted


def test_an_alpha_channel_that_hides_nothing_is_no_transparency(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mov", 3, codec="prores_ks", pixel_format="yuva444p10le", options={})
    with av.open(str(path)) as container:
        assert "yuva" in next(container.decode(video=0)).format.name
    assert IGNORED not in open_video(path).notes
