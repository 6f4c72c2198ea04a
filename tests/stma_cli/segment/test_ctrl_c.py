"""What Ctrl-C outside of the frames says: the way on fits what lies in the folder."""

import shlex
from pathlib import Path
from types import ModuleType

import pytest
from fakes import CLIP_FRAMES, CopySegmenter, fake_setup
from media import decoded
from typer.testing import CliRunner, Result

from stma_cli.main import app
from stma_cli.segment import redraw
from stma_cli.segment import run as segment_run


def run(*words: str) -> Result:
    command = ["segment", "clip.mp4", "--mask", "first.png", "--out", "a", "--chunk", "2", *words]
    return CliRunner().invoke(app, command)


def stopped_by(module: ModuleType, name: str, *words: str) -> str:
    """Run, with Ctrl-C when this module calls a function, and return what is printed then."""

    def interrupt(*given: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, interrupt)
        result = run(*words)
    assert result.exit_code == 130, result.output
    return result.stderr


def stop_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(chunks: int) -> None:
        if chunks == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            segment_run, "set_up_model", lambda *given: fake_setup(*given, CopySegmenter(interrupt))
        )
        assert run().exit_code == 130


@pytest.mark.parametrize("place", ["set_up_model", "overlay_of_all"])
def test_a_run_that_can_go_on(small_workplace: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    stop_half_way(monkeypatch)
    said = stopped_by(segment_run, place, "--resume", "--overlay", "seen.mp4")
    assert "--force" not in said
    command = shlex.split(said.split("go on with: ")[1])
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    assert len(decoded(Path("seen.mp4"))) == CLIP_FRAMES


@pytest.mark.parametrize(
    ("module", "place"), [(segment_run, "set_up_model"), (redraw, "overlay_of_all")], ids=["model", "overlay"]
)
def test_a_run_that_was_complete_before(small_workplace: Path, module: ModuleType, place: str) -> None:
    assert run().exit_code == 0
    words = ("--overlay", "seen.mp4")
    said = stopped_by(module, place, *words)
    assert said == "stopped: the result in a stands, run the same command again.\n"
    assert run(*words).exit_code == 0
    assert len(decoded(Path("seen.mp4"))) == CLIP_FRAMES
