"""What a rendered picture shows: style, objects, edges. Imports nothing heavy, as the commands read it."""

from dataclasses import dataclass
from enum import StrEnum

from stma.errors import SettingsError

SOFTEST_FEATHER = 200.0  # pixels; beyond it nothing of a usual object is left


class Style(StrEnum):
    """How the objects are shown."""

    OVERLAY = "overlay"  # tinted, with outlines and names
    OUTLINE = "outline"  # outlines and names alone
    CUTOUT = "cutout"  # the objects alone, everything else transparent
    GREEN = "green"  # the objects before one plain colour
    BLUR = "blur"  # everything else out of focus
    MATTE = "matte"  # white objects on black
    SPOTLIGHT = "spotlight"  # everything else dark and nearly grey


DRAWN_STYLES = frozenset({Style.OVERLAY, Style.OUTLINE})  # marks on the picture, without an edge to soften


@dataclass(frozen=True)
class RenderSettings:
    """The options of a rendering.

    Attributes:
        style: how the objects are shown.
        objects: ids and names with commas between, such as "1,3" or "person,dog"; None for all.
        invert: show everything but the objects instead.
        feather: pixels over which an edge goes from 10 to 90 %; 0 for hard edges, which are exact.
        background: the colour of the green style, "#RRGGBB" or a name of CSS. Pure green is what keying
            programs expect.
        alpha: how strongly the overlay style tints, 0 to 1; 0.5 leaves the object visible.
        outline: whether the overlay style draws outlines.
        show_names: whether the overlay and outline styles write names.
    """

    style: Style = Style.OVERLAY
    objects: str | None = None
    invert: bool = False
    feather: float = 0.0
    background: str = "#00FF00"
    alpha: float = 0.5
    outline: bool = True
    show_names: bool = True

    @property
    def transparent(self) -> bool:
        """Whether the pictures have transparent parts."""
        return self.style is Style.CUTOUT

    def require_sense(self) -> None:
        """Refuse settings that contradict each other, before any work.

        Raises:
            SettingsError: naming them.
        """
        if not 0 <= self.feather <= SOFTEST_FEATHER:
            raise SettingsError(
                f"--feather {self.feather:g} is impossible", f"give 0 to {SOFTEST_FEATHER:g} pixels"
            )
        if self.feather and self.style in DRAWN_STYLES:
            soft = ", ".join(style for style in Style if style not in DRAWN_STYLES)
            raise SettingsError(
                f"--style {self.style} has no edge for --feather to soften",
                f"leave --feather out, or choose {soft}",
            )
        self.background_colour()

    def background_colour(self) -> tuple[int, int, int]:
        """Return `background` as RGB, 0 to 255 each.

        Raises:
            SettingsError: it is no colour.
        """
        from PIL import ImageColor

        try:
            red, green, blue = ImageColor.getrgb(self.background)[:3]
        except ValueError as error:
            raise SettingsError(
                f"--background {self.background} is not a colour", "give one such as #00FF00, blue or white"
            ) from error
        return red, green, blue

    def options(self, objects_option: str = "--objects") -> list[str]:
        """Return the options of the command line that give this rendering, as far as they are not the defaults.

        Args:
            objects_option: what the command calls its choice of objects.
        """
        default = RenderSettings()
        words = []
        if self.style is not default.style:
            words += ["--style", self.style.value]
        if self.objects is not None:
            words += [objects_option, self.objects]
        if self.invert:
            words += ["--invert"]
        if self.feather:
            words += ["--feather", f"{self.feather:g}"]
        if self.background != default.background:
            words += ["--background", self.background]
        return words
