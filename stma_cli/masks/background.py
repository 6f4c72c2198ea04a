"""Is an object the background? In an inverted mask, and where objects are drawn on white, it is."""

import numpy as np

from stma.labels import counts_in
from stma_cli.note import Note

HALF = 0.5  # of the frame, from which on an object at all borders is rarely meant
MAKE_IT_BLACK = "where it is the background, make it black or 0, in an inverted mask by inverting it"


def background_notes(labels: np.ndarray) -> list[Note]:
    """Return a note where one object of an (H, W) label map covers over half of it and touches all four borders."""
    borders = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    values, counts = counts_in(labels)
    share = counts.max() / labels.size
    largest = int(values[counts.argmax()])
    if largest <= 0 or share <= HALF or not all((border == largest).any() for border in borders):
        return []
    covers = f"object {largest} covers {100 * share:.0f} % of the frame and touches all its borders"
    return [Note("background", f"{covers}, as a background does")]
