"""What every region reports now: red alarms, metrics without data, and how far its replication is behind.

All regions are asked at once. One that does not answer in time is reported so, and nobody waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import DENIED, code_of, told_plainly
from regionshift.errors import RegionshiftError
from regionshift.operations.alarms import RedAlarm, red_in, replication_dimensions
from regionshift.operations.environment import Environment
from regionshift.operations.waves.bake import RegionDown, calling
from regionshift.operations.waves.facts import terms_of
from regionshift.settings.components import REPLICATION_LATENCY_ALARM
from regionshift.settings.config import Regions

PATIENCE = 10.0
"""Seconds: DescribeAlarms answers in a fraction of one."""
_METRICS_BEGIN = timedelta(minutes=15)  # S3 User Guide, "Using S3 Replication metrics"
_MINUTE = 60
_METRICS = ("ReplicationLatency", "OperationsPendingReplication", "BytesPendingReplication")
_AnswerT = TypeVar("_AnswerT")


@dataclass(frozen=True)
class ReplicationNow:
    """How far a region is behind the primary: seconds, and what still waits. None: not known.

    Args:
        at: the time of the measurement. by: ``CloudWatch`` or ``validate``.
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
    """The answers of the regions.

    Args:
        red: alarms in ALARM. unread: {region: why} where they could not be read.
        away: {region: why} of those that do not answer.
        replication: {region: how far behind}. unmeasured: {region: why} where that could not be read.
        silent: alarms of the replication whose metric has no data. S3 publishes that metric all the time.
        unseen: those whose metric the caller may not read.
    """

    red: tuple[RedAlarm, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    away: Mapping[str, str] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    replication: Mapping[str, ReplicationNow] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    """The answer of one region. ``unread``, ``away`` and ``unmeasured`` say why something is not known."""

    red: Sequence[RedAlarm] = ()
    silent: str = ""
    unseen: str = ""
    replication: ReplicationNow | None = None
    unread: str = ""
    away: str = ""
    unmeasured: str = ""


def signals_of(
    environment: Environment, regions: Collection[str], linked: Regions, *, patience: float = PATIENCE
) -> Signals:
    """Ask ``regions`` for the environment's alarms, the alarms that the settings name, and the replication.

    Args:
        linked: the primary and the secondaries that it replicates to, as deployed.
        patience: seconds after which a region counts as one that does not answer.
    """
    if not regions:
        return Signals()
    watched, clients = terms_of(environment.config).alarms, environment.clients.impatient
    red: dict[str, list[RedAlarm]] = {}

    def ask(region: str) -> _Answer:
        try:
            with told_plainly(region, "alarms"), calling(region):
                red[region] = red_in(clients, environment.called_config, watched, region)
        except RegionDown as error:
            return _Answer(away=str(error))
        except RegionshiftError as error:
            return _Answer(unread=error.message)
        try:
            with told_plainly(region, "metrics"):
                return replace(_replication(environment, clients, linked, region), red=red[region])
        except RegionshiftError as error:
            return _Answer(red[region], unmeasured=error.message)

    found = answers_within(patience, regions, ask)
    late = f"no answer within {patience:.0f} s"
    answers = {
        region: found.get(region)
        or (_Answer(red[region], unmeasured=late) if region in red else _Answer(away=late))
        for region in regions
    }
    return Signals(
        tuple(alarm for each in answers.values() for alarm in each.red),
        {region: each.unread for region, each in answers.items() if each.unread},
        {region: each.away for region, each in answers.items() if each.away},
        tuple(each.silent for each in answers.values() if each.silent),
        tuple(each.unseen for each in answers.values() if each.unseen),
        {region: each.replication for region, each in answers.items() if each.replication},
        {region: each.unmeasured for region, each in answers.items() if each.unmeasured},
    )


def answers_within(
    seconds: float, regions: Collection[str], ask: Callable[[str], _AnswerT]
) -> dict[str, _AnswerT]:
    """The results of ``ask`` for each region, all asked at once. Regions that are late are missing.

    A call that still waits does not keep the command from ending. Raises what ``ask`` raises.
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


def _replication(environment: Environment, clients: Clients, linked: Regions, region: str) -> _Answer:
    """How far ``region`` is behind, by the newest figures of the last 15 minutes.

    S3 publishes these figures each minute in the destination's region (S3 User Guide, "Using S3 Replication
    metrics"). Their valid statistic is the maximum (S3 User Guide, "Metrics and dimensions"). The embedded AWS has
    none.
    """
    config, now = environment.config, environment.now()
    if config.target != "aws" or region not in linked.secondaries:
        return _Answer()
    alarm = f"{REPLICATION_LATENCY_ALARM.name(config.names, region)} [{region}]"
    dimensions = replication_dimensions(config, linked.primary, region)
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
            return _Answer(unseen=alarm)
        raise
    newest = {each["Id"]: (each["Values"][0], each["Timestamps"][0]) for each in results if each["Values"]}
    seconds, operations, size = (newest.get(name.lower(), (None, None))[0] for name in _METRICS)
    if not newest:
        return _Answer(silent=alarm)
    behind = ReplicationNow(
        None if seconds is None else float(seconds),
        None if operations is None else int(operations),
        None if size is None else int(size),
        max(at for _, at in newest.values()),
        "CloudWatch",
    )
    return _Answer(silent=alarm if seconds is None else "", replication=behind)
