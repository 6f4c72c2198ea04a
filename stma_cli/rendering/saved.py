"""Overlay videos and pictures from saved masks, one frame in memory at a time."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from stma.errors import MaskError, SettingsError
from stma_cli.output import replacing
from stma_cli.rendering.overlay import OverlayRenderer
from stma_cli.saved_masks import SavedMasks
from stma_cli.video import VideoSource, VideoWriter


def write_overlay_video(
    source: VideoSource,
    masks: SavedMasks,
    target: Path,
    renderer: OverlayRenderer,
    *,
    start: int = 0,
    end: int | None = None,
    audio: bool = True,
    on_frame: Callable[[], None] = lambda: None,
) -> list[str]:
    """Render the frames start, ..., end - 1 with their masks into a video file.

    Args:
        source: the video.
        masks: one mask per frame of the range.
        target: the MP4 file to write.
        renderer: draws the masks.
        start, end: range of frames, end exclusive and None for the last frame.
        audio: whether to copy the sound.
        on_frame: called after each frame.

    Returns:
        Notes for the user.

    Raises:
        MaskError: there are more or fewer masks than frames, or one has another size; nothing is written.
        VideoError, OutputError: the video cannot be read or the result not written.
    """
    expected = source.info.frame_count_hint
    if expected is None or len(range(expected)[start:end]) != len(masks.files):
        _check_count(source, masks, start, end)  # the hint may be wrong: look before a long run fails
    with VideoWriter(target, source.info, audio=audio, start=start, end=end) as writer:
        for position, frame in enumerate(source.frames(start, end)):
            if position == len(masks.files):
                _check_count(source, masks, start, end)
            labels = masks.read(position, source.info.width, source.info.height)
            writer.write(renderer.render(frame.pixels, labels), frame.time, frame.duration)
            on_frame()
        if writer.frame_count != len(masks.files):
            _check_count(source, masks, start, end)
    return [*source.notes, *writer.notes]


def write_still(
    source: VideoSource,
    masks: SavedMasks,
    target: Path,
    renderer: OverlayRenderer,
    index: int,
    *,
    start: int = 0,
) -> list[str]:
    """Render one frame with its mask into a PNG file.

    Args:
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
            f"frame {index} has no mask, as {masks.folder} has those of frames {start} to {last}; "
            f"give --still a number from {start} to {last}"
        )
    labels = masks.read(index - start, source.info.width, source.info.height)
    frame = next(iter(source.frames(index, index + 1)))
    with replacing(target) as temporary:
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(renderer.render(frame.pixels, labels)).save(temporary, format="PNG")
    return list(source.notes)


def _check_count(source: VideoSource, masks: SavedMasks, start: int, end: int | None) -> None:
    """Raise MaskError unless there are as many masks as frames in the range, by the true number of frames."""
    in_video = source.count_frames()
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
    raise MaskError(f"{masks.folder} has {count} masks but {video} has {frames} frames{part}; {fix}")
