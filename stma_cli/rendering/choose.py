"""From settings to a renderer: which objects, in which style."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stma_cli.masks.selection import ids_of
from stma_cli.rendering.composite import CompositeRenderer, coverage
from stma_cli.rendering.overlay import OverlayRenderer
from stma_cli.rendering.settings import DRAWN_STYLES, RenderSettings, Style

SURROUNDINGS = 255  # stands for everything but the objects; a light colour of the palette


class Renderer(Protocol):
    """Makes one picture of one frame."""

    @property
    def mode(self) -> str:
        """What `render` returns: "RGB" (H, W, 3), "RGBA" (H, W, 4) or "L" (H, W)."""

    def render(self, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a uint8 picture of (H, W, 3) RGB pixels and an (H, W) map of object ids."""


def make_renderer(
    settings: RenderSettings, names: Mapping[int, str], margin: int = 0, option: str = "--objects"
) -> Renderer:
    """Return the renderer for these settings.

    Args:
        settings: see `RenderSettings`.
        names: object id -> name, as far as they are known.
        margin: see `CompositeRenderer`.
        option: where the objects to show were asked for.

    Raises:
        SettingsError: the settings contradict each other.
        MaskError: an object asked for is not there.
    """
    settings.require_sense()
    chosen = None if settings.objects is None else ids_of(settings.objects, names, option)
    if settings.style not in DRAWN_STYLES:
        return CompositeRenderer(settings, chosen, margin)
    only_lines = settings.style is Style.OUTLINE
    drawn = OverlayRenderer(
        names,
        alpha=0 if only_lines else settings.alpha,
        outline=only_lines or settings.outline,
        show_names=settings.show_names and not settings.invert,
        bold=only_lines,
    )
    if chosen is None and not settings.invert:
        return drawn
    return _Filtered(drawn, chosen, settings.invert)


@dataclass(frozen=True)
class _Filtered:
    """Hides objects from an overlay, or shows everything else as if it were one object."""

    drawn: OverlayRenderer
    chosen: frozenset[int] | None
    invert: bool
    mode: str = "RGB"

    def render(self, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        kept = coverage(labels, self.chosen, self.invert)
        shown = np.where(kept > 0, SURROUNDINGS if self.invert else labels, 0)
        return self.drawn.render(pixels, shown.astype(np.uint8 if self.invert else labels.dtype))
