"""The watch after a wave: its alarms, and a function that is really called."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from regionshift.aws.clients import Clients
from regionshift.errors import Refused
from regionshift.operations.checks.base import CheckContext, Wrong
from regionshift.operations.checks.function import invoke
from regionshift.settings.check import every_name
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import Kind

WINDOW = 300
"""Seconds: the longest window of the environment's own alarms (one period of five minutes each)."""
_PAUSE = 5.0
_PROBE = {"action": "validate"}


class Breach(Exception):
    """What is watched says that the wave is not well; the message says where and what."""


@dataclass(frozen=True)
class Watch:
    """Watches regions with ``clients``. ``clock`` and ``sleep`` are in seconds, ``clock`` is monotonic."""

    clients: Clients
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def red(self, config: MigrationConfig, regions: Collection[str]) -> list[str]:
        """The alarms of ``regions``, the environment's and those that the settings add, that are red now."""
        return [f"{name} [{region}]" for region in regions for name in self._red_in(config, region)]

    def bake(
        self,
        config: MigrationConfig,
        regions: Collection[str],
        context: CheckContext,
        ignored: Collection[str],
    ) -> dict[str, object]:
        """Watch for ``config.bake`` seconds, then make up for the calls that were too few.

        Args:
            ignored: alarms that were red before the first wave, as :meth:`red` tells them.

        Returns:
            What was watched: {"alarms": looks, "probes": {region: calls made}}.

        Raises:
            Breach: an alarm is red, or a probe was answered with an error; at once.
        """
        began, looks = self.clock(), 0
        probes: dict[str, int] = dict.fromkeys(regions, 0)
        wanted = config.deployment.bake_min_samples if config.bake else 0
        while True:
            looks += 1
            if red := [alarm for alarm in self.red(config, regions) if alarm not in ignored]:
                raise Breach(f"red: {', '.join(red)}")
            for region in regions:
                if probes[region] < wanted:
                    self._probe(context, region)
                    probes[region] += 1
            left = config.bake - (self.clock() - began)
            enough = all(count >= wanted for count in probes.values())
            if left <= 0 and enough:
                return {"looks": looks, "probes": probes}
            pace = left / max(wanted - min(probes.values(), default=wanted), 1) if not enough else left
            self.sleep(max(0.0, min(_PAUSE, pace, left)))

    def _probe(self, context: CheckContext, region: str) -> None:
        try:
            answer = invoke(context, region, dict(_PROBE))
        except Wrong as wrong:
            raise Breach(f"a probe of the function failed [{region}]: {wrong}") from wrong
        if answer.get("status") != "success":
            raise Breach(
                f"the function answered a probe with an error [{region}]: {answer.get('error') or answer}"
            )

    def _red_in(self, config: MigrationConfig, region: str) -> list[str]:
        own = {n.name for n in every_name(config) if n.kind is Kind.ALARM and n.region == region}
        own |= {alarm.name for alarm in config.deployment.alarms if alarm.region == region}
        pages = (
            self.clients.get("cloudwatch", region)
            .get_paginator("describe_alarms")
            .paginate(StateValue="ALARM")
        )
        found = {alarm["AlarmName"] for page in pages for alarm in page.get("MetricAlarms", [])}
        return sorted(found & own)


def require_long_enough(config: MigrationConfig) -> None:
    """Raises Refused when a bake on AWS is shorter than the window of the alarms that it relies on.

    The embedded AWS judges an alarm whenever it is asked, so there a short bake sees as much as a long one.
    """
    if config.target == "aws" and 0 < config.bake < WINDOW:
        raise Refused(
            f"A bake of {config.bake} s is shorter than the {WINDOW} s that its alarms look at.",
            where="deployment.bake",
            remedy=f"set deployment.bake to {WINDOW // 60}m or more, or to 0 to have no bake",
        )


def require_green(red: list[str], *, despite: bool) -> None:
    """Raises Refused when an alarm is red before the first wave: nothing could be told by it."""
    if red and not despite:
        raise Refused(
            f"Red before the first wave: {', '.join(red)}.",
            where="alarms",
            remedy="mend that first; --despite-alarms goes on and does not look at them",
        )
