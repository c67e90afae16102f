"""The watch after a wave: its alarms, a function that is really called, and the replication's delay."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.operations.alarms import RedAlarm, Watched, red_in
from regionshift.operations.checks.base import CheckContext
from regionshift.operations.waves.delay import Delay
from regionshift.operations.waves.down import calling
from regionshift.operations.waves.facts import Terms
from regionshift.operations.waves.samples import ProbeFailed, Samples
from regionshift.settings.config import MigrationConfig

_PAUSE = 5.0


class Breach(Exception):
    """What is watched says that the wave is not well; the message says where and what."""


@dataclass(frozen=True)
class Watch:
    """Watches regions with ``clients``. ``clock`` and ``sleep`` are in seconds, ``clock`` is monotonic.

    ``tell_left`` is told at each look how many seconds of the bake are left.
    """

    clients: Clients
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tell_left: Callable[[float], None] = lambda _: None

    def red(
        self, config: MigrationConfig, regions: Collection[str], watched: Collection[Watched] = ()
    ) -> list[RedAlarm]:
        """The alarms of ``regions`` that are red now: the environment's, and ``watched``.

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
            ignored: what was red before the first wave; what was green since and is red again is a breach.
            replicated: the secondaries whose replication delay is measured.

        Returns:
            What was watched: {"looks": n, "probes": {region: n}, "traffic": {region: n},
            "replication_seconds": {region: seconds}}.

        Raises:
            Breach: an alarm is red, a probe was answered with an error, or the delay is too long; at once.
            RegionDown: a region does not answer; it may be the primary, from which the replication comes.
        """
        wanted = terms.min_samples if terms.bake else 0
        samples = {region: self._sampling(context, region, wanted) for region in regions}
        delay = Delay(context, replicated if terms.bake else ())
        try:
            delay.start()
            looks = self._until_well(terms, context.config, samples, delay, ignored)
        finally:
            with suppress(ClientError, BotoCoreError):  # the probe's own rubbish is no reason to go back
                delay.end()
        return {
            "looks": looks,
            "probes": {region: each.probes for region, each in samples.items()},
            "traffic": {region: each.traffic for region, each in samples.items()},
            "replication_seconds": delay.arrived,
        }

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
            self.tell_left(max(left, 0.0))
            if left <= 0 and not delay.missing and not any(each.missing for each in samples.values()):
                return looks
            share = max(left, 0.0) / max(pace, 1)
            self.sleep(min(_PAUSE, share) if left > 0 else (1.0 if delay.missing else 0.0))

    def _sampling(self, context: CheckContext, region: str, wanted: int) -> Samples:
        with calling(region):
            return Samples(context, region, wanted, context.now)

    def _look_at(self, samples: dict[str, Samples], share: float) -> int:
        """Count and probe; returns the most calls that a region still lacks."""
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
