"""One run of `stma check`: the video, the masks, and the repair that was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stma.errors import AnnotationError, MaskError, SettingsError
from stma_cli.check.findings import Finding, Level, from_error
from stma_cli.check.mask_findings import check_masks
from stma_cli.check.repair import Repair, repair_mask
from stma_cli.check.video_findings import VideoSurvey, survey_video
from stma_cli.masks import read_mask_options
from stma_cli.masks.folder import expand_folders
from stma_cli.masks.options import parse_mask_option
from stma_cli.segment.forecast import Forecast, forecast
from stma_cli.segment.model_setup import working_side


@dataclass(frozen=True)
class CheckResult:
    """What a check has found.

    Attributes:
        survey: the video.
        masks: findings of the masks as they were given.
        repair: what --fix did, None where it was not asked for or not possible.
        after: findings of the repaired mask.
        needs: memory and time that `stma segment` will take; None where it would refuse.
    """

    survey: VideoSurvey
    masks: tuple[Finding, ...]
    repair: Repair | None = None
    after: tuple[Finding, ...] = ()
    needs: Forecast | None = None

    @property
    def given(self) -> tuple[Finding, ...]:
        """All findings of the files as they were given."""
        return (*self.survey.findings, *self.masks)

    @property
    def failed(self) -> bool:
        """Whether an error is left; those of a mask do not count once it is repaired."""
        repaired = self.repair is not None and self.repair.path is not None
        left = (*self.survey.findings, *(self.after if repaired else self.masks))
        return any(finding.level is Level.ERROR for finding in left)


def run_check(video: Path, masks: Sequence[str], quick: bool = False, fix: Path | None = None) -> CheckResult:
    """Check a video and its masks.

    Args:
        video: a video file or a folder of frames.
        masks: the values of --mask.
        quick: read only the header and the first frames of the video.
        fix: where to write a repaired copy of the mask.

    Raises:
        MaskError: when a folder of masks cannot be used.
        SettingsError: when `fix` is given without exactly one mask.
        OutputError: when the repaired mask cannot be written there.
    """
    survey = survey_video(video, quick)
    masks = expand_folders(masks, survey.stems, video)
    if fix is not None and len(masks) != 1:
        raise SettingsError(f"--fix repairs one mask, but {len(masks)} are given", "give one --mask with it")
    findings = check_masks(masks, survey)
    if fix is None:
        result = CheckResult(survey, tuple(findings))
        return result if result.failed or survey.info is None else _with_needs(result, masks)
    option = parse_mask_option(masks[0])
    corrects = option.frame is not None and option.name is None
    try:
        repair = repair_mask(option.path, survey, fix, corrects)
    except (MaskError, AnnotationError) as error:
        known = {finding.problem for finding in findings}
        refused = from_error(error, "not-repaired", str(option.path))
        return CheckResult(survey, tuple(findings if refused.problem in known else [*findings, refused]))
    after = check_masks([replace(option, path=repair.path, image=None).typed], survey) if repair.path else []
    return CheckResult(survey, tuple(findings), repair, tuple(after))


def _with_needs(result: CheckResult, masks: Sequence[str]) -> CheckResult:
    """Add what a run needs, and a warning when it is more memory than is free."""
    survey, objects, annotated, side = result.survey, 1, 1, working_side(None, {})
    assert survey.info is not None
    if masks:
        read = read_mask_options(masks, survey.info.width, survey.info.height, 0, survey.stems)
        objects, annotated = len({key for item in read.values() for key in item.object_ids}), len(read)
        side = working_side(None, read)
    needs = forecast(survey.info, survey.frames, objects, annotated, side)
    if needs.fits:
        return replace(result, needs=needs)
    fix = "close other programs, or give a smaller --size or --chunk 1 to stma segment"
    finding = Finding(Level.WARNING, "memory", str(survey.path), f"it needs {needs.line()}", fix)
    return replace(result, masks=(*result.masks, finding), needs=needs)
