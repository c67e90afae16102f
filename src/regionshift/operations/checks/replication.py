"""The check of the replication, by a probe object and its delete marker from the primary to each secondary."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from regionshift.aws.errors import DENIED, code_of
from regionshift.carriers.records import PROBES
from regionshift.operations.checks.base import Check, CheckContext, NotApplicable, Wrong
from regionshift.settings.config import MigrationConfig
from regionshift.waiting import Waiter

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 User Guide, "Meeting compliance requirements with S3 Replication Time Control": 15 minutes for 99.9 %.
# The embedded AWS replicates before it answers, so a long wait there would only hide a fault.
_PATIENCE_S = {"aws": 900.0, "local": 3.0}
_BETWEEN_LOOKS_S = 5.0  # the delay is compared with the RPO of the settings


@dataclass(frozen=True)
class Arrival:
    """Seconds from writing the probe and its delete marker until each was seen in one secondary."""

    probe: float | None
    marker: float | None


def delays_in(checks: Iterable[Check]) -> dict[str, float | None]:
    """Seconds that the probe among ``checks`` took to each secondary that it was sent to; None where it was lost."""
    asked = (check for check in checks if isinstance(check, ReplicationCheck))
    return {region: each.probe for check in asked for region, each in (check.arrivals or {}).items()}


class ReplicationCheck(Check):
    """An object from the primary's bucket arrives here, and then its delete marker. Measures both.

    One probe serves all secondaries. Its versions are removed only when every secondary has it, or patience ends;
    otherwise a late replica would stay behind. A probe that failed is put again. A new role may not be known yet, and
    S3 tries no object twice (S3 User Guide, "Getting replication status information": FAILED is final).
    """

    name = "replication"
    waits_itself = True
    remedy = "look at the replication rules of the primary's bucket, and at their role"

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.arrivals: dict[str, Arrival] | None = None

    def ask(self, context: CheckContext, region: str) -> str:
        if region == context.primary:
            raise NotApplicable("the primary is where replication starts")
        arrival, patience = self.measure(context)[region], _PATIENCE_S[context.config.target]
        if arrival.probe is None:
            raise Wrong(f"the probe did not arrive within {patience:.0f} s")
        if arrival.marker is None:
            raise Wrong(f"the probe's delete marker did not arrive within {patience:.0f} s")
        return f"arrived after {arrival.probe:.2f} s, its delete marker after {arrival.marker:.2f} s"

    def measure(self, context: CheckContext) -> dict[str, Arrival]:
        """The arrival in each secondary. The first call sends the probe."""
        with self._guard:
            if self.arrivals is None:
                self.arrivals = self._probe(context)
            return self.arrivals

    def _probe(self, context: CheckContext) -> dict[str, Arrival]:
        source = context.outputs.get("deployment_bucket_name", context.primary)
        secondaries = context.config.regions.secondaries
        buckets = {region: context.outputs.get("deployment_bucket_name", region) for region in secondaries}
        key = f"{PROBES}{uuid.uuid4()}"
        s3 = context.clients.get("s3", context.primary)
        try:
            put = partial(s3.put_object, Bucket=source, Key=key, Body=key.encode())
            put()
            probes = self._wait(context, buckets, key, lambda: _has_failed(s3, source, key) and put())
            s3.delete_object(Bucket=source, Key=key)
            # Without the probe, patience has ended already.
            markers = self._wait(context, {region: buckets[region] for region in probes}, key)
        finally:
            for region, bucket in [(context.primary, source), *buckets.items()]:
                remove_versions(context, region, bucket, key)
        return {region: Arrival(probes.get(region), markers.get(region)) for region in buckets}

    def _wait(
        self,
        context: CheckContext,
        buckets: dict[str, str],
        key: str,
        again: Callable[[], object] | None = None,
    ) -> dict[str, float]:
        """Seconds to the arrival of the probe, which ``again`` repeats if needed, or of its marker."""
        began, seen = context.clock(), dict[str, float]()

        def look() -> dict[str, float]:
            for region in buckets.keys() - seen.keys():
                if _seen(context, region, buckets[region], key, marker=again is None):
                    seen[region] = context.clock() - began
            if again and len(seen) < len(buckets):
                again()
            return seen

        patience = _PATIENCE_S[context.config.target]
        waiter = Waiter(
            patience,
            context.clock,
            context.sleep,
            longest=_BETWEEN_LOOKS_S,
            over=context.waiter.over,
        )
        return waiter.until(look, lambda found: len(found) == len(buckets))


def _has_failed(s3: S3Client, bucket: str, key: str) -> bool:
    """Whether S3 gave up the replication of the probe. False when the caller may not read that."""
    try:
        return s3.head_object(Bucket=bucket, Key=key).get("ReplicationStatus") == "FAILED"
    except ClientError as error:
        if code_of(error) not in DENIED:
            raise
        return False


def _seen(context: CheckContext, region: str, bucket: str, key: str, *, marker: bool) -> bool:
    return any(has_marker is marker for _, has_marker in versions_of(context, region, bucket, key))


def versions_of(context: CheckContext, region: str, bucket: str, key: str) -> list[tuple[str, bool]]:
    """Every version of ``key``: its id, and whether it is a delete marker. Longer keys are left out."""
    pages = context.clients.get("s3", region).get_paginator("list_object_versions")
    return [
        (entry["VersionId"], is_marker)
        for page in pages.paginate(Bucket=bucket, Prefix=key)
        for entries, is_marker in ((page.get("Versions", []), False), (page.get("DeleteMarkers", []), True))
        for entry in entries
        if entry["Key"] == key
    ]


def remove_versions(context: CheckContext, region: str, bucket: str, key: str) -> None:
    """Delete every version and delete marker of ``key``, so that a probe leaves nothing behind."""
    s3 = context.clients.get("s3", region)
    for version, _ in versions_of(context, region, bucket, key):
        try:
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchVersion":
                raise


@dataclass(frozen=True)
class MeasuredRecovery:
    """All in seconds.

    Args:
        seconds: how long the work itself took.
        delays: how long a probe took to each secondary; None when it did not arrive in time. Empty without replication.
        rpo: the longest delay that the settings allow (RPO: what may be lost with the primary).
    """

    seconds: float
    rpo: float
    delays: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def delay(self) -> float | None:
        """The slowest probe; None without probes, or when one did not arrive."""
        seen = [delay for delay in self.delays.values() if delay is not None]
        return max(seen, default=None) if len(seen) == len(self.delays) else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each missed target."""
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
    """The figures, with the target of the settings."""
    return MeasuredRecovery(seconds, config.recovery.rpo, delays)


def delays_into(replication: ReplicationCheck, context: CheckContext, region: str) -> dict[str, float | None]:
    """The delay that a probe saw on its way to ``region``; for the primary, on its way to every secondary."""
    if region != context.primary:
        return {region: replication.measure(context)[region].probe}
    if not context.config.regions.secondaries:
        return {}
    return {name: arrival.probe for name, arrival in replication.measure(context).items()}
