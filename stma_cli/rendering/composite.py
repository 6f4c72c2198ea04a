"""Styles that keep the objects and change what is around them: cutout, green, blur, matte, spotlight."""

from collections.abc import Callable, Collection

import cv2
import numpy as np

from stma_cli.rendering.settings import RenderSettings, Style

_SIGMAS_OF_RAMP = 2.56  # standard deviations between 10 and 90 % of a blurred step
_BLUR_PART = 1 / 30  # standard deviation of the blurred background, as a part of the shorter side
# the background is blurred at a quarter of the size: what is lost there is blurred away anyway
_BLUR_SCALE = 4
_LEAST_WEIGHT = 1 / 255  # so that a picture without background has one to divide by
_SPOTLIGHT_LEVEL = 0.28  # of the brightness that the surroundings keep
_SPOTLIGHT_COLOUR = 0.35  # of the colour that they keep

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


def coverage(
    labels: np.ndarray, chosen: Collection[int] | None = None, invert: bool = False, feather: float = 0.0
) -> np.ndarray:
    """Return how much of each pixel is kept.

    Args:
        labels: (H, W) integer array of object ids, 0 = background.
        chosen: the objects to keep; None for all.
        invert: keep everything else instead.
        feather: pixels over which an edge goes from 10 to 90 %, half of them on each side.

    Returns:
        (H, W) uint8 array, 0 = gone to 255 = kept; only these two where `feather` is 0.
    """
    kept = labels != 0 if chosen is None else np.isin(labels, list(chosen))
    cover = np.where(kept != invert, np.uint8(255), np.uint8(0))
    if feather > 0:
        cover = cv2.GaussianBlur(cover, (0, 0), feather / _SIGMAS_OF_RAMP, borderType=cv2.BORDER_REPLICATE)
    return cover


class CompositeRenderer:
    """Keeps the chosen objects of a frame and fills in the rest by the style.

    Attributes:
        mode: what `render` returns: "L" (H, W) for mattes, "RGBA" (H, W, 4) for cutouts with straight
            (not premultiplied) alpha, "RGB" (H, W, 3) otherwise.
    """

    def __init__(self, settings: RenderSettings, chosen: Collection[int] | None, margin: int = 0) -> None:
        """Prepare a renderer.

        Args:
            settings: with a style other than overlay and outline.
            chosen: ids of the objects to keep; None for all.
            margin: pixels around a cutout that keep their colour although they are transparent, so that a
                lossy encoder does not mix black into the edge; farther away colours are cleared.
        """
        self.mode = {Style.MATTE: "L", Style.CUTOUT: "RGBA"}.get(settings.style, "RGB")
        self._settings = settings
        self._chosen = chosen
        self._margin = margin
        self._fill = self._fill_of_style()

    def render(self, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a new picture of one frame.

        Args:
            pixels: (H, W, 3) uint8 array, RGB.
            labels: (H, W) integer array of object ids, 0 = background.

        Returns:
            uint8 array of the kind that `mode` says.

        Raises:
            ValueError: the two do not have the same height and width.
        """
        if pixels.shape[:2] != labels.shape:
            raise ValueError(f"labels of shape {labels.shape} for a frame of shape {pixels.shape}")
        settings = self._settings
        cover = coverage(labels, self._chosen, settings.invert, settings.feather)
        if settings.style is Style.MATTE:
            return cover
        if settings.style is Style.CUTOUT:
            return cv2.merge([_cleared(pixels, cover, self._margin), cover])
        return _mixed(pixels, self._fill(pixels, cover), cover)

    def _fill_of_style(self) -> Fill:
        if self._settings.style is Style.BLUR:
            return _out_of_focus
        if self._settings.style is Style.SPOTLIGHT:
            return lambda pixels, cover: _in_the_dark(pixels)
        colour = np.array(self._settings.background_colour(), np.uint8)
        return lambda pixels, cover: np.broadcast_to(colour, pixels.shape)


def _mixed(kept: np.ndarray, filled: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return `kept` where `cover` is 255, `filled` where it is 0, and the mean by weight between."""
    weight = cover.astype(np.float32) / 255
    return cv2.blendLinear(kept, np.ascontiguousarray(filled), weight, 1 - weight)


def _cleared(pixels: np.ndarray, cover: np.ndarray, margin: int) -> np.ndarray:
    """Return the pixels with black farther than `margin` pixels from anything visible."""
    visible = np.where(cover > 0, np.uint8(255), np.uint8(0))
    if margin:
        visible = cv2.dilate(visible, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    return cv2.copyTo(pixels, visible)


def _out_of_focus(pixels: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return the blurred surroundings; the kept parts lend no colour to them, so no halo is left."""
    height, width = pixels.shape[:2]
    small = (max(1, width // _BLUR_SCALE), max(1, height // _BLUR_SCALE))
    weight = np.maximum(1 - cover.astype(np.float32) / 255, _LEAST_WEIGHT)
    weighted = cv2.resize(pixels * weight[..., None], small, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
    sigma = max(1.0, _BLUR_PART * min(small))
    weighted = cv2.GaussianBlur(weighted, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    weight = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    blurred = (weighted / weight[..., None]).astype(np.float32)
    enlarged = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(enlarged + 0.5, 0, 255).astype(np.uint8))


def _in_the_dark(pixels: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colour = _SPOTLIGHT_LEVEL * _SPOTLIGHT_COLOUR
    return cv2.addWeighted(pixels, colour, grey, _SPOTLIGHT_LEVEL - colour, 0)
