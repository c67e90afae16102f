"""The report as one HTML file: nothing is fetched, nothing that somebody named breaks out of its data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import report_runs
from report_runs import ReportWorld

from regionshift.cli import report
from regionshift.cli.options import Choices
from regionshift.report.page import as_page, asset

HOSTILE = (
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>"
    " ' \" & \u2028\u202e\x1b]52;c;x\x07 {{ 7*7 }}"
)


class Seen(HTMLParser):
    """The elements of a page: its scripts and styles with their texts, and where anything points to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.style, self.policy, self.title = "", "", ""
        self.points: list[str] = []
        self._inside: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = tag
        if tag == "script":
            self.scripts.append((given, ""))
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(given["content"])
        self.points += [str(given[name]) for name in ("src", "href", "action", "srcset") if given.get(name)]
        assert not any(name.startswith("on") or name == "style" for name in given), given

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            given, text = self.scripts[-1]
            self.scripts[-1] = (given, text + data)
        self.style += data if self._inside == "style" else ""
        self.title += data if self._inside == "title" else ""


def hostile(folder: Path) -> ReportWorld:
    """Everything that somebody can name is hostile."""
    world = ReportWorld(folder, by=HOSTILE)
    fails = {"wave-1/validate": lambda _: {"error": HOSTILE, "regions": {}}}
    world.waves(world.up(), world.keep(1024), [("eu-west-1",)], fails=fails)
    wrong = [{"item": HOSTILE, "reason": HOSTILE}]
    counts = {"written": 1, "proven": 0, "conflict": 1}
    world.migrate(HOSTILE, counts=counts, status="incomplete", unproven=wrong)
    world.take_back(HOSTILE, HOSTILE)
    return world


def test_hostile_names_stay_data(tmp_path: Path) -> None:
    seen = Seen(as_page(hostile(tmp_path).data()))
    assert [given.get("id") for given, _ in seen.scripts] == ["data", "world", None, None, None]
    data = json.loads(seen.scripts[0][1])
    assert data["history"][0]["by"].startswith("</script><script>alert(1)</script><!--<img src=x")
    assert "{{ 7*7 }}" in data["history"][0]["by"], "a text is no template"
    assert not re.search("[<>&'\u2028\u202e\x1b]", seen.scripts[0][1])
    assert "\\x1b]52" in data["history"][0]["by"], "shown, as at a terminal"
    assert seen.title == "orders-prod – regionshift report"


def test_only_what_its_policy_names_runs_and_nothing_points_anywhere(tmp_path: Path) -> None:
    seen = Seen(as_page(report_runs.success(tmp_path).data()))
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (*(text for given, text in seen.scripts if not given), seen.style)
    ]
    policy = dict(part.strip().split(" ", 1) for part in seen.policy.split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split() == digests[:3] and policy["style-src"] == digests[3]
    assert [point for point in seen.points if not point.startswith("#")] == ["data:,"]
    assert "url(" not in seen.style and "@import" not in seen.style


def test_what_is_others_is_as_it_came() -> None:
    notices = asset("NOTICES.txt")
    listed = re.findall(r"^== \S+ [\d.]+ \(npm\) ==\n(\S+), SHA-256 ([0-9a-f]{64})\nCopyright", notices, re.M)
    assets = {each.name for each in files("regionshift.report").joinpath("assets").iterdir()}
    assert {name for name, _ in listed} == assets - {"NOTICES.txt", "page.css", "page.html", "page.js"}
    for name, digest in listed:
        text = asset(name)
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        assert "</script" not in text.lower() and "<!--" not in text, "it stands inside a script"
    assert "-->" not in notices, "they stand inside a comment"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReportWorld:
    """The command's environment is one whose run was taken back; there is no browser."""
    world = report_runs.taken_back(tmp_path)

    @contextmanager
    def session(_: Choices) -> Iterator[Any]:
        catalog = SimpleNamespace(store=world.releases)
        yield SimpleNamespace(environment=world.environment, journal=world.journal, catalog=catalog)

    monkeypatch.setattr(report, "opened", session)
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return world


def test_the_file_has_the_environments_name_or_the_one_that_is_given(
    command: ReportWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.run_report(Choices(), None, None, opens=True) == 0
    said = capsys.readouterr()
    assert "Wrote regionshift-orders-prod.html" in said.out and "open the file in one" in said.err
    assert command.data()["story"]["run"] in Path("regionshift-orders-prod.html").read_text()
    assert report.run_report(Choices(), "orders-2026", Path("new/other.html"), opens=False) == 0
    assert "Migration from us-east-1 to eu-west-1" in Path("new/other.html").read_text()


def test_as_json_a_file_is_written_only_where_one_is_named(
    command: ReportWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.run_report(Choices(as_json=True), "1", None, opens=False) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["story"] == command.data("1")["story"]
    assert list(Path().iterdir()) == []
    assert report.run_report(Choices(as_json=True), "1", Path("one.html"), opens=False) == 0
    assert json.loads(capsys.readouterr().out)["story"] == data["story"]
    assert Path("one.html").exists()


def test_the_page_never_writes_html() -> None:
    ours = asset("page.js")
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        ".html(",
        "document.write",
        "eval(",
        "fetch(",
        "Function(",
    ):
        assert way not in ours
    assert "</script" not in ours.lower() and "<!--" not in ours + asset("page.css")
