"""Configurations typed in one line."""

import pytest

from stma.config import MemoryConfig, ModelConfig
from stma.errors import SettingsError
from stma_cli.config.field_settings import with_settings


def test_settings_are_read_by_their_names() -> None:
    text = "capacity=2, label_window=none,previous_frame=false, label_sharpness=2.5"
    policy = with_settings(MemoryConfig(), text, "the memory")
    assert policy == MemoryConfig(capacity=2, label_window=None, previous_frame=False, label_sharpness=2.5)
    assert with_settings(MemoryConfig(), "", "the memory") == MemoryConfig()


def test_tuples_stand_with_slashes() -> None:
    shape = with_settings(ModelConfig(), "widths=48/96/192,stml_blocks=3", "the network")
    assert shape == ModelConfig(widths=(48, 96, 192), stml_blocks=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size=3", "the memory has no setting 'size'; use interval, capacity"),
        ("capacity=many", "whole number"),
        ("capacity=0", "use 1 or more"),
        ("capacity=none", "whole number"),
        ("previous_frame=1", "true or false"),
        ("label_sharpness", "a number"),
    ],
)
def test_wrong_settings_are_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        with_settings(MemoryConfig(), text, "the memory")


@pytest.mark.parametrize("text", ["widths=48", "widths=48/96", "widths=48/96/many"])
def test_a_tuple_of_another_length_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="3 whole numbers with slashes between"):
        with_settings(ModelConfig(), text, "the network")
