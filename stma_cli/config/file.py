"""stma.toml: options of the commands in a file; what is typed wins.

    [segment]                 # one table per command, keys as the long options without the dashes
    size = 360
    threads = 2
    no-audio = true

The settings of a file become options in front of those that were typed, so that both are read by the same
rules. Paths in a file are relative to its folder. A file that was only found beside the clips may not say where
results go: a folder of clips from elsewhere must not decide what is written on this machine.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stma.errors import SettingsError
from stma.saving import replacing
from stma_cli.output import is_url

CONFIG_FILE = "stma.toml"
NO_CONFIG = "none"  # what --config takes to leave a file beside the clips alone
LARGEST_FILE = 1 << 20  # bytes
WHERE_RESULTS_GO = frozenset({"out", "overlay", "soft", "force", "fix", "csv", "plot", "json", "save-config"})
OF_ONE_RUN = WHERE_RESULTS_GO | {"mask", "start", "end", "until", "still", "clip", "resume", "config"}
SHARES_TABLE_WITH = {"batch": "segment"}  # what holds for one clip holds for many
MORE_THAN_PATHS = frozenset({"mask", "out"})  # NAME=FILE, and the URL that a batch may write to
NAME_OR_FILE = frozenset({"model", "init", "sequences"})  # a name that is known, or else a file


class OptionLike(Protocol):
    """What is read of a Click option, which Typer carries a copy of."""

    name: str | None
    opts: list[str]
    secondary_opts: list[str]
    is_flag: bool
    multiple: bool


@dataclass(frozen=True)
class Setting:
    """One line of a file: what it says and where, for messages, the key as it stands there, the option's own key, and
    the words for the command line."""

    said: str
    key: str
    option: str
    words: tuple[str, ...]


def load_config(path: Path) -> dict[str, Any]:
    """Read a TOML file of tables.

    Raises:
        SettingsError: when it is missing, no TOML, or holds anything but tables.
    """
    if not path.is_file():
        raise SettingsError(f"there is no configuration file {path}", "check the path given with --config")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise SettingsError(
                f"{path} is larger than 1 MiB, which no configuration is", "give another file"
            )
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror})", "check its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid TOML ({error})", "correct it, or remove it") from error
    for key, value in content.items():
        if not isinstance(value, dict):
            raise SettingsError(
                f"{path} has '{key}' outside of a table", "put it below [segment], for instance"
            )
    return content


def find_config(place: str | None) -> Path | None:
    """Return the stma.toml in a folder of clips, or beside a clip; None where there is none.

    Args:
        place: the first argument of the command.
    """
    if place is None:
        return None
    folder = Path(place)
    folders = [folder, folder.resolve().parent] if os.path.isdir(folder) else [folder.parent]
    # unlike Path.is_file, False in a folder that may not be read, which the command itself refuses
    return next((found for each in folders if os.path.isfile(found := each / CONFIG_FILE)), None)


def settings_of(
    content: Mapping[str, Any],
    path: Path,
    command: str,
    options_of: Mapping[str, Sequence[OptionLike]],
    path_options: frozenset[str],
) -> list[Setting]:
    """Return the settings of one command, in the order of the file.

    Args:
        content: from `load_config`.
        path: the file; relative paths in it start in its folder.
        command: its name.
        options_of: the options of every command.
        path_options: names of the parameters of this command that are paths.

    Raises:
        SettingsError: when a table is of no command, a key is no option, or a value is of the wrong kind.
    """
    for table in content:
        if table not in options_of:
            raise SettingsError(
                f"{path} has a table [{table}]", f"use {_either(options_of)}{_near(table, options_of)}"
            )
    shared = SHARES_TABLE_WITH.get(command)
    found: dict[str, Setting] = {}
    for table in filter(None, (shared, command)):
        known = _by_key(options_of.get(table, ()))
        own = _by_key(options_of[command])
        for key, value in content.get(table, {}).items():
            where = f"{path}: [{table}] {key}"
            if key == "config":
                raise SettingsError(
                    f"{where} is no option within a file, which takes in no other", "remove it"
                )
            if key not in known:
                raise SettingsError(f"{where} is no option of stma {table}", f"remove it{_near(key, known)}")
            if key not in own or (table == shared and key in OF_ONE_RUN):
                continue
            option = own[key]
            texts = _texts(value, option, where)
            if not option.is_flag:
                texts = [_located(text, path.parent, option, path_options) for text in texts]
            words = _words(key, texts, option)
            found[option_key(option)] = Setting(f"{where} is {value!r}", key, option_key(option), words)
    return list(found.values())


def require_safe(settings: Sequence[Setting], path: Path) -> None:
    """Refuse a file that was found, not given, and says where results go.

    Raises:
        SettingsError: naming the key.
    """
    for setting in settings:
        if {setting.key, setting.option} & WHERE_RESULTS_GO:
            raise SettingsError(
                f"{path} sets '{setting.key}', which a file that is only found may not",
                f"give it with --config {path}, or use --config {NO_CONFIG} to leave it alone",
            )


def option_key(option: OptionLike) -> str:
    """Return the long name of an option without dashes."""
    return next((name for name in option.opts if name.startswith("--")), option.opts[0]).lstrip("-")


def given_options(words: Sequence[str], options: Sequence[OptionLike]) -> set[str]:
    """Return the keys of the options that occur among the words of a command line."""
    by_name = {name: option for option in options for name in (*option.opts, *option.secondary_opts)}
    found = set()
    for word in words:
        if word == "--":
            break
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if word.startswith("-") and name in by_name:
            found.add(option_key(by_name[name]))
    return found


def option_value(words: Sequence[str], name: str) -> str | None:
    """Return the last value of a long option among the words of a command line."""
    value = None
    for place, word in enumerate(words):
        if word == "--":
            break
        if word == name and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith(f"{name}="):
            value = word.partition("=")[2]
    return value


def first_argument(words: Sequence[str], options: Sequence[OptionLike]) -> str | None:
    """Return the first word that is neither an option nor the value of one."""
    takes_value = {name for option in options if not option.is_flag for name in option.opts}
    rest = iter(words)
    for word in rest:
        if word == "--":
            return next(rest, None)
        if word.startswith("-") and len(word) > 1:
            if word in takes_value:
                next(rest, None)
            continue
        return word
    return None


def save_config(path: Path, command: str, values: Mapping[str, Any]) -> Path:
    """Write a table of one command; a file that exists stays.

    Args:
        path: the file.
        command: name of the table.
        values: by key; paths are written relative to the file's folder, or whole where that is on another drive.

    Raises:
        SettingsError: when the file exists already, or a file name is not UTF-8.
        OutputError: when it cannot be written.
    """
    if path.exists():
        raise SettingsError(
            f"{path} is there already, and nothing is replaced", "give --save-config a new name"
        )
    lines = [f"[{command}]"]
    for key, value in values.items():
        is_file = _names_file(key, value, Path())
        lines.append(f"{key} = {_toml(Path(value) if is_file else value, path.parent)}")
    try:
        content = "".join(f"{line}\n" for line in lines).encode()
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"{path} would hold a file name that is not UTF-8, as TOML demands", "rename that file"
        ) from error
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _by_key(options: Sequence[OptionLike]) -> dict[str, OptionLike]:
    names = ((name, option) for option in options for name in (*option.opts, *option.secondary_opts))
    return {name.removeprefix("--"): option for name, option in names if name.startswith("--")}


def _texts(value: Any, option: OptionLike, where: str) -> list[str]:
    """Return the values of a key as text, "true" and "false" for a flag."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise SettingsError(f"{where} is {value!r}", "give true or false")
        return [json.dumps(value)]
    values = value if isinstance(value, list) and option.multiple else [value]
    if not all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in values):
        kind = "text, a number or a list of them" if option.multiple else "text or a number"
        raise SettingsError(f"{where} is {value!r}", f"give {kind}")
    return [str(item) for item in values]


