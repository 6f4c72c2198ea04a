"""Fixtures of the tests of the tool."""

from pathlib import Path

import pytest
from fakes import CLIP_FRAMES, fake_setup, save_mask
from media import make_clip

from stma_cli.segment import run as segment_run


@pytest.fixture
def small_workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with clip.mp4, whose first.png marks object 1, and a model that copies masks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    make_clip(Path("clip.mp4"), CLIP_FRAMES, width=64, height=48)
    save_mask("first.png", 1)
    return tmp_path
