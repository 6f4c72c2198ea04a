"""Real clips with labels of our own: python docs/place_labels.py DATA LABELS.zip OUT

LABELS.zip holds CLIP/00000.png and so on: labels of the frames `DATA/plain/*/CLIP_000.jpg`, photographs that are frames
of one clip, or labels beside those of `DATA/video/*/CLIP/00000.png`, from 2 on: other objects, or parts of what is
labelled 1 there. OUT becomes a training folder with what DATA holds, by links, and these clips as `video/labelled`.
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image


def place(data: Path, labels: Path, out: Path) -> int:
    """Make the folder; returns the number of labelled frames."""
    out.mkdir(parents=True)
    (out / "video").mkdir()
    for part in ("still", "plain", "splits.json"):
        (out / part).symlink_to((data / part).resolve())
    for dataset in (data / "video").iterdir():
        (out / "video" / dataset.name).symlink_to(dataset.resolve())
    frames = {picture.stem: picture for picture in (data / "plain").glob("*/*.jpg")}
    for picture in (data / "video").glob("*/*/*.jpg"):
        frames[f"{picture.parent.name}_{int(picture.stem):03d}"] = picture
    count = 0
    with ZipFile(labels) as archive:
        for name in archive.namelist():
            clip, number = Path(name).parent.name, Path(name).stem
            picture = frames.get(f"{clip}_{int(number):03d}")
            if picture is None:
                raise SystemExit(f"{name} labels no picture below {data}")
            folder = out / "video" / "labelled" / clip
            folder.mkdir(parents=True, exist_ok=True)
            ours = Image.open(BytesIO(archive.read(name)))
            if picture.with_suffix(".png").is_file():
                theirs = Image.open(picture.with_suffix(".png"))
                ours = Image.fromarray(np.where(np.array(ours) > 0, np.array(ours), np.array(theirs)))
            ours.save(folder / f"{number}.png")
            shutil.copy(picture, folder / f"{number}.jpg")
            count += 1
    return count


if __name__ == "__main__":
    print(place(*(Path(word) for word in sys.argv[1:4])), "labelled frames")