def _words(key: str, texts: Sequence[str], option: OptionLike) -> tuple[str, ...]:
    if not option.is_flag:
        return tuple(f"--{key}={text}" for text in texts)
    if texts == ["true"]:
        return (f"--{key}",)
    opposites = option.secondary_opts if f"--{key}" in option.opts else option.opts
    return tuple(opposites[:1])


def _located(text: str, base: Path, option: OptionLike, path_options: frozenset[str]) -> str:
    """Put the folder of the file before a relative path; NAME=FILE of --mask keeps its name."""
    name, head = option.name, ""
    if name == "mask" and not (base / text).exists():
        before, equals, after = text.partition("=")
        head, text = (before + equals, after) if equals else ("", text)
    is_path = name in path_options or (name in MORE_THAN_PATHS and not is_url(text))
    if is_path or _names_file(name, text, base):
        return head + str(base / text)
    return text


def _names_file(name: str | None, text: Any, base: Path) -> bool:
    """Return whether the value of an option that may also be a name is a file, seen from a folder."""
    return name in NAME_OR_FILE and isinstance(text, str) and (base / text).is_file()


def _toml(value: Any, folder: Path) -> str:
    if isinstance(value, Path):
        return json.dumps(_seen_from(folder, value).as_posix(), ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item, folder) for item in value)}]"
    return json.dumps(str(value) if isinstance(value, str) else value, ensure_ascii=False)


def _seen_from(folder: Path, path: Path) -> Path:
    """Return a path relative to a folder; the whole path where they lie on two drives of Windows."""
    try:
        return Path(os.path.relpath(path, folder))
    except ValueError:
        return path.absolute()


def _either(names: Mapping[str, Any]) -> str:
    return ", ".join(f"[{name}]" for name in names)


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""
