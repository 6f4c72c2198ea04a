"""The Tab key: what the completion scripts ask stma for, and what it answers."""

import os
import subprocess
import sys

import pytest

PROGRAM = "import sys; sys.argv[0] = 'stma'; from stma_cli.main import main; main()"


def answer(**variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=environment
    )
    return done.stdout


def bash(words: str) -> list[str]:
    count = str(len(words.split(" ")) - 1)
    return answer(_STMA_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count).split()


def test_commands_options_and_choices() -> None:
    assert bash("stma se") == ["segment"]
    assert bash("stma segment --prec") == ["--precision"]
    assert bash("stma convert masks --to cvat") == ["cvat-images", "cvat-video"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_has_a_script(shell: str) -> None:
    assert f"complete_{shell}" in answer(_STMA_COMPLETE=f"source_{shell}")
