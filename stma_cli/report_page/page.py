"""The page: what the results say, in words and pictures, in one file that needs no other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stma.errors import OutputError
from stma.saving import replacing, writing
from stma_cli.output import require_same_kind
from stma_cli.rendering.overlay import object_colour
from stma_cli.report_page.events import Event, Kind, find_events
from stma_cli.report_page.pictures import draw_rows, find_video, sheet_rows
from stma_cli.report_page.plots import curves, timeline
from stma_cli.report_page.results import Results, read_results
from stma_cli.report_page.suggest import Suggestion, suggest
from stma_cli.wording import counted

TEMPLATE = "page.html"
NONE = "\N{EN DASH}"  # in place of a value
MOST_EVENTS = 200  # told one by one; more are counted


@dataclass(frozen=True)
class PageSummary:
    """What was written.

    Attributes:
        path: of the page.
        events: how many of each kind.
        suggestions: frame numbers worth a mask, the most useful first.
        notes: what the user should know.
    """

    path: Path
    events: dict[Kind, int]
    suggestions: tuple[int, ...]
    notes: tuple[str, ...]


def write_page(folder: Path, target: Path, video: Path | None, pictures: int, force: bool) -> PageSummary:
    """Write the page of a results folder.

    Args:
        folder: as `stma segment` wrote it.
        target: the HTML file.
        video: what the results were made from, where it is no longer at the place that they name.
        pictures: frames on the contact sheet.
        force: replace an existing page.

    Raises:
        SettingsError: the folder has no usable report.
        MaskError, VideoError: masks or video cannot be read, or do not belong together.
        OutputError: the page cannot be written, is there already, or would replace another kind of file.
    """
    if target.is_dir():
        raise OutputError(f"{target} is a folder", "give the name of a file that ends in .html")
    if target.exists() and not force:
        raise OutputError(f"{target} exists", "choose another name with --out, or add --force to replace it")
    require_same_kind("--out", target, ".html", ".htm")
    results = read_results(folder)
    events = find_events(results)
    suggestions = suggest(results, events)
    source, notes = find_video(results, video)
    notes += _missing(results)
    sheet = sheet_rows(len(results.frames), pictures)
    drawn = draw_rows(results, source, {*sheet, *(each.row for each in suggestions)})
    html = _render(_content(results, events, suggestions, sheet, drawn, notes))
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            temporary.write_text(html, "utf-8", "backslashreplace")
    counts = {kind: sum(event.kind is kind for event in events) for kind in Kind}
    frames = tuple(int(results.frames[each.row]) for each in suggestions)
    return PageSummary(target, counts, frames, tuple(notes))


def _missing(results: Results) -> list[str]:
    """Return a note about masks that the report names and the folder lacks."""
    gone = [name for name in results.files if not (results.folder / name).is_file()]
    if not gone:
        return []
    count = "1 mask is" if len(gone) == 1 else f"{len(gone)} masks are"
    return [f"{count} missing, first {gone[0]}; the same stma segment command makes what is missing again"]


def _render(content: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("stma_cli.report_page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(content)


def _content(
    results: Results,
    events: Sequence[Event],
    suggestions: Sequence[Suggestion],
    sheet: Sequence[int],
    drawn: Mapping[int, str],
    notes: Sequence[str],
) -> dict[str, Any]:
    head, (width, height) = results.head, results.size
    share = 100 * results.area / (width * height)

    def picture(row: int) -> dict[str, Any]:
        return {
            "source": drawn[row],
            "frame": int(results.frames[row]),
            "time": clock(results.times[row]),
            "annotated": row in results.annotated_rows,
        }

    return {
        "title": head.video.name,
        "facts": _facts(results),
        "notes": [*notes, *head.notes],
        "verdict": _verdict(results, events),
        "suggestions": [
            {
                **picture(each.row),
                "file": results.files[each.row],
                "reasons": [_told(results, event) for event in each.events] or [_doubt(results, each)],
            }
            for each in suggestions
        ],
        "timeline": timeline(results, events, suggestions),
        "area": curves(results, share, "% of the frame", None, events),
        "confidence": curves(results, results.confidence, "confidence", 1.02, events),
        "sheet": [picture(row) for row in sheet],
        "size": (width, height),
        "objects": [_object(results, column, share, events) for column in range(len(results.ids))],
        "events": [
            {
                "kind": event.kind.value,
                "colour": _css(event.object_id),
                "frame": int(results.frames[event.first]),
                "time": clock(results.times[event.first]),
                "text": _told(results, event),
            }
            for event in events[:MOST_EVENTS]
        ],
        "more_events": max(0, len(events) - MOST_EVENTS),
        "tables": _tables(head.entries),
    }


def _facts(results: Results) -> list[str]:
    head, frames = results.head, len(results.frames)
    facts = [
        counted(frames, "frame"),
        f"{results.size[0]} \N{MULTIPLICATION SIGN} {results.size[1]}",
        f"{results.rate:.4g} per second",
        counted(len(results.ids), "object"),
    ]
    if head.model is not None:
        facts.append(f"model {head.model}")
    if head.finished is not None:
        facts.append(head.finished[:16].replace("T", " "))
    return facts


def _verdict(results: Results, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the tiles at the top: a number, what it counts, whether it is a reason to look."""
    lost = [event for event in events if event.kind is Kind.LOST]
    tiles = [
        (len(lost), "time lost", "times lost"),
        (int(sum(event.amount for event in lost)), "time returned", "times returned"),
        (int(sum(e.amount for e in events if e.kind is Kind.FLICKER)), "flicker", "flickers"),
        (sum(e.kind is Kind.JUMP for e in events), "sudden jump", "sudden jumps"),
        (sum(e.kind is Kind.UNSURE for e in events), "doubtful stretch", "doubtful stretches"),
    ]
    seen = results.area > 0
    mean = float(results.confidence[seen].mean()) if seen.any() else 0.0
    found = [
        {
            "number": str(number),
            "what": one if number == 1 else many,
            "look": number > 0 and "returned" not in one,
        }
        for number, one, many in tiles
    ]
    return [{"number": f"{mean:.2f}", "what": "mean confidence", "look": False}, *found]


