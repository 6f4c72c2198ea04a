"""What one run of `stma segment` works on, as all of its parts are handed it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stma_cli.segment.checks import all_names
from stma_cli.segment.settings import SegmentSettings

if TYPE_CHECKING:
    from stma_cli.masks import Annotation
    from stma_cli.video import VideoSource


@dataclass(frozen=True)
class Task:
    """One run.

    Attributes:
        settings: what to do.
        source: the video.
        annotations: the masks given, by frame number.
        say: takes the lines that the user should read.
        ends: the first frame without each of the objects that end, by id.
    """

    settings: SegmentSettings
    source: "VideoSource"
    annotations: "Mapping[int, Annotation]"
    say: Callable[[str], None]
    ends: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of all objects by id."""
        return all_names(self.annotations)

    @property
    def marked(self) -> list[int]:
        """Frames with a mask that shows an object."""
        return [frame for frame, annotation in self.annotations.items() if annotation.object_ids]

    @property
    def expected_frames(self) -> int | None:
        """Number of frames that will be segmented, as far as it is known."""
        start, end, hint = self.settings.start, self.settings.end, self.source.info.frame_count_hint
        if hint is not None:
            return len(range(hint)[start:end])
        return None if end is None else end - start
