"""A bake counts real traffic, probes only what is missing, and measures the replication."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from regionshift.aws.clients import Clients
from regionshift.operations.alarms import RedAlarm, Watched, bake_finding, window_of
from regionshift.operations.checks.base import CheckContext
from regionshift.operations.environment import Outputs
from regionshift.operations.waves.bake import Breach, RegionDown, Watch
from regionshift.operations.waves.facts import Facts, Terms, facts_from_json
from regionshift.runs.deployment_plan import DeploymentPlan, Wave
from regionshift.runs.messages import StepWork, relied_on
from regionshift.settings.config import MigrationConfig

PRIMARY, SECONDARY = "us-east-1", "eu-west-1"
CONFIG = MigrationConfig.model_validate(
    {
        "project": "shop",
        "environment": "dev",
        "account": "123456789012",
        "target": "aws",
        "regions": {"primary": PRIMARY, "secondaries": [SECONDARY]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
)
OUTPUTS = Outputs(
    {
        f"{name}_{region.replace('-', '_')}": f"{name}-{region}"
        for name in ("lambda_function_name", "deployment_bucket_name")
        for region in (PRIMARY, SECONDARY)
    }
)
MY_ALARM = "mine"


@dataclass
class Region:
    """AWS as a bake sees it, with a clock that only sleeping moves on."""

    at: float = 0.0
    traffic_a_second: float = 0.0
    arrives_after: float = 1.0
    red_from: float = float("inf")
    red_until: float = float("inf")
    down: str = ""
    invoked: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    put_at: float | None = None
    deleted: list[str] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=lambda: {"status": "success"})
    crashes: bool = False
    counted: list[dict[str, Any]] = field(default_factory=list)
    data_from: float = 0.0
    asked_for_data: list[dict[str, Any]] = field(default_factory=list)
    looks: list[StepWork] = field(default_factory=list)

    def get(self, _service: str, region: str) -> Any:
        if region == self.down:
            raise EndpointConnectionError(endpoint_url="https://nowhere")
        return self

    named = get

    def invoke(self, **asked: Any) -> dict[str, Any]:
        self.invoked += 1
        self.asked.append(json.loads(asked["Payload"]))
        if self.crashes:  # Lambda API Reference, Invoke, FunctionError
            return {"Payload": io.BytesIO(b'{"errorType": "OutOfMemory"}'), "FunctionError": "Unhandled"}
        body = json.dumps(self.answer)
        return {"Payload": io.BytesIO(json.dumps({"body": body}).encode())}

    def get_metric_statistics(self, **asked: Any) -> dict[str, Any]:
        self.counted.append(asked)
        return {"Datapoints": [{"Sum": 1 + self.invoked + int(self.at * self.traffic_a_second)}]}

    def put_object(self, **_: Any) -> None:
        self.put_at = self.at

    def delete_object(self, **asked: Any) -> None:
        self.deleted.append(asked["Bucket"])

    def get_paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=self.metric_data) if name == "get_metric_data" else self

    def metric_data(self, **asked: Any) -> list[dict[str, Any]]:
        """Points of every metric from the time on at which CloudWatch tells them."""
        self.asked_for_data.append(asked)
        values = [1.0] if self.at >= self.data_from else []
        found = [{"Id": query["Id"], "Values": values} for query in asked["MetricDataQueries"]]
        return [{"MetricDataResults": found}]

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        if "Bucket" in asked:
            there = self.put_at is not None and (
                PRIMARY in asked["Bucket"] or self.at - self.put_at >= self.arrives_after
            )
            return [{}, {"Versions": [{"Key": asked["Prefix"], "VersionId": "1"}]} if there else {}]
        since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=min(self.red_from, 1e6))
        alarm = {
            "AlarmName": MY_ALARM,
            "StateTransitionedTimestamp": since,
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Period": 900,
            "EvaluationPeriods": 2,
        }
        red = self.red_from <= self.at < self.red_until
        wanted = MY_ALARM in asked.get("AlarmNames", ()) or ("StateValue" in asked and red)
        return [{"MetricAlarms": [alarm] if wanted else []}]

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at)

    def bake(self, *ignored: RedAlarm, replicated: tuple[str, ...] = (), **terms: Any) -> dict[str, Any]:
        clients = cast(Clients, self)
        context = CheckContext(CONFIG, OUTPUTS, clients, self.now, self.sleep, lambda: self.at)
        asked = Terms(**{"bake": 60, "min_samples": 10, "alarms": (Watched(MY_ALARM, SECONDARY),), **terms})
        watch = Watch(clients, lambda: self.at, self.sleep, self.looks.append)
        return watch.bake(asked, [SECONDARY], context, ignored, replicated)


def test_traffic_that_suffices_is_not_probed() -> None:
    said = Region(traffic_a_second=2.0).bake()
    assert said["probes"] == {SECONDARY: 0}
    assert said["traffic"][SECONDARY] >= 10


def test_each_look_says_what_is_left_and_what_is_still_to_come() -> None:
    red = RedAlarm(MY_ALARM, SECONDARY, datetime(2026, 1, 1, tzinfo=UTC).isoformat())
    region = Region(traffic_a_second=2.0, red_from=0.0, arrives_after=30.0)
    region.bake(red, replicated=(SECONDARY,))
    first, last = region.looks[0], region.looks[-1]
    assert first.left == 60.0
    assert first.what.startswith("no alarm turned red, 1 red since before, ")
    assert first.what.endswith(f", replication to {SECONDARY} to come")
    assert last == StepWork("no alarm turned red, 1 red since before", left=0.0)


def test_what_is_missing_is_probed_and_counted_apart() -> None:
    region = Region(traffic_a_second=0.05)
    said = region.bake()
    assert said["probes"][SECONDARY] == region.invoked
    assert said["traffic"][SECONDARY] + said["probes"][SECONDARY] >= 10
    assert 0 < said["traffic"][SECONDARY] <= 3


def test_a_probe_does_not_ask_about_links_that_are_not_there_yet() -> None:
    region = Region()
    region.bake()
    assert region.asked == [{"action": "validate", "linked": False}] * 10


def test_a_probe_that_is_answered_with_an_error_ends_the_bake() -> None:
    for answer, told in [({"status": "error", "error": "no table"}, "no table"), ({"status": "odd"}, "odd")]:
        region = Region(answer=answer)
        with pytest.raises(Breach, match=rf"answered a probe with an error \[{SECONDARY}\]: .*{told}"):
            region.bake()
        assert region.invoked == 1


def test_a_probe_that_gets_no_answer_ends_the_bake() -> None:
    region = Region(crashes=True)
    with pytest.raises(Breach, match=rf"a probe of the function failed \[{SECONDARY}\]: .*OutOfMemory"):
        region.bake()
    assert region.invoked == 1


def test_calls_are_counted_from_the_minute_it_began_to_the_minute_that_runs() -> None:
    region = Region(at=90.0, traffic_a_second=0.1)
    region.bake()
    began = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert len(region.counted) > 2
    for asked in region.counted:
        assert (asked["Namespace"], asked["MetricName"]) == ("AWS/Lambda", "Invocations")
        assert asked["Dimensions"] == [{"Name": "FunctionName", "Value": f"lambda_function_name-{SECONDARY}"}]
        assert (asked["Period"], asked["Statistics"]) == (60, ["Sum"])
        assert asked["StartTime"] == began
    ends = [asked["EndTime"] - timedelta(minutes=1) for asked in region.counted]
    assert ends == sorted(ends) and ends[0] == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)


def test_the_delay_is_measured_and_the_probe_taken_away() -> None:
    region = Region(arrives_after=7.0)
    said = region.bake(replicated=(SECONDARY,))
    assert 7.0 <= said["replication_seconds"][SECONDARY] <= 12.0
    assert sorted(region.deleted) == [f"deployment_bucket_name-{r}" for r in (SECONDARY, PRIMARY)]


def test_a_delay_beyond_the_rpo_is_a_breach() -> None:
    region = Region(arrives_after=1e9)
    with pytest.raises(Breach, match="recovery"):
        region.bake(replicated=(SECONDARY,), longest_delay=30)
    assert region.at < 60
    assert region.deleted


def test_a_bake_waits_for_a_delay_that_is_longer_than_it() -> None:
    region = Region(arrives_after=90.0)
    assert region.bake(replicated=(SECONDARY,))["replication_seconds"][SECONDARY] >= 90
    assert region.at < 120


def test_an_alarm_stops_at_once() -> None:
    region = Region(red_from=20.0)
    with pytest.raises(Breach, match=MY_ALARM):
        region.bake()
    assert region.at < 30


def test_an_alarm_that_was_red_before_counts_again_once_it_was_green() -> None:
    still_red = Region(red_from=0.0)
    before = RedAlarm(MY_ALARM, SECONDARY, datetime(2026, 1, 1, tzinfo=UTC).isoformat())
    assert still_red.bake(before)["looks"]
    with pytest.raises(Breach):
        Region(red_from=30.0).bake(before)


@pytest.mark.parametrize("region", [PRIMARY, SECONDARY])
def test_a_region_that_does_not_answer_is_told_from_a_breach(region: str) -> None:
    with pytest.raises(RegionDown) as gone:
        Region(down=region).bake(replicated=(SECONDARY,))
    assert gone.value.region == region


def test_a_bake_shorter_than_a_window_it_relies_on_is_refused() -> None:
    clients = cast(Clients, Region())
    window = window_of(clients, Watched(MY_ALARM, SECONDARY))
    assert window == 1800
    assert bake_finding("aws", 1800, window, "error") is None
    assert bake_finding("local", 600, window, "error") is None
    short = bake_finding("aws", 600, window, "error")
    assert short is not None and "1800" in short.message
    assert "deployment.bake to 30m or more" in str(short.remedy)
    assert bake_finding("aws", 0, window, "error") is None
    second = bake_finding("aws", 1, 301, "warning")
    assert second is not None and "deployment.bake to 6m or more" in str(second.remedy)
    assert window_of(clients, Watched("other", SECONDARY)) is None


def test_the_terms_of_a_deployment_are_kept_with_it() -> None:
    terms = Terms(600, 7, (Watched(MY_ALARM, SECONDARY),), 60, refresh=True, allow_data_loss=True)
    red = (RedAlarm(MY_ALARM, SECONDARY, "2026-01-01T00:00:00+00:00"),)
    facts = Facts("a", "b", False, frozenset({SECONDARY}), frozenset({PRIMARY}), red, True, ("0a",), terms)
    plan = DeploymentPlan({SECONDARY: "a"}, {SECONDARY: "b"}, (Wave(1, (SECONDARY,)),))
    for kept in (facts, Facts(None, None, True, frozenset())):
        assert facts_from_json(json.loads(json.dumps(kept.opening(plan)))) == kept
    assert facts_from_json({}) == Facts(None, None, True, frozenset()), "of an older version"


def test_an_alarm_that_has_seen_nothing_is_named_with_what_was_relied_on_instead() -> None:
    region = Region(data_from=900.0)
    said = region.bake(replicated=(SECONDARY,))
    assert said["no_data"] == {SECONDARY: [MY_ALARM]}
    calls = "10 calls of the function"
    judged = f"judged by {calls} and an object replicated to {SECONDARY}"
    assert relied_on(said) == f"no data seen of 1 alarm ({SECONDARY}), so {judged}"
    (asked,) = region.asked_for_data
    assert asked["EndTime"] - asked["StartTime"] >= timedelta(minutes=6), (
        "the alarms' window before the bake too"
    )


def test_alarms_that_have_data_are_relied_on_without_a_word() -> None:
    said = Region().bake()
    assert said["no_data"] == {}
    assert relied_on(said) == ""
    assert relied_on({"checks": 3}) == ""


def test_a_bake_that_nothing_was_counted_in_says_that_the_checks_are_all_there_is() -> None:
    said = Region(data_from=900.0).bake(min_samples=0)
    assert relied_on(said).endswith("judged by the checks before it alone")
