"""What the values of a label map mean besides object ids, and what holds them: 0 is background."""

import numpy as np

LARGEST_ID = 65535  # what a 16-bit PNG can hold


class _Leave(int):
    """A number that NumPy gives a type that holds it: a plain -1 would become 255 in `np.where` with a uint8 mask."""


# in a mask given for a frame: this pixel stays as predicted, whatever object it belongs to
LEAVE = _Leave(-1)


def id_dtype(largest: int) -> type[np.uint8] | type[np.uint16]:
    """The type of label maps whose ids go up to this one."""
    return np.uint8 if largest <= 255 else np.uint16
