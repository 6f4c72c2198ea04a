"""Configurations typed in one line, such as "capacity=2,label_window=none"."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from stma.errors import SettingsError
from stma_cli.comma_list import listed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config = TypeVar("Config", bound=DataclassInstance)
else:
    Config = TypeVar("Config")


def with_settings(config: Config, text: str, owner: str) -> Config:
    """A configuration with some of its fields changed.

    Args:
        config: frozen dataclass of numbers, truth values and tuples of whole numbers.
        text: "name=value" with commas between; slashes between the numbers of a tuple.
        owner: what the messages call the configuration, e.g. "the memory".

    Raises:
        SettingsError: a field that does not exist, or a value that is none for it.
    """
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    changes: dict[str, Any] = {}
    for part in listed(text):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in known:
            raise SettingsError(f"{owner} has no setting {name!r}", f"use {', '.join(known)}")
        changes[name] = _read(name, value.lower(), known[name], owner)
    return replace(config, **changes)


def _read(name: str, value: str, default: Any, owner: str) -> Any:
    kind = type(default)
    if value == "none" and name.endswith("window"):
        return None
    if kind is bool and value in ("true", "false"):
        return value == "true"
    try:
        if kind is tuple:
            numbers = tuple(int(number) for number in value.split("/"))
            if len(numbers) == len(default):
                return numbers
        elif kind is not bool:
            return kind(value)
    except ValueError:
        pass
    wanted = {bool: "true or false", int: "a whole number", float: "a number"}.get(
        kind, f"{len(default) if kind is tuple else 0} whole numbers with slashes between"
    )
    raise SettingsError(f"{name}={value} is no setting of {owner}", f"give {wanted}")
