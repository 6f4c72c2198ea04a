"""Small pictures of chosen frames with the objects drawn on them, as data that a page can hold."""

import base64
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from stma.errors import VideoError
from stma.resize import fitted_size, resize_frame, resize_labels
from stma_cli.masks.saved import SavedMasks
from stma_cli.rendering.overlay import OverlayRenderer
from stma_cli.report_page.results import Results
from stma_cli.segment.identity import hash_path
from stma_cli.video import open_video

LONGEST_SIDE = 440  # pixels; twice what the page shows, for sharp screens
QUALITY = 82
_PAPER = 236  # grey behind the masks where there is no video


def find_video(results: Results, given: Path | None) -> tuple[Path | None, list[str]]:
    """Return the video of a run and notes: the one given, or the one in the report where it is still there.

    The place in the report is followed from the working folder; a file there or beside the results counts only
    if it has the content that was segmented, as far as the report has its hash.
    """
    if given is not None:
        other = given.exists() and not _is_source(results, given)
        return given, [f"{given} is not the very file that the results were made from"] if other else []
    recorded = results.head.video
    beside = results.folder.resolve().parent / recorded.name
    found = next((path for path in (recorded, beside) if path.exists() and _is_source(results, path)), None)
    if found is None:
        return None, [f"{recorded} is not there, so the pictures show masks alone; give --video"]
    return found, []


def _is_source(results: Results, path: Path) -> bool:
    recorded = results.head.source
    return recorded is None or recorded == hash_path(path)


def sheet_rows(count: int, wanted: int) -> list[int]:
    """Return `wanted` of `count` rows at even distances, the first and the last included; all where they are few."""
    if count <= wanted:
        return list(range(count))
    return [int(row) for row in np.unique(np.linspace(0, count - 1, max(2, wanted)).round())]


def draw_rows(results: Results, video: Path | None, rows: Collection[int]) -> dict[int, str]:
    """Return a JPEG of each row as a data URI, drawn on the frames or, without a video, on grey.

    Raises:
        VideoError: the video cannot be read, has another size or ends too early.
        MaskError: a mask cannot be read or has another size.
    """
    masks = SavedMasks(results.folder, [results.folder / name for name in results.files], results.names)
    renderer = OverlayRenderer(alpha=0.45, show_names=False)
    width, height = results.size
    small = fitted_size(height, width, LONGEST_SIDE)
    pictures = {}
    for row, pixels in _pixels(results, video, rows):
        labels = resize_labels(masks.read(row, width, height), *small)
        ground = np.full((*small, 3), _PAPER, np.uint8) if pixels is None else resize_frame(pixels, *small)
        pictures[row] = _data_uri(renderer.render(ground, labels))
    missing = set(rows) - set(pictures)
    if missing:
        raise VideoError(
            f"{video} has no frame {results.frames[min(missing)]}, which the results have",
            "give the video they were made from with --video",
        )
    return pictures


def _pixels(
    results: Results, video: Path | None, rows: Collection[int]
) -> Iterator[tuple[int, np.ndarray | None]]:
    """Yield the rows with their frames; the video is read once, up to the last of them."""
    if video is None:
        yield from ((row, None) for row in sorted(rows))
        return
    source = open_video(video, results.head.frame_rate)
    if (source.info.width, source.info.height) != results.size:
        found = f"{source.info.width}x{source.info.height}"
        raise VideoError(
            f"{video} is {found}, but the results are of {results.size[0]}x{results.size[1]}",
            "give the video they were made from with --video",
        )
    by_frame = {int(results.frames[row]): row for row in rows}
    last = max(by_frame)
    for frame in source.frames():
        if frame.index in by_frame:
            yield by_frame[frame.index], frame.pixels
        if frame.index == last:
            return


def _data_uri(pixels: np.ndarray) -> str:
    content = BytesIO()
    Image.fromarray(pixels).save(content, format="JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
