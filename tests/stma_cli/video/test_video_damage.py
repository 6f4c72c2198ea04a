"""Frames that a damaged video lost: never an earlier end or another number for the rest without an error."""

import re
from contextlib import suppress
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import pytest
from av.error import FFmpegError
from media import copy_track, make_clip, read_number

from stma.errors import VideoError
from stma_cli.video import backward, open_video

COUNT = 40
REORDERED = {"preset": "veryfast", "g": "10", "bf": "3"}
OPEN_GROUPS = {"preset": "veryfast", "x265-params": "log-level=0:open-gop=1:keyint=10"}
HALF = Fraction(1, 2)
AV1 = {"preset": "8", "crf": "5", "g": "10", "svtav1-params": "lp=1"}
MPEG2 = {"bf": "2", "g": "10"}


def spoil_packet(path: Path, number: int, kept: Fraction) -> Path:
    """Write zeros over a packet but for a share of it at its beginning."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data, packet = path.read_bytes(), packets[number]
    start, stop = (data.index(packet) + int(len(packet) * share) for share in (kept, 1))
    path.write_bytes(data[:start] + bytes(stop - start) + data[stop:])
    return path


def coded(path: Path, codec: str, options: dict[str, str], **others: object) -> Path:
    return make_clip(path, COUNT, codec=codec, options=options, rate=Fraction(25), **others)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_damaged_first_picture_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = spoil_packet(coded(tmp_path / f"clip{suffix}", "libx264", REORDERED), 0, HALF)
    with pytest.raises(
        VideoError, match=r"frame 0, .* the file is damaged there; copy it again, or convert it"
    ):
        list(open_video(path).frames())


@pytest.mark.parametrize(
    ("name", "codec", "options", "kept"),
    [
        ("clip.mp4", "libx265", OPEN_GROUPS, HALF),
        ("clip.mkv", "libx265", OPEN_GROUPS, HALF),
        ("clip.mp4", "libsvtav1", AV1, Fraction(0)),
        ("clip.webm", "libsvtav1", AV1, Fraction(0)),
        ("clip.mp4", "mpeg2video", MPEG2, Fraction(0)),
    ],
)
def test_a_picture_that_the_decoder_leaves_out_is_an_error(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], kept: Fraction
) -> None:
    path = coded(tmp_path / name, codec, options)
    whole = path.read_bytes()
    for number in count(6):
        path.write_bytes(whole)
        with av.open(str(spoil_packet(path, number, kept))) as container, suppress(FFmpegError):
            if len(list(container.decode(video=0))) < COUNT:
                break  # without an error
    source = open_video(path)
    with pytest.raises(VideoError, match=r"its picture is missing.*--end \d+$") as refused:
        list(source.frames(0, COUNT - 2))
    end = int(re.findall(r"\d+", str(refused.value))[-1])
    assert [read_number(frame.pixels) for frame in source.frames(0, end)] == list(range(end))
    with pytest.raises(VideoError, match="its picture is missing"):
        list(source.frames_backward(0, COUNT))


def test_a_picture_left_out_near_the_end_takes_no_frames_after_it_along(tmp_path: Path) -> None:
    path = coded(tmp_path / "clip.mp4", "mpeg2video", MPEG2)
    whole = path.read_bytes()
    for number in count(COUNT - 8):
        path.write_bytes(whole)
        with av.open(str(spoil_packet(path, number, Fraction(0)))) as container, suppress(FFmpegError):
            if len(list(container.decode(video=0))) < COUNT:
                break  # without an error
    with pytest.raises(VideoError, match="its picture is missing"):
        list(open_video(path).frames())


@pytest.mark.parametrize(
    ("name", "codec", "options", "pixel_format"),
    [
        ("clip.mp4", "libx264", {**REORDERED, "x264-params": "open-gop=1"}, "yuv420p"),
        ("clip.mov", "libx264", {"preset": "ultrafast", "tune": "zerolatency"}, "yuv420p"),
        ("clip.mkv", "libx264", {**REORDERED, "x264-params": "interlaced=1:tff=1"}, "yuv420p"),
        ("clip.avi", "libx264", REORDERED, "yuv420p"),
        ("clip.mp4", "libx265", OPEN_GROUPS, "yuv420p"),
        (
            "clip.mkv",
            "libx265",
            {"preset": "veryfast", "x265-params": "log-level=0:interlace=tff"},
            "yuv420p",
        ),
        ("clip.webm", "libvpx-vp9", {"auto-alt-ref": "6", "lag-in-frames": "25", "cpu-used": "5"}, "yuv420p"),
        ("clip.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "25", "cpu-used": "5"}, "yuv420p"),
        ("clip.mkv", "libsvtav1", AV1, "yuv420p"),
        ("clip.mp4", "mpeg2video", {**MPEG2, "flags": "+ildct+ilme"}, "yuv420p"),
        ("clip.mp4", "mpeg4", {**MPEG2, "flags": "+ildct+ilme"}, "yuv420p"),
        ("clip.avi", "mpeg4", MPEG2, "yuv420p"),
        ("clip.mov", "prores_ks", {}, "yuv422p10le"),
        ("clip.mkv", "ffv1", {}, "yuv420p"),
    ],
)
def test_sound_files_of_all_codecs_are_read_whole(
    tmp_path: Path,
    name: str,
    codec: str,
    options: dict[str, str],
    pixel_format: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backward, "HELD_BYTES", 0)
    source = open_video(coded(tmp_path / name, codec, options, pixel_format=pixel_format))
    numbers = list(range(COUNT))
    assert [read_number(frame.pixels) for frame in source.frames()] == numbers
    assert [read_number(frame.pixels) for frame in source.frames(23)] == numbers[23:]
    assert [read_number(frame.pixels) for frame in source.frames_backward(0, COUNT)] == numbers[::-1]
    assert not [note for note in source.notes if not note.startswith("interlaced: ")]  # as some of these are


@pytest.mark.parametrize(("codec", "options"), [("libx265", OPEN_GROUPS), ("mpeg2video", MPEG2)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pictures_before_the_key_frame_of_a_cut_copy_need_not_come(
    tmp_path: Path, codec: str, options: dict[str, str], suffix: str
) -> None:
    whole = coded(tmp_path / f"whole{suffix}", codec, options)
    path = tmp_path / f"clip{suffix}"
    with av.open(str(whole)) as before, av.open(str(path), "w") as after:
        keys = [
            number
            for number, packet in enumerate(before.demux(video=0))
            if packet.size and packet.is_keyframe
        ]
        before.seek(0)
        copy_track(before, after, before.streams.video[0], lost=range(keys[1]))
    numbers = [read_number(frame.pixels) for frame in open_video(path).frames()]
    assert numbers == list(range(numbers[0], COUNT))
    assert 0 < numbers[0] <= keys[1] + 4


def test_times_in_the_order_of_decoding_are_no_damage(tmp_path: Path) -> None:
    whole = coded(tmp_path / "whole.mp4", "libx264", REORDERED)
    path = tmp_path / "clip.mkv"
    with av.open(str(whole)) as before, av.open(str(path), "w") as after:
        track = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(video=0):
            if packet.size:
                packet.pts, packet.stream = packet.dts, track
                after.mux(packet)
    assert [read_number(frame.pixels) for frame in open_video(path).frames()] == list(range(COUNT))
