"""What is known of the data of a region that is gone, from everywhere but that region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.journal.journal import Journal
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig

_LOOK_BACK = timedelta(days=1)


def unproven(
    clients: Clients, journal: Journal, config: MigrationConfig, lost: str, new: str, now: datetime
) -> list[str]:
    """Sentences on what may be missing at ``new`` now that ``lost`` cannot be asked."""
    said = [
        f"what was written in {lost} and had not reached {new} when it was lost is not in {new};"
        " only the lost region could say what",
    ]
    last = last_measured(journal, new)
    said.append(
        f"replication to {new} was last measured by us at {last.at:%Y-%m-%d %H:%M:%S %Z}: {last.seconds:.2f} s"
        f" (in {last.run_id})"
        if last
        else f"replication to {new} was never measured by us (no bake, no migration, no change of primary)"
    )
    watched = _watched(clients, config, lost, new, now)
    said.append(
        f"CloudWatch in {new} last saw it {watched[0]:.0f} s behind, at {watched[1]:%Y-%m-%d %H:%M:%S %Z}:"
        f" what was written in the {watched[0]:.0f} s before the loss may be missing"
        if watched
        else f"CloudWatch in {new} has no replication latency of the last 24 hours: the delay is not known"
    )
    said.append(
        f"objects whose replication had failed for good are missing in {new}: see the alarm's history"
    )
    if config.carry.entries:
        said.append("what `carry` names is as the last migration left it; changes since are not there")
    return said


@dataclass(frozen=True)
class Measurement:
    """How long replication took into a region, in seconds; when that was written down, and in which run."""

    seconds: float
    at: datetime
    run_id: str


def last_measured(journal: Journal, region: str) -> Measurement | None:
    """The newest measurement of the replication into ``region``: by a bake, a migration or a change of primary."""
    for run in journal.history():
        view = journal.view(run.run_id)
        steps = [(step.at, step.data) for step in view.steps]
        said = [*steps, *([(view.ended, view.result)] if view.ended else [])]
        found = [(at, seconds) for at, data in said for seconds in _seconds_in(data, region)]
        if found:
            at, seconds = max(found)
            return Measurement(seconds, at, run.run_id)
    return None


def _seconds_in(data: object, region: str) -> Iterator[float]:
    """Every delay into ``region`` in what a run wrote down, however deep: a number, or one for each region."""
    if not isinstance(data, Mapping):
        return
    for name, value in data.items():
        if name == "replication_seconds":
            seconds = value.get(region) if isinstance(value, Mapping) else value
            if isinstance(seconds, int | float):
                yield float(seconds)
        else:
            yield from _seconds_in(value, region)


def _watched(
    clients: Clients, config: MigrationConfig, lost: str, new: str, now: datetime
) -> tuple[float, datetime] | None:
    """The newest ReplicationLatency, which S3 publishes in the destination's region (Amazon S3 User Guide,
    "Using S3 Replication metrics")."""
    bucket = {region: named.DEPLOYMENT_BUCKET.name(config.names, region) for region in (lost, new)}
    try:
        found = clients.get("cloudwatch", new).get_metric_statistics(
            Namespace="AWS/S3",
            MetricName="ReplicationLatency",
            Dimensions=[
                {"Name": "SourceBucket", "Value": bucket[lost]},
                {"Name": "DestinationBucket", "Value": bucket[new]},
                {"Name": "RuleId", "Value": f"to-{new}"},
            ],
            StartTime=now - _LOOK_BACK,
            EndTime=now,
            Period=300,
            Statistics=["Maximum"],
        )["Datapoints"]
    except (ClientError, BotoCoreError):
        return None
    newest = max(found, key=lambda point: point["Timestamp"], default=None)
    return (newest["Maximum"], newest["Timestamp"]) if newest else None
