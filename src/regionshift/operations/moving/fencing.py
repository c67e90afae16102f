"""The fence around a lost region, which needs no call to it; and what is known about its data meanwhile.

While the region is away, its roles are denied everything. IAM is global: when the region answers again, its
replication and our functions there may do nothing (IAM User Guide, "Policy evaluation logic"). An explicit deny
overrides every allow. Once it answers, the bucket's policy stops the writes of others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import DENIED, code_of
from regionshift.errors import WorkFailed
from regionshift.infrastructure.policies.resources import FENCED, bucket_fence
from regionshift.infrastructure.policies.statement import FENCE
from regionshift.journal.journal import Journal
from regionshift.operations.alarms import replication_dimensions
from regionshift.operations.environment import Environment
from regionshift.releases import DeployedReleases
from regionshift.runs.deployment_state import RegionState
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import partition_of
from regionshift.waiting import AT_ONCE, Waiter

POLICY = "regionshift-fence"
NOT_SHUT = "roles_not_shut"
"""The name in a run's result: {region: [role, ...]}."""
_ROLES = (named.REPLICATION_ROLE, named.FUNCTION_ROLE, named.WORKER_ROLE, named.STATE_MACHINE_ROLE)


@dataclass(frozen=True)
class Fence:
    """The result for the roles of one lost region.

    Args:
        done: the roles that were changed. failed: {role: why} of the others.
    """

    region: str
    done: tuple[str, ...]
    failed: Mapping[str, str]

    @property
    def warning(self) -> str:
        """A sentence on the roles that are not shut; empty when all are."""
        if not self.failed:
            return ""
        first = next(iter(self.failed.values()))
        return (
            f"{self.region} is NOT shut: {len(self.failed)} of its roles could not be denied"
            f" ({', '.join(self.failed)}), so when it is back it may write and replicate. Each"
            f" `regionshift up` tries again; by hand: a policy that denies everything on each role. ({first})"
        )

    def said(self) -> dict[str, object]:
        """For the journal."""
        said: dict[str, object] = {"roles": list(self.done)}
        return {**said, "failed": dict(self.failed), "warning": self.warning} if self.failed else said


def fenced_regions(journal: Journal) -> tuple[str, ...]:
    """The regions that are fenced now, by the newest run that says so."""
    for run in journal.history():
        if run.kind == "destroy" and run.outcome == "succeeded":
            return ()
        found = run.result.get("fenced")
        if isinstance(found, list):
            return tuple(str(region) for region in found)
    return ()


def not_shut(journal: Journal) -> dict[str, tuple[str, ...]]:
    """The fenced regions with the roles that could not be shut, by the newest run that says so."""
    fenced = fenced_regions(journal)
    for run in journal.history():
        found = run.result.get(NOT_SHUT)
        if isinstance(found, Mapping):
            return {str(r): tuple(roles) for r, roles in found.items() if r in fenced and roles}
    return {}


def with_fenced(deployed: DeployedReleases, journal: Journal) -> DeployedReleases:
    """``deployed`` with the fenced regions: the result of an `up` without them does not name them."""
    left = not_shut(journal)
    fenced = {
        region: RegionState(None, False, note_of(region, left.get(region, ())))
        for region in fenced_regions(journal)
    }
    return replace(deployed, regions={**deployed.regions, **fenced})


_FENCED, _NOT_SHUT = "fenced", "NOT SHUT"


def note_of(region: str, roles: Collection[str] = ()) -> str:
    """The note of a fenced region; ``roles``: those that are not shut."""
    said = f"{_FENCED}; when it is back: regionshift up --rejoin {region}"
    return f"{_NOT_SHUT} ({', '.join(roles)}): regionshift up tries again; {said}" if roles else said


def is_fenced(state: RegionState) -> bool:
    """Whether a region gets no call because it was lost, by its note. Its roles need not all be shut."""
    return state.note.startswith((f"{_FENCED};", _NOT_SHUT))


def is_half_fenced(state: RegionState) -> bool:
    """Whether a role of a fenced region is not shut: when the region is back, it may write and replicate."""
    return state.note.startswith(_NOT_SHUT)


