"""`stma overlay` as a user runs it."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media import NTSC, audio_packets, decoded, make_clip, make_folder, make_masks, picture
from PIL import Image
from running import run_overlay

from stma.errors import MaskError, OutputError, SettingsError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", 20, audio="aac")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    return make_masks(tmp_path / "masks", 20)


def tinted(pixels: np.ndarray, index: int) -> bool:
    """Whether the square of `make_masks` is drawn on frame `index`; its centre is on the red half."""
    left = 20 + 4 * index
    change = np.abs(pixels[45, left + 10 : left + 20].astype(int) - picture(index)[45, left + 10 : left + 20])
    return bool(change.mean() > 20)


def test_overlay_has_every_frame_the_times_and_the_sound(tmp_path: Path, clip: Path, masks: Path) -> None:
    out = tmp_path / "out.mp4"
    assert "20 frames" in run_overlay(clip, masks, "-o", out)
    frames = decoded(out)
    assert [time for time, _ in frames] == [index / NTSC for index in range(20)]
    assert all(tinted(pixels, index) for index, (_, pixels) in enumerate(frames))
    assert audio_packets(out) == audio_packets(clip)


def test_rotated_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "phone.mp4", 4, rotation=-90)
    masks = make_masks(tmp_path / "masks", 4, width=96, height=160)
    run_overlay(clip, masks, "-o", tmp_path / "out.mp4")
    assert decoded(tmp_path / "out.mp4")[0][1].shape == (160, 96, 3)


def test_still(tmp_path: Path, clip: Path, masks: Path) -> None:
    out = tmp_path / "still.png"
    run_overlay(clip, masks, "-o", out, "--still", 7, "--no-names", "--no-outline", "--alpha", 1)
    pixels = np.asarray(Image.open(out))
    assert pixels.shape == (96, 160, 3)
    assert pixels[45, 60].tolist() == [128, 0, 0]
    assert np.abs(pixels[45, 10:40].astype(int) - picture(7)[45, 10:40]).max() < 10
    with pytest.raises(SettingsError, match=r"frame 20 has no mask.*from 0 to 19"):
        run_overlay(clip, masks, "-o", tmp_path / "x.png", "--still", 20)


def test_folder_of_frames(tmp_path: Path) -> None:
    frames = make_folder(tmp_path / "frames", [f"{index}.png" for index in range(1, 13)])
    masks = make_masks(tmp_path / "results" / "masks", 12)
    run_overlay(frames, tmp_path / "results", "-o", tmp_path / "out.mp4", "--frame-rate", "12.5")
    assert masks.is_dir()
    assert [time for time, _ in decoded(tmp_path / "out.mp4")] == [
        index * Fraction(2, 25) for index in range(12)
    ]
    with pytest.raises(SettingsError, match="not a frame rate; give a number"):
        run_overlay(frames, masks, "-o", tmp_path / "x.mp4", "--frame-rate", "fast")


def test_a_frame_rate_for_a_video_is_said_to_be_left_out(tmp_path: Path, clip: Path, masks: Path) -> None:
    out = tmp_path / "out.mp4"
    assert "note: --frame-rate is for a folder" in run_overlay(clip, masks, "-o", out, "--frame-rate", "3")
    assert [time for time, _ in decoded(out)] == [time for time, _ in decoded(clip)]


@pytest.mark.parametrize(("count", "found"), [(15, "15 masks"), (25, "25 masks")])
def test_wrong_number_of_masks(tmp_path: Path, clip: Path, count: int, found: str) -> None:
    masks = make_masks(tmp_path / "masks", count)
    with pytest.raises(MaskError, match=rf"{found} but .* has 20 frames; .*(--start 0 --end 15|very video)"):
        run_overlay(clip, masks, "-o", tmp_path / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "masks"]


@pytest.mark.parametrize("claimed", [15, 25])
def test_wrong_number_of_masks_where_the_container_agrees(
    tmp_path: Path, clip: Path, claimed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stma_cli.video.container._count_hint", lambda *_: claimed)
    masks = make_masks(tmp_path / "masks", claimed)
    with pytest.raises(MaskError, match=rf"{claimed} masks but .* has 20 frames"):
        run_overlay(clip, masks, "-o", tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*out*"))


def test_masks_of_a_range(tmp_path: Path, clip: Path) -> None:
    masks = make_masks(tmp_path / "masks", 8, first=5)
    with pytest.raises(MaskError, match="add --start 5 --end 13"):
        run_overlay(clip, masks, "-o", tmp_path / "out.mp4")
    run_overlay(clip, masks, "-o", tmp_path / "out.mp4", "--start", 5, "--end", 13)
    frames = decoded(tmp_path / "out.mp4")
    assert len(frames) == 8
    assert all(tinted(pixels, index) for index, (_, pixels) in enumerate(frames, start=5))
    run_overlay(clip, masks, "-o", tmp_path / "still.png", "--start", 5, "--end", 13, "--still", 6)
    assert tinted(np.asarray(Image.open(tmp_path / "still.png")), 6)


def test_a_range_of_the_masks_of_the_whole_video(tmp_path: Path, clip: Path, masks: Path) -> None:
    assert "8 frames" in run_overlay(clip, masks, "-o", tmp_path / "out.mp4", "--start", 5, "--end", 13)
    frames = decoded(tmp_path / "out.mp4")
    assert len(frames) == 8
    assert all(tinted(pixels, index) for index, (_, pixels) in enumerate(frames, start=5))
    run_overlay(clip, masks, "-o", tmp_path / "still.png", "--start", 5, "--still", 6)
    assert tinted(np.asarray(Image.open(tmp_path / "still.png")), 6)
    with pytest.raises(SettingsError, match="has 20 frames; give a start from 0 to 19"):
        run_overlay(clip, masks, "-o", tmp_path / "late.mp4", "--start", 20)


def test_masks_of_another_size(tmp_path: Path, clip: Path) -> None:
    masks = make_masks(tmp_path / "masks", 20, width=200)
    with pytest.raises(MaskError, match=r"00000\.png is 200x96 but the frames are 160x96"):
        run_overlay(clip, masks, "-o", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("place", ["masks/names.json", "masks/report.json", "report.json"])
def test_names_are_found(tmp_path: Path, clip: Path, masks: Path, place: str) -> None:
    run_overlay(clip, masks, "-o", tmp_path / "without.png", "--still", 3)
    (tmp_path / place).write_text(json.dumps({"objects": [{"id": 1, "name": "a long name"}]}))
    run_overlay(clip, masks, "-o", tmp_path / "with.png", "--still", 3)
    with_name, without = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("with", "without"))
    assert (with_name != without)[:30].sum() > 500


def test_damaged_names_are_refused(tmp_path: Path, clip: Path, masks: Path) -> None:
    (masks / "names.json").write_text("{")
    with pytest.raises(MaskError, match=r"names\.json cannot be read.*or remove it"):
        run_overlay(clip, masks, "-o", tmp_path / "out.mp4")


def test_targets_are_protected(tmp_path: Path, clip: Path, masks: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"exists; .*--force to replace it"):
        run_overlay(clip, masks, "-o", out)
    assert out.read_bytes() == b"precious"
    run_overlay(clip, masks, "-o", out, "--force", "--no-audio")
    assert len(decoded(out)) == 20
    with pytest.raises(SettingsError, match="is the video itself"):
        run_overlay(clip, masks, "-o", clip, "--force")
    with pytest.raises(SettingsError, match=r"let it end in \.mp4, \.m4v, \.mov"):
        run_overlay(clip, masks, "-o", tmp_path / "out.avi")
    with pytest.raises(SettingsError, match="itself; choose another name"):
        run_overlay(clip, masks, "-o", masks, "--force")
    with pytest.raises(SettingsError, match=r"let it end in \.png"):
        run_overlay(clip, masks, "-o", tmp_path / "x.mp4", "--still", 0)


def test_masks_must_be_a_folder_of_pngs(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(MaskError, match="is not a folder; give"):
        run_overlay(clip, tmp_path / "nothing", "-o", tmp_path / "out.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaskError, match="has no PNG files; give"):
        run_overlay(clip, tmp_path / "empty", "-o", tmp_path / "out.mp4")


def test_the_model_is_not_loaded(tmp_path: Path, clip: Path, masks: Path) -> None:
    arguments = ["overlay", str(clip), str(masks), "-o", str(tmp_path / "out.mp4")]
    program = (
        "import sys; from stma_cli.main import app; "
        "heavy = {'torch', 'cv2', 'av', 'matplotlib', 'pycocotools'} & set(sys.modules); "
        "assert not heavy, heavy; "
        f"app({arguments!r}, standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
