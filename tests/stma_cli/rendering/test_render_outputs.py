"""Results of `stma overlay` that are not MP4: transparency, times, sound and colours after decoding them again."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Interpolation
from media import NTSC, audio_packets, decoded, make_clip, make_folder, make_masks, picture
from PIL import Image
from running import run_overlay

from stma.errors import OutputError, SettingsError, StmaError
from stma_cli.masks import read_labels
from stma_cli.rendering.preview import PreviewWriter
from stma_cli.video import open_video

COUNT = 12


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", COUNT, audio="aac")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    return make_masks(tmp_path / "masks", COUNT)


def decoded_rgba(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Return time and (H, W, 4) RGBA of all frames; FFmpeg's own VP9 decoder drops alpha, libvpx keeps it."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = (
            av.CodecContext.create("libvpx-vp9", "r") if path.suffix == ".webm" else stream.codec_context
        )
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                assert "a" in frame.format.name
                rgba = frame.reformat(
                    format="rgba",
                    src_colorspace=1,
                    src_color_range=ColorRange.MPEG,
                    dst_color_range=ColorRange.JPEG,
                    interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
                )
                frames.append((frame.pts * stream.time_base, rgba.to_ndarray()))
    return frames


def durations(path: Path) -> list[int]:
    """Return how long each picture of an animation is shown, in milliseconds."""
    shown = []
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            shown.append(image.info["duration"])
    return shown


def square(index: int) -> np.ndarray:
    """Return the (96, 160) bool mask that `make_masks` draws on frame `index`."""
    shown = np.zeros((96, 160), bool)
    shown[30:60, 20 + 4 * index : 50 + 4 * index] = True
    return shown


def core(mask: np.ndarray, margin: int = 3) -> np.ndarray:
    """Return the pixels of a mask that are `margin` or more away from its border."""
    padded = np.pad(mask, margin, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * margin + 1,) * 2)
    return np.asarray(windows.all(axis=(2, 3)))


def test_png_cutout_is_exact(tmp_path: Path, clip: Path, masks: Path) -> None:
    out = tmp_path / "cut"
    assert f"{COUNT} frames" in run_overlay(clip, masks, "-o", out, "--style", "cutout")
    sources = list(open_video(clip).frames())
    files = sorted(out.iterdir())
    assert [file.name for file in files] == [f"{frame.name}.png" for frame in sources]
    for frame, file in zip(sources, files, strict=True):
        with Image.open(file) as image:
            assert image.mode == "RGBA"
            pixels = np.asarray(image)
        shown = square(frame.index)
        np.testing.assert_array_equal(pixels[..., 3], np.where(shown, 255, 0))
        np.testing.assert_array_equal(pixels[shown, :3], frame.pixels[shown])


def test_matte_is_grey_and_reads_as_a_mask(tmp_path: Path, clip: Path, masks: Path) -> None:
    run_overlay(clip, masks, "-o", tmp_path / "matte", "--style", "matte", "--objects", "1")
    with Image.open(tmp_path / "matte" / "00003.png") as image:
        assert image.mode == "L"
    assert ((read_labels(tmp_path / "matte" / "00003.png") > 0) == square(3)).all()
    run_overlay(clip, masks, "-o", tmp_path / "matte.mp4", "--style", "matte")
    pixels = decoded(tmp_path / "matte.mp4")[5][1]
    assert pixels[core(square(5))].min() > 250
    assert pixels[core(~square(5))].max() < 5


@pytest.mark.parametrize(("name", "alpha_error", "colour_error"), [("cut.mov", 1, 3), ("cut.webm", 8, 12)])
def test_alpha_of_videos_survives_decoding(
    tmp_path: Path, clip: Path, masks: Path, name: str, alpha_error: int, colour_error: int
) -> None:
    out = tmp_path / name
    run_overlay(clip, masks, "-o", out, "--style", "cutout")
    frames = decoded_rgba(out)
    assert len(frames) == COUNT
    for index, (_, rgba) in enumerate(frames):
        inside, outside = core(square(index)), core(~square(index))
        assert rgba[inside, 3].min() >= 255 - alpha_error
        assert rgba[outside, 3].max() <= alpha_error
        inside[:, 74:86] = False  # where red meets green, 4:2:0 mixes them
        change = np.abs(rgba[inside, :3].astype(int) - picture(index)[inside])
        assert np.quantile(change, 0.95) <= colour_error


def test_prores_keeps_half_transparent_edges(tmp_path: Path, clip: Path, masks: Path) -> None:
    run_overlay(clip, masks, "-o", tmp_path / "cut.mov", "--style", "cutout", "--feather", 8)
    run_overlay(clip, masks, "-o", tmp_path / "cut", "--style", "cutout", "--feather", 8)
    with av.open(str(tmp_path / "cut.mov")) as container:
        assert container.streams.video[0].codec_context.codec.name == "prores"
        assert container.streams.video[0].codec_context.codec_tag == "ap4h"
    for index, (_, rgba) in enumerate(decoded_rgba(tmp_path / "cut.mov")):
        exact = np.asarray(Image.open(tmp_path / "cut" / f"{index:05d}.png"))
        assert np.abs(rgba[..., 3].astype(int) - exact[..., 3]).max() <= 1
        solid = exact[..., 3] > 200
        assert np.abs(rgba[solid, :3].astype(int) - exact[solid, :3]).max() <= 12


def test_times_sound_and_tags_of_prores(tmp_path: Path, clip: Path, masks: Path) -> None:
    out = tmp_path / "cut.mov"
    run_overlay(clip, masks, "-o", out, "--style", "cutout")
    assert [time for time, _ in decoded_rgba(out)] == [index / NTSC for index in range(COUNT)]
    assert audio_packets(out) == audio_packets(clip)
    assert open_video(out).info.colour == open_video(clip).info.colour


def test_times_sound_and_tags_of_webm(tmp_path: Path, clip: Path, masks: Path) -> None:
    out = tmp_path / "cut.webm"
    printed = run_overlay(clip, masks, "-o", out, "--style", "cutout")
    assert "times in milliseconds" in printed
    assert "does not fit into WebM and is converted to Opus" in printed
    for index, (time, _) in enumerate(decoded_rgba(out)):
        assert abs(time - index / NTSC) <= Fraction(1, 2000)
    assert open_video(out).info.colour == open_video(clip).info.colour
    with av.open(str(out)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert container.streams.audio[0].codec_context.name == "opus"
    assert abs(len(samples) / 48000 - COUNT / float(NTSC)) < 0.08
    loudest = np.fft.rfftfreq(len(samples), 1 / 48000)[np.abs(np.fft.rfft(samples)).argmax()]
    assert abs(loudest - 440) < 5


def test_opus_is_copied_into_webm(tmp_path: Path, masks: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", COUNT, rate=Fraction(25))
    run_overlay(clip, masks, "-o", tmp_path / "first.webm", "--style", "spotlight")
    assert len(decoded(tmp_path / "first.webm")) == COUNT
    with_sound = make_clip(tmp_path / "sound.mp4", COUNT, rate=Fraction(25), audio="aac")
    run_overlay(with_sound, masks, "-o", tmp_path / "opus.webm")
    printed = run_overlay(tmp_path / "opus.webm", masks, "-o", tmp_path / "again.webm")
    assert "converted" not in printed
    contents = [
        [packet for *_, packet in audio_packets(tmp_path / f"{name}.webm")] for name in ("opus", "again")
    ]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("style", ["cutout", "overlay"])
def test_pcm_is_copied_into_mov_and_sound_can_be_left_out(tmp_path: Path, masks: Path, style: str) -> None:
    clip = make_clip(tmp_path / "in.mov", COUNT, audio="pcm_s16le")
    assert "converted" not in run_overlay(clip, masks, "-o", tmp_path / "cut.mov", "--style", style)
    contents = [
        b"".join(packet for *_, packet in audio_packets(path)) for path in (clip, tmp_path / "cut.mov")
    ]
    assert contents[0] == contents[1]
    for name in ("silent.mov", "silent.webm"):
        run_overlay(clip, masks, "-o", tmp_path / name, "--style", style, "--no-audio")
        with av.open(str(tmp_path / name)) as container:
            assert not container.streams.audio


@pytest.mark.parametrize("name", ["cut.mov", "cut.webm"])
def test_variable_rate_rotation_and_range(tmp_path: Path, name: str) -> None:
    times = [0, 33, 66, 120, 400, 401, 433, 900]
    clip = make_clip(tmp_path / "in.mp4", 8, times=times, time_base=Fraction(1, 1000), rotation=-90)
    masks = make_masks(tmp_path / "masks", 6, width=96, height=160, first=2)
    run_overlay(clip, masks, "-o", tmp_path / name, "--style", "cutout", "--start", 2, "--end", 8)
    frames = decoded_rgba(tmp_path / name)
    assert [time for time, _ in frames] == [Fraction(time - 66, 1000) for time in times[2:]]
    assert {rgba.shape for _, rgba in frames} == {(160, 96, 4)}
    again = open_video(tmp_path / name).info
    assert (again.rotation, again.sample_aspect_ratio) == (0, 1)


@pytest.mark.parametrize("name", ["odd.mov", "odd.webm"])
def test_odd_sizes_stay_odd_where_the_format_allows(tmp_path: Path, name: str) -> None:
    frames = make_folder(tmp_path / "frames", ["0.png", "1.png"], 161, 97)
    masks = make_masks(tmp_path / "masks", 2, 161, 97)
    run_overlay(frames, masks, "-o", tmp_path / name, "--style", "cutout")
    assert decoded_rgba(tmp_path / name)[1][1].shape == (97, 161, 4)


def test_times_closer_than_a_millisecond_stay_apart_in_webm(tmp_path: Path) -> None:
    times = [0, 3, 6, 400, 800]
    clip = make_clip(tmp_path / "in.mp4", 5, times=times, time_base=Fraction(1, 10_000))
    run_overlay(clip, make_masks(tmp_path / "masks", 5), "-o", tmp_path / "out.webm")
    assert [time * 1000 for time, _ in decoded(tmp_path / "out.webm")] == [0, 1, 2, 40, 80]


def test_alpha_of_previews_shrinks_as_colours_do(tmp_path: Path) -> None:
    source = open_video(make_folder(tmp_path / "frames", ["0.png"], 1280, 720))
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 1), dtype=np.uint8)
    writer = PreviewWriter(tmp_path / "small.webp", source.info, transparent=True)
    full = np.full((720, 1280, 1), 255, np.uint8)
    coloured, faded = (
        writer._sized(np.dstack(parts)) for parts in ((*[noise] * 3, full), (*[full] * 3, noise))
    )
    writer.abort()
    assert np.array_equal(faded[..., 3], coloured[..., 0])
    assert (faded[..., :3] == 255).all()
    assert not (tmp_path / "small.webp").exists()


@pytest.mark.parametrize("name", ["small.gif", "small.webp"])
def test_cutouts_in_previews_have_no_dark_outline(tmp_path: Path, name: str) -> None:
    source = open_video(make_folder(tmp_path / "frames", ["0.png"], 1000, 600))
    rows, columns = np.mgrid[:600, :1000]
    disc = (columns - 500) ** 2 + (rows - 300) ** 2 < 220**2
    writer = PreviewWriter(tmp_path / name, source.info, transparent=True)
    grey, alpha = np.where(disc, 240, 0).astype(np.uint8), np.where(disc, 255, 0).astype(np.uint8)
    writer.write_frame(next(source.frames()), np.dstack([grey, grey, grey, alpha]))
    writer.close()
    with Image.open(tmp_path / name) as image:
        pixels = np.asarray(image.convert("RGBA"))
    shown = pixels[pixels[..., 3] >= 128]
    assert len(shown) > 30_000
    assert shown[:, :3].min() > 220


@pytest.mark.parametrize("name", ["small.gif", "small.webp"])
def test_previews_are_smaller_and_transparent(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "in.mp4", 24, width=960, height=540, rate=Fraction(24))
    masks = make_masks(tmp_path / "masks", 24, 960, 540)
    printed = run_overlay(clip, masks, "-o", tmp_path / name, "--style", "cutout")
    assert f"{name} is a preview: 12 of 24 frames at 480x270, without sound" in printed
    with Image.open(tmp_path / name) as image:
        assert image.size == (480, 270)
        assert image.n_frames == 12
        assert image.info["loop"] == 0
        total = 0
        for index in range(12):
            image.seek(index)
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
            total += image.info["duration"]
            left = (20 + 8 * index) // 2
            assert alpha[22, left + 7] == 255
            assert alpha[22, left + 20] == 0
            assert alpha[200, 300] == 0
        assert abs(total - 1000) <= 20


@pytest.mark.parametrize("name", ["small.gif", "small.webp"])
def test_previews_keep_variable_times(tmp_path: Path, name: str) -> None:
    times = [0, 200, 300, 900, 910, 1500]
    clip = make_clip(tmp_path / "in.mp4", 6, times=times, time_base=Fraction(1, 1000))
    printed = run_overlay(clip, make_masks(tmp_path / "masks", 6), "-o", tmp_path / name)
    assert "5 of 6 frames at 160x96" in printed
    assert durations(tmp_path / name)[:4] == [200, 100, 600, 600]


@pytest.mark.parametrize("name", ["small.gif", "small.webp"])
def test_previews_are_as_long_as_the_video(tmp_path: Path, name: str) -> None:
    source = open_video(make_folder(tmp_path / "frames", ["0.png", "1.png", "2.png"]), Fraction(5))
    writer = PreviewWriter(tmp_path / name, source.info, transparent=False)
    for frame in source.frames():
        writer.write_frame(frame, frame.pixels)
    writer.close()
    assert durations(tmp_path / name) == [200] * 3


def test_opaque_preview_shows_the_overlay(tmp_path: Path, clip: Path, masks: Path) -> None:
    run_overlay(clip, masks, "-o", tmp_path / "small.gif", "--alpha", 1, "--no-names", "--no-outline")
    with Image.open(tmp_path / "small.gif") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels[45, 35] - (128, 0, 0)).max() < 20
    assert np.abs(pixels[70, 140] - picture(0)[70, 140]).max() < 20


def test_transparent_still(tmp_path: Path, clip: Path, masks: Path) -> None:
    run_overlay(clip, masks, "-o", tmp_path / "one.png", "--still", 4, "--style", "cutout")
    with Image.open(tmp_path / "one.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[..., 3], np.where(square(4), 255, 0))


def test_refusals(tmp_path: Path, clip: Path, masks: Path) -> None:
    with pytest.raises(SettingsError, match=r"no transparency; let it end in \.mov .*--style green"):
        run_overlay(clip, masks, "-o", tmp_path / "cut.mp4", "--style", "cutout")
    with pytest.raises(SettingsError, match="has no edge for --feather"):
        run_overlay(clip, masks, "-o", tmp_path / "cut.mp4", "--feather", 3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(OutputError, match="is not empty; choose another name, or add --force"):
        run_overlay(clip, masks, "-o", tmp_path / "full")
    with pytest.raises(SettingsError, match=f"is {masks} itself"):
        run_overlay(clip, masks, "-o", masks, "--force")
    assert len(list(masks.iterdir())) == COUNT


@pytest.mark.parametrize("name", ["out.mov", "out.webm", "out.gif", "out.webp", "out"])
def test_wrong_masks_leave_nothing(tmp_path: Path, clip: Path, name: str) -> None:
    wrong = make_masks(tmp_path / "wrong", COUNT, width=200)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(StmaError, match="200x96 but the frames are 160x96"):
        run_overlay(clip, wrong, "-o", tmp_path / name, "--style", "cutout")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
