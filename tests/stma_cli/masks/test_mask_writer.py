"""Label PNGs on disk."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stma.errors import OutputError
from stma.palette import davis_palette
from stma.saving import output_error, replacing
from stma_cli.masks import MaskWriter, read_labels, read_names
from stma_cli.output import prepare_folder


def writer(folder: Path, **names: str) -> MaskWriter:
    return MaskWriter(folder, davis_palette(), {int(key[1:]): name for key, name in names.items()})


def test_indexed_png_round_trip_with_the_davis_palette(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 256, (31, 17)).astype(np.uint8)
    path = writer(tmp_path, _255="cat").write("00012", labels)
    assert path == tmp_path / "00012.png"
    np.testing.assert_array_equal(read_labels(path), labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette() == davis_palette().ravel().tolist()


def test_one_large_id_makes_all_frames_16_bit(tmp_path: Path) -> None:
    output = writer(tmp_path, _1="a", _300="b")
    for name, value in (("0", 1), ("1", 300)):
        labels = np.full((4, 6), value, np.uint16)
        np.testing.assert_array_equal(read_labels(output.write(name, labels)), labels)
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.mode.startswith("I;16")
    assert output.count == 2


@pytest.mark.parametrize(("largest", "mode"), [(255, "P"), (256, "I;16")])
def test_ids_above_255_are_large(tmp_path: Path, largest: int, mode: str) -> None:
    labels = np.full((4, 6), largest, np.uint16)
    path = MaskWriter(tmp_path, davis_palette(), {largest: "a"}).write("0", labels)
    np.testing.assert_array_equal(read_labels(path), labels)
    with Image.open(path) as image:
        assert image.mode == mode


def test_names_round_trip(tmp_path: Path) -> None:
    path = writer(tmp_path, _2="Hündin", _1="person").write_names()
    assert path.name == "names.json"
    assert read_names(tmp_path) == {1: "person", 2: "Hündin"}


def test_an_id_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="id 300"):
        writer(tmp_path, _1="a").write("0", np.full((4, 6), 300, np.uint16))
    with pytest.raises(OutputError, match="which its PNG cannot"):
        writer(tmp_path, _1="a").write("0", np.full((4, 6), -2, np.int32))
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    target = tmp_path / "a.png"

    def write_half() -> None:
        with replacing(target) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"disk is full.*free some space"):
        write_half()
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        writer(tmp_path / "gone", _1="a").write("0", np.zeros((4, 6), np.uint8))


def test_output_folder_must_be_new_or_empty(tmp_path: Path) -> None:
    folder = prepare_folder(tmp_path / "a" / "b", force=False)
    assert folder.path.is_dir()
    folder.remove_if_unused()
    assert not (tmp_path / "a").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OutputError, match=r"not empty.*--force"):
        prepare_folder(tmp_path / "full", force=False)
    prepare_folder(tmp_path / "full", force=True).remove_if_unused()
    assert (tmp_path / "full" / "x").exists()
    with pytest.raises(OutputError, match="is a file"):
        prepare_folder(tmp_path / "full" / "x", force=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="not writable"):
        prepare_folder(tmp_path / "a", force=False)


def test_permission_message_has_a_fix(tmp_path: Path) -> None:
    message = str(output_error(tmp_path, PermissionError(errno.EACCES, "Permission denied")))
    assert message.endswith("choose another place for it, or change the permissions")
