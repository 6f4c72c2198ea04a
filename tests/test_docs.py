"""The documentation knows every command."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from make_commands import TARGET, commands, example_of, page  # noqa: E402
from man_pages import FOLDER, manual  # noqa: E402

from stma_cli.main import app  # noqa: E402

REMEDY = "run: python docs/make_commands.py"


@pytest.mark.parametrize("name", commands())
def test_help_has_an_example_of_this_command(name: str) -> None:
    example = example_of(commands()[name])
    assert example is not None
    assert shlex.split(example)[:2] == ["stma", name]


@pytest.mark.parametrize("name", commands())
def test_readme_mentions_the_command(name: str) -> None:
    assert f"stma {name}" in (ROOT / "README.md").read_text("utf-8")


def test_page_of_commands_is_up_to_date() -> None:
    assert TARGET.read_text("utf-8") == page(), REMEDY


def test_manual_pages_are_up_to_date() -> None:
    pages = manual()
    assert sorted(file.name for file in FOLDER.iterdir()) == sorted(pages), REMEDY
    for name, content in pages.items():
        assert (FOLDER / name).read_text("utf-8") == content, REMEDY


@pytest.mark.parametrize("name", commands())
def test_both_have_every_option_of_help(name: str) -> None:
    manual_page = manual()[f"stma-{name}.1"].replace("\\-", "-")
    section = page().split(f"\n## stma {name}\n")[1].split("\n## ")[0]
    program: Any = typer.main.get_command(app)
    options = [option for param in program.commands[name].params for option in param.opts]
    assert options
    for option in options:
        if option.startswith("-"):
            assert option in manual_page
            assert option in section


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_manual_pages_are_valid_troff() -> None:
    files = [str(file) for file in sorted(FOLDER.iterdir())]
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", *files], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_weights_are_mixed_by_their_shares(tmp_path: Path) -> None:
    import torch
    from mix_weights import mix

    from stma.config import MODEL_CONFIGS
    from stma.network.model import STMA
    from stma.weights import load_model, save_weights

    files = {}
    for share, value in ((0.25, 1.0), (0.75, 5.0)):
        model = STMA(MODEL_CONFIGS["tiny"])
        for parameter in model.parameters():
            torch.nn.init.constant_(parameter, value)
        files[str(tmp_path / f"{value}.safetensors")] = share
        save_weights(model, tmp_path / f"{value}.safetensors")
    mix(tmp_path / "mean.safetensors", files)
    mean = load_model(str(tmp_path / "mean.safetensors")).model
    assert all((parameter == 4.0).all() for parameter in mean.parameters())
    mix(tmp_path / "set.safetensors", files, {"label_propagation.unlikeness": 0.25})
    changed = load_model(str(tmp_path / "set.safetensors")).model
    assert changed.label_propagation.unlikeness.item() == 0.25
    assert changed.label_propagation.temperature.logarithm.item() == 4.0
    with pytest.raises(SystemExit, match=r"add up to 0\.500"):
        mix(tmp_path / "half.safetensors", dict.fromkeys(files, 0.25))
