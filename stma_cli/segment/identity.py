"""What the masks of a run depend on, so that an earlier result or checkpoint is used only where it holds.

Content is compared by SHA-256. A stamp (sizes and times of the files) says without reading them that files
have not been touched since.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Self

from stma.errors import InputError
from stma_cli.frame_files import files_in
from stma_cli.result_layout import NAMES_FILE
from stma_cli.segment.settings import WITH_INFLUENCE, SegmentSettings

THE_MASKS, THE_ENDS = "the masks", "--until"  # what may differ, in words


@dataclass(frozen=True)
class RunIdentity:
    """What the masks of a run depend on.

    Attributes:
        source: SHA-256 of the video file, or of the names and contents of its frames.
        masks: SHA-256 of the annotations: frame, name and content of each.
        weights: SHA-256 of the weights file.
        settings: all options with influence on the masks, as JSON values.
        ends: the first frame without each of the objects that end, by id.
        stamp: of the video when it was hashed; says nothing about the masks and is not compared.
    """

    source: str
    masks: str
    weights: str
    settings: dict[str, Any]
    ends: dict[str, int] = field(default_factory=dict)
    stamp: str = ""

    @classmethod
    def of(
        cls,
        settings: SegmentSettings,
        weights: str,
        source: str | None = None,
        ends: Mapping[int, int] | None = None,
    ) -> Self:
        """Read and hash what `settings` names.

        Args:
            settings: the options of the run.
            weights: SHA-256 of the weights file.
            source: SHA-256 of the video where it is known already.
            ends: the first frame without each of the objects that end, by id.

        Raises:
            InputError: a file cannot be read.
        """
        chosen = {name: getattr(settings, name) for name in WITH_INFLUENCE}
        plain = json.loads(json.dumps(chosen, default=_plain))
        stamp = stamp_path(settings.video)
        masks = hash_masks(settings.masks, settings.first_mask_only, settings.out)
        return cls(
            source=source or hash_path(settings.video),
            masks=masks,
            weights=weights,
            settings=plain,
            ends={str(object_id): end for object_id, end in (ends or {}).items()},
            stamp=stamp,
        )

    @classmethod
    def from_plain(cls, plain: Any) -> Self | None:
        """Return what `plain` gave, or None where it is something else."""
        try:
            return cls(**plain)
        except TypeError:
            return None

    def plain(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    def ending(self, end: int | None) -> Self:
        """Return the identity of the same run up to another frame, exclusive."""
        return replace(self, settings={**self.settings, "end": end})

    def changes_since(self, earlier: "RunIdentity") -> list[str]:
        """Say what differs from an earlier run, such as "the video" or "size 480 -> 240"."""
        changes = [
            name
            for name, now, then in (
                ("the video", self.source, earlier.source),
                (THE_MASKS, self.masks, earlier.masks),
                (THE_ENDS, self.ends, earlier.ends),
                ("the weights", self.weights, earlier.weights),
            )
            if now != then
        ]
        before, here = _options(earlier.settings), _options(self.settings)
        before.pop("frame-rate", None)  # earlier versions took it for one with influence
        for name in sorted(before.keys() | here.keys()):
            then, now = before.get(name), here.get(name)
            if then != now:
                changes.append(f"{name} {_in_words(then)} -> {_in_words(now)}")
        return changes


def _options(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the values by the long names of their options; those of a step are named by themselves."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _options(value) if isinstance(value, dict) else {name.replace("_", "-"): value}
    return found


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not given" if value is None else str(value)


def hash_path(path: Path, suffixes: frozenset[str] | None = None) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the files in a folder.

    Args:
        path: file or folder.
        suffixes: endings of the files that count in a folder, those of images by default.

    Raises:
        InputError: something cannot be read.
    """
    with _readable(path):
        if not path.is_dir():
            return _hash_file(path)
        return _digest([[file.name, _hash_file(file)] for file in _files(path, suffixes)])


def stamp_path(path: Path) -> str:
    """Return a digest of name, size, modification and change time of a file or of the images in a folder.

    Raises:
        InputError: something cannot be read.
    """
    with _readable(path):
        files = _files(path, None) if path.is_dir() else [path]
        states = [(file.name, file.stat()) for file in files]
    return _digest([[name, state.st_size, state.st_mtime_ns, state.st_ctime_ns] for name, state in states])


def hash_masks(options: Sequence[str], first_only: bool = False, out: Path | None = None) -> str:
    """Return the SHA-256 of --mask values: frame, name, picture and content of each, and whether all of them count.

    Args:
        options: the values as typed.
        first_only: only the first mask of each object counts.
        out: the folder of results, whose names are those of the run itself.

    Raises:
        InputError: something cannot be read.
    """
    from stma_cli.masks.options import parse_mask_option

    parsed = [parse_mask_option(text) for text in options]
    rows: list[Any] = [[mask.frame, mask.name, mask.image, *_hash_mask(mask.path, out)] for mask in parsed]
    return _digest([*rows, *(["first"] if first_only else [])])


def _hash_mask(path: Path, out: Path | None) -> list[str]:
    """Return the digest of a mask, or a folder of them, and of the names that lie beside a picture."""
    from stma_cli.masks.folder import MASK_SUFFIXES

    names, content = path.parent / NAMES_FILE, hash_path(path, MASK_SUFFIXES)
    named = path.is_file() and path.suffix.lower() != ".json" and names.is_file()
    if not named or (out is not None and path.parent.resolve() == out.resolve()):
        return [content]
    return [content, hash_path(names)]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror})", "check its permissions, and that it is still there"
        ) from error


def _files(folder: Path, suffixes: frozenset[str] | None) -> list[Path]:
    from stma_cli.video.folder import IMAGE_SUFFIXES

    return sorted(files_in(folder, *(suffixes or IMAGE_SUFFIXES)))  # not natural order: earlier digests hold


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
