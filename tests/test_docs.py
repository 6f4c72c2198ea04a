"""The documentation knows every command."""

import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from make_commands import TARGET, commands, example_of, page  # noqa: E402


@pytest.mark.parametrize("name", commands())
def test_help_has_an_example_of_this_command(name: str) -> None:
    example = example_of(commands()[name])
    assert example is not None
    assert shlex.split(example)[:2] == ["stma", name]


@pytest.mark.parametrize("name", commands())
def test_readme_mentions_the_command(name: str) -> None:
    assert f"stma {name}" in (ROOT / "README.md").read_text("utf-8")


def test_page_of_commands_is_up_to_date() -> None:
    assert TARGET.read_text("utf-8") == page(), "run: python docs/make_commands.py"
