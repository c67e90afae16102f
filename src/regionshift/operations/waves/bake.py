"""The bake after a wave: it watches alarms, calls of the function, and the delay of the replication."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import is_outside
from regionshift.carriers.records import PROBES
from regionshift.operations.alarms import (
    WINDOW,
    MetricsDenied,
    RedAlarm,
    Watched,
    red_in,
    telling_in,
    without_data,
)
from regionshift.operations.checks.base import CheckContext, Wrong
from regionshift.operations.checks.function import invoke
from regionshift.operations.checks.replication import remove_versions, versions_of
from regionshift.operations.waves.facts import Terms
from regionshift.runs.messages import StepWork
from regionshift.settings.config import MigrationConfig

_PAUSE = 5.0
_MINUTE = 60
_OURS = 1  # the validation before the bake called the function once
_PROBE = {"action": "validate", "linked": False}  # the links between regions follow the waves


class RegionDown(Exception):
    """A region did not answer during the bake."""

    def __init__(self, region: str, error: Exception) -> None:
        super().__init__(f"{region} does not answer: {error}")
        self.region = region


@contextmanager
def calling(region: str) -> Iterator[None]:
    """Around calls to ``region``: raises :class:`RegionDown` when the region does not answer."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        if is_outside(error):
            raise RegionDown(region, error) from error
        raise


class ProbeFailed(Exception):
    """A probe was answered with an error."""


@dataclass
class Samples:
    """Counts the calls of one region from now on, and makes the missing ones.

    CloudWatch counts by the minute and some minutes late. Missing calls are replaced by probes, so there are never too
    few. ``probes`` are counted separately, and never as ``traffic``.
    """

    context: CheckContext
    region: str
    wanted: int
    now: Callable[[], datetime]
    probes: int = 0
    traffic: int = 0
    _since: datetime = field(init=False)
    _before: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.wanted:
            self._since = self.now().replace(second=0, microsecond=0)
            self._before = max(self._invocations(), _OURS)

    @property
    def missing(self) -> int:
        """How many calls there are too few."""
        return max(0, self.wanted - self.traffic - self.probes)

    def look(self, share: float) -> None:
        """Count, and probe once when there are fewer calls than ``share`` (0 to 1) of the wanted ones.

        Raises:
            ProbeFailed: the function answered with an error, or not at all.
        """
        if not self.missing:
            return
        self.traffic = max(self.traffic, self._invocations() - self._before - self.probes)
        if self.missing and self.traffic + self.probes < self.wanted * share:
            self._probe()

    def _probe(self) -> None:
        try:
            answer = invoke(self.context, self.region, dict(_PROBE))
        except Wrong as wrong:
            raise ProbeFailed(f"a probe of the function failed [{self.region}]: {wrong}") from wrong
        self.probes += 1
        if answer.get("status") != "success":
            said = answer.get("error") or answer
            raise ProbeFailed(f"the function answered a probe with an error [{self.region}]: {said}")

    def _invocations(self) -> int:
        found = self.context.clients.get("cloudwatch", self.region).get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Invocations",
            Dimensions=[
                {
                    "Name": "FunctionName",
                    "Value": self.context.outputs.get("lambda_function_name", self.region),
                }
            ],
            StartTime=self._since,
            EndTime=self.now() + timedelta(seconds=_MINUTE),
            Period=_MINUTE,
            Statistics=["Sum"],
        )
        return int(sum(point.get("Sum", 0) for point in found["Datapoints"]))


@dataclass
class Delay:
    """Measures the replication from :meth:`start` on. ``arrived``: seconds by region.

    Args:
        regions: secondaries to which the primary of ``context`` replicates.
    """

    context: CheckContext
    regions: Collection[str]
    arrived: dict[str, float] = field(default_factory=dict)
    _key: str = field(default_factory=lambda: f"{PROBES}{uuid.uuid4()}")
    _began: float = 0.0

    @property
    def missing(self) -> list[str]:
        """Where it did not arrive yet."""
        return [region for region in self.regions if region not in self.arrived]

    @property
    def seconds(self) -> float:
        """Since it was put."""
        return self.context.clock() - self._began

    def start(self) -> None:
        """Put the object."""
        if self.regions:
            self._began = self.context.clock()
            primary = self.context.primary
            with calling(primary):
                self.context.clients.get("s3", primary).put_object(
                    Bucket=self._bucket(primary), Key=self._key, Body=self._key.encode()
                )

    def look(self) -> None:
        """See where it has arrived."""
        for region in self.missing:
            with calling(region):
                found = versions_of(self.context, region, self._bucket(region), self._key)
            if found:
                self.arrived[region] = round(self.seconds, 3)

    def end(self) -> None:
        """Remove the probe objects in every region."""
        for region in (self.context.primary, *self.regions) if self.regions else ():
            remove_versions(self.context, region, self._bucket(region), self._key)

    def _bucket(self, region: str) -> str:
        return self.context.outputs.get("deployment_bucket_name", region)


class Breach(Exception):
    """The bake found something wrong. The message says what and where."""


