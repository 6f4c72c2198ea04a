"""Fixtures for the whole suite."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training_pairs import write_pair


@pytest.fixture
def ascii_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text files are ASCII where nobody names an encoding, as on a system whose code page lacks the letters."""
    opened = Path.open

    def open_as_there(
        path: Path, mode: str = "r", buffering: int = -1, encoding: str | None = None, *rest: Any, **more: Any
    ) -> Any:
        if "b" not in mode and encoding in (None, "locale"):
            encoding = "ascii"
        return opened(path, mode, buffering, encoding, *rest, **more)

    monkeypatch.setattr(Path, "open", open_as_there)


@pytest.fixture(scope="session")
def training_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real clips of a bright square on noise (one for validation), stills and a background."""
    root = tmp_path_factory.mktemp("pool")
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 90, (80, 96, 3), dtype=np.uint8)
    for sequence in ("moving", "held"):
        for time in range(9):
            image, label = noise.copy(), np.zeros((80, 96), np.uint8)
            area = (slice(20 + 2 * time, 44 + 2 * time), slice(10 + 4 * time, 34 + 4 * time))
            image[area], label[area] = (220, 180, 40), 1
            write_pair(root / "video" / "made" / sequence, f"{time:05d}", image, label)
    for number in range(3):
        image, label = noise.copy(), np.zeros((80, 96), np.uint8)
        image[15:60, 20:70], label[15:60, 20:70] = (30, 60 + 60 * number, 200), 1
        write_pair(root / "still" / "boxes", f"s{number}", image, label)
    (root / "plain" / "noise").mkdir(parents=True)
    Image.fromarray(noise).save(root / "plain" / "noise" / "a.jpg")
    (root / "splits.json").write_text(json.dumps({"validation": ["made/held"]}))
    return root
