"""Every option of a command that works for long changes what the work is given, and going on repeats it."""

import importlib
import inspect
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from typer.testing import CliRunner

from stma.config import SegmenterConfig
from stma.training.config import FitConfig, TrainConfig
from stma_cli.batch.engine_name import EngineName
from stma_cli.main import app
from stma_cli.segment.settings import SegmentSettings

# What each command hands its work to, and its arguments.
WORK: dict[str, tuple[str, dict[str, Any]]] = {
    "segment": ("stma_cli.segment.run.segment_video", {"video": Path("clip.mp4"), "mask": ["first.png"]}),
    "batch": ("stma_cli.batch.run.run_batch", {"clips": Path("clips")}),
    "train": ("stma_cli.training.run.learn", {"data": Path("data")}),
    "validate": ("stma_cli.evaluate.validation.score_model", {"data": Path("data")}),
    "calibrate": (
        "stma_cli.training.calibration.calibrate_weights",
        {"data": Path("data"), "out": Path("out.safetensors")},
    ),
    "bench": ("stma_cli.bench.run.run_bench", {}),
}
# Ways of telling of the work, and other work: their own tests show that they do.
BESIDE = {"segment": {"as_json"}, "batch": {"as_json", "dry_run"}, "validate": {"json_file"}} | {
    "bench": {"json_file", "plot", "long"}
}
# Words that say something to one option alone; all others are changed by their kind.
WORDS: dict[str, Any] = {
    "background": "#102030",
    "crop": 128,
    "end": "9",
    "frame_rate": "12",
    "label_sharpness": "1.5,2",
    "mask": ["other.png"],
    "memory": "capacity=2",
    "network": "decoder_width=32",
    "objects": "2",
    "overlay": Path("overlay.mp4"),
    "overlay_objects": "1",
    "precision": "fp32",
    "readout_sharpness": "1.5,2",
    "sets": "crossing",
    "size": 360,
    "sizes": "360",
    "start": "2",
    "threads": 1,
    "until": ["ball=7"],
}
WITH = {"address": {"engine": EngineName.RAY}}  # options that make sense beside another alone


class _AtWorkError(Exception):
    """The command has handed over its work."""


def command(name: str) -> Callable[..., None]:
    module = importlib.import_module(f"stma_cli.commands.{name}")
    function: Callable[..., None] = getattr(module, name)
    return function


def options() -> Iterator[tuple[str, str]]:
    for name in WORK:
        given = WORK[name][1].keys() - {"mask"} | BESIDE.get(name, set())
        yield from ((name, each) for each in inspect.signature(command(name)).parameters if each not in given)


def other_than(name: str, default: Any, hint: Any) -> Any:
    """A value of the option that is not its default."""
    kind, told = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, None)
    kinds = [each for each in (*get_args(kind), kind) if isinstance(each, type) and each is not type(None)]
    if isinstance(default, bool):
        return not default
    for each in kinds:
        if issubclass(each, Enum):
            return next(value for value in each if value != default)
    if name in WORDS:
        return WORDS[name]
    if float in kinds:
        return 0.37
    if int in kinds:
        return max(default or 0, getattr(told, "min", None) or 0) + 1
    return Path("elsewhere") if Path in kinds else "elsewhere"


def changed_option(name: str, option: str) -> Any:
    """A value of an option of a command that is not its default."""
    parameter = inspect.signature(command(name)).parameters[option]
    hint = get_type_hints(command(name), include_extras=True)[option]
    return other_than(
        option, None if parameter.default is inspect.Parameter.empty else parameter.default, hint
    )


def handed_over(name: str, changes: dict[str, Any], patch: pytest.MonkeyPatch) -> str:
    """What the work of a command is given."""
    given: list[str] = []

    def take(*words: Any, **named: Any) -> None:
        given.append(f"{[word for word in words if not callable(word)]} {named}")
        raise _AtWorkError

    place, arguments = WORK[name]
    module, function = place.rsplit(".", 1)
    patch.setattr(importlib.import_module(module), function, take)
    with pytest.raises(_AtWorkError):
        command(name)(**arguments | changes)
    return given[0]


@pytest.mark.parametrize(("name", "option"), list(options()))
def test_an_option_changes_what_the_work_is_given(
    name: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "9")  # the default of --threads, whatever the machine has
    changed = changed_option(name, option)
    beside = WITH.get(option, {})
    assert handed_over(name, beside | {option: changed}, monkeypatch) != handed_over(
        name, beside, monkeypatch
    )


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("train", TrainConfig()),
        ("train", SegmenterConfig()),
        ("validate", replace(SegmenterConfig(), size=None)),
        ("calibrate", SegmenterConfig()),
        ("calibrate", FitConfig()),
    ],
)
def test_without_options_the_work_is_given_the_defaults_of_the_library(
    name: str, default: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert repr(default) in handed_over(name, {}, monkeypatch)


@pytest.mark.parametrize("option", [option for name, option in options() if name == "segment"])
def test_the_command_that_goes_on_with_a_run_repeats_the_option(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[SegmentSettings] = []

    def take(settings: SegmentSettings, say: object) -> None:
        given.append(settings)
        raise _AtWorkError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stma_cli.segment.run.segment_video", take)
    beside = {"overlay": Path("overlay.mp4")}  # without it nothing is drawn in any way
    with pytest.raises(_AtWorkError):
        command("segment")(**WORK["segment"][1] | beside | {option: changed_option("segment", option)})
    words = shlex.split(given[0].resume_command())
    CliRunner().invoke(app, words[1:])
    assert given[1:] == [replace(given[0], resume=True)]
