"""Measured figures against targets: what is missed is told, in every form of the report."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regionshift.journal.events import RunView, StepView
from regionshift.operations.checks.base import Wrong
from regionshift.operations.checks.replication import MeasuredRecovery, ReplicationCheck
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.operations.moving.proposing import figures, recovery
from regionshift.report.junit import write_junit
from regionshift.report.migrations import recovery_lines
from regionshift.report.printer import Screen
from regionshift.report.terminal import run_facts_table
from regionshift.settings.editing import Edit
from regionshift.waiting import AT_ONCE

MISSED = MeasuredRecovery(75.0, 10.0, {"eu-west-1": 12.5, "eu-west-2": None, "eu-west-3": 1.0})


def test_what_is_within_the_targets_warns_of_nothing() -> None:
    assert MeasuredRecovery(60.0, 10.0, {"eu-west-1": 10.0}).warnings == ()


def test_each_target_that_is_missed_is_named_with_its_figures() -> None:
    assert MISSED.warnings == (
        "replication to eu-west-1 took 12.5 s, the target (RPO) is 10 s",
        "replication to eu-west-2 was not seen; the target (RPO) is 10 s",
    )
    assert MISSED.delay is None, "one did not arrive, so nobody knows what may be lost"
    assert MeasuredRecovery(75.0, 10.0, {"eu-west-1": 12.5, "eu-west-3": 1.0}).delay == 12.5


class _Versions:
    """Versions and delete markers of buckets that are keyed by their name; nothing of one reaches another."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, str]] = []

    def get(self, _service: str, _region: str) -> _Versions:
        return self

    def put_object(self, **request: str) -> None:
        self.kept.append(("Versions", request["Bucket"], request["Key"]))

    def head_object(self, **_: str) -> dict[str, str]:
        return {"ReplicationStatus": "PENDING"}

    def delete_object(self, **request: str) -> None:
        named = (request.get("VersionId", ""), request["Bucket"], request["Key"])
        if named in self.kept:
            self.kept.remove(named)
        else:
            self.kept.append(("DeleteMarkers", *named[1:]))

    def get_paginator(self, _: str) -> _Versions:
        return self

    def paginate(self, **request: str) -> list[dict[str, list[dict[str, str]]]]:
        found: dict[str, list[dict[str, str]]] = {"Versions": [], "DeleteMarkers": []}
        for kind, bucket, key in self.kept:
            if bucket == request["Bucket"] and key.startswith(request["Prefix"]):
                found[kind].append({"Key": key, "VersionId": kind})
        return [found]


def _context(s3: _Versions, slept: list[float]) -> Any:
    return SimpleNamespace(
        primary="us-east-1",
        config=SimpleNamespace(target="aws", regions=SimpleNamespace(secondaries=("eu-west-1",))),
        outputs=SimpleNamespace(get=lambda _, region: f"bucket-{region}"),
        clients=s3,
        clock=lambda: sum(slept),
        sleep=slept.append,
        waiter=AT_ONCE,
    )


def test_where_a_probe_did_not_arrive_nobody_waits_for_its_delete_marker() -> None:
    s3, slept = _Versions(), [0.0]
    context = _context(s3, slept)
    with pytest.raises(Wrong, match="the probe did not arrive within 900 s"):
        ReplicationCheck().ask(context, "eu-west-1")
    assert sum(slept) == pytest.approx(900)
    assert s3.kept == [], "nothing of the probe is left"


class _Late(_Versions):
    """Replicates after some seconds."""

    def __init__(self, slept: list[float], after: float) -> None:
        super().__init__()
        self._slept, self._after = slept, after

    def paginate(self, **request: str) -> list[dict[str, list[dict[str, str]]]]:
        is_there = request["Bucket"] == "bucket-us-east-1" or sum(self._slept) >= self._after
        return super().paginate(**{**request, "Bucket": "bucket-us-east-1"} if is_there else request)


@pytest.mark.parametrize("after", [27.0, 200.0])
def test_what_a_probe_took_is_measured_to_some_seconds(after: float) -> None:
    slept = [0.0]
    context = _context(_Late(slept, after), slept)
    arrival = ReplicationCheck().measure(context)["eu-west-1"]
    assert arrival.probe is not None and after <= arrival.probe <= after + 5


