"""Where the frames under saved masks come from, as `report.json` tells it."""

from pathlib import Path
from typing import Any

from stma.errors import VideoError
from stma_cli.convert.clip import Origin
from stma_cli.report_file import read_report_head
from stma_cli.result_layout import REPORT_FILE


def origin_of(masks: Path) -> Origin:
    """Return what the report beside label PNGs, or one folder up, says of their frames.

    The clip is called like the folder of the report. Pictures have the names that they have in the folder of
    frames that was segmented, if it is still there.
    """
    for folder in (masks.resolve(), masks.resolve().parent):
        head = read_report_head(folder / REPORT_FILE)
        if head is not None:
            return Origin(folder.name, _pictures(head.get("video")))
    return Origin()


def _pictures(video: Any) -> dict[str, str]:
    """Return the name of every frame's file, none where the video was no folder or is gone."""
    from stma_cli.video.folder import frame_files

    if not isinstance(video, dict) or video.get("kind") != "folder":
        return {}
    try:
        return {file.stem: file.name for file in frame_files(Path(str(video.get("path"))))}
    except VideoError:
        return {}
