"""A finished run whose masks stay: nothing is done, or its overlay is drawn from them, without the model."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from stma.errors import OutputError
from stma_cli.output import only_run_into
from stma_cli.report_file import finished_files
from stma_cli.result_layout import REPORT_FILE
from stma_cli.segment.corrections import FinishedRun, finished_run
from stma_cli.segment.overlay import overlay_of_all, overlay_range
from stma_cli.segment.report_head import record_drawing, recorded_settings
from stma_cli.segment.settings import DRAWING, SegmentResult, SegmentSettings
from stma_cli.wording import labelled

if TYPE_CHECKING:
    from stma_cli.video import VideoSource


def draw_video(settings: SegmentSettings, say: Callable[[str], None]) -> SegmentResult:
    """Draw the overlay of a finished run from its masks, which `settings.out` holds.

    Raises:
        StmaError: the video, the masks or their report cannot be read, or the overlay cannot be written.
    """
    from stma_cli.video.opening import open_at_rate

    source = open_at_rate(settings.video, settings.frame_rate)
    with only_run_into(settings.out):
        earlier = finished_run(settings.out)
        if earlier is None:
            raise OutputError(f"{settings.out} holds no finished run any more", "run the command again")
        return unchanged(settings, source, earlier, say)


def unchanged(
    settings: SegmentSettings, source: "VideoSource", earlier: FinishedRun, say: Callable[[str], None]
) -> SegmentResult:
    """Return the result of a run that is there already; draws only the overlay where that is missing or another.

    Raises:
        StmaError: the video or the masks cannot be read, or the overlay cannot be written.
    """
    drawn = settings.overlay is not None and settings.overlay.exists()
    recorded = recorded_settings(settings, source)
    draws = settings.overlay is not None and not (drawn and earlier.drawn_as(recorded))
    said = len(source.notes)
    notes = overlay_of_all(settings, source, earlier.names, finished_files(settings.out)) if draws else []
    told = (*source.notes[said:], *notes)
    for note in told:
        say(labelled("note", note))
    if draws or earlier.frame_rate != str(source.info.frame_rate):
        record_drawing(settings, source, {name: recorded[name] for name in DRAWING} if draws else {}, notes)
    return SegmentResult(
        out=settings.out,
        overlay=settings.overlay,
        report=settings.out / REPORT_FILE,
        frames=earlier.frame_count,
        objects=earlier.names,
        seconds=0.0,
        overlay_range=overlay_range(settings, earlier.frame_count),
        notes=told,
    )