def _told(results: Results, event: Event) -> str:
    name = results.names[event.object_id]
    first, last = int(results.frames[event.first]), int(results.frames[event.last])
    frames = counted(event.last - event.first + 1, "frame")
    if event.kind is Kind.LOST:
        if event.amount:
            return f"{name} is lost at frame {first} and returns at frame {last + 1}, {frames} later"
        return f"{name} is lost at frame {first} and does not return in the {frames} that are left"
    if event.kind is Kind.FLICKER:
        if event.amount == 1:
            return f"{name} flickers at frame {first}"
        return f"{name} flickers {event.amount:.0f} times from frame {first} to {last}"
    if event.kind is Kind.JUMP:
        how = (
            f"{event.amount:.1f} times as large"
            if event.amount > 1
            else f"{1 / event.amount:.1f} times smaller"
        )
        return f"{name} is suddenly {how} from frame {first} on"
    return f"{name} is doubtful from frame {first} to {last}: confidence down to {event.amount:.2f}"


def _doubt(results: Results, suggestion: Suggestion) -> str:
    names = ", ".join(results.names[object_id] for object_id in suggestion.object_ids)
    return f"the confidence in {names} falls from here on"


def _object(results: Results, column: int, share: np.ndarray, events: Sequence[Event]) -> dict[str, Any]:
    object_id = results.ids[column]
    seen = results.area[:, column] > 0
    known = ~np.isnan(results.area[:, column])
    confidence = results.confidence[seen, column]
    return {
        "id": object_id,
        "name": results.names[object_id],
        "colour": _css(object_id),
        "first": int(results.frames[known.argmax()]) if known.any() else None,
        "visible": f"{100 * seen.sum() / max(1, known.sum()):.0f} %",
        "area": f"{share[seen, column].mean():.2f} %" if seen.any() else NONE,
        "confidence": f"{confidence.mean():.3f}" if seen.any() else NONE,
        "lowest": f"{confidence.min():.3f}" if seen.any() else NONE,
        "events": sum(event.object_id == object_id for event in events),
    }


def _tables(head: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rest of the report as tables of names and values, nested ones joined by dots."""
    titles = {
        "settings": "Settings",
        "postprocessing": "After the model",
        "video": "Video",
        "model": "Model",
        "masks": "Masks given",
        "identity": "Hashes and what the masks depend on",
        "seconds": "Seconds",
        "peak_memory_bytes": "Peak memory, bytes",
        "versions": "Versions",
    }
    tables = [
        {"title": title, "rows": list(_flat(head[key]))} for key, title in titles.items() if head.get(key)
    ]
    others = {
        key: value for key, value in head.items() if key not in titles and key not in ("objects", "notes")
    }
    return [*tables, {"title": "Run", "rows": list(_flat(others))}]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values; names within names are joined by dots, plain lists by commas."""
    if isinstance(value, list) and not any(isinstance(entry, dict | list) for entry in value):
        yield name, ", ".join(map(_plain, value)) or "none"
    elif isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            yield from _flat(entry, f"{name}.{key}" if name else str(key))
    else:
        yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NONE if value is None else str(value)


def _css(object_id: int) -> str:
    red, green, blue = object_colour(object_id)
    return f"#{red:02x}{green:02x}{blue:02x}"


def clock(seconds: float) -> str:
    """Return a time as "7.40 s", "2:05.4" or "1:02:05", rounded before it is split, so that no part reaches 60."""
    if round(seconds, 2) < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds, 1), 60)
    if minutes < 60:
        return f"{int(minutes)}:{rest:04.1f}"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
