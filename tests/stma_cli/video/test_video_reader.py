"""Reading videos: order, times, orientation, colours, and errors that name the fix."""

import re
import struct
import zlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from media import GREEN, NTSC, RED, audio_packets, copy_track, make_clip, make_folder, picture, read_number
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stma.errors import SettingsError, VideoError
from stma_cli.video import open_video


def test_constant_rate_clip_gives_every_frame_at_its_time(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "clip.mp4", 40, audio="aac"))
    frames = list(source.frames())
    assert [read_number(frame.pixels) for frame in frames] == list(range(40))
    assert [frame.time for frame in frames] == [index / NTSC for index in range(40)]
    assert [frame.name for frame in frames[:2]] == ["00000", "00001"]
    assert (source.info.width, source.info.height, source.info.frame_rate) == (160, 96, NTSC)
    assert source.info.has_audio
    assert source.info.variable_frame_rate is False
    assert frames[0].pixels.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".ts"])
def test_other_containers_give_the_same_frames(tmp_path: Path, suffix: str) -> None:
    source = open_video(make_clip(tmp_path / f"clip{suffix}", 20))
    assert [read_number(frame.pixels) for frame in source.frames()] == list(range(20))
    assert source.count_frames() == 20


def test_variable_rate_times_are_kept(tmp_path: Path) -> None:
    times = [0, 33, 66, 120, 400, 401, 433, 900]
    clip = make_clip(tmp_path / "clip.mkv", 8, times=times, time_base=Fraction(1, 1000))
    source = open_video(clip)
    assert [frame.time for frame in source.frames()] == [Fraction(time, 1000) for time in times]


def test_reordered_frames_in_avi_are_evenly_spaced(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "bf": "3"}
    frames = list(open_video(make_clip(tmp_path / "clip.avi", 30, options=options)).frames())
    assert [read_number(frame.pixels) for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == [index / NTSC for index in range(30)]


def test_stream_without_timestamps_gets_evenly_spaced_times(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.h264", 10, rate=Fraction(25))
    frames = list(open_video(clip).frames())
    steps = {after.time - before.time for before, after in pairwise(frames)}
    assert len(frames) == 10
    assert steps == {Fraction(1, 25)}


def test_range_keeps_indices_names_and_times_of_the_whole(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "clip.mp4", 20))
    frames = list(source.frames(5, 9))
    assert [frame.index for frame in frames] == [5, 6, 7, 8]
    assert [read_number(frame.pixels) for frame in frames] == [5, 6, 7, 8]
    assert frames[0].time == 5 / NTSC
    assert frames[0].name == "00005"


def test_range_beyond_the_end(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "clip.mp4", 6))
    assert len(list(source.frames(4, 99))) == 2
    assert any("has 6 frames" in note for note in source.notes)
    with pytest.raises(SettingsError, match="give a start from 0 to 5"):
        list(source.frames(6))
    with pytest.raises(SettingsError, match="give an end of 4 or more"):
        list(source.frames(3, 3))


