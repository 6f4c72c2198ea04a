"""The validation clips once more, from later frames on: python docs/later_starts.py DATA OUT [FRAME ...]

Where an error begins decides about the rest of a clip, so one run of a clip says little. OUT becomes a folder for
`stma validate OUT --sets real,reversed` that holds each validation sequence of DATA from frames 15 and 30 on, by
links, as a clip of its own.
"""

import json
import sys
from pathlib import Path

LATER = (15, 30)


def place(data: Path, out: Path, starts: tuple[int, ...]) -> list[str]:
    """Make the folder; returns the names of its clips."""
    names = []
    for sequence in json.loads((data / "splits.json").read_text("utf-8-sig"))["validation"]:
        pictures = sorted((data / "video" / sequence).glob("*.jpg"))
        for start in starts:
            names.append(f"{sequence}_{start}")
            _link(pictures[start:], out / "video" / names[-1])
    _link(pictures[:2], out / "video" / "not" / "validated")  # a training folder holds something to train on
    (out / "splits.json").write_text(json.dumps({"validation": names}), "utf-8")
    return names


def _link(pictures: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for index, picture in enumerate(pictures):
        for suffix in (".jpg", ".png"):
            (folder / f"{index:05d}{suffix}").symlink_to(picture.with_suffix(suffix).resolve())


if __name__ == "__main__":
    print(*place(Path(sys.argv[1]), Path(sys.argv[2]), tuple(map(int, sys.argv[3:])) or LATER), sep="\n")
