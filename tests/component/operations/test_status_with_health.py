"""`status` says of each region how it is and since when, and ends with what is not well and the next command."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regionshift.cli.status import status_view
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.operations import signals
from regionshift.operations.alarms import RedAlarm
from regionshift.operations.checks.last import keep_checks, last_checks
from regionshift.operations.moving.fencing import note_of
from regionshift.operations.signals import ReplicationNow, Signals, answers_within, signals_of
from regionshift.operations.status import EnvironmentSeen, LastChange, StatusReport, verdict_of
from regionshift.operations.unfinished import OpenRun
from regionshift.report.printer import Screen
from regionshift.report.values import CheckResult
from regionshift.runs.deployment_state import RegionState
from regionshift.settings.config import Regions

FIRST, SECOND, THIRD = "us-east-1", "eu-west-1", "ap-southeast-2"
NOW = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
DIGEST = "3f9a2c81d0e4" + "0" * 52
PLACE = EnvironmentSeen("orders-dev", "123456789012", "aws", FIRST, 900.0, NOW)
WELL = {region: RegionState(DIGEST) for region in (FIRST, SECOND, THIRD)}
BROKEN = CheckResult("function", SECOND, "failed", "it answered 500", "look at its log")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(open_state(tmp_path.as_uri()), "dev", lambda: NOW, by="ann")


def _shown(found: StatusReport, width: int = 80, height: int = 24) -> str:
    screen = Screen(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        color_system=None,
        legacy_windows=False,
    )
    screen.print(status_view(found, height))
    return cast(io.StringIO, screen.file).getvalue()


def _checked(journal: Journal, *results: CheckResult, delay: float | None = None) -> dict[str, Any]:
    where = {each.region for each in results}
    delays = dict.fromkeys(where, delay) if delay is not None else {}
    keep_checks(journal, results, dict.fromkeys(where, DIGEST), delays)
    return last_checks(journal, [FIRST, SECOND, THIRD])


@pytest.mark.parametrize("width", [80, 120])
def test_everything_that_is_wrong_is_told_with_since_when_and_what_mends_it(
    journal: Journal, width: int
) -> None:
    checks = _checked(journal, BROKEN, CheckResult("network", SECOND, "passed", ""), delay=0.03)
    found = StatusReport(
        PLACE,
        WELL,
        unfinished=[
            OpenRun("000004-deployment-1", "deployment", "x", "wave 2 waits for a person", True, "go on")
        ],
        last_change=LastChange("000003-deployment-2", "deployment", "succeeded", "", "", "ann", NOW, True),
        signals=Signals(
            (RedAlarm("errors", SECOND, "2026-05-01T09:00:00+00:00"),),
            away={THIRD: "no answer within 10 s"},
            replication={THIRD: ReplicationNow(1200.0, 14, 9, NOW, "CloudWatch")},
        ),
        checks=checks,
    )
    said = " ".join(_shown(found, width).split())
    for each in (
        f"{FIRST} primary 3f9a2c81d0e4 well",
        f"{SECOND} · 3f9a2c81d0e4 1 red, 1 failed 0 s 0.03 s",
        f"{THIRD} · 3f9a2c81d0e4 no answer · 20 min, 14 left",
        f"{THIRD} does not answer: no answer within 10 s → regionshift up --skip-region {THIRD}",
        f"errors [{SECOND}] is in ALARM since 2026-05-01 09:00:00 UTC",
        f"function [{SECOND}] failed at 2026-05-01 09:30:00 UTC: it answered 500 → look at its log",
        "000004-deployment-1 is not finished: wave 2 waits for a person → go on",
        "The last deployment, 000003-deployment-2: succeeded, by ann, 2026-05-01 09:30:00 UTC",
        f"{THIRD} is 1200 s behind {FIRST}; the target (RPO) is 900 s",
        "Not well: 1 silent region, 1 red alarm, 1 failed check, 1 unfinished run, 1 late replication",
        f"next: regionshift up --skip-region {THIRD}",
    ):
        assert each in said, each
    assert not found.is_well
    told = found.to_json()
    assert (told["well"], told["next"]) == (False, found.next_command)
    assert told["health"][SECOND]["checks"]["failed"][0]["check"] == "function"
    assert told["health"][THIRD] | {"replication": 0} == {
        "role": "secondary", "health": "no answer", "answers": False, "alarms": [], "checks": None, "replication": 0,
    }  # fmt: skip
    assert [each["kind"] for each in told["problems"]] == [each.kind for each in found.problems]


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, ""),
        ({"signals": Signals(away={FIRST: "no"})}, "1 silent region"),
        ({"signals": Signals((RedAlarm("a", FIRST, "x"), RedAlarm("b", FIRST, "x")))}, "2 red alarms"),
        ({"signals": Signals(unread={FIRST: "AccessDenied"})}, ""),
        ({"regions": {**WELL, SECOND: RegionState(None, False, note_of(SECOND))}}, "1 fenced region"),
        ({"regions": {**WELL, SECOND: RegionState(DIGEST, False, "down")}}, "1 down region"),
        ({"regions": {**WELL, SECOND: RegionState(DIGEST, False)}}, "1 unsettled region"),
        ({"regions": {**WELL, SECOND: RegionState("other")}}, "1 second release"),
        ({"unfinished": [OpenRun("1", "move", None, "at its end", False, "", True)]}, ""),
        ({"migrations": [{"migration_id": "m", "settled": False, "running": False}]}, "1 open migration"),
    ],
)
def test_one_thing_that_is_not_well_is_enough(more: dict[str, Any], verdict: str) -> None:
    found = StatusReport(**{"regions": WELL, "place": PLACE, **more})
    assert (verdict_of(found.problems), found.is_well) == (verdict, not verdict)


LOST = "if it is lost: regionshift promote {} --source-lost"
NOT_UP = RegionState(None)


@pytest.mark.parametrize(
    ("silent", "regions", "way"),
    [
        (FIRST, WELL, LOST.format(SECOND)),
        (FIRST, {**WELL, SECOND: NOT_UP}, LOST.format(THIRD)),
        (FIRST, {FIRST: WELL[FIRST], SECOND: NOT_UP}, ""),
        (SECOND, WELL, f"regionshift up --skip-region {SECOND} changes the others without it"),
    ],
)
def test_the_way_around_a_silent_region_needs_no_other_that_is_not_up(
    silent: str, regions: dict[str, RegionState], way: str
) -> None:
    (problem,) = StatusReport(PLACE, regions, signals=Signals(away={silent: "no"})).problems
    assert problem.go_on == way


@pytest.mark.parametrize(("regions", "then"), [(WELL, ""), ({FIRST: NOT_UP}, "regionshift up")])
def test_where_nothing_is_up_the_next_command_is_up(regions: dict[str, RegionState], then: str) -> None:
    at_work = [OpenRun("1", "deployment", None, "at apply", False, "", running=True)]
    assert StatusReport(PLACE, regions).next_command == then
    assert StatusReport(PLACE, regions, unfinished=at_work).next_command == "", "that command does it"


@pytest.mark.parametrize(
    ("roles", "health", "command"),
    [((), "fenced", f"regionshift up --rejoin {SECOND}"), (("a-role",), "NOT SHUT", "regionshift up")],
)
def test_a_fenced_region_says_whether_it_is_shut_and_what_comes_next(
    roles: tuple[str, ...], health: str, command: str
) -> None:
    found = StatusReport(PLACE, {**WELL, SECOND: RegionState(None, False, note_of(SECOND, roles))})
    assert (found.health(SECOND), found.next_command) == (health, command)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_thirty_regions_are_one_screen_and_what_is_wrong_has_its_line(width: int, height: int) -> None:
    regions = [f"region-{number:02}" for number in range(30)]
    states = {region: RegionState(DIGEST) for region in regions}
    place = EnvironmentSeen("dev", "1", "aws", regions[0], 900.0, NOW)
    red = Signals((RedAlarm("errors", regions[17], "2026-05-01T09:00:00+00:00"),))
    said = _shown(StatusReport(place, states, signals=red), width, height)
    assert len(said.splitlines()) <= height
    assert f"{regions[17]}  ·        3f9a2c81d0e4  1 red" in said
    assert "… and 28 more, well, release 3f9a2c81d0e4" in said
    assert "primary" in said


def test_checks_of_another_release_are_forgotten_and_those_of_the_same_are_added_to(journal: Journal) -> None:
    _checked(journal, BROKEN, delay=0.5)
    (kept,) = _checked(journal, CheckResult("replication", SECOND, "passed", "")).values()
    assert [each.check for each in kept.failed] == ["function"] and len(kept.results) == 2
    assert kept.replication_seconds == 0.5
    keep_checks(journal, [CheckResult("function", SECOND, "passed", "")], {SECOND: "new"}, {})
    (kept,) = last_checks(journal, [SECOND]).values()
    assert (kept.failed, kept.release, len(kept.results), kept.replication_seconds) == ((), "new", 1, None)


def test_a_record_that_cannot_be_read_is_no_check(journal: Journal) -> None:
    _checked(journal, BROKEN)
    journal.store.put(f"journal/dev/checks/{SECOND}.json", b'{"at": ')
    assert last_checks(journal, [SECOND]) == {}


def test_a_region_that_hangs_keeps_nobody_waiting(hang: Callable[[], str]) -> None:
    answers = answers_within(0.05, [FIRST, SECOND], lambda region: region if region == FIRST else hang())
    assert answers == {FIRST: FIRST}


def test_a_region_that_hangs_is_told_as_one_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, hang: Callable[[], str]
) -> None:
    monkeypatch.setattr(signals, "red_in", lambda *asked: [] if asked[-1] == FIRST else list(hang()))
    config: Any = SimpleNamespace(target="local", deployment=SimpleNamespace(alarms=()))
    environment: Any = SimpleNamespace(config=config, called_config=config, now=lambda: NOW)
    environment.clients = SimpleNamespace(impatient=None)
    monkeypatch.setattr(signals, "terms_of", lambda _: SimpleNamespace(alarms=()))
    regions = Regions(primary=FIRST, secondaries=(SECOND,))
    found = signals_of(environment, [FIRST, SECOND], regions, patience=0.05)
    assert found.away == {SECOND: "no answer within 0 s"}


def test_red_alarms_of_a_region_whose_figures_hang_are_told(
    monkeypatch: pytest.MonkeyPatch, hang: Callable[[], str]
) -> None:
    red = RedAlarm("errors", FIRST, "x")
    monkeypatch.setattr(signals, "red_in", lambda *_: [red])
    monkeypatch.setattr(signals, "terms_of", lambda _: SimpleNamespace(alarms=()))
    monkeypatch.setattr(signals, "_replication", lambda *_: hang())
    environment: Any = SimpleNamespace(
        config=None, called_config=None, clients=SimpleNamespace(impatient=None)
    )
    found = signals_of(environment, [FIRST], Regions(primary=FIRST), patience=0.05)
    assert (found.red, found.away) == ((red,), {})
    assert found.unmeasured == {FIRST: "no answer within 0 s"}


@pytest.mark.parametrize("wrong", [ValueError("a defect")])
def test_what_goes_wrong_in_asking_is_not_taken_for_silence(wrong: Exception) -> None:
    def ask(_: str) -> str:
        raise wrong

    with pytest.raises(ValueError, match="a defect"):
        answers_within(5.0, [FIRST], cast(Callable[[str], str], ask))


def test_how_long_ago_is_told_in_its_largest_unit() -> None:
    place = EnvironmentSeen("dev", "1", "aws", FIRST, 900.0, NOW + timedelta(hours=2, minutes=5))
    checks = {FIRST: SimpleNamespace(at=NOW, failed=(), release=DIGEST, replication_seconds=None)}
    said = _shown(StatusReport(place, {FIRST: RegionState(DIGEST)}, checks=cast(Any, checks)))
    assert "  2 h  " in said and "Well." in said
