"""Files that were cut off while they were copied: by however little, and those that only look like it."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest
from media import copy_track, make_clip, read_number

from stma.errors import VideoError
from stma_cli.video import open_video
from stma_cli.video.stated_size import stated_size

COUNT = 12


def motion_jpeg(path: Path) -> Path:
    return make_clip(
        path, COUNT, codec="mjpeg", pixel_format="yuvj420p", options={}, full_range=True, rate=Fraction(25)
    )


def numbers(path: Path, end: int | None = None) -> list[int]:
    return [read_number(frame.pixels) for frame in open_video(path).frames(0, end)]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_an_avi_shorter_than_it_says(tmp_path: Path, share: float) -> None:
    path = motion_jpeg(tmp_path / "clip.avi")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(VideoError, match=r"copy it again.*--end \d+$") as refused:
        numbers(path)
    end = int(str(refused.value).rsplit(" ", 1)[1])
    assert numbers(path, end) == list(range(end))


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_an_avi_that_was_written_as_a_stream(tmp_path: Path, size: int) -> None:
    path = motion_jpeg(tmp_path / "clip.avi")
    content = path.read_bytes()
    path.write_bytes(content[:4] + struct.pack("<I", size) + content[8:])
    assert numbers(path) == list(range(COUNT))


def test_an_avi_of_several_parts(tmp_path: Path) -> None:
    path = motion_jpeg(tmp_path / "clip.avi")
    content = path.read_bytes()
    path.write_bytes(content + b"RIFF" + struct.pack("<I", 104) + b"AVIX" + bytes(100))
    assert stated_size(path) == len(content) + 104
    assert numbers(path) == list(range(COUNT))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(
        VideoError, match=r"its header says \d+ bytes but it has \d+, 12 frames could be read"
    ):
        numbers(path)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
@pytest.mark.parametrize("lost", [1, 40, 400])
def test_a_matroska_file_cut_off_near_its_end(tmp_path: Path, suffix: str, lost: int) -> None:
    options = {"cpu-used": "5"} if suffix == ".webm" else {"preset": "ultrafast", "crf": "10"}
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    path = make_clip(tmp_path / f"clip{suffix}", 60, codec=codec, options=options)
    content = path.read_bytes()
    assert stated_size(path) == len(content)
    path.write_bytes(content[:-lost])
    with pytest.raises(
        VideoError, match=r"is cut off or damaged: its header says .*copy it again.*--end \d+$"
    ):
        numbers(path)


def test_a_matroska_file_of_unknown_size(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", COUNT)
    content = path.read_bytes()
    place = content.index(bytes.fromhex("18538067")) + 4
    path.write_bytes(content[:place] + b"\x01" + b"\xff" * 7 + content[place + 8 :])
    assert stated_size(path) is None
    assert numbers(path) == list(range(COUNT))


def test_a_matroska_file_whose_last_pictures_are_damaged(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", 40, rate=Fraction(25), options={"preset": "ultrafast", "bf": "0"})
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    content = path.read_bytes()
    end = content.index(bytes.fromhex("1c53bb6b"), places[-1])  # what follows the pictures: the cues
    path.write_bytes(content[: places[-3]] + bytes(end - places[-3]) + content[end:])
    with pytest.raises(VideoError, match=r"its header says 1\.60 s but it ends after 1\.48 s, 37 frames"):
        numbers(path)


def test_uneven_times_are_no_damage(tmp_path: Path) -> None:
    times = [0, 33, 66, 120, 400, 401, 433, 900]
    clip = make_clip(tmp_path / "clip.mkv", 8, times=times, time_base=Fraction(1, 1000))
    assert numbers(clip) == list(range(8))


def test_half_a_picture_at_the_end_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    with (
        av.open(str(motion_jpeg(tmp_path / "plain.mov"))) as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as target,
    ):
        copy_track(source, target, source.streams.video[0])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(VideoError, match="lists 12 pictures but only 11 are in the file, 11 frames"):
        numbers(path)
