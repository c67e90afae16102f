"""What `status` and `history` say of changes that ended badly, are running, or were taken back."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from test_status_with_health import PLACE

from regionshift.cli.history import history_table
from regionshift.cli.status import status_view
from regionshift.errors import Interrupted
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder
from regionshift.operations import unfinished
from regionshift.operations.alarms import RedAlarm
from regionshift.operations.checks.base import CheckContext, run_checks
from regionshift.operations.checks.monitoring import AlarmsCheck
from regionshift.operations.deploying import HalfDone
from regionshift.operations.environment import Outputs
from regionshift.operations.migrations.listing import migration_named
from regionshift.operations.signals import Signals, signals_of
from regionshift.operations.status import StatusReport, last_change, releases_among
from regionshift.operations.unfinished import OpenRun, alive_runs, open_runs, worked_on
from regionshift.report.printer import Screen
from regionshift.runs.deployment_state import RegionState
from regionshift.settings.components import every_name
from regionshift.settings.config import MigrationConfig, Regions
from regionshift.settings.load import load_config
from regionshift.settings.names import NameKind

FIRST, SECOND = "us-east-1", "eu-west-1"
PLAN = {"waves": [{"regions": [SECOND]}, {"regions": [FIRST]}]}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    moment = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
    return Journal(open_state(tmp_path.as_uri()), "dev", lambda: moment, by="ann")


def _shown(view: Any) -> str:
    screen = Screen(file=io.StringIO(), width=200)
    screen.print(view)
    return cast(io.StringIO, screen.file).getvalue()


def _failed(journal: Journal, outcome: str, regions: dict[str, RegionState]) -> str:
    run = journal.start("deployment", {"plan": PLAN})
    run.append("wave-1/bake", "before")
    run.append("wave-1/bake", "failed", data={"error": "red: errors [eu-west-1]"})
    said = {r: {"release": s.release, "settled": s.settled, "note": s.note} for r, s in regions.items()}
    run.close(outcome, {"regions": said}, failed=True)
    return run.run_id


def test_history_says_who_where_why_and_since_when(journal: Journal) -> None:
    _failed(journal, "rolled back", {FIRST: RegionState("a"), SECOND: RegionState("a")})
    journal.start("rollback", {"migration_id": "m-1", "reason": "wrong bucket"}).close("rolled_back")
    back, up = _shown(history_table(journal.history())).splitlines()[1:3]
    assert up.rstrip().endswith("failed, rolled back")
    assert back.rstrip().endswith("succeeded")
    assert "2026-05-01 09:30:00 UTC" in up
    assert f"{SECOND}, {FIRST}" in up
    assert "ann" in up
    assert "m-1" in back
    told = _shown(history_table(journal.history()))
    assert "wave-1/bake: red: errors [eu-west-1]" in told
    assert "wrong bucket" in told


def test_history_is_the_same_from_the_copies_and_from_the_events(journal: Journal) -> None:
    run = _failed(journal, "stopped", {FIRST: RegionState("a")})
    copied = journal.history()
    journal.store.delete([f"journal/dev/closed/{run[:6]}.json"])
    assert journal.history() == copied


def test_what_was_taken_back_by_resume_is_no_failure(journal: Journal) -> None:
    run = journal.start("deployment", {"plan": PLAN})
    run.append("decision", "after", data={"direction": "back"})
    run.close("rolled back", failed=True)
    assert "rolled back as asked" in _shown(history_table(journal.history()))


def test_a_stopped_deployment_that_left_two_releases_is_told(journal: Journal) -> None:
    regions = {FIRST: RegionState("a" * 64), SECOND: RegionState("b" * 64)}
    run = _failed(journal, "stopped", regions)
    last = last_change(journal, regions)
    told = _shown(status_view(StatusReport(PLACE, regions, last_change=last)))
    assert f"Regions run 2 releases: aaaaaaaaaaaa in {FIRST}; bbbbbbbbbbbb in {SECOND}" in told
    assert (
        f"The last deployment, {run}: stopped, by ann, 2026-05-01 09:30:00 UTC: wave-1/bake: red: errors"
        in told
    )
    assert f"regionshift rollback {run}" in told


def test_what_succeeded_afterwards_is_all_that_counts(journal: Journal) -> None:
    _failed(journal, "rolled back", {FIRST: RegionState("a")})
    first = last_change(journal, {})
    assert first is not None and not first.succeeded
    journal.start("migration", {"migration_id": "m"}).close("failed", failed=True)
    assert last_change(journal, {}) == first
    journal.start("deployment", {"plan": PLAN}).close("succeeded")
    last = last_change(journal, {})
    assert last is not None
    assert (last.succeeded, last.by, last.go_on) == (True, "ann", "")


def test_how_a_run_of_an_unknown_kind_ended_is_no_fault(journal: Journal) -> None:
    journal.start("evacuation", {}).close("evacuated")
    assert last_change(journal, {}) is None
    failed = _failed(journal, "rolled back", {FIRST: RegionState("a")})
    journal.start("evacuation", {}).close("evacuated")
    last = last_change(journal, {})
    assert last is not None
    assert last.run == failed


@pytest.mark.parametrize(
    ("kind", "running", "well"), [("destroy", True, True), ("destroy", False, False), ("move", True, False)]
)
def test_unread_records_are_a_fault_unless_they_are_being_taken_away(
    kind: str, running: bool, well: bool
) -> None:
    at_work = OpenRun("1", kind, None, "at its end", False, "", running)
    found = StatusReport(PLACE, {}, unfinished=[at_work], migrations_unread="they could not be read")
    assert found.is_well is well
    assert replace(found, migrations_unread="").is_well is running


def test_an_interruption_while_migrations_are_read_ends_the_command() -> None:
    @contextmanager
    def stopped() -> Iterator[Any]:
        raise Interrupted("Stopped as asked.")
        yield

    tools: Any = SimpleNamespace(
        journal=None,
        environment=SimpleNamespace(scope=SimpleNamespace(uncalled=frozenset())),
        carrying=stopped,
    )
    deployed = SimpleNamespace(regions={FIRST: RegionState("a")})
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(unfinished, "deployed_releases", lambda _: deployed)
        unfinished.all_migrations(tools)


def test_a_first_change_that_ended_half_way_is_between_no_releases() -> None:
    half = HalfDone("000001-deployment-1", "deployment", "interrupted", "regionshift resume")
    (first,) = StatusReport(PLACE, {FIRST: RegionState(None)}, half_done=half).problems
    assert first.what.endswith("the environment is not complete")
    later = StatusReport(PLACE, {FIRST: RegionState("a")}, half_done=half).problems
    assert later[0].what.endswith("regions may be between two releases")


def test_regions_that_are_down_make_no_second_release() -> None:
    assert len(releases_among({FIRST: RegionState("a"), SECOND: RegionState("b", False, "down")})) == 1


def test_a_run_that_is_alive_is_no_reason_to_resume(journal: Journal) -> None:
    run = journal.start("promotion", {"promotion": {}})
    run.append("turn", "before")
    holder = Holder("ann", "host", 42, journal.now(), "t", run.run_id)
    unsettled = {FIRST: RegionState("a", settled=False)}
    runs = open_runs(journal, alive_runs(journal, holder.run_id))
    alive = _shown(status_view(StatusReport(PLACE, unsettled, unfinished=runs, lock=holder)))
    assert f"The promotion {run.run_id} is running: at turn" in alive
    assert "changing" in alive and "Well, and being changed." in alive
    assert "resume" not in alive
    dead = _shown(status_view(StatusReport(PLACE, unsettled, unfinished=open_runs(journal))))
    assert "next: regionshift resume" in dead
    assert f"{FIRST} is between two releases" in dead


def test_what_lies_stopped_beside_a_migration_that_runs_is_to_be_resumed(journal: Journal) -> None:
    stopped = journal.start("deployment", {"releases": {FIRST: "b"}})
    stopped.append("apply", "before")
    move = journal.start("move", {"move": {"from": FIRST, "to": SECOND}})
    migration = journal.start("migration", {"migration_id": "m-1"})
    runs = open_runs(journal, alive_runs(journal, migration.run_id))
    assert [(run.run, run.running) for run in runs] == [(move.run_id, False), (stopped.run_id, False)]
    holder = Holder("ann", "host", 42, journal.now(), "t", migration.run_id)
    two = {FIRST: RegionState("a" * 64, settled=False), SECOND: RegionState("b" * 64)}
    told = _shown(status_view(StatusReport(PLACE, two, unfinished=runs, lock=holder)))
    assert f"The deployment {stopped.run_id} is not finished: at apply" in told
    assert (
        "regionshift resume" in told and "between two releases" in told and "Regions run 2 releases" in told
    )
    assert "is running" not in told and "changing" not in told


def test_what_a_running_part_belongs_to_is_running(journal: Journal) -> None:
    stopped = journal.start("deployment", {"plan": PLAN}).run_id
    move = journal.start("move", {"move": {"from": FIRST, "to": SECOND}}).run_id
    promotion = journal.start("promotion", {"promotion": {"old": FIRST, "new": SECOND}}).run_id
    assert alive_runs(journal, promotion) == {promotion, move}
    copy = journal.start("migration", {"migration_id": f"{promotion}-carry"})
    assert alive_runs(journal, copy.run_id) == {copy.run_id, promotion, move}
    copy.close("completed")
    assert alive_runs(journal, copy.run_id) >= {promotion, move}, "its end is not theirs"
    back = journal.start("rollback", {"migration_id": f"{move}-carry"}).run_id
    assert alive_runs(journal, back) == {back, move}
    assert stopped not in alive_runs(journal, move)


def test_migrations_of_open_runs_are_known(journal: Journal) -> None:
    move = journal.start("move", {"move": {"from": FIRST, "to": SECOND}})
    one = journal.start("migration", {"migration_id": "m-1"})
    journal.start("migration", {"migration_id": "m-2"})  # was killed
    ids = ["m-1", "m-2", "m-3", f"{move.run_id}-bucket"]
    assert worked_on(journal, ids, alive_runs(journal, one.run_id)) == {"m-1"}
    assert worked_on(journal, ids, alive_runs(journal, move.run_id)) == {f"{move.run_id}-bucket"}
    assert worked_on(journal, ids, alive_runs(journal, None)) == set()


def test_a_run_names_its_migration(journal: Journal) -> None:
    run = journal.start("migration", {"migration_id": "move-1"})
    assert migration_named(journal, run.run_id) == "move-1"
    assert migration_named(journal, "move-1") == "move-1"


def test_red_alarms_are_told_with_since_when() -> None:
    red = Signals((RedAlarm("errors", FIRST, "2026-05-01T09:00:00+02:00"),), {SECOND: "AccessDenied"})
    told = _shown(status_view(StatusReport(PLACE, {}, signals=red)))
    assert f"errors [{FIRST}] is in ALARM since 2026-05-01 07:00:00 UTC" in told
    assert f"Alarms of {SECOND} are not known: AccessDenied" in told


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (f"orders-function-errors-{FIRST}-dev", f"regionshift explain orders-function-errors-{FIRST}-dev"),
        ("checkout-latency", f"regionshift validate --region {FIRST}"),
    ],
)
def test_a_red_alarm_names_its_runbook_where_it_has_one(name: str, command: str) -> None:
    red = Signals((RedAlarm(name, FIRST, "2026-05-01T09:00:00+02:00"),))
    assert StatusReport(PLACE, {}, signals=red).next_command == command


class CloudWatch:
    """Every alarm of the settings as it should be, and the first of them in ALARM."""

    def __init__(self, config: MigrationConfig, state: str) -> None:
        names = [n.name for n in every_name(config) if n.kind is NameKind.ALARM and n.region == FIRST]
        self.alarms = [
            {
                "AlarmName": name,
                "AlarmActions": ["topic"],
                "ActionsEnabled": True,
                "StateValue": state if name == names[0] else "OK",
                "StateUpdatedTimestamp": datetime(2026, 5, 1, tzinfo=UTC),
            }
            for name in names
        ]

    def paginate(self) -> list[dict[str, Any]]:
        return [{"MetricAlarms": self.alarms}]


@pytest.mark.parametrize(("state", "outcome"), [("OK", "passed"), ("ALARM", "warning")])
def test_a_red_alarm_is_not_ticked(tmp_path: Path, state: str, outcome: str) -> None:
    (tmp_path / "regionshift.yaml").write_text(
        "{project: shop, environment: dev, account: '012345678901', target: local,"
        f" regions: {{primary: {FIRST}}}, network: {{vpc_cidr: 10.0.0.0/16}}}}"
    )
    config = load_config(tmp_path / "regionshift.yaml", {}, {})
    client = SimpleNamespace(get_paginator=lambda _: CloudWatch(config, state))
    outputs = cast(Outputs, SimpleNamespace(get=lambda *_: "topic"))
    context = CheckContext(
        config, outputs, cast(Any, SimpleNamespace(get=lambda *_: client)), lambda: datetime.now(UTC)
    )
    (result,) = run_checks([AlarmsCheck()], context, [FIRST])
    assert result.outcome == outcome
    assert result.passed
    assert ("in ALARM" in result.detail and "since 2026-05-01T00:00:00+00:00" in result.detail) == (
        state == "ALARM"
    )


@dataclass
class Quiet:
    """CloudWatch with the metrics of the replication, which have points or none, or may not be read."""

    points: list[float]
    refuses: str = ""
    red: str = ""
    asked: int = 0

    def get(self, *_: str) -> Any:
        return self

    named = get

    @property
    def impatient(self) -> Quiet:
        return self

    def get_paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, name))

    def describe_alarms(self, **asked: Any) -> list[dict[str, Any]]:
        assert asked["StateValue"] == "ALARM"
        return [{"MetricAlarms": [{"AlarmName": self.red, "StateUpdatedTimestamp": datetime.now(UTC)}]}]

    def get_metric_data(self, **asked: Any) -> Any:
        self.asked += 1
        if self.refuses:
            raise ClientError({"Error": {"Code": self.refuses}}, "GetMetricData")
        assert asked["EndTime"] - asked["StartTime"] == timedelta(minutes=15)
        at = [asked["EndTime"]] * len(self.points)
        stats = [query["MetricStat"] for query in asked["MetricDataQueries"]]
        assert {each["Stat"] for each in stats} == {"Maximum"}
        assert [each["Value"] for each in stats[0]["Metric"]["Dimensions"]][-1] == f"to-{SECOND}"
        ids = [query["Id"] for query in asked["MetricDataQueries"]]
        return {"MetricDataResults": [{"Id": each, "Values": self.points, "Timestamps": at} for each in ids]}


def _two_regions(clients: Quiet, target: str = "aws") -> Any:
    config = MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "012345678901",
            "target": target,
            "regions": {"primary": FIRST, "secondaries": [SECOND]},
            "network": {"vpc_cidr": "10.0.0.0/14"},
        }
    )
    return SimpleNamespace(
        config=config, called_config=config, clients=clients, now=lambda: datetime.now(UTC)
    )


@pytest.mark.parametrize(
    ("clients", "target", "silent", "unseen"),
    [
        (Quiet([]), "aws", True, False),
        (Quiet([], "AccessDenied"), "aws", False, True),
        (Quiet([1.0]), "aws", False, False),
        (Quiet([]), "local", False, False),
    ],
)
def test_an_alarm_of_the_replication_that_has_seen_nothing_is_told(
    clients: Quiet, target: str, silent: bool, unseen: bool
) -> None:
    environment = _two_regions(clients, target)
    found = signals_of(environment, [FIRST, SECOND], environment.config.regions)
    assert clients.asked == (target == "aws"), "once, of the secondary alone"
    told_by_s3 = target == "aws" and clients.points
    assert [(each.seconds, each.operations) for each in found.replication.values()] == (
        [(1.0, 1)] if told_by_s3 else []
    )
    assert (bool(found.silent), bool(found.unseen)) == (silent, unseen)
    assert all("replication-latency" in each and SECOND in each for each in (*found.silent, *found.unseen))
    told = _shown(status_view(StatusReport(PLACE, {}, signals=found)))
    assert ("has no data yet: green says nothing" in told) == silent
    assert ("regionshift validate tries it" in told) == silent
    assert ("not allowed to see whether it has data" in told) == unseen


def test_figures_that_cannot_be_read_hide_no_red_alarm() -> None:
    environment = _two_regions(Quiet([], "InternalServiceFault"))
    names = (
        n.name for n in every_name(environment.config) if n.kind is NameKind.ALARM and n.region == SECOND
    )
    environment.clients.red = next(names)
    found = signals_of(environment, [SECOND], environment.config.regions)
    assert [alarm.name for alarm in found.red] == [environment.clients.red]
    assert (found.unread, found.away) == ({}, {})
    told = _shown(status_view(StatusReport(PLACE, {SECOND: RegionState("a")}, signals=found)))
    assert "1 red" in told and f"How far {SECOND} is behind is not known: " in told


def test_the_replication_that_is_asked_about_is_the_one_that_is_deployed() -> None:
    """The settings may name a secondary, or another primary, that the next `up` brings."""
    environment = _two_regions(Quiet([]))
    assert not signals_of(environment, [SECOND], Regions(primary=FIRST)).silent
    assert environment.clients.asked == 0
