"""The benchmark's tables, JSON file and plot."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stma.saving import replacing
from stma_cli.bench.settings import BenchResult, BenchRow
from stma_cli.wording import counted, labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stma.benchmark import Spread
    from stma_cli.bench.long import LongResult

MEBIBYTE = 1 << 20


def print_result(result: BenchResult, console: Console) -> None:
    """Print machine, peaks and tables."""
    machine, model = result.machine, result.model
    device = machine["device"]
    if device == "cpu":
        device = f"cpu, {machine['threads']} threads on {machine['cores']} cores"
    say = partial(console.print, markup=False, highlight=False)
    say(labelled("machine", f"{machine['processor']}; torch {machine['torch']}; {device}"))
    say(labelled("model", f"{model['name']}, {model['parameters'] / 1e6:.2f} M parameters"))
    for precision, peak in result.peaks.items():
        rates = f"{peak.matmul:.0f} GFLOP/s in products, {peak.convolution:.0f} in convolutions"
        say(labelled("peak", f"{precision}: {rates}"))
    console.print(_model_table(result))
    if any(row.pipeline for row in result.rows):
        console.print(_pipeline_table(result))
    for row in result.rows:
        if row.profile is not None:
            console.print(_profile_table(row))


def print_long(result: "LongResult", console: Console) -> None:
    """Print time per frame and resident memory around frame 200 and at the end of each run."""
    table = _table(
        "long runs", "stage", "size", "obj", "frames", "ms early", "ms late", "%", "MB early", "MB late", "%"
    )
    for run in result.runs:
        cells = [run.stage, str(run.size), str(run.objects), str(run.frames[-1])]
        for (early, late), unit in (
            (run.change(run.milliseconds), 1),
            (run.change(run.resident), MEBIBYTE),
        ):
            cells += [f"{early / unit:.1f}", f"{late / unit:.1f}", f"{100 * (late / early - 1):+.1f}"]
        table.add_row(*cells)
    console.print(table)


def write_plot(result: BenchResult, path: Path) -> None:
    """Draw milliseconds per frame against the number of objects, quartiles as bars; a line per size and precision.

    Raises:
        OutputError: the file cannot be written.
    """
    figure, (axes,) = _figure(1)
    for size, precision in dict.fromkeys((row.size, row.precision) for row in result.rows):
        chosen = [row for row in result.rows if (row.size, row.precision) == (size, precision)]
        chosen.sort(key=lambda row: row.objects)
        rates = [row.model.frames_per_second for row in chosen]
        middle = [1000 / rate.median for rate in rates]
        below = [at - 1000 / rate.upper for at, rate in zip(middle, rates, strict=True)]
        above = [1000 / rate.lower - at for at, rate in zip(middle, rates, strict=True)]
        axes.errorbar(
            [row.objects for row in chosen],
            middle,
            yerr=[below, above],
            marker="o",
            capsize=3,
            label=f"{size}p {precision}",
        )
    _label(axes, "objects", "milliseconds per frame, model")
    axes.set_title(_title(result))
    _save(figure, path)


def write_long_plot(result: "LongResult", path: Path) -> None:
    """Draw time per frame and resident memory against the frame number; a line per run.

    Raises:
        OutputError: the file cannot be written.
    """
    figure, (times, memory) = _figure(2)
    for run in result.runs:
        label = f"{run.stage}, {counted(run.objects, 'object')}, {run.size}p"
        times.plot(run.frames, run.milliseconds, label=label)
        memory.plot(run.frames, [value / MEBIBYTE for value in run.resident], label=label)
    _label(times, "frame", "milliseconds per frame")
    _label(memory, "frame", "resident memory, MiB")
    times.set_title(_title(result))
    _save(figure, path)


def _figure(rows: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.5 + 4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, squeeze=False)[:, 0])


def _label(axes: "Axes", horizontal: str, vertical: str) -> None:
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _title(result: "BenchResult | LongResult") -> str:
    return f"stma {result.model['name']} on {result.machine['device']}"


def _save(figure: "Figure", path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().removeprefix("."), dpi=150)


def _model_table(result: BenchResult) -> Table:
    on_gpu = any(row.model.device_bytes is not None for row in result.rows)
    table = _table("model", "size", "obj", "prec", "fps", "q1-q3", "GFLOP", "peak %", "RAM MB", "est. MB")
    if on_gpu:
        table.add_column("GPU MB", justify="right")
    for row in result.rows:
        speed, rate = row.model, row.model.frames_per_second
        cells = [*_setting(row), f"{rate.median:.1f}", f"{rate.lower:.1f}-{rate.upper:.1f}"]
        cells += [f"{speed.gflop_per_frame:.1f}", f"{100 * speed.share_of_peak:.1f}"]
        cells += [str(speed.resident_bytes // MEBIBYTE), str(speed.estimate.total // MEBIBYTE)]
        if on_gpu:
            cells.append(str((speed.device_bytes or 0) // MEBIBYTE))
        table.add_row(*cells)
    return table


def _pipeline_table(result: BenchResult) -> Table:
    table = _table(
        "frames per second", "size", "obj", "prec", "decode", "model", "masks", "overlay", "together", "%"
    )
    for row in result.rows:
        if row.pipeline is None:
            continue
        model, together = row.model.frames_per_second, row.pipeline.together
        stages = (row.pipeline.decode, model, row.pipeline.masks, row.pipeline.overlay, together)
        share = f"{100 * together.median / model.median:.0f}"
        table.add_row(*_setting(row), *(_short(stage) for stage in stages), share)
    return table


def _profile_table(row: BenchRow) -> Table:
    title = f"operations, {row.objects} objects at {row.size} in {row.precision}"
    table = _table(title, "ms/frame", "calls", "%", "operation")
    table.columns[-1].justify = "left"
    for cost in row.profile or ():
        figures = (f"{cost.milliseconds:.2f}", f"{cost.calls:.1f}", f"{100 * cost.share:.1f}")
        table.add_row(*figures, Text(cost.name))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _setting(row: BenchRow) -> tuple[str, str, str]:
    return str(row.size), str(row.objects), row.precision


def _short(rate: "Spread") -> str:
    return f"{rate.median:.1f}" if rate.median < 100 else f"{rate.median:.0f}"
