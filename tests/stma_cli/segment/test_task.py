"""What a run knows of its work before it begins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media import make_folder

from stma_cli.masks import Annotation
from stma_cli.segment.settings import SegmentSettings
from stma_cli.segment.task import Task
from stma_cli.video import open_video


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, None, 6), (2, None, 4), (2, 5, 3), (2, 50, 4), (4, 4, 0)]
)
def test_names_marked_frames_and_length(tmp_path: Path, start: int, end: int | None, expected: int) -> None:
    make_folder(tmp_path / "frames", [f"{index}.png" for index in range(6)], 8, 6)
    marked = Annotation(np.ones((6, 8), np.int32), {1: "dog"})
    empty = Annotation(np.zeros((6, 8), np.int32), {})
    settings = SegmentSettings(tmp_path / "frames", (), tmp_path, start=start, end=end)
    task = Task(settings, open_video(settings.video), {2: marked, 3: empty}, lambda line: None)
    assert (task.names, task.marked, task.expected_frames) == ({1: "dog"}, [2], expected)
    assert replace(task, annotations={2: empty}).names == {}
