"""Writing videos: times, sound, sizes and colours survive the round trip; only complete files are left."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media import NTSC, audio_packets, copy_track, decoded, make_clip, make_folder, read_number

from stma.errors import OutputError
from stma_cli.video import VideoSource, VideoWriter, open_video
from stma_cli.video.encodings import VP9


def copy_video(
    source: VideoSource, target: Path, start: int = 0, end: int | None = None, **options
) -> VideoWriter:
    with VideoWriter(target, source.info, start=start, end=end, **options) as writer:
        for frame in source.frames(start, end):
            writer.write(frame.pixels, frame.time, frame.duration)
    return writer


def without_adts(content: bytes) -> bytes:
    """Return an AAC packet without the header that transport streams put before each."""
    return content[7:] if content[:2] in (b"\xff\xf1", b"\xff\xf9") else content


def times_of(path: Path) -> list[Fraction]:
    return [time for time, _ in decoded(path)]


def test_frames_times_and_sound_are_those_of_the_source(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 90, audio="aac"))
    writer = copy_video(source, tmp_path / "out.mp4")
    assert writer.frame_count == 90
    frames = decoded(tmp_path / "out.mp4")
    assert [time for time, _ in frames] == [index / NTSC for index in range(90)]
    assert [read_number(pixels) for _, pixels in frames] == list(range(90))
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(tmp_path / "in.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == NTSC
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert writer.notes == []


def test_what_killed_runs_have_left_goes_when_the_file_is_there(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 3))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".a[b].{dead.pid}.part.mp4"
    others = [
        tmp_path / f".a[b].{os.getppid()}.part.mp4",  # of a run that still works
        tmp_path / f".c.{dead.pid}.part.mp4",
        tmp_path / f".a[b].{dead.pid}.part.webm",
        tmp_path / ".a[b].mine.part.mp4",
    ]
    for path in (left, *others):
        path.touch()
    copy_video(source, tmp_path / "a[b].mp4")
    assert not left.exists()
    assert all(path.exists() for path in others)


def test_variable_rate_and_last_duration(tmp_path: Path) -> None:
    times = [0, 33, 66, 120, 400, 401, 433, 900]
    clip = make_clip(tmp_path / "in.mkv", 8, times=times, time_base=Fraction(1, 1000))
    copy_video(open_video(clip), tmp_path / "out.mp4")
    assert times_of(tmp_path / "out.mp4") == [Fraction(time, 1000) for time in times]
    with VideoWriter(tmp_path / "long.mp4", open_video(clip).info) as writer:
        writer.write(np.zeros((96, 160, 3), np.uint8), Fraction(0))
        writer.write(np.zeros((96, 160, 3), np.uint8), Fraction(1, 10), Fraction(2))
    with av.open(str(tmp_path / "long.mp4")) as container:
        assert container.duration == 2_100_000


@pytest.mark.parametrize("source_suffix", [".mp4", ".mkv", ".ts"])
def test_range_shifts_and_cuts_the_sound(tmp_path: Path, source_suffix: str) -> None:
    clip = make_clip(tmp_path / f"in{source_suffix}", 90, audio="aac")
    source = open_video(clip)
    copy_video(source, tmp_path / "out.mp4", 30, 60)
    expected = [frame.time for frame in source.frames(30, 60)]
    assert times_of(tmp_path / "out.mp4") == [time - expected[0] for time in expected]
    frames = decoded(tmp_path / "out.mp4")
    assert [read_number(pixels) for _, pixels in frames] == list(range(30, 60))

    by_content = {without_adts(content): time for time, _, content in audio_packets(clip)}
    cut = source.info.start_time + expected[0]
    packets = audio_packets(tmp_path / "out.mp4")
    assert all(abs(by_content[content] - cut - time) < Fraction(1, 1000) for time, _, content in packets)
    assert packets[0][0] <= 0
    assert abs(packets[-1][0] + packets[-1][1] - 30 / NTSC) < Fraction(1, 20)


def test_sound_that_starts_before_the_pictures_is_kept(tmp_path: Path) -> None:
    times = [15 + index for index in range(30)]
    clip = make_clip(tmp_path / "in.mkv", 30, times=times, time_base=1 / NTSC, audio="aac")
    source = open_video(clip)
    assert abs(source.info.start_time - 15 / NTSC) < Fraction(1, 500)
    copy_video(source, tmp_path / "out.mp4")
    assert [content for *_, content in audio_packets(tmp_path / "out.mp4")] == [
        content for *_, content in audio_packets(clip)
    ]
    with av.open(str(tmp_path / "out.mp4")) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        lead = picture.start_time * picture.time_base - sound.start_time * sound.time_base
    with av.open(str(clip)) as container:
        sound = container.streams.audio[0]
        expected = source.info.start_time - sound.start_time * sound.time_base
    assert abs(lead - expected) < Fraction(1, 500)
    assert [frame.time for frame in open_video(tmp_path / "out.mp4").frames()] == [
        frame.time for frame in source.frames()
    ]


def test_sound_longer_than_the_pictures(tmp_path: Path) -> None:
    make_clip(tmp_path / "long.mp4", 90, audio="aac")
    make_clip(tmp_path / "short.mp4", 20)
    with (
        av.open(str(tmp_path / "in.mkv"), "w") as joined,
        av.open(str(tmp_path / "short.mp4")) as pictures,
        av.open(str(tmp_path / "long.mp4")) as sound,
    ):
        copies = {
            track: joined.add_stream_from_template(track)
            for track in (pictures.streams.video[0], sound.streams.audio[0])
        }
        for track, copy in copies.items():
            for packet in track.container.demux(track):
                if packet.size:
                    packet.stream = copy
                    joined.mux(packet)
    source = open_video(tmp_path / "in.mkv")
    copy_video(source, tmp_path / "all.mp4")
    assert len(audio_packets(tmp_path / "all.mp4")) == len(audio_packets(tmp_path / "in.mkv"))
    copy_video(source, tmp_path / "begun.mp4", 0, 10)
    last = audio_packets(tmp_path / "begun.mp4")[-1]
    assert abs(last[0] + last[1] - 10 / NTSC) < Fraction(1, 20)


@pytest.mark.parametrize("suffix", [".mov", ".avi"])
def test_sound_that_does_not_fit_is_converted(tmp_path: Path, suffix: str) -> None:
    source = open_video(make_clip(tmp_path / f"in{suffix}", 60, audio="pcm_s16le"))
    writer = copy_video(source, tmp_path / "out.mp4", 15, 45)
    assert any("converted to AAC" in note for note in writer.notes)
    packets = audio_packets(tmp_path / "out.mp4")
    assert -Fraction(1024, 44100) <= packets[0][0] <= 0  # the encoder begins with a packet of its own
    assert packets[-1][0] + packets[-1][1] < 30 / NTSC + Fraction(1024, 44100)
    with av.open(str(tmp_path / "out.mp4")) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert container.streams.audio[0].codec_context.name == "aac"
    assert abs(len(samples) / 44100 - 30 / float(NTSC)) < 0.06
    loudest = np.fft.rfftfreq(len(samples), 1 / 44100)[np.abs(np.fft.rfft(samples)).argmax()]
    assert abs(loudest - 440) < 3


def test_mov_takes_neither_flac_nor_opus(tmp_path: Path) -> None:
    flac = open_video(make_clip(tmp_path / "flac.mkv", 10, audio="flac"))
    copy_video(flac, tmp_path / "opus.webm", encoding=VP9)
    for source in (flac, open_video(tmp_path / "opus.webm")):
        writer = copy_video(source, tmp_path / "out.mov")
        name = source.info.path.stem
        assert f"the sound ({name}) does not fit into MOV and is converted to AAC" in writer.notes
        with av.open(str(tmp_path / "out.mov")) as container:
            assert container.streams.audio[0].codec_context.name == "aac"


def test_sound_can_be_left_out(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 10, audio="aac"))
    copy_video(source, tmp_path / "out.mp4", audio=False)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize(("width", "height"), [(161, 97), (160, 97), (161, 96)])
def test_odd_sizes_are_padded_with_the_edge(tmp_path: Path, width: int, height: int) -> None:
    source = open_video(make_folder(tmp_path / "in", ["0.png", "1.png"], width, height))
    writer = copy_video(source, tmp_path / "out.mp4")
    pixels = decoded(tmp_path / "out.mp4")[1][1]
    assert pixels.shape == (height + height % 2, width + width % 2, 3)
    assert any(f"{width}x{height} is padded" in note for note in writer.notes)
    assert np.abs(pixels[40, -1].astype(int) - pixels[40, -2]).max() < 12
    assert read_number(pixels) == 1
    assert pixels[15, 10].min() > 200 > pixels[16, 10].min(), (
        "the white mark ends where it did: nothing moves"
    )
    assert pixels[10, 31].min() > 150 > pixels[10, 32].min()


@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
def test_colours_and_their_tags_survive(tmp_path: Path, matrix: int) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 3, matrix=matrix))
    copy_video(source, tmp_path / "out.mp4")
    again = open_video(tmp_path / "out.mp4")
    assert again.info.colour == source.info.colour
    for before, after in zip(source.frames(), again.frames(), strict=True):
        assert np.abs(before.pixels.astype(int) - after.pixels)[4:-20, 40:60].max() <= 4
        assert np.abs(before.pixels.astype(int) - after.pixels).mean() < 2


def test_full_range_and_untagged_sources_keep_their_rgb(tmp_path: Path) -> None:
    full = open_video(make_clip(tmp_path / "full.mp4", 2, full_range=True))
    untagged = open_video(make_clip(tmp_path / "untagged.mkv", 2, matrix=6, tagged=False))
    for number, source in enumerate((full, untagged)):
        target = tmp_path / f"{number}.mp4"
        copy_video(source, target)
        again = open_video(target)
        assert not again.info.colour.guessed
        assert not again.info.colour.full_range
        before, after = (next(iter(video.frames())).pixels.astype(int) for video in (source, again))
        assert np.abs(before - after)[20:70, 20:60].max() <= 4


def test_rotated_source_is_written_upright_with_its_pixel_shape(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 2, rotation=-90, aspect=Fraction(4, 3)))
    copy_video(source, tmp_path / "out.mp4")
    again = open_video(tmp_path / "out.mp4")
    assert (again.info.width, again.info.height, again.info.rotation) == (96, 160, 0)
    assert again.info.sample_aspect_ratio == Fraction(3, 4)


def test_nothing_is_left_after_an_exception(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 10, audio="aac"))
    target = tmp_path / "results" / "out.mp4"
    frames = source.frames()
    with pytest.raises(KeyboardInterrupt), VideoWriter(target, source.info) as writer:  # noqa: PT012
        writer.write(next(frames).pixels, Fraction(0))
        raise KeyboardInterrupt
    assert list(target.parent.iterdir()) == []


def test_an_older_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 4))
    target = tmp_path / "out.mp4"
    target.write_bytes(b"older")
    writer = VideoWriter(target, source.info)
    for frame in source.frames():
        writer.write(frame.pixels, frame.time)
    assert target.read_bytes() == b"older"
    writer.close()
    assert len(decoded(target)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 30))
    target = tmp_path / "out.mp4"
    writer = VideoWriter(target, source.info)
    (unfinished,) = tmp_path.glob(".out*")
    unfinished.unlink()
    unfinished.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"disk is full.*free some space or choose"), writer:  # noqa: PT012
        for frame in source.frames():
            writer.write(frame.pixels, frame.time)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_unusable_targets(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 2))
    with pytest.raises(OutputError, match=r"let it end in \.mp4"):
        VideoWriter(tmp_path / "out.avi", source.info)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another"):
        VideoWriter(tmp_path / "file" / "out.mp4", source.info)
    with pytest.raises(OutputError, match="no frames"), VideoWriter(tmp_path / "out.mp4", source.info):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "in.mp4"]


def test_wrong_frames_are_refused(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 2))
    frame = np.zeros((96, 160, 3), np.uint8)
    with (
        pytest.raises(ValueError, match="frame of shape"),
        VideoWriter(tmp_path / "o.mp4", source.info) as writer,
    ):
        writer.write(frame[:-2], Fraction(0))
    writer = VideoWriter(tmp_path / "o.mp4", source.info)
    writer.write(frame, Fraction(1))
    with pytest.raises(ValueError, match="does not come after"):
        writer.write(frame, Fraction(1))
    assert not (tmp_path / "o.mp4").exists()


def test_a_track_of_the_source_can_be_copied_again(tmp_path: Path) -> None:
    source = open_video(make_clip(tmp_path / "in.mp4", 30, audio="aac"))
    copy_video(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as before, av.open(str(tmp_path / "again.mkv"), "w") as after:
        copy_track(before, after, before.streams.video[0])
    assert len(decoded(tmp_path / "again.mkv")) == 30
