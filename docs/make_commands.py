"""Write docs/commands.md from the declarations that --help is made of: python docs/make_commands.py"""

import inspect
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from stma_cli.main import app

TARGET = Path(__file__).parent / "commands.md"
EXAMPLE = "Example: "
HEAD = """# Commands

Made by `python docs/make_commands.py` from the help texts in the code; `stma COMMAND --help` prints the same.
"""


def commands() -> dict[str, Callable[..., None]]:
    """Return all subcommands by name, in the order of `stma --help`."""
    found = {}
    for entry in app.registered_commands:
        assert entry.callback is not None
        found[entry.name or entry.callback.__name__.replace("_", "-")] = entry.callback
    return found


def example_of(command: Callable[..., None]) -> str | None:
    """Return the command line between "Example: " and the end of the paragraph in the help text."""
    for paragraph in _paragraphs(command):
        _, found, example = paragraph.partition(EXAMPLE)
        if found:
            return example
    return None


def page() -> str:
    """Return the content of docs/commands.md."""
    return HEAD + "".join(_section(name, command) for name, command in commands().items())


def _section(name: str, command: Callable[..., None]) -> str:
    text = ""
    for paragraph in _paragraphs(command):
        words_before, found, example = paragraph.partition(EXAMPLE)
        text += f"{words_before.rstrip()}\n\n" if words_before else ""
        text += f"```\n{example}\n```\n\n" if found else ""
    hints = get_type_hints(command, include_extras=True)
    rows = {True: "", False: ""}
    words = ["stma", name]
    for parameter in inspect.signature(command).parameters.values():
        hint, info = get_args(hints[parameter.name])[:2]
        is_argument = isinstance(info, ArgumentInfo)
        title = _argument_title(parameter, info) if is_argument else _option_title(parameter, hint, info)
        cells = (f"`{_escaped(title)}`", _escaped(info.help or ""), _default(parameter, info))
        rows[is_argument] += f"| {' | '.join(cells)} |\n"
        if is_argument:
            words.append(title)
    table = "\n| Argument | Meaning | Default |\n|---|---|---|\n" + rows[True] if rows[True] else ""
    table += "\n| Option | Meaning | Default |\n|---|---|---|\n" + rows[False] if rows[False] else ""
    return f"\n## stma {name}\n\n`{' '.join(words)} [OPTIONS]`\n\n{text.rstrip()}\n{table}"


def _paragraphs(command: Callable[..., None]) -> list[str]:
    return [" ".join(text.split()) for text in (inspect.getdoc(command) or "").split("\n\n")]


def _argument_title(parameter: inspect.Parameter, info: Any) -> str:
    title = info.metavar or parameter.name.upper()
    return title if parameter.default is inspect.Parameter.empty else f"[{title}]"


def _option_title(parameter: inspect.Parameter, hint: Any, info: Any) -> str:
    name = parameter.name.replace("_", "-")
    kind = _kind(hint)
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


def _kind(hint: Any) -> Any:
    """Return X for X, X | None, list[X] and Annotated[X, ...]."""
    if get_origin(hint) is Annotated or get_origin(hint) is list:
        return _kind(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _kind(next(part for part in get_args(hint) if part is not NoneType))
    return hint


def _default(parameter: inspect.Parameter, info: Any) -> str:
    value = parameter.default
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(info.show_default, str):
        return _escaped(info.show_default.replace("<", "&lt;"))
    if value is None or value is False or not info.show_default:
        return ""
    if value is True:
        return "on"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
