"""Which masks belong to which clip: by the same path, by the same stem, or as a manifest says."""

import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stma.errors import MaskError
from stma.natural_order import natural_key
from stma_cli.batch.clips import (
    Clip,
    FoundClips,
    Pair,
    find_clips,
    folder_identity,
    holds_results,
    require_folder_of_clips,
)
from stma_cli.batch.manifest import read_manifest
from stma_cli.result_layout import NAMES_FILE, SOFT_FILE
from stma_cli.soft_file import holds_soft_masks, soft_masks_of

MANIFEST_SUFFIXES = frozenset({".csv", ".json"})


@dataclass(frozen=True)
class Pairing:
    """All clips of a batch in their order, and sentences on what was left out."""

    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()


def pair(clips: Path, masks: Path, leave_out: Sequence[Path] = ()) -> Pairing:
    """Pair the clips below a folder with their masks.

    Args:
        clips: folder of clips.
        masks: folder of masks, or a manifest that ends in .csv or .json.
        leave_out: folders without clips.

    Raises:
        VideoError: there is no such folder of clips, or no clip in it.
        MaskError: there is neither such a folder nor such a file.
        SettingsError: the manifest cannot be read.
    """
    require_folder_of_clips(clips)
    if masks.is_dir():
        found = find_clips(clips, [*leave_out, masks])
        pairs: Iterable[Pair] = _by_stem(found, masks)
        notes = found.notes
    elif masks.is_file() and masks.suffix.lower() in MANIFEST_SUFFIXES:
        pairs, notes = read_manifest(masks, clips), ()
    else:
        raise MaskError(
            f"{masks} is neither a folder nor a manifest",
            "give the folder with the masks, or a .csv or .json file",
        )
    return Pairing(tuple(_without_clashes(list(pairs))), notes)


def _without_clashes(pairs: list[Pair]) -> Iterable[Pair]:
    """Mark clips that would share a folder of results, be it only where names that differ in case are the same."""
    places: dict[str, list[Clip]] = {}
    for item in pairs:
        places.setdefault(item.clip.name.casefold(), []).append(item.clip)
    for item in pairs:
        others = [clip for clip in places[item.clip.name.casefold()] if clip.path != item.clip.path]
        if others:
            same = any(clip.name == item.clip.name for clip in others)
            problem = (
                f"{item.clip.path.name} and {', '.join(clip.path.name for clip in others)} would share the results "
                f"folder {item.clip.name}{'' if same else ' where upper and lower case are one'}; rename one"
            )
            yield Pair(item.clip, problem=problem)
        else:
            yield item


def _by_stem(found: FoundClips, masks: Path) -> list[Pair]:
    files = _MaskFiles(masks)
    stems = Counter(clip.stem for clip in found.clips)
    return [_paired(clip, files, stems[clip.stem] == 1) for clip in found.clips]


def _paired(clip: Clip, files: "_MaskFiles", only_one: bool) -> Pair:
    chosen = files.at(clip)
    if not chosen and only_one:
        chosen = files.with_stem(clip.stem)
    if not chosen:
        chosen = files.inside(clip)
    if len(chosen) == 1:
        return Pair(clip, (str(chosen[0]),))
    if chosen:
        names = ", ".join(str(path) for path in chosen)
        return Pair(clip, problem=f"several masks fit: {names}; keep one, or give a manifest")
    place = files.root / f"{clip.name}.png"
    return Pair(
        clip, problem=f"there is no mask for it; add {place} (or .json, or a folder), or give a manifest"
    )


class _MaskFiles:
    """The masks below a folder, by path and by stem, so that thousands of clips find theirs at once; no results and
    no soft masks."""

    def __init__(self, root: Path) -> None:
        from stma_cli.masks.folder import MASK_SUFFIXES

        self.root = root
        self._by_path: defaultdict[Path, list[Path]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[Path]] = defaultdict(list)
        self._folders: set[Path] = set()
        found = (path for path in _files_below(root) if path.suffix.lower() in MASK_SUFFIXES)
        is_written = cache(lambda folder: holds_results(folder) or holds_soft_masks(folder))
        for path in sorted(found, key=lambda path: natural_key(str(path))):
            if path.name.startswith(".") or path.name == NAMES_FILE or is_written(path.parent):
                continue
            if path.name == SOFT_FILE and soft_masks_of(path.parent) is not None:
                continue
            if path.is_file():
                self._by_path[path.with_suffix("")].append(path)
                self._by_stem[path.stem].append(path)
                self._folders.add(path.parent)

    def at(self, clip: Clip) -> list[Path]:
        """Masks with the path of the clip: a file with another ending, or a folder of masks."""
        folder = self.root / clip.name
        stems = dict.fromkeys((folder, self.root / f"{clip.name}{clip.path.suffix}"))
        files = [path for stem in stems for path in self._by_path.get(stem, ()) if path != clip.path]
        if folder in self._folders and not folder.samefile(clip.path):
            files.append(folder)
        return files

    def inside(self, clip: Clip) -> list[Path]:
        """The folder of frames itself, where labelme has left the JSON of a frame beside it."""
        from stma_cli.video.folder import IMAGE_SUFFIXES

        if clip.path not in self._folders:
            return []
        files = list(clip.path.iterdir())
        frames = {file.stem for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
        labelled = any(file.suffix.lower() == ".json" and file.stem in frames for file in files)
        return [clip.path] if labelled else []

    def with_stem(self, stem: str) -> list[Path]:
        """Mask files anywhere with this stem."""
        return self._by_stem.get(stem, [])


def _files_below(root: Path) -> Iterator[Path]:
    """Yield all that is no folder below a folder; follows links to folders, each folder once and links last, so that
    what can be reached without them keeps its path."""
    waiting, seen = deque([root]), set()
    while waiting:
        folder = waiting.popleft()
        try:
            place = folder_identity(folder)
            entries = [] if place in seen else list(os.scandir(folder))
        except OSError:  # a folder that may not be read
            continue
        seen.add(place)
        for entry in entries:
            if not entry.is_dir():
                yield Path(entry.path)
            elif entry.is_symlink():
                waiting.append(Path(entry.path))
            else:
                waiting.appendleft(Path(entry.path))