@pytest.mark.parametrize(
    ("counterclockwise", "clockwise", "corner"),
    [(-90, 90, (0, -1)), (90, 270, (-1, 0)), (180, 180, (-1, -1))],
)
def test_rotation_is_applied_once(
    tmp_path: Path, counterclockwise: int, clockwise: int, corner: tuple[int, int]
) -> None:
    source = open_video(make_clip(tmp_path / "phone.mp4", 3, rotation=counterclockwise))
    pixels = next(iter(source.frames())).pixels
    expected = np.rot90(picture(0), counterclockwise // 90)
    assert pixels.shape == expected.shape == (source.info.height, source.info.width, 3)
    assert source.info.rotation == clockwise
    assert pixels[corner].min() > 240  # the white mark of the stored top left corner
    assert np.abs(pixels.astype(int) - expected).mean() < 4


def test_mirrored_display_matrix() -> None:
    from stma_cli.video.orientation import from_matrix

    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    unit = 1 << 16
    mirror = from_matrix(np.array([-unit, 0, 0, 0, unit, 0, 0, 0, 1 << 30]))
    turn = from_matrix(np.array([0, -unit, 0, unit, 0, 0, 0, 0, 1 << 30]))
    assert mirror is not None
    assert turn is not None
    assert np.array_equal(mirror.apply(pixels), pixels[:, ::-1])
    assert np.array_equal(turn.apply(pixels), np.rot90(pixels))
    assert from_matrix(np.array([unit, unit, 0, -unit, unit, 0, 0, 0, 1 << 30])) is None


def assert_patches(pixels: np.ndarray, tolerance: int = 3) -> None:
    height, width = pixels.shape[:2]
    for column, colour in ((width // 4, RED), (3 * width // 4, GREEN)):
        found = pixels[height // 2, column].astype(int)
        assert np.abs(found - colour).max() <= tolerance, (found, colour)


@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_tagged_colours(tmp_path: Path, matrix: int, full_range: bool) -> None:
    source = open_video(make_clip(tmp_path / "clip.mp4", 2, matrix=matrix, full_range=full_range))
    assert_patches(next(iter(source.frames())).pixels)
    assert source.info.colour.matrix == matrix
    assert source.info.colour.full_range == full_range


@pytest.mark.parametrize(("width", "height", "matrix"), [(160, 96, 6), (1280, 96, 1), (96, 720, 1)])
def test_untagged_colours_follow_the_size(tmp_path: Path, width: int, height: int, matrix: int) -> None:
    clip = make_clip(tmp_path / "clip.mkv", 1, width=width, height=height, matrix=matrix, tagged=False)
    source = open_video(clip)
    assert source.info.colour.guessed
    assert_patches(next(iter(source.frames())).pixels)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "options"),
    [
        ("libx264", "yuv420p10le", {"preset": "ultrafast", "crf": "4"}),
        ("libx264", "yuv444p", {"preset": "ultrafast", "crf": "4"}),
        ("prores_ks", "yuv422p10le", {}),
        ("qtrle", "rgb24", {}),
    ],
)
def test_other_pixel_formats(tmp_path: Path, codec: str, pixel_format: str, options: dict[str, str]) -> None:
    tagged = pixel_format != "rgb24"
    clip = make_clip(
        tmp_path / "clip.mov", 2, codec=codec, pixel_format=pixel_format, options=options, tagged=tagged
    )
    assert_patches(next(iter(open_video(clip).frames())).pixels)


def test_pixels_that_are_not_square_are_kept_and_reported(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 2, aspect=Fraction(4, 3), rotation=-90)
    source = open_video(clip)
    assert (source.info.width, source.info.height) == (96, 160)
    assert source.info.sample_aspect_ratio == Fraction(3, 4)
    assert any("not square" in note for note in source.notes)


@pytest.mark.parametrize("options", [{}, {"flags": "+ildct+ilme"}], ids=["whole", "interlaced"])
def test_an_interlaced_video_is_told(tmp_path: Path, options: dict[str, str]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 3, options={"preset": "ultrafast", **options})
    assert any("bwdif" in note for note in open_video(clip).notes) is bool(options)


def test_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames", [f"frame{number}.png" for number in range(1, 13)])
    (folder / "notes.txt").write_text("not a frame")
    source = open_video(folder, folder_rate=Fraction(10))
    frames = list(source.frames())
    assert [frame.name for frame in frames] == [f"frame{number}" for number in range(1, 13)]
    assert [read_number(frame.pixels) for frame in frames] == list(range(12))
    assert frames[3].time == Fraction(3, 10)
    assert [frame.index for frame in source.frames(10, 12)] == [10, 11]
    assert source.count_frames() == 12
    assert np.array_equal(frames[5].pixels, picture(5))


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "JPG"])
def test_image_formats(tmp_path: Path, suffix: str) -> None:
    frames = list(open_video(make_folder(tmp_path / "frames", [f"0.{suffix}", f"1.{suffix}"])).frames())
    assert [read_number(frame.pixels) for frame in frames] == [0, 1]
    assert_patches(frames[0].pixels, tolerance=8)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    Image.fromarray(picture(0)).save(folder / "0.png", exif=exif)
    source = open_video(folder)
    assert (source.info.width, source.info.height, source.info.rotation) == (96, 160, 90)
    assert np.array_equal(next(iter(source.frames())).pixels, np.rot90(picture(0), -1))


def test_exif_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames", ["0.png"])
    exif = Image.Exif()
    exif[0x0112] = 6
    data = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    content = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes(content[:-12] + chunk + content[-12:])  # before the last chunk, IEND
    source = open_video(folder)
    assert (source.info.width, source.info.height, source.info.rotation) == (96, 160, 90)
    assert np.array_equal(next(iter(source.frames())).pixels, np.rot90(picture(0), -1))


def test_a_folder_is_opened_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder(tmp_path / "frames", ["0.png", "1.png"])
    monkeypatch.setattr(PngImageFile, "load", lambda image: pytest.fail("decoded"))
    assert open_video(folder).count_frames() == 2


def test_sixteen_bit_and_transparent_images(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    Image.fromarray(np.full((8, 8), 32896, dtype=np.uint16)).save(folder / "0.png")
    Image.fromarray(np.full((8, 8, 4), (10, 20, 30, 128), dtype=np.uint8)).save(folder / "1.png")
    first, second = open_video(folder).frames()
    assert first.pixels[0, 0].tolist() == [128, 128, 128]
    assert second.pixels[0, 0].tolist() == [10, 20, 30]


def test_folder_of_mixed_sizes_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames", ["1.png", "2.png"])
    Image.fromarray(picture(0, 200, 96)).save(folder / "3.png")
    with pytest.raises(VideoError, match=r"1\.png is 160x96 but 3\.png is 200x96.*all of one size$"):
        open_video(folder)


def test_folder_with_two_files_of_one_stem_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="same name; rename one"):
        open_video(make_folder(tmp_path / "frames", ["1.png", "1.jpg"]))


