"""Does a mask fit the video? The same size does, the same shape is scaled, everything else is refused."""

from dataclasses import dataclass

import numpy as np

from stma.errors import MaskError
from stma.labels import ids_in
from stma.resize import resize_labels
from stma_cli.masks.image_file import require_size
from stma_cli.note import Note

ASPECT_TOLERANCE = 0.01  # relative; 1920x1088 against 1920x1080 still fits, 4:3 against 3:2 does not


@dataclass(frozen=True)
class Fit:
    """How coordinates and label maps of one file come to the size of the video (all in pixels)."""

    source_width: int
    source_height: int
    width: int
    height: int

    @property
    def same(self) -> bool:
        """Whether nothing has to be scaled."""
        return (self.source_width, self.source_height) == (self.width, self.height)

    @property
    def notes(self) -> list[Note]:
        """A sentence for the user where the mask is scaled, else nothing."""
        if self.same:
            return []
        sizes = f"{self.source_width}x{self.source_height} to {self.width}x{self.height}"
        return [Note("scaled", f"scaled from {sizes}")]

    def points(self, points: np.ndarray) -> np.ndarray:
        """Scale (N, 2) float (x, y) coordinates to the size of the video."""
        factors = np.array([self.width / self.source_width, self.height / self.source_height])
        return np.asarray(points * factors)

    def labels(self, labels: np.ndarray, source: str) -> np.ndarray:
        """Scale an (H, W) label map, each pixel taking the id under its centre.

        Raises:
            MaskError: when an object is so small that nothing of it is left.
        """
        if self.same:
            return labels
        scaled = resize_labels(labels, self.height, self.width)
        lost = sorted(set(ids_in(labels)) - set(ids_in(scaled)))
        if lost:
            raise MaskError(
                f"{source} is scaled from {self.source_width}x{self.source_height} to "
                f"{self.width}x{self.height}, and object {', '.join(map(str, lost))} is too small to "
                "survive",
                "mark it on a frame of the video's own size",
            )
        return scaled


def fit_size(source_width: int, source_height: int, width: int, height: int, source: str) -> Fit:
    """Compare the size of a mask file with the size of the video as it is shown.

    Args:
        source_width: columns of the mask, or of the picture the polygons were drawn on.
        source_height: its rows.
        width: columns of the video, display orientation.
        height: its rows.
        source: the file, for messages.

    Raises:
        MaskError: when the aspect ratios differ by more than 1 %, or the mask would take too much memory.
    """
    fit = Fit(source_width, source_height, width, height)
    if fit.same:
        return fit
    require_size(source_width, source_height, source)
    if _same_shape(source_width, source_height, width, height):
        return fit
    if _same_shape(source_height, source_width, width, height):
        raise MaskError(
            f"{source} is {source_width}x{source_height}, but the video is shown as {width}x{height}: it "
            "fits only when turned by 90 degrees, as when a phone stores its video turned",
            "mark the objects on a frame as a player shows it, or turn the mask",
        )
    raise MaskError(
        f"{source} is {source_width}x{source_height}, but the video is {width}x{height}, of another shape",
        f"mark the objects on a frame of this video and save the mask with {width}x{height} pixels",
    )


def _same_shape(source_width: int, source_height: int, width: int, height: int) -> bool:
    if min(source_width, source_height) < 1:
        return False
    ratio = (source_width * height) / (source_height * width)
    return abs(ratio - 1.0) <= ASPECT_TOLERANCE
