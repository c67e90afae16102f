"""What is shown while something goes on: at a small terminal, in a log, and where nothing is to move."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from regionshift.cli import failure, running, show
from regionshift.cli.app import app
from regionshift.cli.options import Choices
from regionshift.report.live import Activity
from regionshift.report.printer import Rows, Screen
from regionshift.report.terminal import checks_table
from regionshift.report.values import CheckResult
from regionshift.runs.messages import News
from regionshift.runs.state import RunStep

REGIONS = [f"region-{number:02}" for number in range(30)]
ROLE = f"arn:aws:iam::123456789012:role/{'long-' * 20}end"


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _terminal(width: int = 80, height: int = 24, **more: Any) -> Screen:
    return Screen(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        color_system=None,
        legacy_windows=False,
        **more,
    )


def _said(screen: Screen) -> str:
    return cast(io.StringIO, screen.file).getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_checks_of_thirty_regions_name_every_region_and_every_failure(width: int) -> None:
    results = [CheckResult("network", region, "passed", "") for region in REGIONS]
    results[7] = CheckResult("network", REGIONS[7], "failed", f"{ROLE} is not there", "mend it")
    screen = _terminal(width)
    screen.print(checks_table(results, REGIONS))
    said = _said(screen)
    assert all(region in said for region in REGIONS)
    assert "…" not in said
    assert ROLE in said


def test_no_name_is_cut_or_folded_however_narrow_the_terminal() -> None:
    rows = Rows("id", "role", "note")
    rows.add("a" * 70, ROLE, "n" * 90)
    screen = _terminal(60)
    screen.print(rows, f"see {ROLE} and {'b' * 90}")
    assert all(name in _said(screen) for name in ("a" * 70, ROLE, "n" * 90, "b" * 90))
    assert all(
        len(line) <= 60 or " " not in line.strip() or ": " in line for line in _said(screen).splitlines()
    )


class Told(io.StringIO):
    """Knows when it was written to so often."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.enough = threading.Event()
        self._left = lines

    def write(self, text: str) -> int:
        self._left -= text.count("\n")
        if self._left <= 0:
            self.enough.set()
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_is_told_at_once_and_then_again(terminal: bool) -> None:
    """Also at a terminal where nothing is to move (CI, NO_COLOR)."""
    out, clock = Told(3), Clock()
    screen = Screen(file=out, force_terminal=terminal, color_system=None, is_plain=True)
    activity = Activity(screen, "planning", clock, soon=0.0, silence=0.01)
    activity.now("create bucket")
    with activity:
        assert out.enough.wait(60)
    assert "… planning  0 s  create bucket\n" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_terminal_is_told_what_goes_on_and_since_when() -> None:
    clock = Clock()
    activity = Activity(_terminal(), "checking 3 regions", clock)
    clock.seconds = 90.0
    activity.now("function [eu-west-1]: passed")
    assert activity.line == "checking 3 regions  1 min 30 s  function [eu-west-1]: passed"


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("out", [False, True])
@pytest.mark.parametrize("err", [False, True])
def test_the_log_goes_above_what_moves_and_never_into_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, as_json: bool, out: bool, err: bool
) -> None:
    """One terminal for both: only the screen of what moves can put a line above it. A file gets no line of the log."""
    screens = {
        stderr: _terminal() if moves else Screen(file=io.StringIO())
        for stderr, moves in ((False, out), (True, err))
    }
    monkeypatch.setattr(show, "screen_of", lambda *, stderr: screens[stderr])
    chosen = show.console_for_log(Choices(as_json=as_json))
    assert chosen is screens[not (out and err and not as_json)]


def _news(status: Any, summary: str, **counts: int) -> News:
    return News("deploy", status, summary, counts)


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_leaves_the_errors_and_the_last_message(monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    screen = _terminal()
    monkeypatch.setattr(show, "screen_of", lambda **_: screen)
    choices, step = Choices(quiet=quiet, yes=True), RunStep("turn", meaning="replicate")
    with show.working(choices, "planning"), running.shown(choices, "up dev") as view:
        view.on_news("1", _news("started", "it began"), ())
        view.on_step(step, "before", {})
        view.on_news("1", _news("error", "the topic is gone"), ())
        view.on_step(step, "after", {})
        view.on_news("1", _news("success", "step 1 of 1 is done", step=1), ())
        view.on_news("1", _news("success", "it ended"), ())
    said = _said(screen)
    if quiet:
        assert said == "the topic is gone\nit ended\n"
    assert [each in said for each in ("it began", "up dev  1 of 1 steps done")] == [not quiet] * 2
    assert [each in said for each in ("the topic is gone", "it ended", "step 1 of 1")] == [True, True, False]


def test_what_takes_no_time_is_not_told() -> None:
    for screen in (_terminal(), Screen(file=io.StringIO())):
        with Activity(screen, "planning", Clock(), soon=3600.0):
            pass
        assert _said(screen) == ""


def _paths(group: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    inner: list[tuple[str, ...]] = [before]
    for name, command in getattr(group, "commands", {}).items():
        inner += _paths(command, (*before, name))
    return inner


@pytest.mark.parametrize("path", _paths(typer.main.get_command(app)), ids=" ".join)
def test_every_command_knows_h(path: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(app, [*path, flag]) for flag in ("-h", "--help"))
    assert short.exit_code == long.exit_code == 0
    assert short.output == long.output
    assert "Usage" in short.output


@pytest.mark.parametrize("path", [[], ["local"]], ids=str)
def test_a_name_alone_gets_the_help_as_it_is(path: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.run(app, path) == 2
    said = capsys.readouterr().err
    assert said.startswith("Usage: ")
    assert "\\n" not in said
    assert "Error" not in said


def test_with_a_given_width_a_table_keeps_to_it_and_a_sentence_stays_one_line() -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=40)
    rows = Rows("release", "made", "with")
    rows.add("0a7603e898b2", "2026-11-30 09:41 UTC", "regionshift 0.1.0, aws 7.8.0, program 5c8b287e")
    screen.print(rows)
    assert max(map(len, file.getvalue().splitlines())) <= 40
    sentence = "What would be carried has changed since it was confirmed."
    screen.print(sentence)
    assert sentence in file.getvalue().splitlines()


def test_a_question_is_asked_in_lines_that_the_terminal_does_not_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(show, "screen_of", lambda **_: _terminal(80))
    monkeypatch.setattr(typer, "prompt", lambda text, **_: asked.append(text) or "y")
    config = cast(Any, SimpleNamespace(suffix="dev", account="123456789012", target="local"))
    question = f"Carry 12 items from us-east-1 to {'a' * 90}, and then make it the primary of all?"
    assert show.ask(Choices(), question, config)
    lines = asked[0].splitlines()
    assert " ".join(lines) == f"dev (account 123456789012, target local): {question} [y/N]"
    assert all(len(line) <= 78 or " " not in line for line in lines)
