"""Animations with the ending of an image: read as the videos they are, or refused for what they are."""

from pathlib import Path

import numpy as np
import pytest
from media import picture, read_number
from PIL import Image

from stma.errors import VideoError
from stma_cli.video import open_video


def animation(path: Path, kind: str) -> Path:
    pictures = [Image.fromarray(picture(index)) for index in range(3)]
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:], duration=40)
    return path


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_an_animation_named_png_is_a_video(tmp_path: Path, kind: str) -> None:
    source = open_video(animation(tmp_path / "clip.png", kind))
    assert source.info.kind == "container"
    assert [read_number(frame.pixels) for frame in source.frames()] == [0, 1, 2]


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_an_animated_webp_is_called_so(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(
        VideoError, match=r"is an animated WebP, which cannot be read.*in a folder and give that$"
    ):
        open_video(animation(tmp_path / f"clip.{suffix}", "WEBP"))


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_a_single_image_is_none(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"photo.{suffix}")
    with pytest.raises(VideoError, match="is a single image; give the folder"):
        open_video(tmp_path / f"photo.{suffix}")
