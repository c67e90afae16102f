"""Whatever comes from outside reaches a terminal as visible characters, and is never read as markup."""

from __future__ import annotations

import inspect
import io
import json
import os
import pty
import re
import sys
import types
import typing
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rich.text
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from regionshift import logs
from regionshift.cli import failure, history, running, show, status
from regionshift.cli.app import app
from regionshift.cli.options import Choices
from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.report import live, migrations, plan_view, terminal
from regionshift.report.folding import Alike
from regionshift.report.junit import write_junit
from regionshift.report.live import CourseStep, CourseView
from regionshift.report.printer import Rows, Screen, Text, escaped
from regionshift.report.values import CheckResult
from regionshift.settings.config import MigrationConfig

# Colours, the clipboard (OSC 52), a title, a bell, C1, DEL, line ends, bidi, what is not drawn, and Rich's own marks.
HOSTILE = (
    "k\x1b[31m\x1b]52;c;aGk=\x07\x1bP\x90\x9b2J\x9d0;t\x9c\x7f\r\nerror: \x0b\x0c\x85\u2028\u2029\t"
    "\u202e\u2066\u200b\u200e\ufeff\u00ad\u2060\u3164\ufe0f[/]\\[red][link=file:///x]:bomb:\ud800\U000e0041"
)
SHOWN = "[/]\\[red][link=file:///x]:bomb:"


def _is_visible(text: str) -> bool:
    return all(
        each == "\n" or not unicodedata.category(each).startswith(("C", "Zl", "Zp")) for each in text
    ) and not set(text) & {"\u3164", "\ufe0f"}


def _screens() -> list[Screen]:
    """A log, a wide terminal, and one that is too narrow for every table."""
    how = {"force_terminal": True, "color_system": None, "legacy_windows": False, "is_plain": True}
    return [
        Screen(file=io.StringIO()),
        Screen(file=io.StringIO(), width=3000, **how),
        Screen(file=io.StringIO(), width=40, **how),
    ]


def _said(screen: Screen) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def _require_harmless(said: str, errors: int = 0) -> None:
    assert _is_visible(said), [each for each in said if not _is_visible(each)]
    begun = re.findall(r"^error:", said, re.MULTILINE)
    assert len(begun) == errors, "a line end in a value began a line of its own"


_JSON = {
    "source": HOSTILE, "target": HOSTILE, "to_copy": 1, "bytes": 1, "level": HOSTILE, "on_failure": "stop",
    "counts": {"conflict": 3, HOSTILE: 1}, "status": HOSTILE, "migration_id": HOSTILE, "region": HOSTILE,
    "started": HOSTILE, "rewritten": HOSTILE, "checksum": HOSTILE, "undo_until": [HOSTILE], "notes": [HOSTILE],
    "problems": [{"key": HOSTILE, "item": HOSTILE, "reason": HOSTILE}], "proven": 1, "unproven": 2, "settled": False,
    "estimate": {"seconds": 1, "requests": 1, "usd": 1.0}, "workers": {"number": 1, "most": 2, "why": HOSTILE},
    "conflicts": [{"item": HOSTILE, "key": HOSTILE, "reason": HOSTILE}],
    "entries": [
        {
            "kind": HOSTILE, "counts": {}, "bytes": 1, "source": HOSTILE, "target": HOSTILE + "2",
            "rewrite": [HOSTILE], "rewrites": [{"item": HOSTILE, "what": HOSTILE}], "rewritten": 3,
            "newer": 2, "would_overwrite_newer": [{"item": HOSTILE, "why": HOSTILE}],
            "not_carried": {HOSTILE: 2}, "not_carried_of": [{"item": HOSTILE, "what": HOSTILE}],
            "notes": [HOSTILE], "undo_until": HOSTILE,
            "entry": {
                "kind": HOSTILE,
                "source": {"region": HOSTILE, "bucket": HOSTILE, "prefix": HOSTILE},
                "target": {"region": HOSTILE, "bucket": HOSTILE, "prefix": HOSTILE},
            },
        }
    ],
    "rpo_seconds": 1.0, "rpo_target_seconds": 1, "seconds": 1.0,
    "warnings": [HOSTILE], HOSTILE: HOSTILE, "replication_seconds": HOSTILE,
    "primary_region": HOSTILE, "secondary_regions": [HOSTILE], "tool": HOSTILE,
}  # fmt: skip


