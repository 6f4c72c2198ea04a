"""Results folders for the tests of the report: a clip, its masks and a report.json with the curves asked for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from media import make_clip
from pictures import save_indexed

from stma_cli.report_page.results import Results, read_results

WIDTH, HEIGHT = 160, 96
Curve = Sequence[tuple[int, float] | None]  # area and confidence per frame, None before the object is known


def write_folder(
    folder: Path,
    objects: Mapping[int, tuple[str, Curve]],
    *,
    annotated: Sequence[int] = (0,),
    clip: bool = True,
) -> Path:
    """Write a results folder; every mask has the objects as rows of the areas asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    count = len(next(iter(objects.values()))[1])
    if clip:
        make_clip(folder.parent / "clip.mp4", count)
    rows: list[dict[str, Any]] = []
    for frame in range(count):
        labels, entries = np.zeros(HEIGHT * WIDTH, np.uint8), {}
        for place, (object_id, (_, curve)) in enumerate(objects.items()):
            value = curve[frame]
            if value is not None:
                labels[place * 5000 : place * 5000 + value[0]] = object_id
                entries[str(object_id)] = {"area": value[0], "confidence": value[1]}
        save_indexed(folder / f"{frame:05d}.png", labels.reshape(HEIGHT, WIDTH))
        rows.append({"frame": frame, "file": f"{frame:05d}.png", "time": frame / 25, "objects": entries})
    report = {
        "format": 1,
        "finished": "2026-01-02T03:04:05+0000",
        "versions": {"stma": "0.1.0"},
        "model": {"name": "small", "sha256": "abc", "device": "cpu"},
        "settings": {"size": 480, "objects": None, "rendering": {"style": "overlay", "invert": False}},
        "video": {
            "path": str(folder.parent / "clip.mp4"),
            "width": WIDTH,
            "height": HEIGHT,
            "frame_rate": "30000/1001",
        },
        "masks": [{"frame": frame, "objects": [1], "notes": []} for frame in annotated],
        "notes": ["a note of the run"],
        "objects": [{"id": object_id, "name": name} for object_id, (name, _) in objects.items()],
        "frames": rows,
    }
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return folder


def results_of(folder: Path, *curves: Curve, annotated: Sequence[int] = (0,)) -> Results:
    """Return the results of objects 1, 2, ... with these curves."""
    objects = {place: (f"object {place}", curve) for place, curve in enumerate(curves, 1)}
    return read_results(write_folder(folder, objects, annotated=annotated, clip=False))


def steady(count: int, area: int = 1000, confidence: float = 0.95) -> list[tuple[int, float] | None]:
    """Return a curve that never changes."""
    return [(area, confidence)] * count
