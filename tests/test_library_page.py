"""The snippets of docs/library.md run, one after another, on frames made here."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "library.md"
BEFORE = """
import numpy as np

def square(left, top):
    pixels = np.zeros((96, 128), bool)
    pixels[top : top + 24, left : left + 24] = True
    return pixels

scene = np.random.default_rng(0).integers(60, 90, (96, 128, 3), dtype=np.uint8)
frames = []
for index in range(8):
    frames.append(scene.copy())
    frames[-1][square(10 + 2 * index, 10)] = (220, 40, 30)
    frames[-1][square(90 - 2 * index, 60)] = (30, 60, 230)
mask = square(10, 10) + 2 * square(90, 60).astype(np.uint8)
newcomer, right, stray = square(60, 5), square(86, 60), square(0, 70)
shown = []
show = lambda frame, labels: shown.append(labels)
"""
CHECKS = {
    "A stream": "assert len(shown) == 7 and set(np.unique(shown[-1])) == {0, 1, 2}",
    "What comes back": "assert alpha.shape == mask.shape and 0 <= alpha.min() <= alpha.max() <= 1",
    "New objects and corrections": "assert segmenter.object_ids == (1, 2, 7) and segmenter.frame_index == 4",
    "Objects that leave": "assert segmenter.object_ids == (1, 2)",
    "Pause, go on, undo": "assert (before == after).all() and (before == resumed).all()",
    "Chunks, devices, precision": "assert len(predictions) == 8",
    "Errors": "assert segmenter.frame_index == 8",
    "Threads": "assert all((one == other).all() for one, other in zip(*both)) and len(both[0]) == 8",
}


def test_snippets_run(tmp_path: Path) -> None:
    program = BEFORE
    for section in PAGE.read_text("utf-8").split("\n## ")[1:]:
        snippets = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        assert snippets, section
        program += "\n".join([*snippets, CHECKS[section.split("\n", 1)[0]], ""])
    program = program.replace("size=480", "size=96")  # as fast as it goes
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the mask of frame 8 has type float64" in done.stdout
