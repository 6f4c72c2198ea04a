"""Real clips from photographs that are frames of one: python docs/place_labels.py DATA LABELS.zip OUT

LABELS.zip holds CLIP/00000.png and so on: labels of the frames `DATA/plain/*/CLIP_000.jpg` and so on. OUT becomes a
training folder with what DATA holds, by links, and these clips as `video/labelled/CLIP`.
"""

import shutil
import sys
from pathlib import Path
from zipfile import ZipFile


def place(data: Path, labels: Path, out: Path) -> int:
    """Make the folder; returns the number of labelled frames."""
    out.mkdir(parents=True)
    (out / "video").mkdir()
    for part in ("still", "plain", "splits.json"):
        (out / part).symlink_to((data / part).resolve())
    for dataset in (data / "video").iterdir():
        (out / "video" / dataset.name).symlink_to(dataset.resolve())
    frames = {picture.stem: picture for picture in (data / "plain").glob("*/*.jpg")}
    count = 0
    with ZipFile(labels) as archive:
        for name in archive.namelist():
            clip, number = Path(name).parent.name, Path(name).stem
            picture = frames.get(f"{clip}_{int(number):03d}")
            if picture is None:
                raise SystemExit(f"{name} labels no photograph of {data / 'plain'}")
            folder = out / "video" / "labelled" / clip
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(archive.read(name))
            shutil.copy(picture, folder / f"{number}.jpg")
            count += 1
    return count


if __name__ == "__main__":
    print(place(*(Path(word) for word in sys.argv[1:4])), "labelled frames")
