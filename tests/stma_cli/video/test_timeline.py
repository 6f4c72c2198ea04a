"""Times of frames that are made of faulty timestamps."""

from fractions import Fraction

from stma_cli.video.timeline import Timeline

TICK = Fraction(1, 100)


def times(*timestamps: int | None) -> tuple[list[Fraction], list[str]]:
    """Times of frames in ticks of 1/100 s, at 25 frames per second, and the notes on them."""
    timeline = Timeline(TICK, Fraction(25))
    return [timeline.place(stamp) / TICK for stamp in timestamps], timeline.notes()


def test_times_count_from_the_first_frame() -> None:
    assert times(40, 44, 49) == ([0, 4, 9], [])


def test_times_always_grow() -> None:
    found, notes = times(0, 4, 4, 3, 8)
    assert found == [0, 4, 5, 6, 8]
    assert notes == ["2 frame times did not increase and were moved by one tick"]


def test_a_frame_without_a_time_comes_one_average_frame_later() -> None:
    found, notes = times(0, 4, None, 12)
    assert found == [0, 4, 8, 12]
    assert notes == ["1 of 4 frames have no time in the file and are placed one average frame apart"]


def test_a_long_jump_is_kept_and_told() -> None:
    found, notes = times(0, 4, 304)
    assert found[-1] == 304
    assert len(notes) == 1
    assert notes[0].startswith("the time jumps from 0.04 s to 3.04 s at frame 2;")
