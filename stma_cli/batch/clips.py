"""The clips below a folder: video files, and folders with one picture per frame, at any depth."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stma.errors import VideoError
from stma.natural_order import natural_key
from stma_cli.report_file import read_report_head
from stma_cli.result_layout import BATCH_FILE, CHECKPOINT_FILE, OVERLAY_FILE, REPORT_FILE
from stma_cli.soft_file import holds_soft_masks

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".m2v", ".mts", ".m2ts", ".ts"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".y4m", ".gif"}
)


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name: its path below the folder of clips with "/", without the ending of a video file. The folder of
            its results has the same path.
        path: the video file, or the folder of frames.
    """

    name: str
    path: Path

    @property
    def stem(self) -> str:
        """The last part of the name."""
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Pair:
    """A clip and its masks, or why there are none.

    Attributes:
        clip: the clip.
        masks: as `stma segment --mask` takes them.
        start, end, objects: as the options of `stma segment`; only a manifest gives them.
        problem: what keeps the clip from being segmented, or None.
    """

    clip: Clip
    masks: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    objects: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class FoundClips:
    """What a folder holds.

    Attributes:
        clips: in natural order.
        notes: sentences on what was left out.
    """

    clips: tuple[Clip, ...]
    notes: tuple[str, ...]


def find_clips(root: Path, leave_out: Sequence[Path] = ()) -> FoundClips:
    """Find all clips below `root`.

    A folder is a clip when it holds pictures, no video file, and no folder with clips. Folders of masks beside a
    video of the same name, results and soft masks of stma, and names that begin with a dot, are passed over.

    Args:
        root: the folder of clips.
        leave_out: folders that hold no clips, such as those of masks and results.

    Raises:
        VideoError: `root` is no folder, or there is no clip in it.
    """
    require_folder_of_clips(root)
    search = _Search(
        {folder_identity(folder) for folder in leave_out if folder.is_dir()} - {folder_identity(root)}
    )
    clips = sorted(
        search.clips_in(root, ""), key=lambda clip: [natural_key(part) for part in clip.name.split("/")]
    )
    if not clips:
        raise VideoError(
            f"{root} holds no clips",
            "give a folder with video files or folders of frames in it, or use stma "
            "segment for a single folder of frames",
        )
    return FoundClips(tuple(clips), tuple(search.notes))


def require_folder_of_clips(root: Path) -> None:
    """Refuse what is no folder.

    Raises:
        VideoError: naming it.
    """
    if not root.is_dir():
        raise VideoError(
            f"{root} is not a folder", "give the folder with the clips, or use stma segment for one clip"
        )


def clip_at(root: Path, text: str) -> Clip:
    """Return the clip that a manifest calls `text`, a path below `root`.

    Raises:
        VideoError: the path leads out of `root`, cannot name a folder of results, or nothing is there.
    """
    place = PurePosixPath(text.replace(os.sep, "/"))
    if place.is_absolute() or ".." in place.parts or Path(text).is_absolute():
        raise VideoError(f"the clip {text!r} is not a path below {root}", "give it relative to that folder")
    path = root / place
    if not path.exists():
        raise VideoError(f"the clip {path} does not exist", "correct its path in the manifest")
    name = str(place if path.is_dir() else place.with_suffix("")) if place.name else ""
    require_name(name, text)
    return Clip(name, path)


def require_name(name: str, text: str) -> None:
    """Refuse a name that cannot be that of a folder of results within another.

    Raises:
        VideoError: naming `text`.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts) or name == BATCH_FILE:
        raise VideoError(f"the clip {text!r} gives no name for a folder of results", "rename it")


class _Search:
    """One walk through a tree; follows links to folders, each folder once."""

    def __init__(self, leave_out: set[tuple[int, int]]) -> None:
        self.notes: list[str] = []
        self._seen = leave_out

    def clips_in(self, folder: Path, prefix: str) -> Iterator[Clip]:
        """Yield the clips in a folder; `prefix` is its name with a "/"."""
        from stma_cli.video.folder import IMAGE_SUFFIXES

        place = folder_identity(folder)
        if place in self._seen or holds_soft_masks(folder):
            return
        self._seen.add(place)
        try:
            entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        except OSError as error:
            self.notes.append(f"{folder} may not be read ({error.strerror}) and is left out")
            return
        files = [entry for entry in entries if entry.is_file()]
        is_result = holds_results(folder)
        drawn = {OVERLAY_FILE} if is_result else set()
        videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES and file.name not in drawn]
        stems = {video.stem for video in videos}
        below = [
            clip
            for entry in entries
            if entry.is_dir() and not (entry.name in stems and _holds_masks_alone(entry))
            for clip in self.clips_in(entry, f"{prefix}{entry.name}/")
        ]
        pictures = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        if pictures and not videos and not below and prefix and not is_result:
            yield Clip(prefix.removesuffix("/"), folder)
            return
        yield from below
        for video in videos:
            name = prefix + video.stem
            try:
                require_name(name, str(video))
            except VideoError as error:
                self.notes.append(str(error))
            else:
                yield Clip(name, video)


def holds_results(folder: Path) -> bool:
    """Whether a run of stma, complete or not, has written into a folder."""
    if (folder / CHECKPOINT_FILE).exists():
        return True
    head = read_report_head(folder / REPORT_FILE)
    return head is not None and "identity" in head


def _holds_masks_alone(folder: Path) -> bool:
    """Whether all in a folder are files that masks are saved as and frames are not, or SAM has left it."""
    from stma_cli.masks.array_file import ARRAY_SUFFIXES
    from stma_cli.masks.image_file import is_label_picture
    from stma_cli.masks.sam import is_sam_folder

    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return False
    endings = {".json", *ARRAY_SUFFIXES}
    return is_sam_folder(folder) or all(
        entry.is_file() and (entry.suffix.lower() in endings or is_label_picture(entry)) for entry in entries
    )


def folder_identity(folder: Path) -> tuple[int, int]:
    """Return what tells a folder from others, over whatever link it is reached.

    Raises:
        OSError: it is not there.
    """
    state = folder.stat()
    return state.st_dev, state.st_ino
