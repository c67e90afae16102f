"""What is said of the replication of a region that is gone: the newest that any run of ours measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from regionshift.aws.clients import Clients
from regionshift.journal.backends import open_state
from regionshift.journal.events import Kind
from regionshift.journal.journal import Journal
from regionshift.operations.checks.replication import MeasuredRecovery
from regionshift.operations.moving.fencing import last_measured, unproven
from regionshift.operations.moving.proposing import measured as of_promotion
from regionshift.runs.state import SagaState
from regionshift.settings.config import MigrationConfig

NEW, OTHER = "eu-west-1", "us-west-2"


class Clock:
    """A minute goes by each time that somebody looks."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(open_state(tmp_path.as_uri()), "shop.dev", Clock())


def _run(journal: Journal, kind: Kind, steps: dict[str, dict[str, Any]], result: dict[str, Any]) -> str:
    run = journal.start(kind, {})
    for step, data in steps.items():
        run.append(step, "before")
        run.append(step, "after", None, data)
    run.close("succeeded", result)
    return run.run_id


def _bake(seconds: float, region: str = NEW) -> dict[str, dict[str, Any]]:
    said = {"looks": 1, "probes": {}, "traffic": {}, "replication_seconds": {region: seconds}}
    return {"wave-1/apply": {}, "wave-1/bake": said, "wave-2/validate": {"checks": 9}}


def test_nothing_was_measured(journal: Journal) -> None:
    assert last_measured(journal, NEW) is None
    _run(journal, "deployment", {"apply": {}}, {})
    assert last_measured(journal, NEW) is None


def test_a_bake_is_a_measurement_into_the_regions_that_it_watched(journal: Journal) -> None:
    run_id = _run(journal, "deployment", _bake(0.4), {})
    _run(journal, "deployment", _bake(9.0, OTHER), {})
    found = last_measured(journal, NEW)
    assert found is not None
    assert (found.seconds, found.run_id) == (0.4, run_id)
    baked = next(each for each in journal.view(run_id).steps if each.step == "wave-1/bake")
    assert found.at == baked.at, "the time of the bake, not of the deployment's end"


def test_a_migration_is_one(journal: Journal) -> None:
    recovery = MeasuredRecovery(3.0, 900.0, {NEW: 0.7, OTHER: 2.0})
    run_id = _run(journal, "migration", {}, {"recovery": recovery.as_json})
    found = last_measured(journal, NEW)
    assert found and (found.seconds, found.run_id) == (0.7, run_id)
    unseen = MeasuredRecovery(3.0, 900.0, {NEW: None})
    _run(journal, "migration", {}, {"recovery": unseen.as_json})
    assert last_measured(journal, NEW) == found, "a probe that did not arrive is no measurement"


def test_a_change_of_primary_is_one_alone_and_in_a_move(journal: Journal) -> None:
    state = SagaState((), said={"validate-all": {"checks": 9, "replication_seconds": 0.2}})
    _run(journal, "promotion", {}, dict(of_promotion(state)))
    found = last_measured(journal, NEW)
    assert found and found.seconds == 0.2
    said = {**of_promotion(state), "replication_seconds": 0.3}
    run_id = _run(journal, "move", {}, {"phases": {"up": {"changed": 3}, "promote": said}})
    found = last_measured(journal, NEW)
    assert found and (found.seconds, found.run_id) == (0.3, run_id)


def test_the_newest_counts(journal: Journal) -> None:
    _run(journal, "promotion", {}, {"replication_seconds": 5.0})
    _run(journal, "deployment", _bake(0.1), {})
    found = last_measured(journal, NEW)
    assert found and found.seconds == 0.1


class CloudWatch:
    """What S3 told of a replication in the region that it goes to; ``wrong`` is raised instead."""

    def __init__(self, points: Sequence[tuple[float, datetime]] = (), wrong: Exception | None = None) -> None:
        self._points, self._wrong = points, wrong
        self.asked: dict[str, Any] = {}

    def get(self, service: str, region: str) -> Any:
        assert (service, region) == ("cloudwatch", NEW)
        return self

    def get_metric_statistics(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        if self._wrong:
            raise self._wrong
        return {"Datapoints": [{"Maximum": seconds, "Timestamp": at} for seconds, at in self._points]}


def _config(**changes: Any) -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": OTHER, "secondaries": [NEW]},
            "network": {"vpc_cidr": "10.0.0.0/8"},
            **changes,
        }
    )


NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _unproven(journal: Journal, cloudwatch: CloudWatch, **changes: Any) -> list[str]:
    return unproven(cast(Clients, cloudwatch), journal, _config(**changes), OTHER, NEW, NOW)


def test_what_may_be_missing_is_said_with_the_newest_of_each_measure(journal: Journal) -> None:
    run_id = _run(journal, "deployment", _bake(0.4), {})
    seen = CloudWatch(
        [(3.0, NOW - timedelta(hours=2)), (42.0, NOW - timedelta(hours=1)), (5.0, NOW - timedelta(hours=3))]
    )
    lost, ours, theirs, failed, *rest = _unproven(journal, seen)
    assert rest == []
    assert f"written in {OTHER} and had not reached {NEW}" in lost
    assert "0.40 s" in ours and run_id in ours
    assert "42 s behind, at 2026-01-01 23:00:00 UTC" in theirs and "the 42 s before the loss" in theirs
    assert f"missing in {NEW}" in failed
    assert (seen.asked["StartTime"], seen.asked["EndTime"]) == (NOW - timedelta(days=1), NOW)
    assert (seen.asked["Namespace"], seen.asked["MetricName"]) == ("AWS/S3", "ReplicationLatency")
    assert {each["Name"]: each["Value"] for each in seen.asked["Dimensions"]} == {
        "SourceBucket": f"shop-deployment-{OTHER}-dev-123456789012",
        "DestinationBucket": f"shop-deployment-{NEW}-dev-123456789012",
        "RuleId": f"to-{NEW}",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricStatistics"),
        EndpointConnectionError(endpoint_url="https://nowhere"),
    ],
    ids=str,
)
def test_what_nobody_measured_is_said_to_be_unknown(journal: Journal, wrong: Exception | None) -> None:
    carried = {"ssm": [{"path": "/shop"}]}
    _, ours, theirs, _, carry = _unproven(journal, CloudWatch(wrong=wrong), carry=carried)
    assert f"replication to {NEW} was never measured by us" in ours
    assert f"CloudWatch in {NEW} has no replication latency of the last 24 hours" in theirs
    assert "what `carry` names is as the last migration left it" in carry
