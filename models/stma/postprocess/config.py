"""Which steps of post-processing are on."""

from dataclasses import dataclass

from stma.errors import SettingsError

LONGEST_LOOK_AHEAD = 15  # frames; each is held with its pixels, 6 MB at 1920x1080


@dataclass(frozen=True)
class PostprocessConfig:
    """Steps between the model and the results; all are off, so that results are the model's own."""

    smooth: int = 0  # frames before and after that vote on each pixel; 0 = off
    remove_specks: int = 0  # parts with fewer pixels are removed, never an object's largest; 0 = off
    fill_holes: int = 0  # holes of up to so many pixels inside one object are filled; 0 = off
    largest_part: bool = False  # an object that is seen in two places is right too, so off
    grow: int = 0  # pixels outwards, into the background only; negative shrinks; 0 = off

    def __post_init__(self) -> None:
        for name in ("smooth", "remove_specks", "fill_holes"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} is {getattr(self, name)}", "use 0 (off) or more")
        if self.smooth > LONGEST_LOOK_AHEAD:
            raise SettingsError(
                f"smooth is {self.smooth} frames, which blurs all movement",
                f"use {LONGEST_LOOK_AHEAD} or fewer",
            )

    @property
    def on(self) -> bool:
        """Whether any step is on."""
        return self != PostprocessConfig()

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that are on, in their order, as a person would say them."""
        said = {
            f"smoothing over {2 * self.smooth + 1} frames": self.smooth > 0,
            f"specks below {self.remove_specks} px removed": self.remove_specks > 0,
            f"holes up to {self.fill_holes} px filled": self.fill_holes > 0,
            "largest part of each object kept": self.largest_part,
            f"objects grown by {self.grow} px": self.grow > 0,
            f"objects shrunk by {-self.grow} px": self.grow < 0,
        }
        return tuple(sentence for sentence, is_on in said.items() if is_on)
