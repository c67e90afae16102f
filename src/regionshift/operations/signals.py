"""What every region says of itself now: alarms, metrics without data, how far its replication is behind.

All regions are asked at once, and one that does not answer is said so instead of waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import DENIED, code_of, told_plainly
from regionshift.errors import RegionshiftError
from regionshift.operations.alarms import (
    MetricsDenied,
    RedAlarm,
    red_in,
    replication_dimensions,
    without_data,
)
from regionshift.operations.environment import Environment
from regionshift.operations.waves.bake import RegionDown, calling
from regionshift.operations.waves.facts import terms_of
from regionshift.settings.components import REPLICATION_LATENCY_ALARM

PATIENCE = 10.0
"""Seconds: DescribeAlarms answers in a fraction of one."""
_METRICS_BEGIN = timedelta(minutes=15)  # S3 User Guide, "Using S3 Replication metrics"
_MINUTE = 60
_METRICS = ("ReplicationLatency", "OperationsPendingReplication", "BytesPendingReplication")
_AnswerT = TypeVar("_AnswerT")


@dataclass(frozen=True)
class ReplicationNow:
    """How far a region is behind the primary: seconds, and what waits. None is not known.

    Args:
        at: when that was so. by: who measured it, ``CloudWatch`` or ``validate``.
    """

    seconds: float | None
    operations: int | None
    bytes: int | None
    at: datetime
    by: str

    def to_json(self) -> dict[str, Any]:
        """For pipelines."""
        return {**asdict(self), "at": self.at.isoformat()}


@dataclass(frozen=True)
class Signals:
    """What the regions say.

    Args:
        red: alarms in ALARM. unread: {region: why} where they could not be read. away: {region: why} of those that do
            not answer. silent: alarms of the replication whose metrics, which S3 tells all the time, have no data.
            unseen: those whose metrics the caller may not read. replication: {region: how far behind}.
    """

    red: tuple[RedAlarm, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    away: Mapping[str, str] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    replication: Mapping[str, ReplicationNow] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    """One region's; ``unread`` or ``away`` says why there is nothing else."""

    red: list[RedAlarm] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    replication: ReplicationNow | None = None
    unread: str = ""
    away: str = ""


def signals_of(environment: Environment, regions: Collection[str], *, patience: float = PATIENCE) -> Signals:
    """What ``regions`` say: the environment's alarms, those that the settings name, and the replication.

    Args:
        patience: seconds, after which a region counts as one that does not answer.
    """
    if not regions:
        return Signals()
    watched, clients = terms_of(environment.config).alarms, environment.clients.impatient

    def ask(region: str) -> _Answer:
        try:
            with told_plainly(region, "alarms"), calling(region):
                red = red_in(clients, environment.called_config, watched, region)
                return _Answer(
                    red, *_silent(environment, clients, region), _behind(environment, clients, region)
                )
        except RegionDown as error:
            return _Answer(away=str(error))
        except RegionshiftError as error:
            return _Answer(unread=error.message)

    found = answers_within(patience, regions, ask)
    late = f"no answer within {patience:.0f} s"
    answers = {region: found.get(region) or _Answer(away=late) for region in regions}
    return Signals(
        tuple(alarm for each in answers.values() for alarm in each.red),
        {region: each.unread for region, each in answers.items() if each.unread},
        {region: each.away for region, each in answers.items() if each.away},
        tuple(alarm for each in answers.values() for alarm in each.silent),
        tuple(alarm for each in answers.values() for alarm in each.unseen),
        {region: each.replication for region, each in answers.items() if each.replication},
    )


def answers_within(
    seconds: float, regions: Collection[str], ask: Callable[[str], _AnswerT]
) -> dict[str, _AnswerT]:
    """What ``ask`` gives for each region, all at once; those that have not answered by then are missing.

    A call that still waits keeps no command from ending. Raises what ``ask`` raises.
    """
    told: SimpleQueue[tuple[str, _AnswerT | None, BaseException | None]] = SimpleQueue()

    def answer(region: str) -> None:
        try:
            told.put((region, ask(region), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where the answers are read
            told.put((region, None, error))

    for region in regions:
        threading.Thread(target=answer, args=(region,), daemon=True).start()
    found, end = dict[str, _AnswerT](), time.monotonic() + seconds
    while len(found) < len(regions):
        try:
            region, said, error = told.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            break
        if error is not None:
            raise error
        if said is not None:
            found[region] = said
    return found


def _silent(environment: Environment, clients: Clients, region: str) -> tuple[list[str], list[str]]:
    """Alarms of the replication without data, and those of which nobody tells: the embedded AWS has no such metrics."""
    if environment.config.target != "aws":
        return [], []
    now, names = environment.now(), {REPLICATION_LATENCY_ALARM.name(environment.config.names, region)}
    try:
        found = without_data(clients, region, names, now - _METRICS_BEGIN, now)
    except MetricsDenied as denied:
        return [], [f"{name} [{region}]" for name in denied.alarms]
    return [f"{name} [{region}]" for name in found], []


def _behind(environment: Environment, clients: Clients, region: str) -> ReplicationNow | None:
    """How far ``region`` is behind, by the newest figures of the last 15 minutes; None where nobody tells.

    S3 publishes these figures each minute in the destination's region (S3 User Guide, "Using S3 Replication
    metrics"); of each the maximum is the valid statistic (S3 User Guide, "Metrics and dimensions"). The embedded AWS
    has none.
    """
    config, now = environment.config, environment.now()
    if config.target != "aws" or region == config.regions.primary:
        return None
    dimensions = replication_dimensions(config, config.regions.primary, region)
    try:
        results = clients.named("cloudwatch", region).get_metric_data(
            MetricDataQueries=[
                {
                    "Id": name.lower(),
                    "MetricStat": {
                        "Metric": {"Namespace": "AWS/S3", "MetricName": name, "Dimensions": dimensions},
                        "Period": _MINUTE,
                        "Stat": "Maximum",
                    },
                }
                for name in _METRICS
            ],
            StartTime=now - _METRICS_BEGIN,
            EndTime=now,
            ScanBy="TimestampDescending",
        )["MetricDataResults"]
    except ClientError as error:
        if code_of(error) in DENIED:
            return None  # the alarm is told as unseen
        raise
    newest = {each["Id"]: (each["Values"][0], each["Timestamps"][0]) for each in results if each["Values"]}
    if not newest:
        return None
    seconds, operations, size = (newest.get(name.lower(), (None, None))[0] for name in _METRICS)
    return ReplicationNow(
        None if seconds is None else float(seconds),
        None if operations is None else int(operations),
        None if size is None else int(size),
        max(at for _, at in newest.values()),
        "CloudWatch",
    )
