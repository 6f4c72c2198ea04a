"""The mark that editors on Windows put before a text is no part of it."""

from pathlib import Path

from stma_cli.convert.run import Conversion, convert_masks
from stma_cli.mask_formats import Format
from stma_cli.masks import read_names
from stma_cli.masks.sequences import read_split

ENCODING = "utf-8-sig"


def test_names_of_objects(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('{"objects": [{"id": 3, "name": "café"}]}', ENCODING)
    assert read_names(tmp_path) == {3: "café"}


def test_lists_of_sequences(tmp_path: Path) -> None:
    file = tmp_path / "splits.json"
    file.write_text('{"validation": ["davis/bear"]}', ENCODING)
    assert read_split(file, "validation") == ["davis/bear"]


def test_yolo_labels_are_known_for_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "im1.txt").write_text("0 0 0 0.2 0 0.2 0.2\n", ENCODING)
    done = convert_masks(Conversion(tmp_path / "labels", tmp_path / "out", Format.DAVIS, size=(40, 20)))
    assert done.source_format is Format.YOLO
