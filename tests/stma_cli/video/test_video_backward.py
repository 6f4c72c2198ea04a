"""Frames from last to first: the same pictures, and never more than a few held."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.stream import VideoStream
from media import make_clip, make_folder, read_number

from stma.errors import SettingsError, VideoError
from stma_cli.video import backward, open_video
from stma_cli.video.container import ContainerSource, _decoded, _opened

COUNT = 60
CODINGS = {
    "groups.mp4": {"options": {"preset": "ultrafast", "g": "12", "bf": "0"}},
    "reordered.mp4": {"options": {"preset": "veryfast", "g": "13", "bf": "3", "x264-params": "open-gop=1"}},
    "one_key.mkv": {"options": {"preset": "veryfast", "g": "1000"}},
    "intra.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p", "options": {}, "full_range": True},
    "stream.ts": {"options": {"preset": "ultrafast", "g": "10"}},
    "no_times.h264": {"options": {"preset": "ultrafast", "g": "10"}},
}


@pytest.fixture(params=CODINGS)
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_clip(tmp_path / request.param, COUNT, rate=Fraction(25), **CODINGS[request.param])


def test_the_same_pictures_in_reverse(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward, "HELD_BYTES", 0)  # so that eight frames are held at a time
    source = open_video(clip)
    forward = list(source.frames())
    reverse = list(source.frames_backward(0, COUNT))
    assert [frame.index for frame in reverse] == list(range(COUNT))[::-1]
    for one, other in zip(forward, reverse[::-1], strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.pixels, other.pixels)
    assert [frame.index for frame in source.frames_backward(17, 31)] == list(range(17, 31))[::-1]


def test_key_frames_are_used_and_little_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward, "HELD_BYTES", 0)
    path = make_clip(tmp_path / "a.mp4", COUNT, options={"preset": "ultrafast", "g": "12"})
    reader = backward.BackwardReader(lambda: _opened(path), lambda *at: _decoded(path, *at, [].append))
    held: list[int] = []
    decode = reader._decode_piece
    reader._decode_piece = lambda *given: held.append(0) or decode(*given)  # type: ignore[method-assign]
    assert len(list(reader.frames(0, COUNT))) == COUNT
    assert len(held) == 10  # two pieces for each group of twelve
    assert reader.decoded == COUNT + 5 * (12 + 4)


def test_a_key_frame_that_is_not_found_again_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.mp4", COUNT, options={"preset": "ultrafast", "g": "12"})
    sums = iter(range(10_000))
    monkeypatch.setattr(backward, "_check_sum", lambda frame: next(sums))
    numbers = [read_number(frame.pixels) for frame in open_video(path).frames_backward(0, COUNT)]
    assert numbers == list(range(COUNT))[::-1]


def test_a_key_frame_whose_time_shows_another_picture_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backward, "HELD_BYTES", 0)
    path = make_clip(tmp_path / "a.mp4", COUNT, options={"preset": "ultrafast", "g": "12"})

    def decoded(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        """After seeking, each picture comes with the time of the one before it."""
        frames = _decoded(path, container, stream, [].append)
        first = next(frames)
        if first.pts == 0:
            yield first
            yield from frames
        time = first.pts
        for frame in frames:
            frame.pts, time = time, frame.pts
            yield frame

    reader = backward.BackwardReader(lambda: _opened(path), decoded)
    found = [
        (index, read_number(frame.to_ndarray(format="rgb24"))) for index, frame in reader.frames(0, COUNT - 1)
    ]
    assert found == [(index, index) for index in range(COUNT - 1)][::-1]


def test_a_rotated_video_is_turned(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 5, rotation=90)
    source = open_video(path)
    for one, other in zip(source.frames(), list(source.frames_backward(0, 5))[::-1], strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_folder_backward(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames", ["a1.png", "a2.png", "a10.png"])
    frames = list(open_video(folder).frames_backward(1, 9))
    assert [(frame.index, frame.name) for frame in frames] == [(2, "a10"), (1, "a2")]
    with pytest.raises(SettingsError, match="from 0 to 2"):
        next(open_video(folder).frames_backward(5, 9))


def test_ranges_and_damage(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", COUNT, options={"preset": "ultrafast", "g": "10"})
    source = open_video(path)
    assert next(source.frames_backward(0, 500)).index == COUNT - 1
    with pytest.raises(SettingsError, match="from 0 to 59"):
        next(source.frames_backward(60, 70))
    content = path.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) // 3])
    damaged = open_video(cut)
    assert isinstance(damaged, ContainerSource)
    with pytest.raises(VideoError):
        next(damaged.frames_backward(0, COUNT))
