"""`stma report` as a user runs it: one complete page, honest about what it could not find."""

import base64
import json
import re
from functools import partial
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from media import make_clip
from PIL import Image
from report_folder import results_of, steady, write_folder
from running import run_command

from stma.errors import MaskError, OutputError, SettingsError, VideoError
from stma_cli.rendering.overlay import object_colour
from stma_cli.report_page.page import clock
from stma_cli.segment.identity import hash_path

COUNT = 40
NASTY = '<script>alert("$x$")</script>'


run = partial(run_command, "report")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results of two objects, of which the second is lost from frame 20 to 29."""
    lost = steady(COUNT, 800)
    lost[20:30] = [(0, 0.0)] * 10
    return write_folder(tmp_path / "results", {1: ("cat", steady(COUNT)), 7: (NASTY, lost)})


class _Page(HTMLParser):
    """Collects what a page names outside of itself, its tags and its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if tag == "img" and name == "src":
                self.pictures.append(value or "")
            elif name in ("src", "href", "srcset") or (
                name == "xlink:href" and not (value or "").startswith("#")
            ):
                self.outside.append(f"{tag} {name}={value}")


def test_page_is_complete_and_needs_no_other_file(folder: Path) -> None:
    printed = run(folder, "--pictures", 6)
    assert "lost 1" in printed
    assert re.search(r"annotate frame (18|19|20|21)", printed)
    text = (folder / "report.html").read_text("utf-8")
    page = _Page(text)
    assert page.outside == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 3
    assert len(page.pictures) == 7
    assert "is lost at frame 20 and returns at frame 30, 10 frames later" in text
    for told in (
        "a note of the run",
        "rendering.style",
        "2026-01-02 03:04",
        "sha256",
        "160 \N{MULTIPLICATION SIGN} 96",
    ):
        assert told in text


def test_pictures_show_the_frame_with_its_objects(folder: Path) -> None:
    run(folder, "--pictures", 2)
    sources = _Page((folder / "report.html").read_text("utf-8")).pictures[-2:]
    for source in sources:
        kind, _, content = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        pixels = np.asarray(Image.open(BytesIO(base64.b64decode(content)))).astype(int)
        assert pixels.shape == (96, 160, 3)
        assert pixels[3, 100, 0] - pixels[90, 100, 0] > 20  # the cat is red in the first rows
        assert object_colour(1)[0] > 100


def test_names_cannot_break_the_page(folder: Path) -> None:
    run(folder)
    text = (folder / "report.html").read_text("utf-8")
    assert NASTY not in text
    assert "&lt;script&gt;alert" in text


def test_the_same_results_give_the_same_page(folder: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        run(folder, "-o", tmp_path / "new" / name)
    assert (tmp_path / "new" / "a.html").read_bytes() == (tmp_path / "new" / "b.html").read_bytes()


def test_without_the_video_masks_are_shown_and_it_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").rename(tmp_path / "moved.mp4")
    assert "is not there, so the pictures show masks alone; give --video" in run(folder)
    assert "show masks alone" in (folder / "report.html").read_text("utf-8")
    assert "masks alone" not in run(folder, "--force", "--video", tmp_path / "moved.mp4")


def test_a_file_of_the_same_name_is_not_taken_for_the_video(folder: Path, tmp_path: Path) -> None:
    report = folder / "report.json"
    content = json.loads(report.read_text("utf-8"))
    content["identity"] = {"source": hash_path(tmp_path / "clip.mp4")}
    report.write_text(json.dumps(content), "utf-8")
    assert "note" not in run(folder)
    clip = make_clip(tmp_path / "clip.mp4", COUNT, options={"preset": "ultrafast", "crf": "40"})
    assert "show masks alone" in run(folder, "--force")
    assert "is not the very file" in run(folder, "--force", "--video", clip)


def test_another_video_is_refused(folder: Path, tmp_path: Path) -> None:
    wide = make_clip(tmp_path / "wide.mp4", 4, width=200)
    with pytest.raises(VideoError, match=r"200x96, but the results are of 160x96; give"):
        run(folder, "--video", wide)
    short = make_clip(tmp_path / "short.mp4", 4)
    with pytest.raises(VideoError, match=r"has no frame \d+, which the results have"):
        run(folder, "--video", short)
    assert not (folder / "report.html").exists()


def test_pages_are_replaced_only_on_request(folder: Path) -> None:
    run(folder)
    with pytest.raises(OutputError, match="exists; choose another name with --out, or add --force"):
        run(folder)
    run(folder, "--force")
    with pytest.raises(OutputError, match="is a folder"):
        run(folder, "-o", folder)
    own = (folder / "report.json").read_bytes()
    with pytest.raises(OutputError, match=r"of another kind; give a name that ends in \.html"):
        run(folder, "-o", folder / "report.json", "--force")
    assert (folder / "report.json").read_bytes() == own


def test_unusable_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not a folder; give"):
        run(tmp_path / "absent")
    with pytest.raises(SettingsError, match=rf"holds results in results; give that folder: {folder}$"):
        run(tmp_path)
    (tmp_path / "day 2" / "bear").mkdir(parents=True)
    (tmp_path / "day 2" / "bear" / "report.json").touch()
    with pytest.raises(
        SettingsError, match=r"holds several results \(day 2/bear, results\); give one of these"
    ):
        run(tmp_path)
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / ".stma-checkpoint").touch()
    with pytest.raises(SettingsError, match=r"interrupted run; finish it first.*--resume"):
        run(tmp_path / "stopped")
    report = folder / "report.json"
    whole = report.read_text("utf-8")
    empty = json.dumps(json.loads(whole) | {"frames": []})
    for damaged in (whole[:200], "[]", "{}", empty, whole.replace('"format": 1', '"format": 9')):
        report.write_text(damaged, "utf-8")
        with pytest.raises(SettingsError, match=r"report\.json cannot be read as a report .*--force"):
            run(folder)


