"""The documentation knows every command."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import typer

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from make_commands import TARGET, commands, examples_of, page  # noqa: E402
from man_pages import FOLDER, manual  # noqa: E402

from stma_cli.main import app  # noqa: E402

REMEDY = "run: python docs/make_commands.py"


@pytest.mark.parametrize("name", commands())
def test_help_has_an_example_of_this_command(name: str) -> None:
    examples = examples_of(commands()[name])
    assert examples
    for example in examples:
        assert shlex.split(example)[:2] == ["stma", name]
        assert "Example:" not in example


def test_every_table_has_a_head() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("*.md")]
    for path in pages:
        lines = ["", *path.read_text("utf-8").splitlines(), ""]
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
            if line.startswith("|") and not before.startswith("|"):
                assert after.replace(" ", "").startswith(("|--", "|:-")), f"{path}: {line}"


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


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "campaign").rglob("*.toml")), ids=lambda path: path.stem
)
def test_train_understands_the_configurations_of_the_campaign(path: Path) -> None:
    program = typer.main.get_command(app)
    train = program.commands["train"]  # type: ignore[attr-defined]
    parent = program.make_context("stma", ["train"], resilient_parsing=True)
    context = train.make_context("train", ["data", "--config", str(path)], parent=parent)
    assert context.params["steps"] or context.params["minutes"]


def test_clips_begin_again_later(training_folder: Path, tmp_path: Path) -> None:
    from later_starts import place

    from stma.training.pool import read_label, scan

    assert place(training_folder, tmp_path / "later", (1, 3)) == ["made/held_1", "made/held_3"]
    pool = scan(tmp_path / "later")
    (held,) = scan(training_folder).validation
    for sequence, start in zip(pool.validation, (1, 3), strict=True):
        assert len(sequence.frames) == len(held.frames) - start
        same = [read_label(part.label) for part in (sequence.frames[0], held.frames[start])]
        assert (same[0] == same[1]).all()


def test_labels_of_our_own_are_placed_beside_their_frames(training_folder: Path, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image
    from place_labels import place

    from stma.training.pool import read_label, scan

    data = tmp_path / "data"
    shutil.copytree(training_folder, data)
    photographs = data / "plain" / "noise"
    for number in range(2):
        shutil.copy(photographs / "a.jpg", photographs / f"walk_{number:03d}.jpg")
    walker, part = np.zeros((80, 96), np.uint8), np.zeros((80, 96), np.uint8)
    walker[10:40, 20:30], part[22:30] = 3, 2
    with ZipFile(tmp_path / "labels.zip", "w") as archive:
        for name, labels in (("walk/00000", walker), ("walk/00001", walker), ("moving/00000", part)):
            Image.fromarray(labels).save(tmp_path / "label.png")
            archive.write(tmp_path / "label.png", f"{name}.png")
    assert place(data, tmp_path / "labels.zip", tmp_path / "out") == 3
    pool = scan(tmp_path / "out")
    found = {sequence.name: sequence.frames for sequence in pool.sequences}
    assert list(found) == ["labelled/walk", "made/moving"]
    np.testing.assert_array_equal(read_label(found["labelled/walk"][1].label), walker)
    theirs = read_label(data / "video" / "made" / "moving" / "00000.png")
    merged = read_label(tmp_path / "out" / "video" / "labelled" / "moving" / "00000.png")
    np.testing.assert_array_equal(merged, np.where(part > 0, part, theirs))
    assert {1, 2} < set(np.unique(merged).tolist())
    with ZipFile(tmp_path / "stray.zip", "w") as archive:
        archive.write(tmp_path / "label.png", "nowhere/00000.png")
    with pytest.raises(SystemExit, match=r"nowhere/00000\.png labels no picture below"):
        place(data, tmp_path / "stray.zip", tmp_path / "stray")
