"""The alarms that a deployment relies on: which are red, since when, and which of them it may ignore."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import DENIED, code_of
from regionshift.errors import Refused
from regionshift.journal.events import RunSummary
from regionshift.journal.journal import Journal
from regionshift.report.values import Finding, Severity
from regionshift.runs.deployment_state import fold_deployment
from regionshift.settings.components import (
    DEPLOYMENT_BUCKET,
    DURATION_ALARM,
    ERRORS_ALARM,
    REPLICATION_LATENCY_ALARM,
    THROTTLES_ALARM,
    every_name,
)
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef

WINDOW = 300
"""Seconds: the longest window of the environment's own alarms (one period of five minutes each)."""
_NAMES_A_CALL = 100  # CloudWatch API Reference, DescribeAlarms, AlarmNames
_QUERIES_A_CALL = 500  # CloudWatch API Reference, GetMetricData, MetricDataQueries
_MINUTE = 60
_TELLING = (ERRORS_ALARM, THROTTLES_ALARM, DURATION_ALARM, REPLICATION_LATENCY_ALARM)
_IN_RULE = re.compile(r"""(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*("[^"]*"|'[^']*'|[^)]*?)\s*\)""")
_SKEW = timedelta(seconds=60)  # our clock and CloudWatch's may differ
_COUNTS = "fix what it shows; a deployment counts it again once it was green"
_MEND_FIRST = "fix that first; --despite-alarms begins anyway and ignores them until they were green"
_ANOTHER = (
    "fix what the alarm shows, or wait until it is green. Only another release may pass an alarm that this one left"
    " red. --despite-alarms begins anyway and ignores it until it was green"
)


class MetricsDenied(Refused):
    """The caller may not read the metrics of ``alarms``."""

    error_id = "RS-AWS-012"

    def __init__(self, region: str, alarms: list[str]) -> None:
        remedy = "allow cloudwatch:GetMetricData to the user who runs the command"
        super().__init__("metrics may not be read", where=region, remedy=remedy)
        self.alarms = alarms


@dataclass(frozen=True)
class Watched:
    """An alarm of the user's own."""

    name: str
    region: str


@dataclass(frozen=True)
class RedAlarm:
    """An alarm that is red, and since when (ISO 8601). After it was green, it is another ``RedAlarm``."""

    name: str
    region: str
    since: str

    def __str__(self) -> str:
        return f"{self.name} [{self.region}]"

    def to_json(self) -> dict[str, str]:
        """As the journal keeps it."""
        return {"name": self.name, "region": self.region, "since": self.since}


def red_in(
    clients: Clients, config: MigrationConfig, watched: Iterable[Watched], region: str
) -> list[RedAlarm]:
    """The red alarms of one region: the environment's, and those of the user in ``watched``."""
    own = {n.name for n in every_name(config) if n.kind is NameKind.ALARM and n.region == region}
    own |= {alarm.name for alarm in watched if alarm.region == region}
    found = _described(clients, region, StateValue="ALARM")
    return [RedAlarm(name, region, since(alarm)) for name, alarm in sorted(found.items()) if name in own]


def telling_in(config: MigrationConfig, watched: Iterable[Watched], region: str) -> set[str]:
    """The names of the alarms of one region whose metrics also have points while all is well, and of the user's own.

    Lambda publishes errors, throttles and duration for each call (Lambda Developer Guide, "Types of metrics for Lambda
    functions"). S3 always publishes how far a destination lags (S3 User Guide, "Using S3 Replication metrics"). Other
    metrics have no points until something goes wrong.
    """
    own = {component.name(config.names, region) for component in _TELLING}
    return own | {alarm.name for alarm in watched if alarm.region == region}


def without_data(
    clients: Clients, region: str, names: Collection[str], began: datetime, ended: datetime
) -> list[str]:
    """The alarms among ``names`` whose metrics have no point between two times. Their green means nothing.

    For the environment's alarms missing data is no breach. S3 begins to publish the metrics of a replication rule 15
    minutes after it is enabled (S3 User Guide, "Using S3 Replication metrics"). CloudWatch shows all metrics some
    minutes late. Composite alarms have no metrics and are left out.

    Raises:
        MetricsDenied: the caller may not read metrics.
    """
    alarms = _described_by_name(clients, region, sorted(names))
    metrics = [(name, metric) for name, alarm in sorted(alarms.items()) for metric in _metrics(alarm)]
    every, seen = sorted({name for name, _ in metrics}), set[str]()
    try:
        for first in range(0, len(metrics), _QUERIES_A_CALL):
            asked = metrics[first : first + _QUERIES_A_CALL]
            seen |= _with_points(clients, region, asked, began, ended)
    except ClientError as error:
        if code_of(error) in DENIED:
            raise MetricsDenied(region, every) from error
        raise
    return [name for name in every if name not in seen]


