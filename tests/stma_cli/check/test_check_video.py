"""`stma check` on videos: timing, turns, cuts, repeats, sizes and damage."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import make_clip
from PIL import Image

from stma_cli.check.findings import Finding, Level
from stma_cli.check.video_findings import QUICK_FRAMES, survey_video


def found(path: Path, quick: bool = False) -> dict[str, Finding]:
    return {finding.code: finding for finding in survey_video(path, quick).findings}


def frames_folder(folder: Path, frames: list[np.ndarray], ending: str = "png") -> Path:
    folder.mkdir()
    for index, pixels in enumerate(frames):
        Image.fromarray(pixels).save(folder / f"{index:03d}.{ending}")
    return folder


def moving(count: int, seed: int, light: int = 1) -> list[np.ndarray]:
    """A soft texture that shifts by one pixel per frame."""
    noise = np.random.default_rng(seed).integers(0, 110, (6, 10, 3), dtype=np.uint8)
    texture = cv2.resize(noise, (64 + count, 48), interpolation=cv2.INTER_CUBIC) * light
    return [np.ascontiguousarray(texture[:, index : index + 64]) for index in range(count)]


def test_plain_clip(tmp_path: Path) -> None:
    survey = survey_video(make_clip(tmp_path / "clip.mp4", 8))
    assert survey.findings == ()
    assert survey.frames == 8
    assert survey.first is not None
    assert survey.first.shape == (96, 160, 3)


def test_variable_frame_rate(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "v.mp4", 5, times=[0, 33, 66, 200, 233], time_base=Fraction(1, 1000))
    finding = found(path)["variable-frame-rate"]
    assert finding.level is Level.NOTE
    assert "33.0 to 134.0 ms" in finding.problem


def test_rotation_and_odd_size(tmp_path: Path) -> None:
    assert "96x160" in found(make_clip(tmp_path / "r.mp4", 3, rotation=-90))["rotated"].problem
    odd = frames_folder(tmp_path / "odd", [np.zeros((33, 47, 3), dtype=np.uint8)])
    assert "47x33" in found(odd)["odd-size"].problem


def test_shot_cut(tmp_path: Path) -> None:
    frames = moving(8, seed=1) + moving(8, seed=2, light=2)
    finding = found(frames_folder(tmp_path / "cut", frames))["shot-cut"]
    assert finding.problem.endswith("frame 8")
    assert "--mask 8=" in finding.fix
    assert "shot-cut" not in found(frames_folder(tmp_path / "whole", moving(16, seed=1)))


def test_duplicates(tmp_path: Path) -> None:
    frames = moving(6, seed=3)
    repeated = [*frames[:3], frames[2], *frames[3:]]
    finding = found(frames_folder(tmp_path / "twice", repeated))["duplicate-frames"]
    assert finding.problem.endswith("1 of 7 frames repeat the one before: 3")
    assert "duplicate-frames" not in found(frames_folder(tmp_path / "once", frames))


def test_truncated(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "whole.mkv", 60)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    survey = survey_video(cut)
    assert survey.frames is None
    assert [item.code for item in survey.findings if item.level is Level.ERROR] == ["damaged"]
    assert survey.findings[0].fix


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    assert found(path)["unreadable"].level is Level.ERROR
    assert found(tmp_path / "missing.mp4")["unreadable"].level is Level.ERROR


def test_quick_reads_only_the_beginning(tmp_path: Path) -> None:
    frames = moving(4, seed=4) * (QUICK_FRAMES // 4 + 2)
    folder = frames_folder(tmp_path / "long", frames, "jpg")
    broken = folder / f"{QUICK_FRAMES + 2:03d}.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])
    assert "damaged" in found(folder)
    assert "damaged" not in found(folder, quick=True)
    assert survey_video(folder, quick=True).frames == len(frames)
