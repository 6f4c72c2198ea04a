"""Curves over the frames as SVG, to be put into a page."""

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from stma_cli.rendering.overlay import object_colour
from stma_cli.report_page.events import Event, Kind, runs
from stma_cli.report_page.results import Results
from stma_cli.report_page.suggest import Suggestion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 10.4  # inches at 72 dots, the width of the page's column
MOST_POINTS = 1200  # of a curve: more than the page has pixels
_MOST_SPANS = 400  # of an object's strip
_INK, _PALE, _GRID = "#3c4148", "#8a9099", "#e7e8e6"
_DOUBT = "#d9822b"
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text, in the font of the page
    "svg.hashsalt": "stma",  # the same results give the same page
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _PALE,
    "xtick.color": _PALE,
    "ytick.color": _PALE,
    "text.parse_math": False,  # a name may hold a dollar sign
}


def timeline(results: Results, events: Sequence[Event], suggestions: Sequence[Suggestion]) -> str:
    """Return an SVG with a strip per object: where it is seen, doubtful or away; marks for masks and suggestions."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        figure, axes = _figure(0.75 + 0.34 * len(results.ids))
        for place, object_id in enumerate(results.ids):
            _strip(axes, place, results)
            mine = [event for event in events if event.object_id == object_id]
            for event in mine:
                if event.kind is Kind.UNSURE:
                    span = _span(results, event.first, event.last)
                    axes.broken_barh([span], (place + 0.19, 0.12), color=_DOUBT, linewidth=0)
            blinks = [results.frames[e.first] for e in mine if e.kind in (Kind.FLICKER, Kind.JUMP)]
            axes.plot(blinks, [place] * len(blinks), "|", color=_INK, markersize=13, markeredgewidth=1.4)
        top = -0.78
        masks = [results.frames[row] for row in results.annotated_rows]
        axes.plot(masks, [top] * len(masks), "v", color=_INK, markersize=6, clip_on=False)
        for number, suggestion in enumerate(suggestions, 1):
            frame = results.frames[suggestion.row]
            axes.plot(
                [frame, frame],
                [-0.5, len(results.ids) - 0.4],
                color=_DOUBT,
                linewidth=1,
                linestyle=(0, (3, 3)),
            )
            axes.text(frame, top, str(number), color=_DOUBT, ha="center", va="center", fontweight="bold")
        axes.set_ylim(len(results.ids) - 0.4, -1.1)
        axes.set_yticks(range(len(results.ids)), [_short(results.names[each]) for each in results.ids])
        axes.tick_params(axis="y", length=0, labelcolor=_INK)
        axes.grid(False)
        return _svg(figure)


def curves(
    results: Results, values: np.ndarray, label: str, top: float | None, events: Sequence[Event]
) -> str:
    """Return an SVG with one curve per object, interrupted where the object is not seen; a dot on a frame alone.

    Args:
        results: for the frames and the colours.
        values: (F, K) array.
        label: of the values.
        top: upper end of the scale, or None for what the values need.
        events: stretches in which an object is lost are shaded in its colour.
    """
    from matplotlib import rc_context

    with rc_context(_STYLE):
        figure, axes = _figure(2.5)
        for event in events:
            if event.kind is Kind.LOST:
                first, last = results.frames[event.first], results.frames[event.last]
                axes.axvspan(first - 0.5, last + 0.5, color=_colour(event.object_id), alpha=0.09, linewidth=0)
        for column, object_id in enumerate(results.ids):
            seen = np.where(results.area[:, column] > 0, values[:, column], np.nan)
            frames, shown = thinned(results.frames, seen)
            colour, alone = _colour(object_id), _alone(shown)
            axes.plot(frames, shown, color=colour, linewidth=1.6, solid_joinstyle="round")
            axes.plot(frames[alone], shown[alone], "o", color=colour, markersize=2.5, markeredgewidth=0)
        for row in results.annotated_rows:
            axes.axvline(results.frames[row], color=_GRID, linewidth=1.2, zorder=0)
        axes.set_ylim(0, top)
        axes.set_ylabel(label)
        return _svg(figure)


def thinned(frames: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest value of every group of frames, so that no peak is lost.

    Args:
        frames: (F,) frame numbers.
        values: (F,) array, NaN for none.

    Returns:
        Frames and values, at most `MOST_POINTS` of each, no frame twice; a group without any value has NaN.
    """
    size = -(-len(frames) // (MOST_POINTS // 2))
    if size <= 2:
        return frames, values
    padding = -len(frames) % size
    groups = np.pad(values, (0, padding), constant_values=np.nan).reshape(-1, size)
    empty = np.isnan(groups).all(axis=1)
    low = np.where(empty, 0, np.where(np.isnan(groups), np.inf, groups).argmin(axis=1))
    high = np.where(empty, 0, np.where(np.isnan(groups), -np.inf, groups).argmax(axis=1))
    start = np.arange(len(groups)) * size
    places = np.unique(np.concatenate([start + low, start + high]))
    return frames[places], values[places]


def _figure(height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.set_xlabel("frame")
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    return figure, axes


def _strip(axes: "Axes", place: int, results: Results) -> None:
    """Draw where the object of the column `place` is seen, and a thin line from its first frame on."""
    known = np.flatnonzero(~np.isnan(results.area[:, place]))
    if known.size:
        axes.broken_barh([_span(results, int(known[0]), int(known[-1]))], (place - 0.02, 0.04), color=_GRID)
    seen = results.area[:, place] > 0
    spans = list(runs(seen))
    if len(spans) > _MOST_SPANS:  # gaps narrower than a pixel are closed
        width = max(1, len(seen) // _MOST_SPANS)
        spans = list(runs(np.convolve(seen, np.ones(width), "same") > 0))
    bars = [_span(results, *span) for span in spans]
    axes.broken_barh(bars, (place - 0.17, 0.34), color=_colour(results.ids[place]), linewidth=0)


def _span(results: Results, first: int, last: int) -> tuple[float, float]:
    return float(results.frames[first]) - 0.5, float(results.frames[last] - results.frames[first]) + 1


def _alone(values: np.ndarray) -> np.ndarray:
    """Return where a value has none before and after it, so that a line does not show it."""
    none = np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
    return np.asarray(~none[1:-1] & none[:-2] & none[2:])


def _colour(object_id: int) -> tuple[float, float, float]:
    red, green, blue = object_colour(object_id)
    return red / 255, green / 255, blue / 255


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"


def _svg(figure: "Figure") -> str:
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    content = text.getvalue()
    return content[content.index("<svg") :]