def _with_points(
    clients: Clients,
    region: str,
    asked: list[tuple[str, dict[str, Any]]],
    began: datetime,
    ended: datetime,
) -> set[str]:
    """The names in ``asked`` with a metric that has a point."""
    queries = [
        {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": _MINUTE, "Stat": "SampleCount"}}
        for number, (_, metric) in enumerate(asked)
    ]
    pages = (
        clients.named("cloudwatch", region)
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=began, EndTime=ended)
    )
    found = (result for page in pages for result in page["MetricDataResults"])
    return {asked[int(result["Id"][1:])][0] for result in found if any(result["Values"])}


def _metrics(alarm: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The metric of an alarm, or the metrics of its metric math (CloudWatch API Reference, MetricAlarm)."""
    one = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions") if alarm.get(key)}
    if "MetricName" in one:
        yield one
    yield from (query["MetricStat"]["Metric"] for query in alarm.get("Metrics", ()) if "MetricStat" in query)


def window_of(clients: Clients, alarm: Watched) -> int | None:
    """Seconds: the longest window of an alarm of the user, at least `WINDOW`; None when the alarm does not exist."""
    found = _described(clients, alarm.region, AlarmNames=[alarm.name])
    if alarm.name not in found:
        return None
    return max(WINDOW, _window(clients, alarm.region, found, frozenset()))


def _window(
    clients: Clients, region: str, alarms: Mapping[str, Mapping[str, Any]], seen: frozenset[str]
) -> int:
    """Seconds: the longest window of ``alarms``, and of the alarms that the composite ones name."""
    longest, children = 0, set[str]()
    for alarm in alarms.values():
        longest = max(longest, _period(alarm) * int(alarm.get("EvaluationPeriods", 1)))
        children |= _children(str(alarm.get("AlarmRule", "")))
    below = children - seen - alarms.keys()
    if not below:
        return longest
    found = _described_by_name(clients, region, sorted(below))
    return max(longest, _window(clients, region, found, seen | alarms.keys() | below))


def _period(alarm: Mapping[str, Any]) -> int:
    """Seconds: the period of an alarm; for metric math the longest period of its parts.

    CloudWatch API Reference, MetricAlarm (Period, Metrics), MetricDataQuery (Period) and MetricStat (Period).
    """
    parts = [alarm, *alarm.get("Metrics", [])]
    parts += [query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    return max(int(part.get("Period") or 0) for part in parts)


def _children(rule: str) -> set[str]:
    """The alarms that a composite alarm's rule names, by name or ARN (PutCompositeAlarm, AlarmRule)."""
    names = (found.strip().strip("\"'") for found in _IN_RULE.findall(rule))
    return {name.partition(":alarm:")[2] if name.startswith("arn:") else name for name in names}


def bake_finding(target: str, bake: int, window: int, severity: Severity) -> Finding | None:
    """A finding when a bake on AWS is shorter than the longest window of its alarms, and would miss failures.

    The embedded AWS evaluates an alarm whenever it is asked, so there a short bake sees as much as a long one.
    """
    if target != "aws" or not 0 < bake < window:
        return None
    message = f"a bake of {bake} s is shorter than the {window} s that its alarms look at"
    remedy = f"set deployment.bake to {-(-window // 60)}m or more, or to 0 to have no bake"
    return Finding("bake", severity, message, None, remedy, is_input=True)


def red_findings(
    red: Collection[RedAlarm], excuse: Excuse, severity: Severity, *, despite: bool
) -> list[Finding]:
    """Findings for alarms that are red before the first wave. A red alarm cannot warn about the new release."""
    new = [] if despite or severity != "error" else [alarm for alarm in red if alarm not in excuse.known]
    found = [Finding("red", "warning", f"{alarm} is red", None, _COUNTS) for alarm in red if alarm not in new]
    again = [alarm for alarm in new if alarm in excuse.again]
    if not new:
        return found
    message, remedy = f"Red before the first wave: {', '.join(map(str, new))}", _MEND_FIRST
    if again:
        left = "it" if len(again) == 1 else f"{len(again)} of them"
        message += f". {excuse.run} brought this same release and left {left} so"
        remedy = _ANOTHER
    return [*found, Finding("red", "error", message, None, remedy)]


@dataclass(frozen=True)
class Excuse:
    """Why an alarm may be red before the first wave.

    Args:
        known: alarms that may stay red.
        again: alarms that this same release turned red when it was tried in ``run``.
    """

    known: tuple[RedAlarm, ...] = ()
    again: tuple[RedAlarm, ...] = ()
    run: str = ""


def excuse_from(journal: Journal, red: Collection[RedAlarm], digests: Collection[str]) -> Excuse:
    """Why alarms in ``red`` may be red before the releases ``digests`` are deployed.

    A broken release leaves its alarms red until their window ends. Its fix must be deployable meanwhile. So alarms that
    turned red during the last unsuccessful deployments may stay red. They may not when one of ``digests`` was tried in
    these deployments: a retry fixes nothing.
    """
    span = _unlucky(journal)
    if span is None:
        return Excuse()
    until = span.ended + timedelta(seconds=WINDOW) + _SKEW
    left = tuple(
        alarm
        for alarm in red
        if alarm.region in span.regions and span.began - _SKEW <= datetime.fromisoformat(alarm.since) <= until
    )
    tried = next((run for digest, run in span.tried.items() if digest in digests), None)
    return Excuse(known=left) if tried is None else Excuse(again=left, run=tried)


@dataclass(frozen=True)
class _Unlucky:
    """The newest deployments in a row that did not succeed, or were rolled back.

    Args:
        regions: the regions that they changed. tried: {digest: run} of the releases that they deployed.
    """

    began: datetime
    ended: datetime
    regions: frozenset[str]
    tried: Mapping[str, str]


def _unlucky(journal: Journal) -> _Unlucky | None:
    span: _Unlucky | None = None
    undone: set[str] = set()
    for run in journal.history():
        if run.kind not in ("deployment", "rollback", "destroy") or run.of_data or run.ended is None:
            continue
        taken_back = run.run_id in undone
        if run.kind == "destroy" or (run.kind == "deployment" and _succeeded(run) and not taken_back):
            break
        if run.kind == "rollback":
            undone.add(run.subject)
        brought = _brought(journal, run.run_id)
        if run.kind == "rollback":
            tried: dict[str, str] = {}  # a rollback deploys a release from before the trouble
        else:
            tried = dict.fromkeys((digest for digest in brought.values() if digest), run.run_id)
        span = _Unlucky(
            began=run.started,
            ended=span.ended if span else run.ended,
            regions=frozenset(brought) | (span.regions if span else frozenset()),
            tried={**tried, **(span.tried if span else {})},
        )
    return span


def _succeeded(run: RunSummary) -> bool:
    return run.outcome == "succeeded"


def _brought(journal: Journal, run_id: str) -> dict[str, str | None]:
    """Every region that a deployment began to change, and its new release; None for no release."""
    opened = journal.view(run_id).opened
    if "plan" in opened:
        state = fold_deployment(journal.events(run_id))
        return {r: state.plan.target.get(r) for r in state.changed | _reached(journal, run_id)}
    releases = opened.get("releases")
    return {str(r): str(digest) for r, digest in releases.items()} if isinstance(releases, dict) else {}


def _reached(journal: Journal, run_id: str) -> set[str]:
    """Every region that a step of the deployment was about to change."""
    lists = [e.data.get("on") for e in journal.events(run_id) if e.step.endswith("/apply")]
    return {str(region) for regions in lists if isinstance(regions, list) for region in regions}


def _described_by_name(clients: Clients, region: str, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for first in range(0, len(names), _NAMES_A_CALL):
        found |= _described(clients, region, AlarmNames=names[first : first + _NAMES_A_CALL])
    return found


def _described(clients: Clients, region: str, **asked: Any) -> dict[str, Mapping[str, Any]]:
    # CloudWatch API Reference, DescribeAlarms: without AlarmTypes only metric alarms are returned.
    pages = (
        clients.named("cloudwatch", region)
        .get_paginator("describe_alarms")
        .paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"], **asked)
    )
    return {
        alarm["AlarmName"]: alarm
        for page in pages
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", []))
    }


def replication_dimensions(config: MigrationConfig, source: str, destination: str) -> list[DimensionTypeDef]:
    """The dimensions of the metrics of one replication rule (S3 User Guide, "Using S3 Replication metrics")."""
    bucket = {region: DEPLOYMENT_BUCKET.name(config.names, region) for region in (source, destination)}
    return [
        {"Name": "SourceBucket", "Value": bucket[source]},
        {"Name": "DestinationBucket", "Value": bucket[destination]},
        {"Name": "RuleId", "Value": f"to-{destination}"},
    ]


def since(alarm: Mapping[str, Any]) -> str:
    """Since when an alarm is in its state (ISO 8601). ``alarm``: from DescribeAlarms."""
    at = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    return str(at.isoformat())
