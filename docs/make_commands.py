"""Write docs/commands.md and docs/man/ from the declarations that --help is made of: python docs/make_commands.py"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from typer.models import ArgumentInfo

from stma_cli.config.option import value_kind
from stma_cli.main import app

TARGET = Path(__file__).parent / "commands.md"
EXAMPLE = "Example: "
HEAD = """# Commands

Made by `python docs/make_commands.py` from the help texts in the code; `stma COMMAND --help` prints the same.
"""


@dataclass(frozen=True)
class Row:
    """One argument or option of a command.

    Attributes:
        title: how it is written.
        meaning: its help text.
        default: its default, or what stands for it ("required", "on"); empty for none.
        is_value: whether `default` can be typed as it is.
        is_argument: whether it is an argument and no option.
    """

    title: str
    meaning: str
    default: str
    is_value: bool
    is_argument: bool


def commands() -> dict[str, Callable[..., None]]:
    """Return all subcommands by name, in the order of `stma --help`."""
    found = {}
    for entry in app.registered_commands:
        assert entry.callback is not None
        found[entry.name or entry.callback.__name__.replace("_", "-")] = entry.callback
    return found


def examples_of(command: Callable[..., None]) -> list[str]:
    """Return the command lines between "Example: " and the end of the paragraph in the help text."""
    return [text.partition(EXAMPLE)[2] for text in paragraphs(command) if EXAMPLE in text]


def page() -> str:
    """Return the content of docs/commands.md."""
    return HEAD + "".join(_section(name, command) for name, command in commands().items())


def rows(command: Callable[..., None]) -> list[Row]:
    """Return the arguments and options of a command, in the order of its declaration."""
    hints = get_type_hints(command, include_extras=True)
    found = []
    for parameter in inspect.signature(command).parameters.values():
        hint, info = get_args(hints[parameter.name])[:2]
        is_argument = isinstance(info, ArgumentInfo)
        title = _argument_title(parameter, info) if is_argument else _option_title(parameter, hint, info)
        found.append(Row(title, " ".join((info.help or "").split()), *_default(parameter, info), is_argument))
    return found


def paragraphs(command: Callable[..., None]) -> list[str]:
    """Return the paragraphs of a help text, each on one line."""
    return [" ".join(text.split()) for text in (inspect.getdoc(command) or "").split("\n\n")]


def _section(name: str, command: Callable[..., None]) -> str:
    text = ""
    for paragraph in paragraphs(command):
        words_before, found, example = paragraph.partition(EXAMPLE)
        text += f"{words_before.rstrip()}\n\n" if words_before else ""
        text += f"```\n{example}\n```\n\n" if found else ""
    lines = {True: "", False: ""}
    for row in rows(command):
        default = f"`{row.default}`" if row.is_value else _escaped(row.default.replace("<", "&lt;"))
        lines[row.is_argument] += f"| `{_escaped(row.title)}` | {_escaped(row.meaning)} | {default} |\n"
    words = ["stma", name, *(row.title for row in rows(command) if row.is_argument)]
    table = "\n| Argument | Meaning | Default |\n|---|---|---|\n" + lines[True] if lines[True] else ""
    table += "\n| Option | Meaning | Default |\n|---|---|---|\n" + lines[False] if lines[False] else ""
    return f"\n## stma {name}\n\n`{' '.join(words)} [OPTIONS]`\n\n{text.rstrip()}\n{table}"


def _argument_title(parameter: inspect.Parameter, info: Any) -> str:
    title = info.metavar or parameter.name.upper()
    return title if parameter.default is inspect.Parameter.empty else f"[{title}]"


def _option_title(parameter: inspect.Parameter, hint: Any, info: Any) -> str:
    name = parameter.name.replace("_", "-")
    kind = value_kind(hint)
    names = (
        [info.default] if isinstance(info.default, str) else []
    )  # where Typer keeps the first one at first
    declared = ", ".join([*names, *(info.param_decls or ())])
    if kind is bool:
        return declared or f"--{name}/--no-{name}"
    if inspect.isclass(kind) and issubclass(kind, Enum):
        value = "|".join(str(choice.value) for choice in kind)
    else:
        value = info.metavar or {int: "NUMBER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")
    return f"{declared or f'--{name}'} {value}"


def _default(parameter: inspect.Parameter, info: Any) -> tuple[str, bool]:
    """Return the default as text, and whether it can be typed."""
    value = parameter.default
    if value is inspect.Parameter.empty:
        return "required", False
    if isinstance(info.show_default, str):
        return info.show_default, False
    if value is None or value is False or not info.show_default:
        return "", False
    if value is True:
        return "on", False
    return str(value.value if isinstance(value, Enum) else value), True


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the page of commands and the manual, and remove pages of commands that are no more."""
    from man_pages import FOLDER, manual

    TARGET.write_text(page(), encoding="utf-8")
    pages = manual()
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.1"):
        if file.name not in pages:
            file.unlink()
    for name, content in pages.items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    sys.modules["make_commands"] = sys.modules["__main__"]
    main()
