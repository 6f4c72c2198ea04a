"""What there is to know about the masks of a video: the files one by one, then all of them together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stma.errors import InputError, MaskError
from stma.labels import LEAVE, ids_in
from stma_cli.check.findings import Finding, Level, from_error, without_file
from stma_cli.check.polygon_findings import outline_findings
from stma_cli.check.regions import find_pinholes, find_specks, solid_ids
from stma_cli.check.snapping import read_lossy
from stma_cli.check.turning import lies_on_its_side
from stma_cli.check.video_findings import VideoSurvey
from stma_cli.frame_files import named_by_number
from stma_cli.masks import ObjectIds, WantedPicture, read_annotation, read_mask_options
from stma_cli.masks.background import MAKE_IT_BLACK, background_notes
from stma_cli.masks.fit import fit_size
from stma_cli.masks.image_file import MaskPicture, read_picture
from stma_cli.masks.label_image import LEFT_VALUE, SMALLEST_OBJECT, annotation_of
from stma_cli.masks.options import MaskOption, parse_mask_option
from stma_cli.masks.other_frames import marked_elsewhere
from stma_cli.masks.reader import HOW_TO_ERASE, SAYS_NOTHING, is_picture, mark_one
from stma_cli.note import Code, Note
from stma_cli.wording import counted, shortened

REPAIR = "or have it done with --fix"
# What to do about notes of the readers, by code; of other codes a finding here says it better.
NOTE_FIXES: dict[Code, str] = {
    "scaled": "nothing; mark the objects on a frame of the video's size for exact edges",
    "overlap": "nothing, or give the objects in another order",
    "labels": "nothing, or give shapes of one object the same group id",
    "mask": "nothing, if that is meant",
}


@dataclass(frozen=True)
class _Checked:
    """One mask file.

    Attributes:
        option: the value of --mask.
        findings: about this file alone.
        ids: what it marks, None where it could not be read.
        elsewhere: what is said where it marks nothing on its frame, but on others.
        leaves: whether some pixels stay as predicted.
    """

    option: MaskOption
    findings: tuple[Finding, ...]
    ids: tuple[int, ...] | None
    elsewhere: MaskError | None = None
    leaves: bool = False


def check_masks(options: Sequence[str], survey: VideoSurvey) -> list[Finding]:
    """Check the values of --mask against a video.

    Args:
        options: as typed, see `stma_cli.masks.options`.
        survey: what is known of the video; one that cannot be opened has no size to compare with.
    """
    info = survey.info
    if info is None:
        return [
            Finding(
                Level.NOTE,
                "not-checked",
                str(parse_mask_option(text).path),
                "it is not checked, as the video cannot be opened",
                "mend the video first",
            )
            for text in options
        ]
    checked = _check_files([parse_mask_option(text) for text in options], survey, info.width, info.height)
    findings = [finding for item in checked for finding in item.findings]
    findings += _empty_masks(checked)
    for item in checked:
        findings += _frame_findings(item.option, survey)
    if options and not any(finding.level is Level.ERROR for finding in findings):
        findings += _together(options, survey, info.width, info.height)
    return findings


def _check_files(
    options: Sequence[MaskOption], survey: VideoSurvey, width: int, height: int
) -> list[_Checked]:
    """Check each file; all are read as corrections, unless nothing is an object then."""
    checked = [_Checked(option, (), ()) for option in options]
    for correction in (True, False):
        object_ids = ObjectIds()
        for place, option in sorted(enumerate(options), key=lambda item: item[1].frame or 0):
            if not is_picture(option.path):
                checked[place] = _check_other(option, survey, width, height)
            elif option.name is not None:
                checked[place] = _check_picture(option, width, height, ObjectIds(), correction=False)
            else:
                checked[place] = _check_picture(option, width, height, object_ids, correction)
        if any(item.ids for item in checked):
            break
    return checked


def _check_picture(
    option: MaskOption, width: int, height: int, object_ids: ObjectIds, correction: bool
) -> _Checked:
    findings, labels = check_picture(option.path, width, height, object_ids, correction)
    if labels is None:
        return _Checked(option, tuple(findings), None)
    return _Checked(option, tuple(findings), ids_in(labels), leaves=bool(np.any(labels == LEAVE)))


def check_picture(
    path: Path, width: int, height: int, object_ids: ObjectIds, correction: bool
) -> tuple[list[Finding], np.ndarray | None]:
    """Check one mask picture; ids and corrections are as for `read_image_annotation`.

    Returns:
        The findings, and its (H, W) int32 labels at its own size, None where they cannot be told.
    """
    file = str(path)
    try:
        picture = read_picture(path)
    except MaskError as error:
        finding = from_error(error, "unreadable", file)
        return [_with_repair(finding) if read_lossy(path) is not None else finding], None
    rows, columns = picture.pixels.shape[:2]
    findings = []
    try:
        fit_size(columns, rows, width, height, file)
    except MaskError as error:
        code = "turned" if lies_on_its_side(columns, rows, width, height) else "size"
        finding = from_error(error, code, file)
        findings.append(_with_repair(finding) if code == "turned" else finding)
    try:
        annotation = annotation_of(picture, path, columns, rows, object_ids, correction)
    except MaskError as error:
        return [*findings, _with_repair(from_error(error, "smoothed", file))], None
    findings += _format_findings(picture, annotation.notes, file)
    findings += label_findings(annotation.labels, file)
    if LEAVE in annotation.labels:
        left = LEFT_VALUE[picture.kind]
        problem = (
            f"pixels of value {left} are no object: they stay as predicted, on the first mask background"
        )
        findings.append(Finding(Level.NOTE, "left", file, problem, "nothing, if that is meant"))
    if picture.kind == "grey":
        findings += _grey_ids(annotation.object_ids, file)
    return findings, annotation.labels


def _with_repair(finding: Finding) -> Finding:
    return Finding(finding.level, finding.code, finding.file, finding.problem, f"{finding.fix}; {REPAIR}")


def _format_findings(picture: MaskPicture, notes: Sequence[Note], file: str) -> list[Finding]:
    if picture.kind != "colour":
        return []
    given = [note for note in notes if note.code == "colours"]
    what = "it is saved in RGB and not indexed, so ids are told by colour"
    if not given:
        return [Finding(Level.NOTE, "rgb", file, what, f"nothing, if the ids are right; {REPAIR}")]
    fix = f"save it as indexed PNG, where the palette index is the id; {REPAIR}"
    return [Finding(Level.WARNING, "rgb", file, f"{what}: {', '.join(given)}", fix)]


def label_findings(labels: np.ndarray, file: str) -> list[Finding]:
    """Return what looks accidental in an (H, W) label map."""
    findings: list[Finding] = []
    ids = ids_in(labels)
    if not ids:
        return findings
    solid = solid_ids(labels)
    for object_id in ids:
        pixels = int(np.count_nonzero(labels == object_id))
        if pixels < SMALLEST_OBJECT:
            problem = f"object {object_id} has only {counted(pixels, 'pixel')}, as stray brush strokes do"
            fix = "erase it, or mark all of the object"
            findings.append(Finding(Level.WARNING, "tiny", file, problem, fix))
        elif object_id not in solid:
            problem = f"object {object_id} is nowhere thicker than two pixels, as outlines and borders are"
            fix = "fill the outline if the area in it is meant"
            findings.append(Finding(Level.WARNING, "thin", file, problem, fix))
    for note in background_notes(labels):
        findings.append(Finding(Level.WARNING, note.code, file, note, f"{MAKE_IT_BLACK}, else nothing"))
    if ids[-1] > 2 * len(ids) + 2:
        problem = f"the ids have gaps: {shortened(ids, 12)}"
        findings.append(Finding(Level.NOTE, "id-gaps", file, problem, "nothing, if these ids are meant"))
    for spots in find_specks(labels):
        what = f"{counted(spots.count, 'speck')} ({counted(spots.pixels, 'pixel')}) apart from its main part"
        problem = f"object {spots.object_id} has {what}, one at x = {spots.x}, y = {spots.y}"
        findings.append(Finding(Level.WARNING, "specks", file, problem, f"erase them, {REPAIR}"))
    for spots in find_pinholes(labels):
        what = f"{counted(spots.count, 'pinhole')} ({counted(spots.pixels, 'pixel')})"
        problem = f"object {spots.object_id} has {what}, one at x = {spots.x}, y = {spots.y}"
        findings.append(Finding(Level.NOTE, "holes", file, problem, f"fill them, {REPAIR}"))
    return findings


def _grey_ids(ids: tuple[int, ...], file: str) -> list[Finding]:
    """Colours that were saved as grey become ids such as 38 and 75."""
    if len(ids) < 2 or ids[0] < 10:
        return []
    return [
        Finding(
            Level.WARNING,
            "grey-ids",
            file,
            f"it is grey, and its values {', '.join(map(str, ids[:6]))} are taken for ids: colours that "
            "were saved as grey look like that",
            "save it as indexed PNG or RGB if it was painted in colours",
        )
    ]


def _check_other(option: MaskOption, survey: VideoSurvey, width: int, height: int) -> _Checked:
    """Check a mask that is no picture."""
    file = str(option.path)
    if option.path.suffix.lower() == ".json":
        try:
            content: Any = json.loads(option.path.read_text("utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            content = None  # the reader below says what is wrong
        outlines = outline_findings(content, file, width, height)
        if outlines:
            return _Checked(option, tuple(outlines), None)
    frame = option.frame or 0
    stem = survey.stems[frame] if frame < len(survey.stems) else None
    wanted = WantedPicture(frame, stem, option.image)
    try:
        annotation = read_annotation(option.path, width, height, wanted=wanted, allow_empty=True)
    except InputError as error:
        return _Checked(option, (from_error(error, "unusable", file),), None)
    elsewhere = marked_elsewhere(option, annotation.others, frame, survey.stems)
    findings = label_findings(annotation.labels, file)
    left = [note for note in annotation.notes if note.code == "left"]
    findings += [Finding(Level.NOTE, "left", file, note, "nothing, if that is meant") for note in left]
    return _Checked(option, tuple(findings), annotation.object_ids, elsewhere, bool(left))


def _empty_masks(checked: Sequence[_Checked]) -> list[Finding]:
    """An empty mask is an error when it is given a name, or when there is no other."""
    any_marked = any(item.ids is None or item.ids for item in checked)
    findings = []
    for item in checked:
        if item.ids == () and not item.leaves:
            level = Level.ERROR if item.option.name is not None or not any_marked else Level.NOTE
            file = str(item.option.path)
            problem, fix = SAYS_NOTHING, HOW_TO_ERASE
            if level is Level.ERROR:
                problem, fix = "it is empty, all of it is background", mark_one(item.option.path)
            empty = Finding(level, "empty", file, problem, fix)
            if item.elsewhere is not None:
                empty = replace(from_error(item.elsewhere, "empty", file), level=level)
            findings.append(empty)
    return findings


def _frame_findings(option: MaskOption, survey: VideoSurvey) -> list[Finding]:
    if option.frame is None or survey.frames is None or option.frame < survey.frames:
        return []
    problem = f"it is for frame {option.frame}, but {survey.path} has {counted(survey.frames, 'frame')}"
    fix = f"give a number from 0 to {survey.frames - 1}{named_by_number(option.frame, survey.stems)}"
    return [Finding(Level.ERROR, "frame", str(option.path), problem, fix)]


def _together(options: Sequence[str], survey: VideoSurvey, width: int, height: int) -> list[Finding]:
    """Read the masks exactly as `stma segment` does."""
    file = "--mask"
    try:
        annotations = read_mask_options(options, width, height, 0, survey.stems)
    except InputError as error:
        return [from_error(error, "unusable", file)]
    findings = []
    frame_file = {parse_mask_option(text).frame or 0: str(parse_mask_option(text).path) for text in options}
    several = len(options) > len(frame_file)
    for frame, annotation in annotations.items():
        where = f"--mask, frame {frame}" if several else frame_file[frame]
        for note in annotation.notes:
            finding = _note_finding(note, where)
            if finding is not None:
                findings.append(finding)
    return findings


def _note_finding(note: Note, file: str) -> Finding | None:
    fix = NOTE_FIXES.get(note.code) if note.fix is None else note.fix
    return (
        None if fix is None else Finding(Level.NOTE, note.code, file, without_file(note.problem, file), fix)
    )
