"""Pictures as videos: 16-bit values, turned and floating-point TIFF files, transparency, files of several pages."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from fakes import fake_setup
from media import decoded, make_clip, make_folder, make_masks, picture, read_number
from PIL import Image
from running import run_command, run_overlay

from stma.errors import SettingsError, VideoError
from stma_cli.check.video_findings import survey_video
from stma_cli.masks import read_labels
from stma_cli.segment import run as segment_run
from stma_cli.segment.settings import SegmentSettings
from stma_cli.video import VideoSource, open_video
from stma_cli.video.levels import levels_of

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


def save_stack(path: Path, pages: Pages) -> Path:
    first, *others = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")
    return path


def save_grey_stack(path: Path, pages: Pages) -> Path:
    return save_stack(path.with_suffix(".tif"), pages)


def frames_of(source: VideoSource) -> Pages:
    return [frame.pixels for frame in source.frames()]


@pytest.mark.parametrize("save", [save_folder, save_grey_stack])
@pytest.mark.parametrize(("lowest", "highest"), [(0, 4095), (100, 600)])
def test_dim_sixteen_bit_frames_are_stretched_alike(
    tmp_path: Path, save: Callable[[Path, Pages], Path], lowest: int, highest: int
) -> None:
    source = open_video(save(tmp_path / "dim", values(4, lowest, highest)))
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


def test_a_few_hot_pixels_are_all_that_a_dark_frame_shows(tmp_path: Path) -> None:
    page = np.full((96, 160), 100, np.uint16)
    page[3, 4:7] = 300
    levels, note = levels_of(save_folder(tmp_path / "in", [page]) / "0.png")
    assert (levels.black, levels.white) == (100, 400)
    assert note is not None
    assert "100 is shown as black and 400 as white" in note


def test_indexed_pictures_alone_are_frames(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(3):
        Image.fromarray(picture(index)).quantize(16).save(tmp_path / "in" / f"{index}.png")
    source = open_video(tmp_path / "in")
    assert [read_number(frame.pixels) for frame in source.frames()] == [0, 1, 2]


def test_floating_point_frames_are_refused(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    grey = Image.fromarray(np.zeros((8, 8), np.float32))
    grey.save(tmp_path / "frames" / "0.tif")
    grey.save(tmp_path / "stack.tif", save_all=True, append_images=[grey])
    for path in (tmp_path / "frames", tmp_path / "stack.tif"):
        with pytest.raises(VideoError, match=r"no defined range; save as 8 or 16 bits$"):
            open_video(path)


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


def test_the_pages_of_a_tiff_are_frames(tmp_path: Path) -> None:
    source = open_video(save_stack(tmp_path / "stack.tif", [picture(index) for index in range(5)]))
    assert source.count_frames() == source.info.frame_count_hint == 5
    frames = list(source.frames(1, 9))
    assert [frame.name for frame in frames] == ["00001", "00002", "00003", "00004"]
    assert [frame.time for frame in frames] == [Fraction(index, 24) for index in range(1, 5)]
    assert all(np.array_equal(frame.pixels, picture(frame.index)) for frame in frames)
    assert [read_number(frame.pixels) for frame in source.frames_backward(1, 4)] == [3, 2, 1]
    assert any("end at frame 9" in note for note in source.notes)


def test_pages_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    sizes = save_stack(tmp_path / "sizes.tif", [picture(0), picture(1, 80, 48)])
    with pytest.raises(VideoError, match=r"page 0 is 160x96 but page 1 is 80x48; save the pages"):
        open_video(sizes)
    one = save_stack(tmp_path / "one.tif", [picture(0)])
    with pytest.raises(VideoError, match="is a single image; give the folder"):
        open_video(one)
    whole = save_stack(tmp_path / "cut.tif", [picture(index) for index in range(3)])
    whole.write_bytes(whole.read_bytes()[:1500])
    with pytest.raises(VideoError, match=r"cannot be read as an image.*again"):
        open_video(whole)
    (tmp_path / "frames").mkdir()
    sizes.rename(tmp_path / "frames" / "0.tif")
    with pytest.raises(VideoError, match=r"holds 2 pictures; give that file alone as the video, or save"):
        open_video(tmp_path / "frames")


def test_a_tiff_is_segmented_overlaid_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    save_stack(Path("stack.tif"), [picture(index) for index in range(4)])
    make_masks(Path("marks"), 1)
    said = run_command("segment", "stack.tif", "--mask", "marks/00000.png", "--overlay", "a.mp4")
    assert "frames per second are assumed" in said
    assert sorted(path.name for path in Path("stack_stma").glob("*.png")) == [
        f"{index:05d}.png" for index in range(4)
    ]
    assert np.array_equal(read_labels(Path("stack_stma/00003.png")), read_labels(Path("marks/00000.png")))
    run_overlay("stack.tif", "stack_stma", "-o", "b.mp4", "--frame-rate", "12")
    assert [time for time, _ in decoded(Path("b.mp4"))] == [Fraction(index, 12) for index in range(4)]
    assert len(decoded(Path("a.mp4"))) == 4
    survey = survey_video(Path("stack.tif"))
    assert (survey.frames, survey.stems) == (4, ())
    assert {finding.code for finding in survey.findings} == {"video"}


def test_a_run_at_another_frame_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    make_folder(Path("frames"), ["0.png", "1.png", "2.png"])
    make_masks(Path("marks"), 1)
    words = ("segment", "frames", "--mask", "marks/00000.png")
    assert "assumed; segment, batch and overlay take another with --frame-rate" in run_command(*words)
    said = run_command(*words, "--out", "a", "--frame-rate", "25/2", "--overlay", "a.mp4")
    assert "assumed" not in said
    assert [time for time, _ in decoded(Path("a.mp4"))] == [Fraction(2 * index, 25) for index in range(3)]
    rows = json.loads(Path("a/report.json").read_text())["frames"]
    assert rows[2]["time"] == pytest.approx(0.16)
    assert "--frame-rate 25/2" in run_command(*words, "--out", "b", "--frame-rate", "25/2")  # to see it
    assert "nothing is computed" in run_command(*words, "--out", "a", "--frame-rate", "12")
    rows = json.loads(Path("a/report.json").read_text())["frames"]
    assert rows[2]["time"] == pytest.approx(2 / 12, abs=1e-6)
    settings = SegmentSettings(Path("frames"), ("0.png",), Path("a"), frame_rate="12")
    assert "--frame-rate 12" in settings.resume_command()


@pytest.mark.parametrize("command", ["segment", "batch"])
def test_what_is_no_frame_rate_is_refused_before_anything(tmp_path: Path, command: str) -> None:
    with pytest.raises(SettingsError, match="'fast' is not a frame rate; give a number"):
        run_command(command, tmp_path, "--frame-rate", "fast")


def test_a_video_that_is_segmented_keeps_its_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    clip = make_clip(Path("clip.mp4"), 3)
    make_masks(Path("marks"), 1)
    said = run_command(
        "segment", clip, "--mask", "marks/00000.png", "--frame-rate", "3", "--overlay", "a.mp4"
    )
    assert "note     --frame-rate is for a folder" in said
    assert [time for time, _ in decoded(Path("a.mp4"))] == [time for time, _ in decoded(clip)]
