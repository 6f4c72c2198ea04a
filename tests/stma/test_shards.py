"""Shards carry a training folder whole."""

from pathlib import Path

import numpy as np
import pytest

from stma.errors import DataError, SettingsError
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


def test_bad_shards_are_named(training_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stma pack"):
        unpack_shards(tmp_path, tmp_path / "there")
    (tmp_path / "shard-000.tar").write_bytes(b"no tar" * 300)
    with pytest.raises(DataError, match="pack it again"):
        unpack_shards(tmp_path, tmp_path / "there")
    with pytest.raises(SettingsError, match="larger limit"):
        write_shards(training_folder, scan(training_folder), tmp_path / "out", 64, 3000)
