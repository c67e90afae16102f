"""What is known of the data of a region that is gone, from everywhere but that region."""

from __future__ import annotations

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
    last = _last_measured(journal)
    said.append(
        f"replication was last measured by us at {last[1]:%Y-%m-%d %H:%M:%S %Z}: {last[0]:.2f} s"
        if last
        else "replication was never measured by us (no change of primary, no migration on record)"
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
    carry = config.carry
    if carry.s3 or carry.ssm or carry.secrets:
        said.append("what `carry` names is as the last migration left it; changes since are not there")
    return said


def _last_measured(journal: Journal) -> tuple[float, datetime] | None:
    for run in journal.history():
        found = run.result.get("replication_seconds")
        if isinstance(found, int | float) and run.ended:
            return float(found), run.ended
    return None


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