def test_damaged_image_is_named(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames", ["1.png", "2.png", "3.png"])
    content = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoError, match=r"2\.png cannot be read as an image.*replace it"):
        list(open_video(folder).frames())


def test_unusable_inputs(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="does not exist; check the path"):
        open_video(tmp_path / "missing.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="has no images; give a folder"):
        open_video(tmp_path / "empty")
    (tmp_path / "zero.mp4").touch()
    with pytest.raises(VideoError, match=r"is empty .*copy or download it again"):
        open_video(tmp_path / "zero.mp4")
    (tmp_path / "text.mp4").write_text("this is not a video\n" * 50)
    with pytest.raises(VideoError, match="cannot be read as a video"):
        open_video(tmp_path / "text.mp4")
    Image.fromarray(picture(0)).save(tmp_path / "photo.jpg")
    with pytest.raises(VideoError, match="is a single image; give the folder"):
        open_video(tmp_path / "photo.jpg")


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 10, audio="aac")
    assert audio_packets(clip)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as target:
        copy_track(source, target, source.streams.audio[0])
    with pytest.raises(VideoError, match="sound but no video stream; choose a file with pictures"):
        open_video(tmp_path / "sound.m4a")


def test_file_without_a_single_frame_is_refused(tmp_path: Path) -> None:
    clip = tmp_path / "nothing.mp4"
    with av.open(str(clip), "w") as container:
        container.add_stream("libx264", rate=25, width=64, height=64)
        container.start_encoding()
    with pytest.raises(VideoError, match=f"{clip.name}.*; (choose|convert)|again"):
        open_video(clip)


def make_damaged_clip(path: Path) -> Path:
    """Write a clip of 60 frames with zeros over part of its middle."""
    options = {"preset": "ultrafast", "crf": "1", "g": "10"}
    content = bytearray(make_clip(path, 60, rate=Fraction(10), options=options).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = bytes(1500)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_damage_in_the_middle_is_an_error(tmp_path: Path, suffix: str) -> None:
    source = open_video(make_damaged_clip(tmp_path / f"clip{suffix}"))
    with pytest.raises(VideoError, match=r"clip\.\w+ (cannot be decoded at frame \d+|is cut off).*--end \d+"):
        list(source.frames())


def test_part_lost_without_a_trace_shows_as_a_jump_in_time(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "g": "10"}
    whole = make_clip(tmp_path / "whole.mkv", 60, rate=Fraction(10), options=options)
    with av.open(str(whole)) as before, av.open(str(tmp_path / "clip.mkv"), "w") as after:
        copy_track(
            before, after, before.streams.video[0], lost=range(20, 30)
        )  # from one key frame to the next
    source = open_video(tmp_path / "clip.mkv")
    assert len(list(source.frames())) == 50
    assert any("the time jumps from" in note for note in source.notes)


@pytest.mark.parametrize(("suffix", "rate"), [(".mp4", 10), (".mkv", 10), (".mkv", 25)])
def test_cut_off_file_is_never_silent(tmp_path: Path, suffix: str, rate: int) -> None:
    clip = make_clip(tmp_path / f"clip{suffix}", 60, rate=Fraction(rate))
    if suffix == ".mp4":
        moved = tmp_path / "moved.mp4"
        with (
            av.open(str(clip)) as source,
            av.open(str(moved), "w", options={"movflags": "faststart"}) as target,
        ):
            copy_track(source, target, source.streams.video[0])
        clip = moved
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) * 6 // 10])
    source = open_video(clip)
    with pytest.raises(VideoError, match=r"--end \d+") as refused:
        list(source.frames())
    advice = re.search(r"--end (\d+)", str(refused.value))
    assert advice
    end = int(advice[1])
    assert [frame.index for frame in source.frames(0, end)] == list(range(end))


def test_change_of_size_in_the_middle_is_named(tmp_path: Path) -> None:
    small = make_clip(tmp_path / "small.ts", 5)
    large = make_clip(tmp_path / "large.ts", 5, width=192)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(VideoError, match=r"changes its size at frame 5, from 160x96 to 192x96"):
        list(open_video(joined).frames())


def test_leaving_the_loop_early_closes_the_file(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "clip.mp4", 30))
    for frame in source.frames():
        if frame.index == 2:
            break
    assert [frame.index for frame in source.frames(0, 2)] == [0, 1]


def test_masks_beside_jpeg_frames_are_not_frames(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames", ["00000.jpg", "00001.jpg"])
    for name in ("00000.png", "00001.png", "first.png"):
        Image.new("P", (160, 96)).save(folder / name)
    source = open_video(folder)
    assert [frame.name for frame in source.frames()] == ["00000", "00001"]
    assert any("3 indexed PNG" in note for note in source.notes)
