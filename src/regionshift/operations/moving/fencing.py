"""Shutting a lost region out: without a call to it while it is away, and first of all when it is back.

While it is away, its roles are shut: IAM is global, so that from the moment the region answers again its
replication and our functions there may do nothing (IAM User Guide, "Policy evaluation logic": an explicit
deny overrides every allow). What others write is stopped in the bucket's policy, once the region answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import DENIED, code_of
from regionshift.errors import WorkFailed
from regionshift.infrastructure.policies.resources import FENCED, bucket_fence
from regionshift.infrastructure.policies.statement import FENCE
from regionshift.journal.journal import Journal
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
    """What became of the roles of one lost region.

    Args:
        done: the roles that were changed. failed: {role: why} of those that could not be.
    """

    region: str
    done: tuple[str, ...]
    failed: Mapping[str, str]

    @property
    def warning(self) -> str:
        """What a person is to know of the roles that are not shut; empty when all are."""
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
    """The regions that are shut out now, by the newest run that says so."""
    for run in journal.history():
        if run.kind == "destroy" and run.outcome == "succeeded":
            return ()
        found = run.result.get("fenced")
        if isinstance(found, list):
            return tuple(str(region) for region in found)
    return ()


def not_shut(journal: Journal) -> dict[str, tuple[str, ...]]:
    """The fenced regions of which roles could not be shut, with those roles; by the newest run that says so."""
    fenced = fenced_regions(journal)
    for run in journal.history():
        found = run.result.get(NOT_SHUT)
        if isinstance(found, Mapping):
            return {str(r): tuple(roles) for r, roles in found.items() if r in fenced and roles}
    return {}


def with_fenced(deployed: DeployedReleases, journal: Journal) -> DeployedReleases:
    """The same with the regions that are fenced, for whoever looks at all: an `up` without them forgets them."""
    left = not_shut(journal)
    fenced = {
        region: RegionState(None, False, note_of(region, left.get(region, ())))
        for region in fenced_regions(journal)
    }
    return replace(deployed, regions={**deployed.regions, **fenced})


def note_of(region: str, roles: Collection[str] = ()) -> str:
    """What is to be said of a fenced region; ``roles``: those that are not shut."""
    said = f"fenced; when it is back: regionshift up --rejoin {region}"
    return f"NOT SHUT ({', '.join(roles)}): regionshift up tries again; {said}" if roles else said


def shut_again(environment: Environment, journal: Journal) -> tuple[str, list[Fence]]:
    """Try again to shut what could not be shut, and write down what is left; the run, and what became of each.

    Makes no call to the fenced regions. Nothing to do is no run.
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
    """Let the roles of ``region`` do nothing, by way of the region ``through``; says what could not be shut."""
    return _each_role(
        config,
        region,
        lambda role: clients.get("iam", through).put_role_policy(
            RoleName=role, PolicyName=POLICY, PolicyDocument=FENCE
        ),
    )


def open_roles(clients: Clients, config: MigrationConfig, region: str, through: str) -> dict[str, object]:
    """Take back what :func:`shut_roles` did. Raises WorkFailed when a role may still be shut."""
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
    """Nothing replicates from the region's deployment bucket any more, and nobody writes to it. Done twice is no harm.

    The fence denies everybody, us too, to change the replication. So a fence that stands is lifted for the moment that
    takes, if there is something to take away; on the usual second attempt there is not. A policy has effect some time
    after it is written (S3 User Guide, "Amazon S3 data consistency model"), so until then we are denied.

    Args:
        waiter: for how long that can be.

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
    """Amazon S3 has no empty policy: without a statement it is deleted."""
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
