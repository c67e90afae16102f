"""What was measured of replication and of the work's own duration, against what the settings promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regionshift.operations.checks.base import CheckContext
from regionshift.operations.checks.replication import Replication
from regionshift.settings.config import MigrationConfig


@dataclass(frozen=True)
class Recovery:
    """All in seconds.

    Args:
        what: whose duration ``seconds`` is: ``the migration``, ``the validation``.
        delays: how long a probe took to each secondary; None where it did not arrive in time. Empty where
            nothing that was asked about replicates.
        rpo: the longest delay that the settings allow (RPO, what may be lost when the primary goes).
        rto: the longest duration that the settings allow (RTO).
    """

    what: str
    seconds: float
    rpo: float
    rto: float
    delays: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def delay(self) -> float | None:
        """The slowest of the probes that arrived; None when none was seen."""
        return max((seen for seen in self.delays.values() if seen is not None), default=None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is missed, in words."""
        found = []
        for region, delay in self.delays.items():
            if delay is None:
                found.append(f"replication to {region} was not seen; the target (RPO) is {self.rpo:.0f} s")
            elif delay > self.rpo:
                found.append(
                    f"replication to {region} took {delay:.1f} s, the target (RPO) is {self.rpo:.0f} s"
                )
        if self.seconds > self.rto:
            found.append(f"{self.what} took {self.seconds:.0f} s, the target (RTO) is {self.rto:.0f} s")
        return tuple(found)

    @property
    def as_json(self) -> dict[str, Any]:
        """For pipelines."""
        return {
            "replication_seconds": dict(self.delays),
            "rpo_seconds": self.delay,
            "rpo_target_seconds": self.rpo,
            "rto_seconds": self.seconds,
            "rto_target_seconds": self.rto,
            "warnings": list(self.warnings),
        }


def measured(
    config: MigrationConfig, what: str, seconds: float, delays: Mapping[str, float | None]
) -> Recovery:
    """The figures beside the settings' targets."""
    return Recovery(what, seconds, config.recovery.rpo, config.recovery.rto, delays)


def delays_into(replication: Replication, context: CheckContext, region: str) -> dict[str, float | None]:
    """The delay that a probe saw on its way to ``region``; for the primary, on its way to every secondary."""
    if region != context.primary:
        return {region: replication.measure(context)[region].probe}
    if not context.config.regions.secondaries:
        return {}
    return {name: arrival.probe for name, arrival in replication.measure(context).items()}
