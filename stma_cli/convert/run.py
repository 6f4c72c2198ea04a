"""One conversion: open the source, read it through, write the target under another name, rename it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from stma.errors import AnnotationError, OutputError, SettingsError, StmaError
from stma.saving import replacing, writing
from stma_cli.convert.arrays import open_npz, write_npz
from stma_cli.convert.clip import Clip, LabelledFrame, Source, names_in_file, survey, with_own_ids
from stma_cli.convert.coco import open_coco, write_coco
from stma_cli.convert.cvat_images import open_cvat_images, write_cvat_images
from stma_cli.convert.cvat_video import open_cvat_video, write_cvat_video
from stma_cli.convert.labelme import open_labelme, write_labelme
from stma_cli.convert.pictures import open_binary, open_davis, write_binary, write_davis
from stma_cli.convert.yolo import open_yolo, write_yolo
from stma_cli.convert.youtube_vis import open_youtube_vis, write_youtube_vis
from stma_cli.mask_formats import Format
from stma_cli.masks.detect import detect
from stma_cli.masks.json_file import load_json
from stma_cli.masks.sequences import clip_folders
from stma_cli.wording import has_wrong_field

UNFINISHED = ".stma-convert.part"  # in a folder that is filled


@dataclass(frozen=True)
class Conversion:
    """What is to be converted.

    Attributes:
        source: file or folder.
        out: file or folder to write; a folder must be new or empty.
        target_format: format of `out`.
        source_format: format of `source`; None to find out.
        size: width and height of the pictures, for YOLO labels.
        clip: name or id of the video in a file with several.
        tolerance: pixels by which polygons may be simplified.
        force: replace an existing file.
    """

    source: Path
    out: Path
    target_format: Format
    source_format: Format | None = None
    size: tuple[int, int] | None = None
    clip: str | None = None
    tolerance: float = 0.0
    force: bool = False


@dataclass(frozen=True)
class Converted:
    """What was written: the format read, number of frames, names by id, notes for the user, number of clips."""

    source_format: Format
    frames: int
    names: dict[int, str]
    notes: tuple[str, ...]
    clips: int


def convert_masks(wanted: Conversion, on_frame: Callable[[], None] = lambda: None) -> Converted:
    """Convert a clip, or several into one file; nothing is left under the final name unless all of it was written.

    Args:
        wanted: what and how.
        on_frame: called after every frame that was written.

    Raises:
        InputError: when the source cannot be used.
        SettingsError: when options contradict the formats.
        OutputError: when the target exists or cannot be written.
    """
    _check_target(wanted)
    if not wanted.source.exists():
        raise AnnotationError(f"there is no {wanted.source}", "check the path")
    try:
        source_format = wanted.source_format or detect(wanted.source)
        clips = with_own_ids(survey(source) for source in _open_all(wanted, source_format))
    except StmaError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise AnnotationError(*has_wrong_field(wanted.source, error)) from error
    except OSError as error:
        raise AnnotationError(
            f"{wanted.source} cannot be read ({error.strerror})", "check its permissions"
        ) from error
    if wanted.target_format.has_polygons:
        clips[0].notes.add(
            f"polygons were simplified by up to {wanted.tolerance:g} pixels, so masks differ at their edges"
            if wanted.tolerance
            else "polygons follow the edges of the pixels: other tools that fill them may differ by a pixel"
        )

    watched = [_watched(clip, on_frame) for clip in clips]
    if wanted.target_format.suffix:
        with replacing(wanted.out) as temporary:
            _write(temporary, watched, wanted)
    else:
        with _new_folder(wanted.out) as temporary:
            _write(temporary, watched, wanted)
    notes = dict.fromkeys(line for clip in clips for line in clip.notes.lines())
    count = sum(len(clip.frame_names) for clip in clips)
    return Converted(source_format, count, names_in_file(clips), tuple(notes), len(clips))


def _watched(clip: Clip, on_frame: Callable[[], None]) -> Clip:
    """Return the clip with `on_frame` called after each of its frames."""

    def frames() -> Iterator[LabelledFrame]:
        for frame in clip.frames():
            yield frame
            on_frame()

    return replace(clip, frames=frames)


def _check_target(wanted: Conversion) -> None:
    out, suffix = wanted.out, wanted.target_format.suffix
    if suffix and out.suffix.lower() != suffix:
        raise SettingsError(f"{wanted.target_format} is one {suffix} file", f"let --out end in {suffix}")
    if out.exists() and wanted.source.exists() and out.samefile(wanted.source):
        raise SettingsError(f"{out} is the source itself", "choose another name with --out")
    if suffix and out.is_dir():
        raise OutputError(
            f"{out} is a folder, but {wanted.target_format} is a file", "choose another name with --out"
        )
    if not suffix and out.exists() and not out.is_dir():
        raise OutputError(
            f"{out} is a file, but {wanted.target_format} is a folder", "choose a folder with --out"
        )
    if suffix and out.exists() and not wanted.force:
        raise OutputError(f"{out} exists", "choose another name with --out, or add --force to replace it")
    if not suffix and out.is_dir() and any(entry.name != UNFINISHED for entry in out.iterdir()):
        raise OutputError(f"{out} is not empty", "choose a new or empty folder with --out")
    if suffix and not out.resolve().parent.is_dir():
        raise OutputError(f"there is no folder {out.parent}", "make it, or choose another with --out")
    if wanted.tolerance and not wanted.target_format.has_polygons:
        raise SettingsError(
            f"--simplify is for polygons, which {wanted.target_format} has not", "leave it out"
        )


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, and rename it to `path` when all went well.

    A folder that is there, perhaps over a link, stays the one it is: the temporary one is inside, and its content moves
    up.
    """
    place = path.resolve()
    fills = place.is_dir()
    temporary = place / UNFINISHED if fills else place.with_name(f".{place.name}.part")
    try:
        with writing(path):
            if temporary.exists():
                shutil.rmtree(temporary)
            temporary.mkdir(parents=True)
            yield temporary
            if fills:
                _move_up(temporary)
            else:
                os.replace(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_up(folder: Path) -> None:
    """Move all in a folder into the one above it, or nothing.

    Raises:
        OSError: it cannot be moved.
    """
    moved: list[Path] = []
    try:
        for entry in list(folder.iterdir()):
            os.replace(entry, folder.parent / entry.name)
            moved.append(entry)
    except BaseException:
        for entry in moved:
            os.replace(folder.parent / entry.name, entry)
        raise


def _open_all(wanted: Conversion, source_format: Format) -> list[Source]:
    """Open the source, or each clip of a folder of clips.

    Raises:
        SettingsError: when an option, or the target with several clips, does not suit the source.
    """
    _refuse_options(wanted, source_format)
    folders = clip_folders(wanted.source) if source_format is Format.DAVIS else {}
    if len(folders) < 2:
        path = next(iter(folders.values()), wanted.source)
        return [_open(path, source_format, wanted)]
    if wanted.target_format not in (Format.COCO, Format.YOUTUBE_VIS):
        raise SettingsError(
            f"{wanted.source} holds several clips, of which only coco and youtube-vis make one file",
            f"convert one, such as {next(iter(folders.values()))} (or --from binary, if they are objects of one clip)",
        )
    sources = [(name, open_davis(folder)) for name, folder in folders.items()]
    return [replace(source, origin=replace(source.origin, clip=name)) for name, source in sources]


def _refuse_options(wanted: Conversion, source_format: Format) -> None:
    path = wanted.source
    if wanted.clip is not None and source_format is not Format.YOUTUBE_VIS:
        raise SettingsError(f"--clip is for YouTube-VIS, and {path} is {source_format}", "leave it out")
    if wanted.size is not None and source_format is not Format.YOLO:
        raise SettingsError(f"--size is for YOLO labels, and {path} is {source_format}", "leave it out")


def _open(path: Path, source_format: Format, wanted: Conversion) -> Source:
    match source_format:
        case Format.DAVIS:
            return open_davis(path)
        case Format.BINARY:
            return open_binary(path)
        case Format.COCO:
            return open_coco(path, load_json(path))
        case Format.YOUTUBE_VIS:
            return open_youtube_vis(path, load_json(path), wanted.clip)
        case Format.NPZ:
            return open_npz(path)
        case Format.LABELME:
            return open_labelme(path)
        case Format.YOLO:
            return open_yolo(path, wanted.size)
        case Format.CVAT_IMAGES:
            return open_cvat_images(path)
        case Format.CVAT_VIDEO:
            return open_cvat_video(path)


def _write(path: Path, clips: list[Clip], wanted: Conversion) -> None:
    clip = clips[0]
    match wanted.target_format:
        case Format.DAVIS:
            write_davis(path, clip)
        case Format.BINARY:
            write_binary(path, clip)
        case Format.COCO:
            write_coco(path, *clips)
        case Format.YOUTUBE_VIS:
            write_youtube_vis(path, *clips)
        case Format.NPZ:
            write_npz(path, clip)
        case Format.LABELME:
            write_labelme(path, clip, wanted.tolerance)
        case Format.YOLO:
            write_yolo(path, clip, wanted.tolerance)
        case Format.CVAT_IMAGES:
            write_cvat_images(path, clip)
        case Format.CVAT_VIDEO:
            write_cvat_video(path, clip)
