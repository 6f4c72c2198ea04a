"""What the report finds in the curves of a run, and which frames it asks for."""

from pathlib import Path

import numpy as np
import pytest
from report_folder import results_of, steady

from stma_cli.rendering.overlay import object_colour
from stma_cli.report_page.events import Kind, find_events
from stma_cli.report_page.plots import MOST_POINTS, curves, thinned
from stma_cli.report_page.suggest import MOST, suggest

AWAY = (0, 0.0)


def test_a_steady_run_has_nothing_to_tell(tmp_path: Path) -> None:
    results = results_of(tmp_path, steady(40), steady(40, 300, 0.7))
    assert find_events(results) == []
    assert suggest(results, []) == []


def test_growing_slowly_is_nothing(tmp_path: Path) -> None:
    results = results_of(tmp_path, [(int(300 * 1.04**frame), 0.9) for frame in range(60)])
    assert find_events(results) == []


def test_lost_and_returned(tmp_path: Path) -> None:
    curve = steady(60)
    curve[20:30] = [AWAY] * 10
    curve[50:] = [AWAY] * 10
    first, second = find_events(results_of(tmp_path, curve))
    assert (first.kind, first.first, first.last, first.amount) == (Kind.LOST, 20, 29, 1)
    assert (second.kind, second.first, second.last, second.amount) == (Kind.LOST, 50, 59, 0)


def test_an_object_that_comes_later_is_not_lost_before(tmp_path: Path) -> None:
    late = [None] * 15 + steady(15)
    empty_at_first = [AWAY] * 5 + steady(25)
    assert find_events(results_of(tmp_path, late, empty_at_first)) == []


def test_blinks_and_spikes_are_flicker_and_told_together(tmp_path: Path) -> None:
    curve = steady(60)
    curve[12] = AWAY
    curve[15] = (2500, 0.9)
    curve[50] = (300, 0.9)
    first, second = find_events(results_of(tmp_path, curve))
    assert (first.kind, first.first, first.last, first.amount) == (Kind.FLICKER, 12, 15, 2)
    assert (second.kind, second.first, second.amount) == (Kind.FLICKER, 50, 1)


def test_a_step_is_a_jump_unless_a_mask_made_it(tmp_path: Path) -> None:
    curve = steady(30) + steady(30, 2500)
    (event,) = find_events(results_of(tmp_path / "a", curve))
    assert (event.kind, event.first) == (Kind.JUMP, 30)
    assert event.amount == pytest.approx(2.5)
    assert find_events(results_of(tmp_path / "b", curve, annotated=(0, 30))) == []


def test_low_confidence_is_doubt_by_what_is_usual_for_the_object(tmp_path: Path) -> None:
    falls = steady(30) + steady(20, confidence=0.7)
    always_low = steady(50, confidence=0.6)
    (event,) = find_events(results_of(tmp_path, falls, always_low))
    assert (event.kind, event.object_id, event.first, event.last) == (Kind.UNSURE, 1, 30, 49)
    assert event.amount == pytest.approx(0.7)


def test_the_suggestion_is_where_the_doubt_sets_in(tmp_path: Path) -> None:
    curve = steady(30) + steady(70, confidence=0.4)
    results = results_of(tmp_path, steady(100), curve)
    found = suggest(results, find_events(results))
    assert 27 <= found[0].row <= 33
    assert found[0].object_ids == (2,)
    assert len(found) <= MOST
    assert len({each.row for each in found}) == len(found)


def test_the_worst_comes_first_and_given_masks_are_not_asked_for_again(tmp_path: Path) -> None:
    mild = steady(20) + steady(30, confidence=0.75) + steady(50)
    bad = steady(60) + steady(40, confidence=0.2)
    results = results_of(tmp_path / "a", mild, bad)
    rows = [each.row for each in suggest(results, find_events(results))]
    assert abs(rows[0] - 60) <= 3
    assert any(18 <= row <= 50 for row in rows)
    results = results_of(tmp_path / "b", mild, bad, annotated=(0, 60))
    assert all(abs(each.row - 60) > 2 for each in suggest(results, find_events(results)))


def blinking() -> list[tuple[int, float]]:
    curve = steady(60)
    curve[20] = curve[23] = curve[26] = AWAY
    return curve


@pytest.mark.parametrize(
    ("curve", "rows"),
    [
        (steady(30) + steady(30, 2500), {30}),
        (blinking(), {20}),
        (steady(40) + [AWAY] * 8, {40}),
        (steady(20) + [AWAY] * 30 + steady(60), {20, 50}),
    ],
    ids=["jumps", "flickers", "is lost", "returns"],
)
def test_what_happens_to_an_object_of_steady_confidence_is_worth_a_mask(
    curve: list[tuple[int, float] | None], rows: set[int], tmp_path: Path
) -> None:
    results = results_of(tmp_path, curve)
    assert {each.row for each in suggest(results, find_events(results))} == rows


def test_frames_alone_are_dots_in_the_curves(tmp_path: Path) -> None:
    curve: list[tuple[int, float] | None] = [AWAY] * 20
    curve[5] = curve[12] = (1000, 0.9)
    curve[17:] = [(1000, 0.9)] * 3
    results = results_of(tmp_path, curve)
    svg = curves(results, results.area, "area", None, [])
    fill = "fill: #{:02x}{:02x}{:02x}".format(*object_colour(1))
    assert sum("<use" in line and fill in line for line in svg.splitlines()) == 2


def test_thinned_curves_keep_every_peak() -> None:
    values = np.zeros(100_000)
    values[[7, 50_001, 99_999]] = (3, -2, 5)
    values[60_000:70_000] = np.nan
    frames, shown = thinned(np.arange(100_000), values)
    assert len(frames) <= MOST_POINTS + 2
    assert (np.nanmax(shown), np.nanmin(shown)) == (5, -2)
    assert {7, 50_001, 99_999} <= set(frames.tolist())
    assert (np.diff(frames) > 0).all()
    assert np.isnan(shown[(frames > 61_000) & (frames < 69_000)]).all()