def shut_again(environment: Environment, journal: Journal) -> tuple[str, list[Fence]]:
    """Try again to shut the roles that are not shut, and record the rest. Returns the run, and a result a region.

    Makes no call to the fenced regions. With nothing to do there is no run.
    """
    left = not_shut(journal)
    if not left:
        return "", []
    through = environment.config.regions.primary
    fences = [shut_roles(environment.clients, environment.config, region, through) for region in sorted(left)]
    if any(fence.done for fence in fences):
        journal.changing()
    run = journal.start("fence", {"regions": sorted(left)})
    still = {fence.region: list(fence.failed) for fence in fences}
    wrong = any(fence.failed for fence in fences)
    run.close("failed" if wrong else "succeeded", {NOT_SHUT: still}, failed=wrong)
    return run.run_id, fences


def shut_roles(clients: Clients, config: MigrationConfig, region: str, through: str) -> Fence:
    """Deny everything to the roles of ``region``, by calls to the region ``through``."""
    return _each_role(
        config,
        region,
        lambda role: clients.get("iam", through).put_role_policy(
            RoleName=role, PolicyName=POLICY, PolicyDocument=FENCE
        ),
    )


def open_roles(clients: Clients, config: MigrationConfig, region: str, through: str) -> dict[str, object]:
    """Undo :func:`shut_roles`. Raises WorkFailed when a role may still be shut."""
    fence = _each_role(
        config,
        region,
        lambda role: clients.get("iam", through).delete_role_policy(RoleName=role, PolicyName=POLICY),
    )
    if fence.failed:
        role, why = next(iter(fence.failed.items()))
        raise WorkFailed(
            f"{len(fence.failed)} roles of {region} are still denied everything: {why}",
            where=role,
            remedy=f"when IAM answers again; by hand: delete the policy {POLICY} of {', '.join(fence.failed)}",
            error_id="RS-REGION-004",
        )
    return fence.said()


def _each_role(config: MigrationConfig, region: str, change: Callable[[str], object]) -> Fence:
    done, failed = list[str](), dict[str, str]()
    for component in _ROLES:
        role = component.name(config.names, region)
        try:
            change(role)
            done.append(role)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                failed[role] = str(error)
        except BotoCoreError as error:
            failed[role] = str(error)
    return Fence(region, tuple(done), failed)


def shut_bucket(clients: Clients, config: MigrationConfig, region: str, waiter: Waiter = AT_ONCE) -> None:
    """Stop the replication from the region's deployment bucket, and all writes to it. May be done twice.

    The fence also denies us to change the replication. So an existing fence is lifted for a moment when there is
    replication to remove. A policy takes effect some time after it is written (S3 User Guide, "Amazon S3 data
    consistency model"), so until then we are denied.

    Args:
        waiter: says how long that can be.

    Raises ClientError, BotoCoreError when the region does not answer.
    """
    s3 = clients.get("s3", region)
    bucket = named.DEPLOYMENT_BUCKET.name(config.names, region)
    policy = _policy_of(s3, bucket)
    kept = [statement for statement in policy["Statement"] if statement.get("Sid") != FENCED]
    if _replicates(s3, bucket):
        if len(kept) < len(policy["Statement"]):
            _write_policy(s3, bucket, {**policy, "Statement": kept})
        waiter.past(
            lambda: s3.delete_bucket_replication(Bucket=bucket),
            lambda error: isinstance(error, ClientError) and code_of(error) in DENIED,
        )
    arn = f"arn:{partition_of(region)}:s3:::{bucket}"
    _write_policy(s3, bucket, {**policy, "Statement": [*kept, bucket_fence(arn)]})


