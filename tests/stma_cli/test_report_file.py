"""report.json is read as far as it is needed: its head alone, or the names in its rows."""

import json
from pathlib import Path

import pytest

from stma_cli.report_file import finished_files, read_report_head, report_files, take_head
from stma_cli.segment.report import ReportWriter, update_report

REPORT = """{
  "format": 1,
  "notes": [],
  "frames": [
{"frame": 0, "file": "00000.png"},
{"frame": 1, "file": "00001.png"}
  ]
}
"""


def test_head_and_rows_are_read_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(REPORT)
    with (tmp_path / "report.json").open() as lines:
        assert take_head(lines) == {"format": 1, "notes": []}
        assert list(report_files(lines)) == ["00000.png", "00001.png"]
    update_report(tmp_path, {"format": 1, "notes": ["drawn again"]})
    assert read_report_head(tmp_path / "report.json") == {"format": 1, "notes": ["drawn again"]}
    assert list(finished_files(tmp_path)) == ["00000.png", "00001.png"]


def test_a_report_without_rows_is_whole(tmp_path: Path) -> None:
    with ReportWriter(tmp_path) as writer:
        writer.finish({"notes": []}, {})
    assert json.loads((tmp_path / "report.json").read_text())["frames"] == []
    assert list(finished_files(tmp_path)) == []


@pytest.mark.parametrize("end", [REPORT.index("  ]\n"), REPORT.index('"file": "00001')])
def test_rows_that_are_cut_off_are_told(end: int) -> None:
    lines = iter(REPORT[:end].splitlines(keepends=True))
    take_head(lines)
    with pytest.raises(ValueError, match=r"cut off|Expecting|Unterminated"):
        list(report_files(lines))
