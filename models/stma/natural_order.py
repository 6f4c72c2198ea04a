"""Names in the order in which people count: frame2 before frame10."""

import re

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key for file names that compares runs of digits as numbers and ignores case."""
    parts = _DIGITS.split(name.casefold())
    key = [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]
    return [*key, (-1, 0, name)]
