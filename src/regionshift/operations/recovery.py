"""What was measured of replication, against what the settings promise.

The duration of a migration or of checks is no recovery time (RTO): only a change of primary recovers something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regionshift.operations.checks.base import CheckContext
from regionshift.operations.checks.replication import ReplicationCheck
from regionshift.settings.config import MigrationConfig


@dataclass(frozen=True)
class MeasuredRecovery:
    """All in seconds.

    Args:
        seconds: how long the work itself took.
        delays: how long a probe took to each secondary; None where it did not arrive in time. Empty where
            nothing that was asked about replicates.
        rpo: the longest delay that the settings allow (RPO, what may be lost when the primary goes).
    """

    seconds: float
    rpo: float
    delays: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def delay(self) -> float | None:
        """The slowest of the probes; None when nothing was asked, or one did not arrive: then nobody knows it."""
        seen = [delay for delay in self.delays.values() if delay is not None]
        return max(seen, default=None) if len(seen) == len(self.delays) else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Each target that was missed, as a sentence."""
        found = []
        for region, delay in self.delays.items():
            if delay is None:
                found.append(f"replication to {region} was not seen; the target (RPO) is {self.rpo:.0f} s")
            elif delay > self.rpo:
                found.append(
                    f"replication to {region} took {delay:.1f} s, the target (RPO) is {self.rpo:.0f} s"
                )
        return tuple(found)

    @property
    def as_json(self) -> dict[str, Any]:
        """For pipelines."""
        return {
            "replication_seconds": dict(self.delays),
            "rpo_seconds": self.delay,
            "rpo_target_seconds": self.rpo,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
        }


def measured(config: MigrationConfig, seconds: float, delays: Mapping[str, float | None]) -> MeasuredRecovery:
    """The figures beside the settings' target."""
    return MeasuredRecovery(seconds, config.recovery.rpo, delays)


def delays_into(replication: ReplicationCheck, context: CheckContext, region: str) -> dict[str, float | None]:
    """The delay that a probe saw on its way to ``region``; for the primary, on its way to every secondary."""
    if region != context.primary:
        return {region: replication.measure(context)[region].probe}
    if not context.config.regions.secondaries:
        return {}
    return {name: arrival.probe for name, arrival in replication.measure(context).items()}