class _NewRole(_Versions):
    """Replicates what is put when the role is known, and fails for good what was put before."""

    def __init__(self, slept: list[float], known_after: float) -> None:
        super().__init__()
        self._slept, self._known, self.puts = slept, known_after, 0

    def put_object(self, **request: str) -> None:
        super().put_object(**request)
        self.puts += 1
        if self._is_known:
            super().put_object(Bucket="bucket-eu-west-1", Key=request["Key"])

    def delete_object(self, **request: str) -> None:
        super().delete_object(**request)
        if "VersionId" not in request:
            self.kept.append(("DeleteMarkers", "bucket-eu-west-1", request["Key"]))

    def head_object(self, **_: str) -> dict[str, str]:
        return {"ReplicationStatus": "FAILED"}

    @property
    def _is_known(self) -> bool:
        return sum(self._slept) >= self._known


def test_a_probe_that_failed_before_the_role_was_known_is_put_again() -> None:
    slept = [0.0]
    s3 = _NewRole(slept, known_after=20.0)
    assert "arrived after" in ReplicationCheck().ask(_context(s3, slept), "eu-west-1")
    assert 20 <= sum(slept) < 60
    assert s3.puts > 1
    assert s3.kept == [], "nothing of any of them is left"


def test_where_nothing_replicates_nothing_is_claimed() -> None:
    none = MeasuredRecovery(1.0, 10.0)
    assert none.delay is None
    assert none.warnings == ()


def test_the_warnings_are_in_the_junit_file_and_on_the_screen(tmp_path: Path) -> None:
    write_junit(tmp_path / "checks.xml", [], "checks", MISSED.as_json)
    root = ET.parse(tmp_path / "checks.xml").getroot()
    found = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert found["recovery.replication_seconds.eu-west-2"] == "not seen"
    assert found["recovery.seconds"] == "75.000"
    assert not any("rto" in str(name) for name in found), "a duration of checks is no RTO"
    assert MISSED.warnings[0] in (root.findtext("system-out") or "")
    screen = Screen(width=80, record=True, file=io.StringIO())
    screen.print(recovery_lines(MISSED.as_json))
    text = " ".join(screen.export_text().split())
    assert all(warning in text for warning in MISSED.warnings)
    assert "RTO" not in text
    assert "replication delay (RPO) not measured" in text


BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _promoted(kind: str = "promotion", outcome: str = "promoted") -> RunView:
    """Begun, served after 40 s, ended after 100 s."""
    turned = StepView("turn", None, "after", 2, BEGAN, BEGAN + timedelta(seconds=40), {})
    ended = BEGAN + timedelta(seconds=100)
    return RunView("1-promotion-a", kind, BEGAN, ended, outcome, {}, {}, (turned,), 3, newer=False)


def _plan(*, lost: bool) -> PromotionPlan:
    return PromotionPlan(
        "us-east-1",
        "eu-west-1",
        (),
        {},
        None,
        "d",
        Edit(replacements=(), digest_before="", digest_after=""),
        lost=lost,
    )


def _shown(facts: dict[str, object]) -> list[str]:
    screen = Screen(width=80, record=True, file=io.StringIO())
    screen.print(run_facts_table(facts))
    return [" ".join(line.split()) for line in screen.export_text().splitlines()]


def test_what_was_lost_with_a_region_is_unknown_and_said_to_be() -> None:
    delay = {"replication_seconds": 0.03}
    said = recovery(_plan(lost=True), _promoted(), delay, 3600)
    assert said["rpo_seconds"] is None
    shown = _shown({**delay, "seconds": 100.0, **said})
    assert "what was lost (RPO) unknown" in shown
    assert "replication delay now 0.03 s" in shown
    told = figures(_promoted(), {**delay, "rpo_seconds": None})
    assert "how much was lost is unknown (RPO)" in told
    assert "0.03 s (RPO)" not in told


def test_a_recovery_is_timed_from_its_beginning_until_the_new_primary_serves() -> None:
    delay = {"replication_seconds": 0.03}
    said = recovery(_plan(lost=False), _promoted(), delay, 30)
    assert (said["rto_seconds"], said["rpo_seconds"]) == (40.0, 0.03)
    assert said["warnings"] == ["eu-west-1 served after 40 s, the target (RTO) is 30 s"]
    shown = _shown({**delay, "seconds": 100.0, **said})
    assert "until it served (RTO) 40 s" in shown
    assert "replication delay (RPO) 0.03 s" in shown
    assert "served after 40 s (RTO)" in figures(_promoted(), delay)


@pytest.mark.parametrize(("kind", "outcome"), [("move", "moved"), ("promotion", "rolled back")])
def test_what_recovered_nothing_has_no_recovery_time(kind: str, outcome: str) -> None:
    assert "RTO" not in figures(_promoted(kind, outcome), {})
    assert not any("RTO" in line for line in _shown({"replication_seconds": 0.03, "seconds": 100.0}))
