"""Masks of an earlier run: which sizes and which numbers fit."""

from pathlib import Path

import numpy as np
import pytest
from pictures import save_indexed

from stma.errors import MaskError
from stma_cli.masks.names import read_names
from stma_cli.masks.saved import SavedMasks, find_masks


def test_a_mask_on_its_side_does_not_fit(tmp_path: Path) -> None:
    save_indexed(tmp_path / "0.png", np.ones((64, 48), np.uint8))
    masks = find_masks(tmp_path)
    assert masks.read(0, width=48, height=64).shape == (64, 48)
    with pytest.raises(MaskError, match="is 48x64 but the frames are 64x48 as displayed"):
        masks.read(0, width=64, height=48)


@pytest.mark.parametrize(
    ("stems", "first"), [(("00007", "00008", "00009"), 7), (("00007", "00009"), None), (("7", "b"), None)]
)
def test_only_numbers_without_gaps_tell_where_masks_begin(stems: tuple[str, ...], first: int | None) -> None:
    files = [Path(f"{stem}.png") for stem in stems]
    assert SavedMasks(Path(), files, {}).numbered_from() == first


@pytest.mark.parametrize(
    "text", ['{"objects": 3}', '{"objects": [{"id": 1}]}', '{"objects": [{"id": 1e999}]}']
)
def test_names_of_another_form_are_refused_beside_masks_and_otherwise_left(tmp_path: Path, text: str) -> None:
    save_indexed(tmp_path / "0.png", np.ones((4, 4), np.uint8))
    (tmp_path / "names.json").write_text(text)
    assert read_names(tmp_path) == {}
    with pytest.raises(MaskError, match=r"names\.json cannot be read .* or remove it"):
        find_masks(tmp_path)
