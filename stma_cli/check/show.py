"""Shows what a check has found: a table on a terminal, plain lines in a pipe, JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stma_cli.check.findings import Finding, Level
from stma_cli.check.run import CheckResult
from stma_cli.tables import print_line
from stma_cli.wording import counted, shortened

COLOURS = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan"}
ORDER = list(Level)
NAMES_SHOWN = 4  # files of one finding


def print_result(result: CheckResult, console: Console) -> None:
    """Print everything; the worst first."""
    print_line(console, _video_line(result))
    _print_findings(result.given, console)
    repair = result.repair
    if repair is not None:
        print_line(console, f"repaired: {repair.path}" if repair.path else "repaired: nothing had to be")
        for change in repair.changes:
            print_line(console, f"  {change}")
        _print_findings(result.after, console)
    if result.needs is not None:
        print_line(console, f"needs: {result.needs.line()}")
    print_line(console, _totals(result.given) + (", see above for what is left" if result.after else ""))


def json_text(result: CheckResult) -> str:
    """Return the result as JSON that a pipe of any encoding can hold."""
    info = result.survey.info
    repair = result.repair
    document = {
        "ok": not result.failed,
        "video": {
            "path": str(result.survey.path),
            "width": info.width if info else None,
            "height": info.height if info else None,
            "frame_rate": float(info.frame_rate) if info else None,
            "frames": result.survey.frames,
        },
        "findings": [asdict(finding) for finding in _sorted(result.given)],
        "needs": result.needs and {**asdict(result.needs), "seconds": result.needs.seconds},
        "repaired": repair
        and {
            "file": str(repair.path) if repair.path else None,
            "changes": list(repair.changes),
            "findings": [asdict(finding) for finding in _sorted(result.after)],
        },
    }
    return json.dumps(document, indent=2)


def _print_findings(findings: Sequence[Finding], console: Console) -> None:
    if not console.is_terminal:
        for finding in _together(_sorted(findings)):
            print_line(
                console, f"{finding.level.value}: {finding.file}: {finding.problem}. Fix: {finding.fix}"
            )
        return
    if not findings:
        return
    table = Table(show_lines=True)
    for title in ("", "file", "what is wrong", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in _together(_sorted(findings)):
        level = Text(finding.level.value, style=COLOURS[finding.level])
        table.add_row(level, Text(finding.file), Text(finding.problem), Text(finding.fix))
    console.print(table)


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: ORDER.index(finding.level))


def _together(findings: Sequence[Finding]) -> list[Finding]:
    """Make one of findings that say the same about several files."""
    files: dict[Finding, list[str]] = {}
    for finding in findings:
        files.setdefault(replace(finding, file=""), []).append(finding.file)
    return [
        replace(
            finding,
            file=named[0] if len(named) == 1 else f"{len(named)} files ({shortened(named, NAMES_SHOWN)})",
        )
        for finding, named in files.items()
    ]


def _video_line(result: CheckResult) -> str:
    survey = result.survey
    if survey.info is None:
        return f"{survey.path}: cannot be opened"
    frames = "frames not counted" if survey.frames is None else counted(survey.frames, "frame")
    return (
        f"{survey.path}: {survey.info.width}x{survey.info.height}, {frames}, "
        f"{float(survey.info.frame_rate):.4g} frames/s"
    )


def _totals(findings: Sequence[Finding]) -> str:
    counts = {level: sum(finding.level is level for finding in findings) for level in ORDER}
    parts = [counted(count, level.value) for level, count in counts.items() if count]
    return ", ".join(parts) or "nothing is wrong"
