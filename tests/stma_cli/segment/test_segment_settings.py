"""What becomes of each option of `stma segment` is said where the option is."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from stma.postprocess.config import PostprocessConfig
from stma_cli.direction import Direction
from stma_cli.precision import PrecisionName
from stma_cli.rendering.settings import RenderSettings
from stma_cli.segment.identity import RunIdentity
from stma_cli.segment.settings import DRAWING, TO_REPEAT, WITH_INFLUENCE, SegmentSettings, Use

OTHER: dict[str, Any] = {
    "adapt": 20,
    "checkpoint": 7,
    "chunk": 2,
    "device": "cpu",
    "direction": Direction.BOTH,
    "end": 9,
    "force": True,
    "frame_rate": "12",
    "first_mask_only": True,
    "model": "tiny",
    "objects": "1",
    "audio": False,
    "overlay": Path("other.mp4"),
    "postprocess": PostprocessConfig(smooth=1),
    "precision": PrecisionName.FP32,
    "refine_edges": False,
    "rendering": RenderSettings(invert=True),
    "size": 240,
    "soft": Path("soft"),
    "start": 2,
    "states": 1,
    "threads": 1,
}


@pytest.mark.parametrize("name", [option.name for option in fields(SegmentSettings)])
def test_every_option_says_what_it_is_for(name: str) -> None:
    (option,) = (option for option in fields(SegmentSettings) if option.name == name)
    assert set(option.metadata["uses"]) <= set(Use)


@pytest.mark.parametrize("name", sorted({*WITH_INFLUENCE, *TO_REPEAT, *DRAWING}))
def test_an_option_of_use_stands_in_the_command_that_goes_on(tmp_path: Path, name: str) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    settings = SegmentSettings(clip, (), tmp_path, overlay=Path("seen.mp4"))
    other = replace(settings, **{name: OTHER[name]})
    assert other.resume_command() != settings.resume_command()
    changes = RunIdentity.of(other, "").changes_since(RunIdentity.of(settings, ""))
    assert bool(changes) == (name in WITH_INFLUENCE or name == "first_mask_only")


def test_choices_are_plain_words_in_commands_and_files(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    settings = SegmentSettings(clip, (), tmp_path, precision=PrecisionName.FP32, direction=Direction.BACKWARD)
    assert "--precision fp32" in settings.resume_command()
    assert "--direction backward" in settings.resume_command()
    kept = RunIdentity.of(settings, "").settings
    assert (type(kept["precision"]), type(kept["direction"])) == (str, str)
