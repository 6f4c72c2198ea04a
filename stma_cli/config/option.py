"""Gives a command --config, and the options of a stma.toml that apply to it."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from stma.errors import SettingsError
from stma_cli.config.file import (
    CONFIG_FILE,
    NO_CONFIG,
    OF_ONE_RUN,
    Setting,
    find_config,
    first_argument,
    given_options,
    load_config,
    option_key,
    option_value,
    require_safe,
    save_config,
    settings_of,
)
from stma_cli.wording import labelled

CONFIG_HELP = (
    f"Take options from this TOML file; what is typed wins. '{NO_CONFIG}' leaves a {CONFIG_FILE} beside the "
    "clips alone."
)
SAVE_HELP = "Write the options given, but those of this one run, to a new TOML file, and end."
FIRST_ARGUMENTS = ("video", "clips")  # of the commands that look for a file beside what they are given
Command = Callable[..., None]


class ConfiguredCommand(TyperCommand):
    """A command whose options may come from a TOML file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the settings of a file before what was typed.

        Raises:
            SettingsError: when the file cannot be used.
        """
        settings = [] if ctx.resilient_parsing or "--help" in args else self._configured(ctx, list(args))
        words = [word for setting in settings for word in setting.words]
        try:
            return super().parse_args(ctx, [*words, *args])
        except typer.BadParameter as error:
            param: Any = error.param
            key = None if param is None else option_key(param)
            wrong = next((setting for setting in settings if setting.option == key), None)
            if wrong is None:
                raise
            problem = error.message.removeprefix("Value error, ").rstrip(".")
            raise SettingsError(f"{wrong.said}: {problem}", "correct it there, or remove it") from error

    def invoke(self, ctx: Any) -> Any:
        """Run the command, or save its options."""
        wanted = ctx.params.get("save_config")
        if wanted is None:
            return super().invoke(ctx)
        target = Path(wanted)  # Typer before 0.29 makes a path of it only for the function
        given = ctx.meta[f"{__name__}.given"]
        values = {
            option_key(option): ctx.params[option.name]
            for option in _options(self)
            if option_key(option) in given - OF_ONE_RUN
        }
        save_config(target, str(self.name), {key: _plain(value) for key, value in values.items()})
        left_out = [f"--{key}" for key in sorted(given & OF_ONE_RUN - {"config", "save-config"})]
        note = f" (without {', '.join(left_out)}, which belong to one run)" if left_out else ""
        typer.echo(labelled("saved", f"{target}: {', '.join(values) or 'no options'}{note}"))
        typer.echo(labelled("use it", f"as {CONFIG_FILE} beside the clips, or with --config {target}"))
        return None

    def _configured(self, ctx: Any, args: list[str]) -> list[Setting]:
        """Return the settings that a file adds to those typed, and say on stderr which."""
        options = _options(self)
        given = given_options(args, options)
        wanted, found = option_value(args, "--config"), None
        if wanted is not None and wanted != NO_CONFIG:
            found = Path(wanted)
        elif wanted is None and self._first_argument() in FIRST_ARGUMENTS:
            found = find_config(first_argument(args, options))
        settings: list[Setting] = []
        if found is not None:
            known = {name: _options(command) for name, command in _siblings(ctx, self).items()}
            paths = frozenset(name for name, kind in self._kinds().items() if kind is Path)
            settings = settings_of(load_config(found), found, str(self.name), known, paths)
            settings = [setting for setting in settings if setting.option not in given]
            if wanted is None:
                require_safe(settings, found)
        words = [word for setting in settings for word in setting.words]
        if words:
            typer.echo(labelled("config", f"{found}: {' '.join(words)}"), err=True)
        ctx.meta[f"{__name__}.given"] = given | {setting.option for setting in settings}
        return settings

    def _first_argument(self) -> str | None:
        return next((param.name for param in self.params if param.param_type_name == "argument"), None)

    def _kinds(self) -> dict[str, Any]:
        hints = get_type_hints(inspect.unwrap(self.callback)) if self.callback else {}
        return {name: value_kind(hint) for name, hint in hints.items()}


def with_config(command: Command, saves: bool = False) -> Command:
    """Return a command with --config among its options, and with --save-config where it `saves`."""
    added = {"config": typer.Option("--config", metavar="FILE", help=CONFIG_HELP)}
    if saves:
        added["save_config"] = typer.Option("--save-config", metavar="FILE", help=SAVE_HELP)

    @functools.wraps(command)
    def run(*positional: Any, **options: Any) -> None:
        for name in added:
            options.pop(name, None)
        command(*positional, **options)

    hints = {name: Annotated[Path | None, option] for name, option in added.items()}
    signature = inspect.signature(command)
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in hints.items()
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *extra])  # type: ignore[attr-defined]
    run.__annotations__ = {**get_type_hints(command, include_extras=True), **hints}
    return run


def value_kind(hint: Any) -> Any:
    """Return X for X, X | None, list[X] and Annotated[X, ...]."""
    if get_origin(hint) is Annotated or get_origin(hint) is list:
        return value_kind(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return value_kind(next(part for part in get_args(hint) if part is not NoneType))
    return hint


def _plain(value: Any) -> Any:
    """Turn the member of an enumeration into its text."""
    return str(value.value) if hasattr(value, "value") else value


def _options(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "option" and param.name != "help"]


def _siblings(ctx: Any, command: Any) -> dict[str, Any]:
    """Return all commands of the program by name."""
    parent = ctx.parent.command if ctx.parent is not None else None
    return dict(getattr(parent, "commands", {})) or {str(command.name): command}
