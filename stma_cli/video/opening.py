"""Opening a video: which kind of source a path is, and the frame rate of those that have none."""

import re
from fractions import Fraction
from pathlib import Path

from stma.errors import SettingsError, VideoError
from stma_cli.note import Note
from stma_cli.video.container import ContainerSource
from stma_cli.video.folder import IMAGE_SUFFIXES, FolderSource, animation_format
from stma_cli.video.source import DEFAULT_FOLDER_RATE, VideoSource
from stma_cli.video.stack import StackSource, page_count


def open_video(path: Path, folder_rate: Fraction | None = None) -> VideoSource:
    """Open a video file or a folder of images and read enough of it to know its first frame.

    Args:
        path: a file of any container FFmpeg reads, a folder with one image per frame, or a TIFF file with one page
            per frame.
        folder_rate: frames per second of images, 24 by default; videos keep their own times.

    Raises:
        VideoError: nothing there, or nothing that can be read as a video.
    """
    path = Path(path)
    if path.is_dir():
        return FolderSource.open(path, folder_rate)
    if not path.exists():
        raise VideoError(*_not_there(path))
    if not path.is_file():
        raise VideoError(f"{path} is no file but a pipe or a device", "save the video as a file first")
    if page_count(path) > 1:
        return StackSource.open(path, folder_rate)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        animation = animation_format(path)
        if animation is None:
            raise VideoError(
                f"{path} is a single image",
                f"give the folder that holds the frames ({path.parent}) or a video file",
            )
        if animation == "WEBP":
            raise VideoError(
                f"{path} is an animated WebP, which cannot be read as a video",
                "convert it to a GIF, or save its pictures as images in a folder and give that",
            )
    return ContainerSource.open(path)


def _not_there(path: Path) -> tuple[str, str]:
    address = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/(.*)", path.as_posix())  # a path has one slash of the two
    if address:
        return f"{address[1]}://{address[2]} is an address, no file", "download it first, and give the file"
    if re.search(r"[*?]|%0?\d*d", path.name):
        return f"{path} is a pattern of file names", f"give the folder that holds the frames, {path.parent}"
    return f"{path} does not exist", "check the path of the video"


def open_at_rate(path: Path, rate: str | None) -> VideoSource:
    """Open a video as `open_video` does, at a frame rate as typed; videos keep their own times and get a note.

    Raises:
        SettingsError: the rate is none.
        VideoError: nothing there, or nothing that can be read as a video.
    """
    if rate is None:
        return open_video(path)
    source = open_video(path, parse_rate(rate))
    if source.info.kind == "container":
        said = "--frame-rate is for a folder of images or a TIFF file; a video keeps its own times"
        source.add_note(Note("video", said))
    return source


def rate_of_pictures(rate: str | None) -> Fraction:
    """Return the frame rate that images are taken at, as typed or 24.

    Raises:
        SettingsError: the rate is none.
    """
    return DEFAULT_FOLDER_RATE if rate is None else parse_rate(rate)


def parse_rate(text: str) -> Fraction:
    """Return a frame rate given as "25", "29.97" or "30000/1001".

    Raises:
        SettingsError: it is not a number above 0 and at most 1000.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise SettingsError(f"{text!r} is not a frame rate", "give a number such as 25 or 30000/1001")
    return rate
