"""The page in a real browser: nothing is fetched, nothing fails, everything is seen at any width."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_folder import steady, write_folder

from stma_cli.report_page.page import write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    installed = next((path for path in map(shutil.which, BROWSERS) if path), None)
    with playwright.sync_playwright() as started:
        executable = installed or started.chromium.executable_path
        if not Path(executable).exists():
            pytest.skip("no Chromium or Chrome is installed: playwright install chromium")
        opened = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lost = steady(60, 800)
    lost[20:30] = [(0, 0.0)] * 10
    lost[45] = (0, 0.0)
    unsure = steady(30) + steady(30, confidence=0.4)
    folder = write_folder(
        tmp_path_factory.mktemp("page") / "results",
        {1: ("cat", unsure), 2: ("<b>$cup$</b> with a rather long name", lost)},
    )
    return write_page(folder, folder / "report.html", None, pictures=15, force=False).path


@pytest.mark.parametrize("width", [1280, 390])
def test_page_in_a_browser(browser: Any, page_file: Path, tmp_path: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(page_file.as_uri())
    assert problems == []
    assert [url for url in fetched if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.images.length") >= 15
    for heading in ("Annotate next", "Timeline", "Contact sheet", "Events", "Settings and provenance"):
        assert page.get_by_role("heading", name=heading).is_visible()
    text = page.inner_text("body")
    assert "<b>$cup$</b> with a rather long name is lost at frame 20 and returns at frame 30" in text
    assert "cat is doubtful from frame 30 to 59" in text
    charts = page.query_selector_all("figure.plot svg")
    assert len(charts) == 3
    assert all(chart.bounding_box()["height"] > 60 for chart in charts)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    seen = np.asarray(Image.open(tmp_path / "page.png").convert("RGB"))
    assert seen.shape[1] == width
    assert (np.abs(seen.astype(int) - (128, 0, 0)).max(axis=2) < 30).sum() > 500  # the cat's strip and curve
    page.close()


def test_details_open(browser: Any, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    versions = page.get_by_text("Versions", exact=True)
    assert not page.get_by_text("0.1.0").is_visible()
    versions.click()
    assert page.get_by_text("0.1.0").is_visible()
    page.close()
