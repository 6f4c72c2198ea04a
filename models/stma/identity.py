"""Identity switches: how often a method takes one object for another.

Counted as in multi-object tracking (CLEAR MOT, Bernardin and Stiefelhagen 2008): a true object is matched with the
predicted id that covers it, and every change of that id is one switch.
"""

import numpy as np

COVERED = 0.5  # share of a true object that an id must cover to own it


class IdentityCounter:
    """Counts switches over one sequence, holding one frame at a time."""

    def __init__(self) -> None:
        self.switches = 0
        self._owner: dict[int, int] = {}

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Take the next frame.

        Args:
            truth: (H, W) integer array of object ids, 0 is background.
            prediction: the same for the prediction, of the same size.
        """
        for object_id in (int(i) for i in np.unique(truth) if i):
            inside = prediction[truth == object_id]
            ids, counts = np.unique(inside[inside > 0], return_counts=True)
            if not len(ids) or counts.max() < COVERED * inside.size:
                continue  # lost is not switched: J tells of it
            owner = int(ids[counts.argmax()])
            self.switches += owner != self._owner.get(object_id, object_id)
            self._owner[object_id] = owner
