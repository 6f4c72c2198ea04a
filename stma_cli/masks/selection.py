"""Objects asked for by id or name."""

from collections.abc import Mapping

from stma.errors import MaskError
from stma_cli.comma_list import listed


def ids_of(wanted: str, names: Mapping[int, str], option: str = "--objects") -> frozenset[int]:
    """Return the ids of the objects that an option asks for.

    Args:
        wanted: ids and names with commas between, such as "1,3" or "person,dog"; a name stands for all
            objects that have it, and goes before an id of the same spelling.
        names: the objects there are, by id; where it is empty, any id of 1 or more is taken.
        option: for the messages.

    Raises:
        MaskError: when an object is not there, or none is asked for.
    """
    chosen: set[int] = set()
    for item in listed(wanted):
        named = {object_id for object_id, name in names.items() if name == item}
        found = named or {int(item) if item.isdecimal() else 0}
        if names and not found <= names.keys():
            there = ", ".join(f"{key} ({names[key]})" for key in sorted(names))
            raise MaskError(f"{option} asks for {item}, which is in no mask", f"choose from {there}")
        if 0 in found:
            raise MaskError(f"{option} asks for {item}, but the masks have no names", "give ids, such as 1,3")
        chosen |= found
    if not chosen:
        raise MaskError(f"{option} names no object", f"give ids or names, as in {option} 1,3")
    return frozenset(chosen)
