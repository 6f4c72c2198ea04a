"""Motion JPEG as cameras write it: EXIF data in every picture, which PyAV has no name for."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media import picture
from PIL import Image

from stma_cli.video import open_video


@pytest.mark.parametrize(("orientation", "clockwise"), [(1, 0), (6, 90), (3, 180), (8, 270)])
@pytest.mark.parametrize("suffix", [".avi", ".mov"])
def test_exif_in_motion_jpeg(tmp_path: Path, suffix: str, orientation: int, clockwise: int) -> None:
    path = tmp_path / f"clip{suffix}"
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", orientation
    with av.open(str(path), "w") as container:
        track = container.add_stream("mjpeg", rate=25, width=160, height=96)
        track.pix_fmt = "yuvj420p"
        for index in range(3):
            content = io.BytesIO()
            Image.fromarray(picture(index)).save(content, "JPEG", exif=exif, quality=95)
            packet = av.Packet(content.getvalue())
            packet.stream, packet.time_base, packet.pts, packet.dts = track, Fraction(1, 25), index, index
            packet.is_keyframe = True
            container.mux(packet)
    source = open_video(path)
    frames = list(source.frames())
    assert source.info.rotation in (0, clockwise)  # before FFmpeg 8 this EXIF data is not looked at
    turned = np.rot90(picture(2), -source.info.rotation // 90)
    assert len(frames) == 3
    assert frames[2].pixels.shape == turned.shape
    assert np.abs(frames[2].pixels.astype(int) - turned).mean() < 8
