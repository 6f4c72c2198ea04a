"""What `stma segment --overlay` writes: beside the masks, or afterwards from them."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from stma_cli.pipeline.sinks import OverlaySink
from stma_cli.rendering.targets import Place, clear_margin, open_output
from stma_cli.segment.settings import SegmentSettings

if TYPE_CHECKING:
    from stma_cli.video import VideoSource


def overlay_place(settings: SegmentSettings) -> Place | None:
    """Return where the overlay goes, or None for none; a run that goes on may use its folder of pictures."""
    path = settings.overlay
    if path is None:
        return None
    return Place(
        path, "--overlay", settings.force or settings.replace_overlay or (settings.resume and path.is_dir())
    )


def overlay_sinks(
    settings: SegmentSettings, source: "VideoSource", names: Mapping[int, str]
) -> list[OverlaySink]:
    """Return the sink that renders the frames as they are segmented, in a list that is empty for no overlay."""
    place = overlay_place(settings)
    if place is None:
        return []
    from stma_cli.rendering.choose import make_renderer

    margin = clear_margin(place.target(settings.rendering))
    renderer = make_renderer(settings.rendering, names, margin, "--overlay-objects")
    output = open_output(
        place,
        settings.rendering,
        source.info,
        audio=settings.audio,
        start=settings.start,
        end=settings.end,
    )
    return [OverlaySink(output, renderer)]


def overlay_of_all(
    settings: SegmentSettings, source: "VideoSource", names: dict[int, str], files: Iterable[str]
) -> list[str]:
    """Render the overlay of a run that went on half-way from its saved masks, of these names; return notes on it beyond
    those of the video."""
    from stma_cli.masks.saved import SavedMasks
    from stma_cli.rendering.saved import render_saved

    place = overlay_place(settings)
    assert place is not None
    masks = SavedMasks(settings.out, [settings.out / name for name in files], names)
    notes = render_saved(
        source,
        masks,
        place,
        settings.rendering,
        start=settings.start,
        end=settings.end,
        audio=settings.audio,
        objects_option="--overlay-objects",
    )
    return [note for note in notes if note not in source.notes]


def overlay_range(settings: SegmentSettings, count: int) -> tuple[int, int | None]:
    """Return the frames that `stma overlay` has to draw: all masks in the folder, also those of an earlier run."""
    from stma_cli.masks.saved import find_masks

    saved = find_masks(settings.out)
    first = saved.numbered_from()
    if first is None or len(saved.files) == count:
        return settings.start, None if settings.end is None else settings.start + count
    last = first + len(saved.files)
    ends_with_video = settings.end is None and last == settings.start + count
    return first, None if ends_with_video else last
