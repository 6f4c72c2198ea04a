"""What `stma segment` checks before it loads weights or decodes more than one frame."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stma.errors import MaskError, OutputError, SettingsError
from stma_cli.frame_files import named_by_number
from stma_cli.segment.overlay import overlay_place
from stma_cli.segment.settings import SegmentSettings
from stma_cli.wording import counted

if TYPE_CHECKING:
    from stma_cli.masks import Annotation
    from stma_cli.video import VideoSource


def checked_annotations(settings: SegmentSettings, source: "VideoSource") -> "dict[int, Annotation]":
    """Read the masks, keep the objects asked for, and check that their frames will be segmented.

    Raises:
        SettingsError: when the range of frames is empty, or begins after the last frame.
        MaskError: when a mask cannot be used, or belongs to a frame out of range.
        AnnotationError: when a JSON file cannot be used.
    """
    from stma_cli.masks import first_masks, read_mask_options, select_objects
    from stma_cli.video.source import start_beyond_end

    start, end, info = settings.start, settings.end, source.info
    if end is not None and end <= start:
        raise SettingsError(
            f"--end {end} is not after --start {start}", f"give an --end of {start + 1} or more"
        )
    annotations = read_mask_options(settings.masks, info.width, info.height, start, source.stems)
    if settings.objects is not None:
        annotations = select_objects(annotations, settings.objects)
    if settings.first_mask_only:
        annotations = first_masks(annotations)
    first, last = min(annotations), max(annotations)
    if first < start:
        raise MaskError(
            f"the mask of frame {first} is before --start {start}: frame numbers are those of the whole "
            f"video",
            f"give --start {first}, or leave the number out for a mask of the first frame that is segmented",
        )
    if end is not None and last >= end:
        raise MaskError(
            f"the mask of frame {last} is not before --end {end}",
            f"give --end {last + 1} or more, or no --end",
        )
    hint = info.frame_count_hint
    if hint is not None and last >= hint:
        count = source.count_frames()  # the container's own count proves nothing
        if start >= count:
            raise start_beyond_end(info.path, start, count, source.stems)
        require_frame_exists(last, count, source)
    return annotations


def mostly_given(masks: int, frames: int | None) -> bool:
    """Whether more than half of so many frames have a mask, as in a data set and not after a few corrections."""
    return frames is not None and masks > 1 and 2 * masks > frames


def given_note(where: str) -> str:
    """Return what to say about it; `where` begins the sentence."""
    return (
        f"{where}; each counts as a correction: the objects that it shows are taken as given. To follow objects from "
        "their first masks alone, as benchmarks do, add --first-mask-only"
    )


def require_frame_exists(frame: int, count: int, source: "VideoSource") -> None:
    """Refuse an annotated frame beyond the `count` frames of the video.

    Raises:
        MaskError: naming both.
    """
    if frame >= count:
        raise MaskError(
            f"there is a mask for frame {frame}, but {source.info.path} has {counted(count, 'frame')}",
            f"give a number from 0 to {count - 1}{named_by_number(frame, source.stems)}",
        )


def require_places(settings: SegmentSettings, names: Mapping[int, str], stems: Collection[str]) -> None:
    """Refuse results that would replace what is given or an older overlay, and an overlay that cannot be made.

    Args:
        settings: of the run.
        names: of all objects of the run, by id.
        stems: the file names of all frames without ending, where the video is a folder of pictures.

    Raises:
        OutputError: when the masks would go to the folder of the frames, they, the soft masks or the overlay would
            replace a mask that is given, or the overlay is there already.
        SettingsError: when the overlay has no fitting name, is the video or the folder of the masks, or its options
            contradict each other.
        MaskError: when the overlay is to show an object that is not there.
    """
    from stma_cli.masks.selection import ids_of

    if settings.out.exists() and settings.out.samefile(settings.video):
        what = "the folder of the frames" if settings.out.is_dir() else "the video itself"
        raise OutputError(f"--out {settings.out} is {what}", "choose another folder")
    _require_no_mask_replaced("--out", settings.out, settings.masks, stems)
    if settings.soft is not None:
        for object_id in names:
            _require_no_mask_replaced("--soft", settings.soft / str(object_id), settings.masks, stems)
    settings.rendering.require_sense()  # also without an overlay: the command that draws one later is told
    if settings.rendering.objects is not None:
        ids_of(settings.rendering.objects, names, "--overlay-objects")
    place = overlay_place(settings)
    if place is not None:
        place.target(settings.rendering)
        place.require_free(settings.video, settings.out)
        _require_no_mask_replaced(place.option, place.path, settings.masks, stems)


def _require_no_mask_replaced(
    option: str, place: Path, masks: Collection[str], stems: Collection[str]
) -> None:
    """Refuse a file, or a folder of one PNG per frame, that would replace a mask given."""
    from stma_cli.masks.options import parse_mask_option

    target = place.resolve()
    for text in masks:
        path = parse_mask_option(text).path.resolve()
        if path == target:
            what, kind = ("the folder of the masks", "folder") if path.is_dir() else ("a mask", "name")
            raise OutputError(f"{option} {place} is {what} given", f"choose another {kind}")
        numbered = path.stem.isdecimal() and path.stem == f"{int(path.stem):05d}"
        named_as_frame = path.stem in stems if stems else numbered
        if path.parent == target and path.suffix.lower() == ".png" and named_as_frame:
            raise OutputError(
                f"--mask {path.name} lies in {option} {place}, where the result of its name would replace it",
                "choose another folder, or copy the mask out of it",
            )


def all_names(annotations: "Mapping[int, Annotation]") -> dict[int, str]:
    """Return the names of all objects of a run by id."""
    return {key: name for annotation in annotations.values() for key, name in annotation.names.items()}
