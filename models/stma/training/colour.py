"""Colour and blur augmentation of (H, W, 3) uint8 RGB images."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class ColourShift:
    """One draw of colour augmentation, applied alike to all frames of a layer."""

    gain: np.ndarray  # (3,) per channel
    offset: float
    saturation: float
    gamma: float

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the shifted image, (H, W, 3) uint8 RGB."""
        ramp = np.linspace(0, 1, 256)[:, None] ** self.gamma * 255 * self.gain[None] + self.offset
        table = np.clip(ramp, 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
        shifted = cv2.LUT(image, table)
        if self.saturation == 1.0:
            return shifted
        grey = cv2.cvtColor(cv2.cvtColor(shifted, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cv2.addWeighted(shifted, self.saturation, grey, 1 - self.saturation, 0)


def draw_colour(rng: np.random.Generator, strength: float) -> ColourShift:
    """Draw a colour shift; strength 0 changes nothing, 1 is the strongest used in training."""
    saturation = 0.0 if rng.random() < 0.05 * strength else 1 + strength * rng.uniform(-0.5, 0.4)
    return ColourShift(
        gain=(1 + strength * rng.uniform(-0.25, 0.25)) * (1 + strength * rng.uniform(-0.1, 0.1, 3)),
        offset=strength * rng.uniform(-25, 25),
        saturation=saturation,
        gamma=float(np.exp(strength * rng.uniform(-0.35, 0.35))),
    )


def motion_blur(image: np.ndarray, length: int, degrees: float) -> np.ndarray:
    """Blur along a line of `length` pixels, 3 or more, at an angle."""
    kernel = np.zeros((length, length), dtype=np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(image, -1, turned / turned.sum())


def shutter_blur(
    layer: np.ndarray, shift: tuple[float, float], open_share: float, longest: int
) -> np.ndarray:
    """Blur a layer along its own motion, as a shutter does that is open for a share of the time between two frames.

    Args:
        layer: (H, W) or (H, W, C), any type that OpenCV filters.
        shift: how far the layer moves between two frames, x and y in pixels.
        open_share: of that time, 0 to 1.
        longest: pixels that a blur has at most.

    Returns:
        The blurred layer, or the given one where the blur would be shorter than 3 pixels.
    """
    length = min(int(open_share * np.hypot(*shift)), longest - 1) // 2 * 2 + 1
    if length < 3:
        return layer
    return motion_blur(layer, length, -float(np.degrees(np.arctan2(shift[1], shift[0]))))


def degrade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Sometimes blur, add noise or recompress one frame, as cameras and codecs do."""
    choice = rng.random()
    if choice < 0.08:
        return motion_blur(image, int(rng.integers(3, 10)), rng.uniform(0, 180))
    if choice < 0.14:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    if choice < 0.2:
        noise = rng.normal(0, rng.uniform(2, 8), image.shape).astype(np.float32)
        return np.clip(image + noise, 0, 255).astype(np.uint8)
    if choice < 0.26:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 80))])[1]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return image
