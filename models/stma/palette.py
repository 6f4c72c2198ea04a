"""The one palette of the project: the DAVIS / PASCAL VOC colour map."""

import numpy as np


def davis_palette() -> np.ndarray:
    """Return the DAVIS palette.

    The colours come from the bits of the index, as in the PASCAL VOC development kit: bit 0, 1, 2 of the
    index go to the highest bit of red, green, blue, the next three bits to the second highest, and so on.

    Returns:
        (256, 3) uint8 array, RGB; row 0 is black, the background.
    """
    palette = np.zeros((256, 3), dtype=np.uint8)
    for index in range(256):
        bits = index
        for shift in range(7, -1, -1):
            for channel in range(3):
                palette[index, channel] |= ((bits >> channel) & 1) << shift
            bits >>= 3
    return palette
