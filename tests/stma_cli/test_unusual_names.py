"""Names with a colon, and entries of a folder that only look like frames: every command treats them alike."""

import sys
from pathlib import Path

import pytest
from fakes import fake_setup, save_mask
from media import decoded, make_clip, make_folder
from running import run_command

from stma.errors import OutputError, VideoError
from stma_cli.segment import run as segment_run
from stma_cli.segment.identity import hash_path, stamp_path
from stma_cli.video import open_video

CLIP = "2024-01-01T12:30:00.mp4"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such names on this system")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    save_mask("first.png", 1)
    return tmp_path


@pytest.mark.parametrize("overlay", ["a:b.gif", "file:b.mp4", "pipe:1.webm"])
def test_a_colon_makes_no_protocol(workplace: Path, overlay: str) -> None:
    make_clip(workplace / CLIP, 4, width=64, height=48, audio="aac")
    printed = run_command("segment", CLIP, "--mask", "first.png", "--out", "out", "--overlay", overlay)
    assert str(workplace) not in printed
    assert decoded(workplace / overlay)  # a GIF holds equal frames once


def test_messages_name_the_path_as_it_was_given(workplace: Path) -> None:
    Path("a:b.mp4").write_bytes(b"no video" * 99)
    with pytest.raises(VideoError, match=r"^a:b\.mp4 cannot be read as a video") as refused:
        open_video(Path("a:b.mp4"))
    assert str(workplace) not in str(refused.value)
    make_clip(workplace / CLIP, 4, width=64, height=48)
    Path("file").touch()
    with pytest.raises(OutputError, match=r"^file/a:b\.mp4") as unwritten:
        run_command("segment", CLIP, "--mask", "first.png", "--out", "out", "--overlay", "file/a:b.mp4")
    assert str(workplace) not in str(unwritten.value)


def test_links_to_nothing_and_folders_are_no_frames(workplace: Path) -> None:
    folder = make_folder(Path("frames"), ["0.png", "1.png", "2.png"], 64, 48)
    before = hash_path(folder), stamp_path(folder)
    (folder / "3.png").symlink_to("nowhere.png")
    (folder / "old.png").mkdir()
    assert (hash_path(folder), stamp_path(folder)) == before
    assert "3 frames" in run_command("check", folder, "--mask", "first.png")
    run_command("segment", folder, "--mask", "first.png", "--out", "out")
    assert len(list(Path("out").glob("*.png"))) == 3


def test_files_that_a_mac_hides_beside_its_own_are_no_pictures(workplace: Path) -> None:
    make_folder(Path("frames"), ["00000.png", "00001.png", "00002.png"], 64, 48)
    Path("masks").mkdir()
    Path("first.png").rename("masks/00000.png")
    words = ("segment", "frames", "--mask", "masks", "--out")
    run_command(*words, "clean")
    for folder in ("frames", "masks", "clean"):
        Path(folder, "._00000.png").write_bytes(b"Mac OS X")
    run_command(*words, "beside")
    for frame in range(3):
        name = f"{frame:05d}.png"
        assert Path("beside", name).read_bytes() == Path("clean", name).read_bytes()
    assert "nothing is computed" in run_command(*words, "clean")
    assert "3 frames" in run_command("overlay", "frames", "clean", "-o", "seen")
