"""Calls of the function in a bake: those that traffic makes, and ours for those that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from regionshift.operations.checks.base import CheckContext, Wrong
from regionshift.operations.checks.function import invoke

_MINUTE = 60
_OURS = 1  # the validation before the bake called the function once
_PROBE = {"action": "validate", "linked": False}  # the links between regions follow the waves


class ProbeFailed(Exception):
    """A probe was answered with an error."""


@dataclass
class Samples:
    """Counts one region's calls since now, and makes the missing ones.

    CloudWatch counts by the minute and some minutes late: what it does not tell yet is probed instead, so
    there are never too few. ``probes`` are counted apart and never as ``traffic``.
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
        """Count, and probe once when there were fewer than ``share`` (0 to 1) of the calls by now.

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
