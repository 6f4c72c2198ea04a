"""Where `stma segment` finds its masks and writes its overlay, and what it does not replace there."""

from pathlib import Path

import pytest
from fakes import fake_setup, save_mask
from media import decoded, make_clip, make_folder
from PIL import Image
from typer.testing import CliRunner, Result

from stma.errors import OutputError
from stma_cli.main import app
from stma_cli.segment import run as segment_run

COUNT = 6


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clip.mp4 and a mask, a folder beside it, and a model that copies."""
    work = tmp_path / "work"
    for folder in (work, tmp_path / "beside"):
        folder.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    make_clip(Path("clip.mp4"), COUNT, width=64, height=48)
    save_mask("first.png", 1)
    return work


def run(folder: Path, *words: str) -> Result:
    options = ["--mask", str(folder / "first.png"), "--out", str(folder / "a")]
    return CliRunner().invoke(app, ["segment", str(folder / "clip.mp4"), *options, *words])


def test_masks_among_the_frames_are_found_from_within(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(Path("frames"), ["0.jpg", "1.jpg"], 64, 48)
    save_mask("frames/0.png", 1)
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, ["segment", ".", "--mask", ".", "--out", "../out"])
    assert result.exit_code == 0, result.output
    assert len(list((workplace / "out").glob("*.png"))) == 2


def test_an_overlay_of_the_same_name_in_another_folder_stays(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(workplace, "--overlay", "seen.mp4").exit_code == 0
    monkeypatch.chdir(workplace.parent / "beside")
    Path("seen.mp4").write_bytes(b"precious")
    refused = run(workplace, "--overlay", "seen.mp4")
    assert isinstance(refused.exception, OutputError), refused.output
    assert "seen.mp4 exists" in str(refused.exception)
    assert Path("seen.mp4").read_bytes() == b"precious"


def test_the_overlay_of_the_run_is_known_from_any_folder(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(workplace, "--overlay", "seen.mp4").exit_code == 0
    monkeypatch.chdir(workplace.parent / "beside")
    before = (workplace / "seen.mp4").stat().st_mtime_ns
    assert run(workplace, "--overlay", "../work/seen.mp4").exit_code == 0
    assert (workplace / "seen.mp4").stat().st_mtime_ns == before
    save_mask(str(workplace / "first.png"), 1, 2)
    assert run(workplace, "--overlay", "../work/seen.mp4").exit_code == 0
    assert (workplace / "seen.mp4").stat().st_mtime_ns > before
    assert len(decoded(workplace / "seen.mp4")) == COUNT


def test_a_file_in_place_of_overlay_pictures_is_refused_by_its_option(workplace: Path) -> None:
    Path("seen").write_bytes(b"precious")
    refused = run(workplace, "--overlay", "seen", "--force")
    assert isinstance(refused.exception, OutputError), refused.output
    assert str(refused.exception) == "seen is a file; choose another folder with --overlay"
    assert Path("seen").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("mask", "overlay", "message"),
    [
        ("given", "given", "--overlay given is the folder of the masks given; choose another folder"),
        ("3=given/00003.png", "given", "--mask 00003.png lies in --overlay given"),
        ("first.webp", "first.webp", "--overlay first.webp is a mask given; choose another name"),
    ],
)
def test_overlays_never_replace_the_masks_given(
    workplace: Path, mask: str, overlay: str, message: str
) -> None:
    Path("given").mkdir()
    for name in ("00000.png", "00003.png"):
        save_mask(f"given/{name}", 1)
    with Image.open("first.png") as image:
        image.convert("RGB").save("first.webp", lossless=True)
    before = {path: path.read_bytes() for path in workplace.rglob("*") if path.is_file()}
    words = ["segment", "clip.mp4", "--mask", mask, "--overlay", overlay, "--force"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, OutputError), result.output
    assert message in str(result.exception)
    assert {path: path.read_bytes() for path in workplace.rglob("*") if path.is_file()} == before
