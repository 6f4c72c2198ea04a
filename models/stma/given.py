"""What a caller gives `Segmenter`, checked before anything is done with it."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stma.annotation import CheckedMask
from stma.errors import MaskError, SettingsError, VideoError
from stma.labels import LARGEST_ID, LEAVE


@dataclass(frozen=True)
class GivenMask:
    """A mask not yet held against its frame: its int64 ids, as of `Segmenter.step`, and whose they are, if given."""

    labels: np.ndarray
    object_ids: tuple[int, ...] | None

    @staticmethod
    def of(mask: np.ndarray, object_ids: Sequence[int] | None, frame_index: int) -> "GivenMask":
        """Check what can be checked without the frame.

        Args:
            mask, object_ids: as of `Segmenter.step`.
            frame_index: position of the frame in the run, for messages.

        Raises:
            MaskError: the mask is not one of integers, or the ids are no object ids.
        """
        mask = np.asarray(mask)
        if not np.issubdtype(mask.dtype, np.integer) and mask.dtype != np.bool_:
            raise MaskError(
                f"the mask of frame {frame_index} has type {mask.dtype}", "give integer object ids"
            )
        ids = None if object_ids is None else _plain_ids(object_ids, frame_index)
        return GivenMask(mask.astype(np.int64), ids)


def _plain_ids(object_ids: Sequence[int], frame_index: int) -> tuple[int, ...]:
    fix = f"use different whole numbers of 1 to {LARGEST_ID}"
    try:
        ids = tuple(operator.index(one) for one in object_ids)
    except TypeError as error:
        raise MaskError(f"the object_ids of frame {frame_index} are {object_ids}", fix) from error
    if len(set(ids)) < len(ids) or not all(1 <= one <= LARGEST_ID for one in ids):
        raise MaskError(f"the object_ids of frame {frame_index} are {ids}", fix)
    return ids


def checked_size(
    frames: Sequence[np.ndarray], frame_size: tuple[int, int] | None, frame_index: int
) -> tuple[int, int]:
    """Check the frames of a chunk and return their (height, width).

    Args:
        frames: one or more.
        frame_size: (height, width) of the frames before them, None where there were none.
        frame_index: position of the first one in the run, for messages.

    Raises:
        VideoError: a frame is none, or has another size.
    """
    for index, frame in enumerate(frames, frame_index):
        if not isinstance(frame, np.ndarray):
            raise VideoError(
                f"frame {index} is no array but of type {type(frame).__name__}",
                "give an array, (H, W, 3) uint8 RGB of 1 pixel or more",
            )
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
            raise VideoError(
                f"frame {index} has shape {frame.shape} and type {frame.dtype}",
                "give (H, W, 3) uint8 RGB of 1 pixel or more",
            )
        height, width = frame.shape[:2]
        frame_size = frame_size or (height, width)
        if (height, width) != frame_size:
            raise VideoError(
                f"frame {index} is {width}x{height}, the frames before it are {frame_size[1]}x{frame_size[0]}",
                "bring all frames to one size",
            )
    assert frame_size is not None
    return frame_size


def require_positions(masks: Mapping[int, object], frames: int) -> None:
    """Raise MaskError where masks by position in a chunk of so many frames belong to none of them."""
    stray = sorted(position for position in masks if position not in range(frames))
    if stray:
        raise MaskError(
            f"masks are given for the positions {stray} of a chunk of {frames} frames",
            "count them from 0, the chunk's first frame",
        )


def checked_annotations(
    given: Mapping[int, GivenMask], frame_index: int, frame_size: tuple[int, int], known: tuple[int, ...]
) -> dict[int, CheckedMask]:
    """Check the masks of a chunk against its frames.

    Args:
        given: masks by position in the chunk.
        frame_index: position of the chunk's first frame in the run, for messages.
        frame_size: (height, width) of the frames.
        known: objects so far.

    Returns:
        What they say, in the order of the frames; nothing of a mask that leaves every pixel as predicted.

    Raises:
        MaskError: a mask does not fit its frame, or mask and ids do not fit each other.
    """
    annotations = {}
    for position in sorted(given):
        said = _checked(given[position], frame_index + position, frame_size, known)
        if not (said.labels == LEAVE).all():
            annotations[position] = said
            known += tuple(i for i in said.object_ids if i not in known)
    return annotations


def _checked(
    given: GivenMask, frame_index: int, frame_size: tuple[int, int], known: tuple[int, ...]
) -> CheckedMask:
    mask, ids = given.labels, given.object_ids
    if mask.shape != frame_size:
        raise MaskError(
            f"the mask of frame {frame_index} has shape {mask.shape}, the frame {frame_size}",
            "give a label map of the frame's height and width",
        )
    found = np.unique(mask)
    present = tuple(int(i) for i in found if i not in (0, LEAVE))
    if present and (present[0] < 0 or present[-1] > LARGEST_ID):
        raise MaskError(
            f"the mask of frame {frame_index} holds the ids {present[0]}..{present[-1]}",
            f"use ids of 1 to {LARGEST_ID}",
        )
    if ids is None and LEAVE in found:
        ids = known + tuple(i for i in present if i not in known)
    ids = present if ids is None else ids
    stray = set(present) - set(ids)
    if stray:
        raise MaskError(
            f"the mask of frame {frame_index} holds the ids {sorted(stray)} besides {sorted(ids)}",
            "add them to object_ids or set their pixels to 0",
        )
    if known and not ids:
        raise MaskError(
            f"the mask of frame {frame_index} names no object",
            "leave it out, or name in object_ids the objects that are not visible",
        )
    return CheckedMask(mask, ids)


def require_same_settings(there: Mapping[str, object], here: Mapping[str, object]) -> None:
    """Raise SettingsError where a state that is given was taken with other settings, by name, than there are here."""
    differing = [f"{name} {there[name]}, not {here[name]}" for name in here if there[name] != here[name]]
    if differing:
        raise SettingsError(
            f"the state was taken with {' and '.join(differing)}",
            "use it with the settings that it was taken with, int8 on a CPU of the same kind",
        )
