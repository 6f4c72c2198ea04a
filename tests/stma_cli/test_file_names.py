"""Names of files that are no UTF-8: every command goes on, and what JSON holds comes back as it was."""

import json
import sys
from pathlib import Path

import pytest
from fakes import fake_setup, save_mask
from media import make_clip, make_masks
from running import run_command

from stma.errors import SettingsError
from stma_cli.config.file import save_config
from stma_cli.mask_formats import Format
from stma_cli.masks import read_names, write_names
from stma_cli.readable_json import readable_json
from stma_cli.segment import run as segment_run

NAME = "caf\udce9"  # the byte E9, an e with an acute accent in Latin-1
ESCAPED = r"caf\udce9"

pytestmark = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="no such names on this system")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    make_clip(Path(f"{NAME}.mp4"), 4, width=64, height=48)
    save_mask("first.png", 1)
    return tmp_path


def test_json_stays_readable_and_reads_back() -> None:
    content = {"café": ["狗", NAME, 1.5]}
    text = readable_json(content)
    assert text == f'{{"café": ["狗", "{ESCAPED}", 1.5]}}'
    assert json.loads(text.encode()) == content


def test_a_run_and_what_follows_it(workplace: Path) -> None:
    run_command("segment", f"{NAME}.mp4", "--mask", f"{NAME}=first.png", "--overlay", f"{NAME}.webm")
    out = Path(f"{NAME}_stma")
    assert json.loads((out / "report.json").read_text("utf-8"))["video"]["path"] == f"{NAME}.mp4"
    assert read_names(out) == {1: NAME}
    assert Path(f"{NAME}.webm").stat().st_size > 0
    run_command("report", out)
    assert ESCAPED in (out / "report.html").read_text("utf-8")
    run_command("overlay", f"{NAME}.mp4", out, "-o", "seen.mp4")
    assert "nothing is wrong" in run_command("check", f"{NAME}.mp4", "--mask", "first.png")
    assert NAME in run_command("check", f"{NAME}.mp4", "--json").encode().decode("unicode_escape")


@pytest.mark.parametrize("wanted", Format)
def test_every_format_takes_them(workplace: Path, wanted: Format) -> None:
    write_names(make_masks(Path("masks"), 2), {1: NAME})
    Path("masks/00001.png").rename(f"masks/{NAME}.png")
    target = f"out{wanted.suffix or ''}"
    run_command("convert", "masks", "-o", target, "--to", wanted)
    run_command("convert", target, "-o", "back", "--from", wanted, "--to", "davis")
    is_xml = wanted.suffix == ".xml"  # which has no code for such a byte
    assert read_names(Path("back")) == {1: ESCAPED if is_xml else NAME}


def test_toml_cannot_hold_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not UTF-8, as TOML demands; rename"):
        save_config(tmp_path / "stma.toml", "segment", {"model": tmp_path / NAME})
    assert not list(tmp_path.iterdir())