def _made(kind: Any) -> Any:
    """A value of the type with every text in it hostile."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return inner[0]
    if origin in (typing.Union, types.UnionType):
        return _made(next(each for each in inner if each is not type(None)))
    if origin in (Sequence, Iterable, Collection, list):
        return [_made(inner[0])]
    if origin is tuple:
        return tuple(_made(each) for each in inner if each is not Ellipsis)
    if origin in (Mapping, dict):
        return _JSON if inner[1] in (Any, object) else {_made(inner[0]): _made(inner[1])}
    if origin is Alike:
        return Alike((_made(inner[0]),), (HOSTILE,))
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{each.name: _made(hints[each.name]) for each in fields(kind) if each.init})
    plain = {str: HOSTILE, object: HOSTILE, Any: HOSTILE, int: 3, float: 1.5, bool: False}
    return datetime(2026, 1, 2, tzinfo=UTC) if kind is datetime else plain[kind]


_VIEWS = [
    running.news_line,
    running.step_line,
] + [
    view
    for module in (terminal, plan_view, migrations, status, history)
    for name, view in vars(module).items()
    if inspect.isfunction(view) and view.__module__ == module.__name__ and not name.startswith(("_", "run_"))
]


@pytest.mark.parametrize("view", _VIEWS, ids=lambda view: f"{view.__module__.split('.')[-1]}.{view.__name__}")
def test_every_view_shows_a_hostile_world_harmlessly(view: Callable[..., Any]) -> None:
    hints = typing.get_type_hints(view)
    hints.pop("return")
    made = {name: _made(kind) for name, kind in hints.items()}
    for screen in _screens():
        shown = view(**made)
        if shown is not None:
            screen.print(*(shown if isinstance(shown, list | types.GeneratorType) else [shown]))
        _require_harmless(_said(screen))


@given(st.text())
def test_no_text_reaches_the_terminal_other_than_visible(text: str) -> None:
    for screen in _screens():
        screen.print(text, style="red")
        screen.print(
            rich.text.Text(text, "red"), Text("a").append(text), markup=True, highlight=True, emoji=True
        )
        rows = Rows(text, "b", title=text)
        rows.add(text, rich.text.Text(text))
        screen.print(rows)
        assert _is_visible(_said(screen))
    assert escaped(escaped(text)) == escaped(text)


def test_live_views_are_harmless() -> None:
    for screen in _screens():
        for phase in ("", HOSTILE):
            step = CourseStep(HOSTILE, phase, (HOSTILE,), meaning=HOSTILE)
            with CourseView(screen, HOSTILE, lambda: 0.0, {HOSTILE: 1}) as view:
                view.told(step, "before")
                for how in ("started", "failed"):
                    view.resource(how, HOSTILE, HOSTILE, HOSTILE)
                view.doing(HOSTILE, HOSTILE, done=1, total=2)
                for said in ({"error": HOSTILE}, {HOSTILE: HOSTILE}, {"warning": HOSTILE}):
                    view.told(step, "failed", live.said_in_words(said))
        _require_harmless(_said(screen))


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """All that was written to standard output and standard error since it was asked last."""
    return lambda: "".join(capsys.readouterr())


def _paths(group: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [
        path
        for name, command in group.commands.items()
        for path in (_paths(command, (*before, name)) if hasattr(command, "commands") else [(*before, name)])
    ]


COMMANDS = [each for each in _paths(typer.main.get_command(app)) if each != ("help",)]  # it takes names alone
READS_NO_SETTINGS = (("explain",), ("local", "status"), ("local", "env"), ("local", "down"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_repeats_its_arguments_harmlessly(
    command: tuple[str, ...], told: Callable[[], str]
) -> None:
    wrong = (
        ["--" + HOSTILE],
        [HOSTILE] * 5,
        ["--config"],
        ["--target", HOSTILE],
        ["--limit", HOSTILE],
    )
    for arguments in wrong:
        assert failure.run(app, [*command, *arguments]) == 2
    said = told()
    _require_harmless(said, errors=len(wrong))
    assert "\\x1b]52" in said


@pytest.mark.parametrize("command", [each for each in COMMANDS if each[0] != "init"], ids=" ".join)
def test_every_command_names_hostile_settings_harmlessly(
    command: tuple[str, ...], told: Callable[[], str], tmp_path: Path
) -> None:
    path = tmp_path / HOSTILE.replace("/", "").replace("\ud800", "") / "regionshift.yaml"
    path.parent.mkdir()
    # JSON is YAML: in its quotes the escapes are read as the characters that they stand for.
    hostile = json.dumps(HOSTILE.replace("\ud800", ""))
    path.write_text(f"project: {hostile}\n{hostile}: 1\n", encoding="utf-8")
    needed = {"diff": ["a", "b"], "promote": ["a"], "move": ["--from", "a", "--to", "b"]}
    code = failure.run(app, [*command, *needed.get(command[-1], ()), "--config", str(path)])
    said = told()
    _require_harmless(re.sub(r"(?m)^error: (The|Nothing)", "", said))
    if command not in READS_NO_SETTINGS:
        assert code == 2
        assert "\\x1b]52" in said


@pytest.mark.parametrize("verbose", [[], ["-v"]])
@pytest.mark.parametrize("error", [WorkFailed, InputError, ValueError])
def test_errors_are_shown_harmlessly(
    error: Callable[..., Exception], verbose: list[str], told: Callable[[], str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raised = error(HOSTILE) if error is ValueError else error(HOSTILE, where=HOSTILE, remedy=HOSTILE)
        raised.add_note(HOSTILE)
        raise raised

    assert failure.run(typing.cast(Any, fail), verbose) in (1, 2)
    said = told()
    assert SHOWN in said
    # Of a traceback, which is for developers, the lines stay lines; of an error each part is on one.
    assert _is_visible(said)
    if not verbose:
        _require_harmless(said.removeprefix("error: "))


def test_what_verbose_says_is_harmless(told: Callable[[], str]) -> None:
    with logs.listening(2, None, show.screen_of(stderr=True).print):
        logs.tell(HOSTILE, op=HOSTILE, region=None, name=[HOSTILE])
    said = told()
    _require_harmless(said)
    assert SHOWN in said


CONFIG = MigrationConfig.model_validate(
    {
        "project": "shop",
        "environment": "dev",
        "account": "123456789012",
        "target": "local",
        "regions": {"primary": "eu-west-1"},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
)


def test_a_question_names_where_and_an_answer_that_is_none_is_asked_again(
    told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sure\nno\n"))
    assert not show.ask(Choices(), "Destroy?", CONFIG)
    said = " ".join(told().split())
    assert said.count("dev (account 123456789012, target local): Destroy? [y/N]") == 2
    assert "'sure' is neither yes nor no: type y or n; Enter alone means no." in said
    for answer, meant in (("Y", True), ("yes", True), ("", False), ("N", False)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{answer}\n"))
        assert show.ask(Choices(), "Destroy?", CONFIG) is meant


def test_a_name_that_is_not_the_environments_is_told_with_the_one_that_is(
    told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "person_is_there", lambda: True)
    monkeypatch.setattr(show, "forget_typed", lambda: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("prod\n"))
    with pytest.raises(Refused, match="'prod' is not the name of this environment") as refused:
        show.confirm_by_name(Choices(), CONFIG)
    assert refused.value.remedy == "run the command again and type dev"
    assert "dev (account 123456789012, target local): Type" in " ".join(told().split())


def test_questions_are_harmless(told: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{HOSTILE}\ny\n"))
    assert show.ask(Choices(), HOSTILE, CONFIG)
    _require_harmless(told())


def test_what_was_typed_before_a_question_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard, terminal_end = pty.openpty()

    def asked(_question: str, **_: object) -> str:
        os.write(keyboard, b"n\n")
        return sys.stdin.readline().strip()

    with os.fdopen(terminal_end) as stdin, os.fdopen(keyboard, "wb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(typer, "prompt", asked)
        os.write(keyboard, b"y\n")
        assert not show.ask(Choices(), "Destroy?", CONFIG)


def test_json_is_ascii(told: Callable[[], str]) -> None:
    show.print_json({HOSTILE: HOSTILE})
    said = told()
    assert said.isascii()
    assert _is_visible(said)


def test_junit_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    recovery = {"rpo": 1.0, "replication_seconds": {HOSTILE: 1.0}, "warnings": [HOSTILE]}
    results = [
        CheckResult(HOSTILE, HOSTILE, "failed", HOSTILE, HOSTILE),
        CheckResult("a", "b", "not applicable", HOSTILE),
    ]
    write_junit(path, results, HOSTILE, recovery)
    found = ET.parse(path).getroot()
    for each in found.iter():
        assert all(map(_is_visible, (each.text or "", *each.attrib.values())))


def test_lines_for_a_shell_are_visible_and_exact(told: Callable[[], str]) -> None:
    import subprocess

    value = "/tmp/it's \\ a\x1b[31m\n\u202eü"
    show.print_for_shell({"NAME": value, "PLAIN": "a b"})
    said = told()
    assert _is_visible(said)
    script = said + 'printf "%s|%s" "$NAME" "$PLAIN"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout == f"{value}|a b".encode()
