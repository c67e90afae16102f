"""Shutting a lost region out: without a call to it while it is away, and first of all when it is back.

While it is away, its roles are shut: IAM is global, so that from the moment the region answers again its
replication and our functions there may do nothing (IAM User Guide, "Policy evaluation logic": an explicit
deny overrides every allow). What others write is stopped in the bucket's policy, once the region answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.journal.journal import Journal
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig

POLICY = "regionshift-fence"
_ROLES = (named.REPLICATION_ROLE, named.FUNCTION_ROLE, named.WORKER_ROLE, named.STATE_MACHINE_ROLE)
_NOTHING: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "Fenced", "Effect": "Deny", "Action": "*", "Resource": "*"}],
}
_WRITES = (
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:PutReplicationConfiguration",
    "s3:RestoreObject",
)


def fenced_regions(journal: Journal) -> tuple[str, ...]:
    """The regions that are shut out now, by the newest run that says so."""
    for run in journal.history():
        if run.kind == "destroy" and run.outcome == "succeeded":
            return ()
        found = run.result.get("fenced")
        if isinstance(found, list):
            return tuple(str(region) for region in found)
    return ()


def shut_roles(clients: Clients, config: MigrationConfig, region: str, through: str) -> dict[str, object]:
    """Let the roles of ``region`` do nothing, by way of the region ``through``; says what could not be shut."""
    return _each_role(
        config,
        region,
        lambda role: clients.get("iam", through).put_role_policy(
            RoleName=role, PolicyName=POLICY, PolicyDocument=json.dumps(_NOTHING)
        ),
    )


def open_roles(clients: Clients, config: MigrationConfig, region: str, through: str) -> dict[str, object]:
    """Take back what :func:`shut_roles` did."""
    return _each_role(
        config,
        region,
        lambda role: clients.get("iam", through).delete_role_policy(RoleName=role, PolicyName=POLICY),
    )


def _each_role(config: MigrationConfig, region: str, change: Any) -> dict[str, object]:
    done, failed = [], {}
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
    return {"roles": done, **({"failed": failed} if failed else {})}


def shut_bucket(clients: Clients, config: MigrationConfig, region: str) -> None:
    """Nothing replicates from the region's deployment bucket any more, and nobody writes to it.

    Raises ClientError, BotoCoreError when the region does not answer.
    """
    s3 = clients.get("s3", region)
    bucket = named.DEPLOYMENT_BUCKET.name(config.names, region)
    s3.delete_bucket_replication(Bucket=bucket)
    try:
        standing = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        standing = {"Version": "2012-10-17", "Statement": []}
    arn = _arn_of(standing["Statement"], bucket)
    fence = {
        "Sid": "Fenced",
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(_WRITES),
        "Resource": [arn, f"{arn}/*"],
    }
    kept = [statement for statement in standing["Statement"] if statement.get("Sid") != "Fenced"]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**standing, "Statement": [*kept, fence]}))


def _arn_of(statements: Iterable[dict[str, Any]], bucket: str) -> str:
    """The bucket's ARN as its own policy writes it, which knows the partition."""
    for statement in statements:
        resources = statement.get("Resource", [])
        for resource in [resources] if isinstance(resources, str) else resources:
            if str(resource).endswith(f":::{bucket}"):
                return str(resource)
    return f"arn:aws:s3:::{bucket}"