def test_a_single_frame_has_the_rate_of_its_video(tmp_path: Path) -> None:
    assert results_of(tmp_path / "one", steady(1)).rate == pytest.approx(30000 / 1001)
    assert results_of(tmp_path / "two", steady(2)).rate == 25


VIDEO = {"path": "clip.mp4", "width": 160, "height": 96, "frame_rate": "25"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"video": None}, "not subscriptable"),
        ({"video": {}}, "'width' is missing"),
        ({"video": VIDEO | {"path": 5}}, "int"),
        ({"video": VIDEO | {"height": 0}}, "160x0"),
        ({"video": VIDEO | {"width": float("inf")}}, "infinity"),
        ({"video": VIDEO | {"frame_rate": "1/0"}}, "Fraction"),
        ({"masks": None}, "'masks' is no list"),
        ({"masks": [{"objects": [1]}]}, "'frame' is missing"),
        ({"notes": None}, "'notes' is no list"),
        ({"notes": "text"}, "'notes' is no list"),
        ({"model": []}, "no attribute"),
        ({"identity": []}, "no attribute"),
        ({"frames": [{"frame": 0, "file": "00000.png", "time": None, "objects": {}}]}, "has no time"),
    ],
)
def test_reports_of_other_fields(folder: Path, fields: dict[str, object], reason: str) -> None:
    report = folder / "report.json"
    report.write_text(json.dumps(json.loads(report.read_text("utf-8")) | fields), "utf-8")
    with pytest.raises(SettingsError, match=rf"cannot be read as a report \(.*{reason}.*\); .* --force"):
        run(folder)


def test_a_report_may_lack_what_is_only_told(folder: Path) -> None:
    report = folder / "report.json"
    content = json.loads(report.read_text("utf-8"))
    for key in ("masks", "notes", "model", "finished", "settings", "versions"):
        del content[key]
    report.write_text(json.dumps(content), "utf-8")
    run(folder)
    assert "model small" not in (folder / "report.html").read_text("utf-8")


def test_missing_masks(folder: Path) -> None:
    (folder / "00000.png").unlink()
    with pytest.raises(MaskError, match=r"00000\.png"):
        run(folder)
    assert not (folder / "report.html").exists()


def test_missing_masks_that_no_picture_shows_are_told(folder: Path) -> None:
    (folder / "00001.png").unlink()
    assert "1 mask is missing, first 00001.png" in run(folder, "--pictures", "1")


def test_one_frame_and_an_object_never_seen(tmp_path: Path) -> None:
    one = write_folder(tmp_path / "one", {1: ("cat", steady(1)), 2: ("ghost", [(0, 0.0)])})
    assert "events   none" in run(one)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (7.4, "7.40 s"),
        (59.994, "59.99 s"),
        (59.999, "1:00.0"),
        (119.94, "1:59.9"),
        (119.97, "2:00.0"),
        (3599.94, "59:59.9"),
        (3599.99, "1:00:00"),
        (3659.7, "1:01:00"),
        (3725.4, "1:02:05"),
    ],
)
def test_times_never_show_sixty(seconds: float, text: str) -> None:
    assert clock(seconds) == text
