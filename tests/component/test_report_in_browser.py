"""The report in headless Chromium: drawn without an error or a request, by axe's rules, by keyboard, and printed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
import report_runs
from playwright.sync_api import Browser, Page, sync_playwright
from test_report_page import hostile

from regionshift.report.page import as_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
STORIES: dict[str, Callable[[Path], report_runs.ReportWorld]] = {
    "success": report_runs.success,
    "failure": report_runs.failure,
    "rollback": report_runs.taken_back,
    "promotion": report_runs.promotion,
    "thirty": report_runs.thirty,
    "hostile": hostile,
    "nothing": report_runs.ReportWorld,
}
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Without its sandbox, which Chromium does not have where it runs as root; the pages are ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, file: Path, *, width: int = 1280, dark: bool = False) -> Iterator[Page]:
    """A report in a window; at the end nothing was said on the console, and nothing asked for but the file."""
    said: list[str] = []
    asked: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if url != file.as_uri() and not url.startswith("data:")] == []


@pytest.fixture(params=STORIES)
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / f"{request.param}.html"
    file.write_text(as_page(STORIES[request.param](tmp_path).data()))
    return file


def _violations(page: Page) -> list[Any]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")
    return [(each["id"], [node["html"] for node in each["nodes"][:2]]) for each in found["violations"]]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_it_is_drawn_without_a_request_and_by_axes_rules(
    report: Path, chromium: Browser, width: int, dark: bool, tmp_path: Path
) -> None:
    with opened(chromium, report, width=width, dark=dark) as page:
        too_wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, "nothing but tables is scrolled sideways"
        assert len(page.screenshot(path=tmp_path / "seen.png", full_page=True)) > 10_000
        assert page.locator("script:not([type])").count() == 3, "no name became a script"
        assert page.locator("img").count() == 0
        assert _violations(page) == []


def test_the_keyboard_goes_through_a_chart(tmp_path: Path, chromium: Browser) -> None:
    file = tmp_path / "rollback.html"
    file.write_text(as_page(report_runs.taken_back(tmp_path).data()))
    with opened(chromium, file) as page:
        first = page.locator("#timeline .bar[tabindex='0']")
        assert first.count() == 1, "one stop of the tab key"
        first.focus()
        assert "Wave 1, apply" in page.locator("#tip").inner_text()
        page.keyboard.press("ArrowRight")
        assert "Wave 1, check" in page.locator("#tip").inner_text()
        page.keyboard.press("ArrowDown")
        assert "ap-southeast-2" in str(page.locator(":focus").get_attribute("aria-label"))
        page.keyboard.press("End")
        assert "Rollback" in page.locator("#tip").inner_text()
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()


def test_everything_is_there_on_paper(tmp_path: Path, chromium: Browser) -> None:
    file = tmp_path / "thirty.html"
    file.write_text(as_page(report_runs.thirty(tmp_path).data()))
    with opened(chromium, file, dark=True) as page:
        assert not page.locator("#timeline details").first.evaluate("it => it.open")
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert all(page.locator("details").evaluate_all("them => them.map(it => it.open)"))
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert not page.locator("#timeline details").first.evaluate("it => it.open")


def test_what_it_draws_is_what_its_data_say(tmp_path: Path, chromium: Browser) -> None:
    data = report_runs.taken_back(tmp_path).data()
    file = tmp_path / "rollback.html"
    file.write_text(as_page(data))
    with opened(chromium, file) as page:
        assert page.locator("#timeline .bar").count() == len(data["story"]["steps"])
        assert page.locator("#timeline .bar .k-failed").count() == 1
        assert page.locator("#checks .cell.failed").count() == 1
        assert page.locator("#regions .dot.up").count() == 3
        assert page.locator("#back li").count() == len(data["story"]["turns"])
        assert page.locator("#releases mark").all_inner_texts() == ["1024", "value 2"]
        assert page.locator("#history tbody tr").count() == 4
        assert page.locator("#data .funnel").count() == 6
