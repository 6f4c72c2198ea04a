"""Shards carry a training folder whole."""

import errno
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from stma.errors import DataError, OutputError, SettingsError
from stma.training.pool import read_image, read_label, scan
from stma.training.shards import unpack_shards, write_shards


def test_a_folder_survives_packing(training_folder: Path, tmp_path: Path) -> None:
    limit = 60_000
    shards = write_shards(training_folder, scan(training_folder), tmp_path / "shards", 64, limit)
    assert len(shards) > 1
    assert all(path.stat().st_size <= limit for path in shards)
    assert unpack_shards(tmp_path / "shards", tmp_path / "there") == len(shards)
    before, after = scan(training_folder), scan(tmp_path / "there")
    assert [s.name for s in after.validation] == [s.name for s in before.validation]
    assert len(after.sequences[0].frames) == len(before.sequences[0].frames)
    assert (len(after.stills), len(after.plain)) == (len(before.stills), len(before.plain))
    pair = after.sequences[0].frames[3]
    assert read_image(pair.image).shape == (64, 77, 3)
    assert set(np.unique(read_label(pair.label))) == {0, 1}


@pytest.mark.parametrize("name", ["Straßenbahn", "x" * 90])
def test_headers_of_unusual_names_count(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "video" / "data" / name
    folder.mkdir(parents=True)
    for number in range(60):
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), np.full((40, 40, 3), number, np.uint8))
        cv2.imwrite(str(folder / f"{number:05d}.png"), np.ones((40, 40), np.uint8))
    root, limit = tmp_path / "data", 102_400
    shards = write_shards(root, scan(root), tmp_path / "shards", 100, limit)
    assert max(path.stat().st_size for path in shards) <= limit
    assert unpack_shards(tmp_path / "shards", tmp_path / "there") == len(shards) > 1
    assert len(scan(tmp_path / "there").sequences[0].frames) == 60


def test_bad_shards_are_named(training_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stma pack"):
        unpack_shards(tmp_path, tmp_path / "there")
    (tmp_path / "shard-000.tar").write_bytes(b"no tar" * 300)
    with pytest.raises(DataError, match="pack it again"):
        unpack_shards(tmp_path, tmp_path / "there")
    with pytest.raises(SettingsError, match="larger limit"):
        write_shards(training_folder, scan(training_folder), tmp_path / "out", 64, 3000)


@pytest.fixture
def shards(training_folder: Path, tmp_path: Path) -> list[Path]:
    return write_shards(training_folder, scan(training_folder), tmp_path / "shards", 64, 60_000)


def test_a_shard_that_is_missing_or_of_another_run_is_named(shards: list[Path], tmp_path: Path) -> None:
    assert [path.name for path in shards] == [
        f"shard-{i:03d}-of-{len(shards):03d}.tar" for i in range(len(shards))
    ]
    kept = shards[-1].rename(tmp_path / "kept")
    with pytest.raises(DataError, match=f"lacks {shards[-1].name}; copy all"):
        unpack_shards(tmp_path / "shards", tmp_path / "there")
    kept.rename(shards[-1])
    (tmp_path / "shards" / "shard-000.tar").write_bytes(shards[0].read_bytes())
    with pytest.raises(DataError, match=r"several runs, shard-000\.tar among them"):
        unpack_shards(tmp_path / "shards", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_shard_that_ends_between_two_members_is_damaged(shards: list[Path], tmp_path: Path) -> None:
    shards[0].write_bytes(shards[0].read_bytes().rstrip(b"\0"))
    content = shards[0].read_bytes()
    shards[0].write_bytes(content + bytes(-len(content) % 512))
    with pytest.raises(DataError, match="its end is missing"):
        unpack_shards(tmp_path / "shards", tmp_path / "there")


def test_shards_of_earlier_versions_unpack(shards: list[Path], tmp_path: Path) -> None:
    for number, path in enumerate(shards):
        path.rename(path.with_name(f"shard-{number:03d}.tar"))
    assert unpack_shards(tmp_path / "shards", tmp_path / "there") == len(shards)
    assert len(scan(tmp_path / "there").stills) == 3


def test_packing_mixes_no_runs_and_leaves_no_halves(training_folder: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "data", tmp_path / "shards"
    shutil.copytree(training_folder, folder)
    pool = scan(folder)
    damaged = pool.plain[-1]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:50])
    with pytest.raises(DataError, match="not a readable image"):
        write_shards(folder, pool, out, 64, 60_000)
    assert not list(out.iterdir())
    damaged.write_bytes(whole)
    written = write_shards(folder, pool, out, 64, 60_000)
    with pytest.raises(OutputError, match="holds shards already"):
        write_shards(folder, pool, out, 64, 30_000)
    assert sorted(out.iterdir()) == written


def test_no_shard_is_left_where_one_cannot_be_named(
    training_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def full_at_the_second(path: Path, target: Path) -> Path:
        if "001-of" in target.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(path, target)

    out = tmp_path / "shards"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", full_at_the_second)
        with pytest.raises(OutputError, match="disk is full"):
            write_shards(training_folder, scan(training_folder), out, 64, 60_000)
    assert not list(out.iterdir())
    assert len(write_shards(training_folder, scan(training_folder), out, 64, 60_000)) > 1


def test_a_file_is_no_folder_for_shards(training_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="choose another place"):
        write_shards(training_folder, scan(training_folder), tmp_path / "out", 64, 60_000)
