"""A folder of masks as one --mask value: each file is named after the frame that it belongs to."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stma.errors import MaskError
from stma.natural_order import natural_key
from stma_cli.masks.array_file import ARRAY_SUFFIXES
from stma_cli.masks.convertible import convert_first
from stma_cli.masks.sam import is_sam_folder
from stma_cli.result_layout import NAMES_FILE, REPORT_FILE
from stma_cli.wording import may_not_be_read, shell_command

PICTURE_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
MASK_SUFFIXES = PICTURE_SUFFIXES | ARRAY_SUFFIXES | {".json"}
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})
_NAME_OF_CVAT = re.compile(r"frame_([0-9]{6})")


def expand_folders(
    options: Sequence[str], stems: Sequence[str] = (), video: Path | None = None
) -> tuple[str, ...]:
    """Put, in place of each folder among the --mask values, one value per mask in it: "420=masks/00420.png".

    A folder with SAM's masks of one picture stays as it is.

    Args:
        options: the values as typed.
        stems: the file names of all frames without ending, where the video is a folder of pictures.
        video: the folder of the frames, where masks may lie beside them.

    Raises:
        MaskError: when a folder holds no mask, a file that is named after no frame, two for one frame, or the
            results of a run.
    """
    expanded: list[str] = []
    for text in options:
        folder = Path(text)
        if folder.is_dir() and not is_sam_folder(folder):
            expanded += [f"{frame}={file}" for frame, file in masks_in_folder(folder, stems, video).items()]
        else:
            expanded.append(text)
    return tuple(expanded)


def masks_in_folder(folder: Path, stems: Sequence[str] = (), video: Path | None = None) -> dict[int, Path]:
    """Return the masks in a folder by frame number, ascending.

    A name is a frame number counted from 0, such as 00420.png (frame_000420.png from CVAT), or for a folder of
    frames the name of a frame.
    JPEG files are passed over, as labelme leaves them beside its JSON; in the folder of the frames, all frames.

    Raises:
        MaskError: as for `expand_folders`.
    """
    try:
        found = sorted(folder.iterdir(), key=lambda file: natural_key(file.name))
    except OSError as error:
        raise MaskError(*may_not_be_read(folder, error)) from error
    if any(file.name == REPORT_FILE for file in found):
        raise MaskError(
            f"{folder} holds the results of a run, where every frame has a mask",
            "put those that you corrected into a folder of their own, beside the first mask",
        )
    position = {stem: index for index, stem in enumerate(stems)}
    frames = _frames_among(found, position) if video is not None and folder.samefile(video) else frozenset()
    by_frame: dict[int, Path] = {}
    for file in found:
        if file.name.startswith(".") or file.name == NAMES_FILE or not file.is_file():
            continue
        if file.suffix.lower() not in MASK_SUFFIXES or file in frames:
            continue
        frame = _frame_of(file.stem, position)
        if frame is None:
            fix = convert_first(folder) or (
                f"in a folder of masks call each one like its frame, such as {next(iter(stems), '00420')}.png, or "
                f"move it elsewhere{_one_per_object(found, position)}"
            )
            raise MaskError(f"{file} is named after no frame", fix)
        if frame in by_frame:
            raise MaskError(
                f"{by_frame[frame].name} and {file.name} in {folder} are both masks of frame {frame}",
                "move one elsewhere",
            )
        by_frame[frame] = file
    if not by_frame:
        fix = convert_first(folder) or "put one into it that is named after its frame, as 00000.png"
        raise MaskError(f"{folder} holds no mask", fix)
    return dict(sorted(by_frame.items()))


def _frames_among(files: Sequence[Path], position: Mapping[str, int]) -> frozenset[Path]:
    """Return the pictures in the folder of the frames that are frames: a mask has the name of a JPEG beside it."""
    kinds = PICTURE_SUFFIXES | JPEG_SUFFIXES
    pictures = [file for file in files if file.suffix.lower() in kinds and file.stem in position]
    jpegs = {file.stem for file in pictures if file.suffix.lower() in JPEG_SUFFIXES}
    return frozenset(file for file in pictures if file.stem not in jpegs)


def _one_per_object(files: Sequence[Path], position: dict[str, int]) -> str:
    """Return what to do with a folder that may hold a mask per object, none of them named after a frame; or ""."""
    masks = [file for file in files if file.suffix.lower() in MASK_SUFFIXES and file.name != NAMES_FILE]
    if len(masks) < 2 or any(_frame_of(file.stem, position) is not None for file in masks):
        return ""
    words = [word for file in masks[:2] for word in ("--mask", f"{file.stem}={file}")]
    return f", or where each is one object of the first frame, give {shell_command(words)} and so on"


def frame_of_cvat(stem: str) -> int | None:
    """Return the frame of a video that CVAT has named in an export, "frame_000420", or None."""
    match = _NAME_OF_CVAT.fullmatch(stem)
    return int(match[1]) if match else None


def _frame_of(stem: str, position: dict[str, int]) -> int | None:
    if stem in position:
        return position[stem]
    if not position and frame_of_cvat(stem) is not None:
        return frame_of_cvat(stem)
    numbered = stem.isascii() and stem.isdecimal()
    if not numbered or any(known.isdecimal() for known in position):  # numbered frames go by their own names
        return None
    return int(stem)
