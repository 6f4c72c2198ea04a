"""JSON as all writers of files share it: readable UTF-8, whatever bytes the names of files hold."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stma.saving import replacing

_SURROGATE = re.compile("[\ud800-\udfff]")  # Python's stand-in for a byte of a file name that is no UTF-8


def readable_json(
    content: Any, indent: int | None = None, default: Callable[[Any], Any] | None = None
) -> str:
    """Return `content` as JSON that UTF-8 can hold and `json.loads` reads back as it was.

    Only bytes of file names that are no UTF-8 are escaped, other letters stay as they are.

    Args:
        content: what to write.
        indent: spaces per level; None for one line.
        default: turns values that JSON does not know into some that it does.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, default=default)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_json(path: Path, content: Any) -> None:
    """Write `content` with two spaces per level, complete or not at all.

    Raises:
        OutputError: when the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(readable_json(content, indent=2) + "\n", "utf-8")
