"""Long lists in messages."""

from collections.abc import Iterable


def shortened(items: Iterable[object], most: int) -> str:
    """Return the first items with commas between, and "..." after them where there are more."""
    names = [str(item) for item in items]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
