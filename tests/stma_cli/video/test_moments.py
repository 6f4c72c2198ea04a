"""Frames named by a time."""

from fractions import Fraction
from pathlib import Path

import pytest
from media import make_clip, make_folder

from stma.errors import SettingsError
from stma_cli.video.moments import frame_numbers


def at(video: Path, text: str, rate: str | None = None) -> int | None:
    return frame_numbers(video, rate, start=text)[0]


def test_numbers_need_no_video() -> None:
    assert frame_numbers(Path("absent.mp4"), None, start="7", end=None) == [7, None]


def test_times_name_the_nearest_frame_of_a_video(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mkv", times=[0, 40, 80, 1000, 1040], count=5, time_base=Fraction(1, 1000)
    )
    assert [at(clip, text) for text in ("0s", "0.04s", "0.061s", "0.99s", "0:01.04")] == [0, 1, 2, 3, 4]
    beyond = at(clip, "1:01:00")
    assert beyond is not None
    assert beyond > 5


def test_times_of_pictures_go_by_their_rate(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "frames", [f"{number}.png" for number in range(3)])
    assert [at(folder, "2s"), at(folder, "1:02.5", "10")] == [48, 625]


@pytest.mark.parametrize("text", ["2.5", "-1", "1:2:3:4", "1:75.2.1", "1m", "", "s"])
def test_what_is_no_moment_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(SettingsError, match=r"neither the number .* 120, 65\.2s or 1:05\.2$"):
        at(Path("absent.mp4"), text)