def _policy_of(s3: Any, bucket: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return {"Version": "2012-10-17", "Statement": []}
    return found


def _write_policy(s3: Any, bucket: str, policy: Mapping[str, Any]) -> None:
    """Write the policy, or delete it when it has no statement: Amazon S3 has no empty policy."""
    if policy["Statement"]:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    else:
        s3.delete_bucket_policy(Bucket=bucket)


def _replicates(s3: Any, bucket: str) -> bool:
    try:
        s3.get_bucket_replication(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ReplicationConfigurationNotFoundError":
            raise
        return False
    return True


_LOOK_BACK = timedelta(days=1)


def unproven(
    clients: Clients, journal: Journal, config: MigrationConfig, lost: str, new: str, now: datetime
) -> list[str]:
    """Sentences on what may be missing in ``new``, as ``lost`` cannot be asked."""
    said = [
        f"what was written in {lost} and had not reached {new} when it was lost is not in {new};"
        " only the lost region could say what",
    ]
    last = last_measured(journal, new)
    said.append(
        f"replication to {new} was last measured by us at {last.at:%Y-%m-%d %H:%M:%S %Z}: {last.seconds:.2f} s"
        f" (in {last.run_id})"
        if last
        else f"replication to {new} was never measured by us (no bake, no migration, no change of primary)"
    )
    watched = _watched(clients, config, lost, new, now)
    said.append(
        f"CloudWatch in {new} last saw it {watched[0]:.0f} s behind, at {watched[1]:%Y-%m-%d %H:%M:%S %Z}:"
        f" what was written in the {watched[0]:.0f} s before the loss may be missing"
        if watched
        else f"CloudWatch in {new} has no replication latency of the last 24 hours: the delay is not known"
    )
    said.append(
        f"objects whose replication had failed permanently are missing in {new}: see the alarm's history"
    )
    if config.carry.entries:
        said.append("what `carry` names is as the last migration left it; changes since are not there")
    return said


@dataclass(frozen=True)
class Measurement:
    """How many seconds replication into a region took, when that was recorded, and in which run."""

    seconds: float
    at: datetime
    run_id: str


def last_measured(journal: Journal, region: str) -> Measurement | None:
    """The newest measurement of the replication into ``region``, by a bake, a migration or a change of primary."""
    return last_measured_in(journal, [region]).get(region)


def last_measured_in(
    journal: Journal, regions: Collection[str], most: int | None = None
) -> dict[str, Measurement]:
    """The newest measurement for each of ``regions``, in all runs or in the newest ``most``. Reads each run once."""
    newest: dict[str, Measurement] = {}
    for run in journal.history(most):
        missing = [region for region in regions if region not in newest]
        if not missing:
            break
        view = journal.view_or_none(run.run_id)
        steps = [(step.at, step.data) for step in view.steps] if view else []
        said = [*steps, *([(run.ended, run.result)] if run.ended else [])]
        for region in missing:
            if found := [(at, seconds) for at, data in said for seconds in _seconds_in(data, region)]:
                at, seconds = max(found)
                newest[region] = Measurement(seconds, at, run.run_id)
    return newest


def _seconds_in(data: object, region: str) -> Iterator[float]:
    """Every delay into ``region`` in the data of a run, at any depth: a number, or one for each region."""
    if not isinstance(data, Mapping):
        return
    for name, value in data.items():
        if name == "replication_seconds":
            seconds = value.get(region) if isinstance(value, Mapping) else value
            if isinstance(seconds, int | float):
                yield float(seconds)
        else:
            yield from _seconds_in(value, region)


def _watched(
    clients: Clients, config: MigrationConfig, lost: str, new: str, now: datetime
) -> tuple[float, datetime] | None:
    """The newest ReplicationLatency, which S3 publishes in the destination's region (Amazon S3 User Guide,
    "Using S3 Replication metrics")."""
    try:
        found = clients.get("cloudwatch", new).get_metric_statistics(
            Namespace="AWS/S3",
            MetricName="ReplicationLatency",
            Dimensions=replication_dimensions(config, lost, new),
            StartTime=now - _LOOK_BACK,
            EndTime=now,
            Period=300,
            Statistics=["Maximum"],
        )["Datapoints"]
    except (ClientError, BotoCoreError):
        return None
    newest = max(found, key=lambda point: point["Timestamp"], default=None)
    return (newest["Maximum"], newest["Timestamp"]) if newest else None
