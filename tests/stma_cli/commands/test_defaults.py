"""An option that stands for a setting has the default of the setting."""

import inspect
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from stma.config import SegmenterConfig
from stma.postprocess.config import PostprocessConfig
from stma_cli.batch.settings import BatchSettings
from stma_cli.commands.batch import batch
from stma_cli.commands.overlay import overlay
from stma_cli.commands.segment import segment
from stma_cli.rendering.settings import RenderSettings
from stma_cli.segment.settings import SegmentSettings

OTHER_FORM = {"start", "devices", "out", "masks", "until"}  # typed in other words than the setting has


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        *((segment, each) for each in (SegmentSettings, PostprocessConfig)),
        *((batch, each) for each in (BatchSettings, PostprocessConfig)),
        (overlay, RenderSettings),
    ],
)
def test_defaults_are_those_of_the_settings(command: Any, settings: Any) -> None:
    options = {name: option.default for name, option in inspect.signature(command).parameters.items()}
    known = {
        field.name: getattr(settings, field.name)
        for field in fields(settings)
        if hasattr(settings, field.name)
    }
    shared = options.keys() & known.keys() - OTHER_FORM
    assert shared
    assert {name: options[name] for name in shared} == {name: known[name] for name in shared}


def test_settings_of_the_model_are_those_of_the_library() -> None:
    for name in ("device", "precision", "chunk", "refine_edges", "adapt"):
        assert getattr(SegmentSettings, name) == getattr(SegmenterConfig, name)


@pytest.mark.parametrize("module", ["segment", "batch", "overlay"])
def test_commands_know_their_defaults_without_heavy_packages(module: str) -> None:
    code = f"import sys, stma_cli.commands.{module}; print({{'numpy', 'torch', 'cv2'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
