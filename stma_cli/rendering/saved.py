"""Renderings from saved masks, one frame in memory at a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from stma.errors import MaskError, SettingsError
from stma.saving import replacing
from stma_cli.masks.saved import SavedMasks
from stma_cli.rendering.choose import make_renderer
from stma_cli.rendering.settings import RenderSettings
from stma_cli.rendering.targets import Place, clear_margin, open_output
from stma_cli.video import VideoSource
from stma_cli.video.source import start_beyond_end


def masks_of_range(source: VideoSource, masks: SavedMasks, start: int, end: int | None) -> SavedMasks:
    """Return the masks of the frames start, ..., end - 1 where `masks` are those of the whole video; else `masks`.

    Args:
        source: the video.
        masks: of the whole video, or of the range alone.
        start, end: range of frames, end exclusive and None for the last frame.
    """
    part, hint = masks.files[start:end], source.info.frame_count_hint
    if not part or len(part) == len(masks.files):
        return masks
    if hint is not None and len(range(hint)[start:end]) == len(masks.files):
        return masks
    return replace(masks, files=part) if source.count_frames() == len(masks.files) else masks


def render_saved(
    source: VideoSource,
    masks: SavedMasks,
    place: Place,
    settings: RenderSettings,
    *,
    start: int = 0,
    end: int | None = None,
    audio: bool = True,
    objects_option: str = "--objects",
    on_frame: Callable[[], None] = lambda: None,
) -> list[str]:
    """Render the frames start, ..., end - 1 with their masks.

    Args:
        source: the video.
        masks: one mask per frame of the range.
        place: the file or folder to write.
        settings: what the pictures show.
        start, end: range of frames, end exclusive and None for the last frame.
        audio: whether to copy the sound.
        objects_option: where the objects to show were asked for.
        on_frame: called after each frame.

    Returns:
        Notes for the user.

    Raises:
        MaskError: there are more or fewer masks than frames, one has another size, or no object of those asked
            for is there; no file is written.
        SettingsError: the range starts after the last frame.
        VideoError, OutputError: the video cannot be read or the result not written.
    """
    margin = clear_margin(place.target(settings))
    renderer = make_renderer(settings, masks.names, margin, objects_option)
    expected = source.info.frame_count_hint
    if expected is None or len(range(expected)[start:end]) != len(masks.files):
        _check_count(source, masks, start, end)  # the hint may be wrong: look before a long run fails
    output = open_output(place, settings, source.info, audio=audio, start=start, end=end)
    try:
        for position, frame in enumerate(source.frames(start, end)):
            if position == len(masks.files):
                _check_count(source, masks, start, end)
            labels = masks.read(position, source.info.width, source.info.height)
            output.write_frame(frame, renderer.render(frame.pixels, labels))
            on_frame()
        if output.frame_count != len(masks.files):
            _check_count(source, masks, start, end)
        output.close()
    except BaseException:
        output.abort()
        raise
    return [*source.notes, *output.notes]


def write_still(
    source: VideoSource,
    masks: SavedMasks,
    target: Path,
    settings: RenderSettings,
    index: int,
    *,
    start: int = 0,
) -> list[str]:
    """Render one frame with its mask into a PNG file.

    Args:
        target: the PNG file.
        settings: what the picture shows.
        index: the frame, counted from 0 in the whole video.
        start: the frame that the first mask belongs to.

    Returns:
        Notes for the user.

    Raises:
        SettingsError: the frame has no mask, or the video no such frame.
        MaskError, VideoError, OutputError: something cannot be read, or the picture not written.
    """
    last = start + len(masks.files) - 1
    if not start <= index <= last:
        raise SettingsError(
            f"frame {index} has no mask, as {masks.folder} has those of frames {start} to {last}",
            f"give --still a number from {start} to {last}",
        )
    renderer = make_renderer(settings, masks.names)
    labels = masks.read(index - start, source.info.width, source.info.height)
    frame = next(iter(source.frames(index, index + 1)))
    with replacing(target) as temporary:
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(renderer.render(frame.pixels, labels)).save(temporary, format="PNG")
    return list(source.notes)


def _check_count(source: VideoSource, masks: SavedMasks, start: int, end: int | None) -> None:
    """Raise an error unless there are as many masks as frames in the range, by the true number of frames."""
    in_video = source.count_frames()
    if start >= in_video:
        raise start_beyond_end(source.info.path, start, in_video)
    frames = len(range(in_video)[start:end])
    count = len(masks.files)
    if frames == count:
        return
    whole = (start, end) == (0, None)
    part = "" if whole else f" from frame {start} to {in_video if end is None else end}"
    first = masks.numbered_from()
    if first is not None and count < in_video and first + count <= in_video:
        fix = f"they seem to be of a part of the video: add --start {first} --end {first + count}"
    else:
        fix = "give the masks that were made for this very video, one PNG per frame"
    video = source.info.path
    raise MaskError(f"{masks.folder} has {count} masks but {video} has {frames} frames{part}", fix)