@dataclass(frozen=True)
class Watch:
    """Watches regions with ``clients``. ``clock`` and ``sleep`` are in seconds, ``clock`` is monotonic.

    ``tell`` is called with each look.
    """

    clients: Clients
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[StepWork], None] = lambda _: None

    def red(
        self, config: MigrationConfig, regions: Collection[str], watched: Collection[Watched] = ()
    ) -> list[RedAlarm]:
        """The red alarms of ``regions``: the environment's, and those in ``watched``.

        Raises:
            RegionDown: a region does not answer.
        """
        return [alarm for region in regions for alarm in self._red_in(config, region, watched)]

    def bake(
        self,
        terms: Terms,
        regions: Collection[str],
        context: CheckContext,
        ignored: Collection[RedAlarm],
        replicated: Collection[str] = (),
    ) -> dict[str, object]:
        """Watch for ``terms.bake`` seconds, and until the calls are enough and the replication has arrived.

        Args:
            ignored: alarms that were red before the first wave. One that was green since and is red again is a breach.
            replicated: the secondaries whose replication delay is measured.

        Returns:
            What was watched: {"looks": n, "probes": {region: n}, "traffic": {region: n},
            "replication_seconds": {region: seconds}, "no_data": {region: [alarm, ...]}}. The alarms in "no_data" are
            green without data since their window before the bake, or the caller may not read their metrics. There
            the calls and the replication count instead.

        Raises:
            Breach: at once when an alarm is red, a probe gets an error, or the delay is too long.
            RegionDown: a region does not answer. It may be the primary, the source of the replication.
        """
        wanted, began = terms.min_samples if terms.bake else 0, context.now() - timedelta(seconds=WINDOW)
        samples = {region: self._sampling(context, region, wanted) for region in regions}
        delay = Delay(context, replicated if terms.bake else ())
        try:
            delay.start()
            looks = self._until_well(terms, context.config, samples, delay, ignored)
            # The embedded AWS evaluates an alarm whenever it is asked.
            told_late = terms.bake and context.config.target == "aws"
            silent = self._without_data(terms, context, samples, began) if told_late else {}
        finally:
            with suppress(ClientError, BotoCoreError):  # a leftover of the probe is no reason to go back
                delay.end()
        return {
            "looks": looks,
            "probes": {region: each.probes for region, each in samples.items()},
            "traffic": {region: each.traffic for region, each in samples.items()},
            "replication_seconds": delay.arrived,
            "no_data": silent,
        }

    def _without_data(
        self, terms: Terms, context: CheckContext, regions: Collection[str], began: datetime
    ) -> dict[str, list[str]]:
        found = dict[str, list[str]]()
        for region in regions:
            with calling(region):
                names = telling_in(context.config, terms.alarms, region)
                try:
                    silent = without_data(self.clients, region, names, began, context.now())
                except MetricsDenied as denied:
                    silent = denied.alarms
            if silent:
                found[region] = silent
        return found

    def _until_well(
        self,
        terms: Terms,
        config: MigrationConfig,
        samples: dict[str, Samples],
        delay: Delay,
        ignored: Collection[RedAlarm],
    ) -> int:
        began, looks = self.clock(), 0
        while True:
            looks += 1
            red = self.red(config, samples, terms.alarms)
            if new := [alarm for alarm in red if alarm not in ignored]:
                raise Breach(f"red: {', '.join(map(str, new))}")
            gone = self.clock() - began
            pace = self._look_at(samples, gone / terms.bake if terms.bake else 1.0)
            self._measure(delay, terms.longest_delay)
            left = terms.bake - (self.clock() - began)
            lacking = sum(each.missing for each in samples.values())
            self.tell(StepWork(_nothing_wrong(len(red), lacking, delay.missing), left=max(left, 0.0)))
            if left <= 0 and not delay.missing and not any(each.missing for each in samples.values()):
                return looks
            share = max(left, 0.0) / max(pace, 1)
            self.sleep(min(_PAUSE, share) if left > 0 else (1.0 if delay.missing else 0.0))

    def _sampling(self, context: CheckContext, region: str, wanted: int) -> Samples:
        with calling(region):
            return Samples(context, region, wanted, context.now)

    def _look_at(self, samples: dict[str, Samples], share: float) -> int:
        """Count and probe. Returns the most calls that a region still lacks."""
        for region, each in samples.items():
            try:
                with calling(region):
                    each.look(share)
            except ProbeFailed as failed:
                raise Breach(str(failed)) from failed
        return max((each.missing for each in samples.values()), default=0)

    def _measure(self, delay: Delay, longest: int) -> None:
        delay.look()
        if delay.missing and delay.seconds > longest:
            raise Breach(
                f"nothing was replicated to {', '.join(delay.missing)} within {longest} s (recovery.rpo)"
            )

    def _red_in(self, config: MigrationConfig, region: str, watched: Collection[Watched]) -> list[RedAlarm]:
        with calling(region):
            return red_in(self.clients, config, watched, region)


def _nothing_wrong(ignored: int, lacking: int, behind: Collection[str]) -> str:
    """A look in words: alarms that were red before, missing calls, and regions that lack the object."""
    parts = ["no alarm turned red" if ignored else "no alarm is red"]
    parts += [f"{ignored} red since before"] if ignored else []
    parts += [f"{lacking} {'call' if lacking == 1 else 'calls'} to come"] if lacking else []
    parts += [f"replication to {', '.join(behind)} to come"] if behind else []
    return ", ".join(parts)
