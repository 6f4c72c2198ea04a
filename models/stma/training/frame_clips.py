"""Clips made of one annotated frame: what a network learns from before it follows the objects of that frame.

The objects are cut out, the hole behind them is filled in, and both move again, each by itself; or the frame moves as
a whole. Khoreva et al., Lucid Data Dreaming for Video Object Segmentation (arXiv 1703.09554), with smaller motion.
"""

import cv2
import numpy as np

from stma.config import LEARNING_OBJECTS
from stma.training.clips import REFLECT, TrainingClip, crop_about, finished
from stma.training.colour import draw_colour
from stma.training.layers import LayeredScene, blur_whole, draw_shutter, paste_at
from stma.training.motion import MotionRange, affine_walk, elastic_walk, placement, warps
from stma.training.sources import CutOut, bounds, box_slices

BEHIND_MOTION = MotionRange(shift=0.12, rotation=6.0, log_scale=0.12, elastic=0.01)
WHOLE_MOTION = MotionRange(shift=0.15, rotation=8.0, log_scale=0.2, elastic=0.03)
OBJECT_MOTION = MotionRange(shift=0.15, rotation=12.0, log_scale=0.15, elastic=0.025)
SMALLEST = 8  # pixels of an object in a clip: a person marked it, so it is no noise
ATTEMPTS = 10  # a clip is drawn about a pixel of an object, so that most show one
WHOLE_SHARE = 0.4  # of clips in which the frame moves as a whole: nothing is filled in there
BLURRED_SHARE = 0.2
COLOUR = 0.5  # strength of colour shifts: the video's light changes less than that between two videos
# of the shorter side, around objects that are filled in: their soft outlines belong to them
HOLE_MARGIN = 0.011
FILL_RADIUS = 5  # pixels that the filling looks around
SCALES = 1.3  # times larger or smaller than the model will see the frame


class FrameClips:
    """Draws clips of one frame; the same generator state gives the same clip.

    Attributes:
        objects: as many as a clip tells apart at most; of more, each draws its own and has the others as background.
    """

    def __init__(self, frame: np.ndarray, labels: np.ndarray, side: int, frames: int, shorter: int) -> None:
        """Cut the frame into its objects and what lies behind them.

        Args:
            frame: (H, W, 3) uint8 RGB.
            labels: (H, W) integer, objects numbered from 1 without gaps, 0 = background.
            side: of the clips, in pixels.
            frames: of a clip.
            shorter: shorter side in pixels at which the model will see the frame. Clips are scaled to that only
                once, or they would be less sharp than what it sees.
        """
        self._frame, self._labels = frame, labels.astype(np.uint8)
        self._side, self._count = side, frames
        self._scale = shorter / min(labels.shape)
        self._marked = int(labels.max())
        self.objects = min(self._marked, LEARNING_OBJECTS)
        margin = round(HOLE_MARGIN * min(labels.shape))
        hole = cv2.dilate((labels > 0).astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8))
        self._behind = cv2.inpaint(np.ascontiguousarray(frame), hole, FILL_RADIUS, cv2.INPAINT_TELEA)

    def draw(self, rng: np.random.Generator) -> TrainingClip | None:
        """Draw one clip whose first frame shows an object; None where all are too small to be seen."""
        for _ in range(ATTEMPTS):
            scene = self._whole(rng) if rng.random() < WHOLE_SHARE else self._taken_apart(rng)
            clip = finished(rng, scene, self.objects, SMALLEST / self._side**2)
            if clip is not None:
                return clip
        return None

    def _whole(self, rng: np.random.Generator) -> LayeredScene:
        side, count = self._side, self._count
        base = self._crop(rng)
        moves = affine_walk(rng, count, side, WHOLE_MOTION.over(count))
        fields = elastic_walk(rng, count, side, WHOLE_MOTION.elastic)
        placed = warps(moves, base, side, fields)
        picture = draw_colour(rng, COLOUR).apply(self._frame)
        shutter = draw_shutter(rng, BLURRED_SHARE)
        frames = blur_whole([place.picture(picture, REFLECT) for place in placed], moves, shutter)
        return LayeredScene(
            frames, [place.labels(self._labels, REFLECT) for place in placed], self._nothing(), shutter
        )

    def _taken_apart(self, rng: np.random.Generator) -> LayeredScene:
        side, count = self._side, self._count
        base = self._crop(rng)
        moves = affine_walk(rng, count, side, BEHIND_MOTION.over(count))
        fields = elastic_walk(rng, count, side, BEHIND_MOTION.elastic)
        colour = draw_colour(rng, COLOUR)
        behind, picture = colour.apply(self._behind), colour.apply(self._frame)
        shutter = draw_shutter(rng, BLURRED_SHARE)
        frames = [place.picture(behind, REFLECT) for place in warps(moves, base, side, fields)]
        scene = LayeredScene(
            blur_whole(frames, moves, shutter), self._nothing(), self._nothing(), shutter, tuple(moves)
        )
        for number in rng.permutation(self._marked) + 1:
            alpha = np.where(self._labels == number, 255, 0).astype(np.uint8)
            box = bounds(alpha)
            part = box_slices(box)
            cut_out = CutOut((np.ascontiguousarray(picture[part]),), (np.ascontiguousarray(alpha[part]),))
            paste_at(
                rng, scene, cut_out, int(number), OBJECT_MOTION, base @ placement(0, 0, box[0], box[1], 0, 1)
            )
        return scene

    def _nothing(self) -> list[np.ndarray]:
        return [np.zeros((self._side, self._side), dtype=np.uint8) for _ in range(self._count)]

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        """3x3 matrix that takes the frame to a crop about a pixel of an object, mirrored half of the time."""
        scale = self._scale * float(np.exp(rng.uniform(-np.log(SCALES), np.log(SCALES))))
        rows, columns = np.nonzero(self._labels)
        pick = rng.integers(len(rows))
        height, width = self._labels.shape
        return crop_about(rng, (columns[pick], rows[pick]), (width, height), self._side, scale, 3)
