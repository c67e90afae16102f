"""The rights of the worker: read what ``carry`` names in every region, and write what it names in its own.

Every argument is an ARN, an ARN pattern or a list of them. An empty list gives no statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regionshift.infrastructure.policies.function import tracing_statements
from regionshift.infrastructure.policies.statement import (
    READ_OBJECTS,
    USE_KEY,
    WRITE_OBJECTS,
    Condition,
    Statement,
    allow,
    deny,
    within,
)

_SEE_TARGET = (
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketVersioning",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    # S3 supports no prefix for it (Service Authorization Reference, "Condition keys for Amazon S3").
    "s3:ListBucketMultipartUploads",
)
_LIST = "s3:ListBucketVersions"
READ_PARAMETERS = ("ssm:GetParameter", "ssm:ListTagsForResource")
WRITE_PARAMETERS = (
    "ssm:AddTagsToResource",
    "ssm:DeleteParameter",
    "ssm:PutParameter",
    "ssm:RemoveTagsFromResource",
)
WRITE_SECRET = (
    "secretsmanager:DeleteSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:TagResource",
    "secretsmanager:UntagResource",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
)
# A secret is created with its tags, which needs the right to tag too (Secrets Manager API Reference, "CreateSecret").
CREATE_SECRET = ("secretsmanager:CreateSecret", "secretsmanager:TagResource")


@dataclass(frozen=True)
class BucketReach:
    """What the worker may use in the buckets of one account: ARNs of buckets, ARN patterns of objects.

    ``listed``: patterns of prefixes, with the buckets in which only these are listed.
    """

    account: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    read: tuple[str, ...]
    write: tuple[str, ...]
    listed: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def unscoped_statements() -> list[Statement]:
    """Send traces, and see how many functions may run at once; see ``WITHOUT_RESOURCE``."""
    return [*tracing_statements(), allow("SeeRoom", ["lambda:GetAccountSettings"], ["*"])]


def record_statements(bucket: str, prefixes: Sequence[str], account: str) -> list[Statement]:
    """Read, write and find the records of migrations in ``bucket``. None of their versions is ever deleted.

    The last rule holds whatever else is allowed: an entry of ``carry`` can name the whole deployment bucket. The worker
    may list all current objects of the bucket. S3 answers 404 for a missing object only to callers that may list the
    bucket, and a request for an object has no prefix (S3 API Reference, "GetObject", "Permissions"). Without that
    right, a record that was never written looks like one that may not be read.
    """
    records = [f"{bucket}/{prefix}*" for prefix in prefixes]
    return [
        allow(
            "UseRecords",
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            records,
            condition=within(account),
        ),
        allow("FindRecords", ["s3:ListBucket"], [bucket], condition=within(account)),
        deny("KeepRecords", ["s3:DeleteObjectVersion"], records),
    ]


def object_statements(reaches: Sequence[BucketReach]) -> list[Statement]:
    """List, read, write and undo what ``carry`` names, in the buckets of the accounts that it names."""
    return [statement for number, reach in enumerate(reaches) for statement in _of_account(number, reach)]


def _of_account(number: int, reach: BucketReach) -> list[Statement]:
    rights: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
        ("SeeSources", ("s3:GetBucketVersioning",), reach.sources),
        ("SeeTargets", _SEE_TARGET, reach.targets),
        ("ReadObjects", READ_OBJECTS, reach.read),
        ("WriteObjects", WRITE_OBJECTS, reach.write),
    )
    return [
        *(
            allow(f"{sid}{number or ''}", actions, resources, condition=within(reach.account))
            for sid, actions, resources in rights
            if resources
        ),
        *(
            allow(f"ListObjects{number}x{group}", [_LIST], buckets, condition=_below(prefixes, reach.account))
            for group, (prefixes, buckets) in enumerate(reach.listed)
        ),
    ]


def _below(prefixes: Sequence[str], account: str) -> Condition:
    """Return a condition for lists of these prefixes in buckets of ``account``. ``*`` means the whole bucket."""
    if "*" in prefixes:
        return within(account)
    return {**within(account), "StringLike": {"s3:prefix": list(prefixes)}}


def key_statements(
    key: str, services: Sequence[str], elsewhere: Sequence[str], reading: Sequence[str]
) -> list[Statement]:
    """Use the region's key, and decrypt with keys of other regions, both only through services.

    The ids of keys of other regions, and of the user's own buckets, are not known here. The key's own policy and
    ``kms:ViaService`` limit their use (KMS Developer Guide, "kms:ViaService").

    Args:
        elsewhere: the ARN patterns of the keys of every region.
        reading: the patterns of the services through which those keys are used, each in the key's own region. Empty
            where nothing is carried.
    """
    own: Condition = {"StringEquals": {"kms:ViaService": list(services)}}
    there: Condition = {"StringLike": {"kms:ViaService": list(reading)}}
    return [
        allow("UseKey", USE_KEY, [key], condition=own),
        *([allow("ReadWithKeys", ["kms:Decrypt"], elsewhere, condition=there)] if reading else []),
    ]


def named_key_statements(named: Sequence[tuple[str, str, Sequence[str]]]) -> list[Statement]:
    """Use the keys that entries write with, as :func:`key_statements` does with the region's own.

    Args:
        named: (ARN or pattern, alias or nothing, services) of each. A policy cannot have an alias as its resource. So
            it names the alias in a condition (KMS Developer Guide, "Use aliases to control access to KMS keys").
    """
    return [
        allow(f"WriteWithKeys{number}", USE_KEY, [resource], condition=_bound(alias, through))
        for number, (resource, alias, through) in enumerate(named)
    ]


def _bound(alias: str, services: Sequence[str]) -> Condition:
    through: Condition = {"StringEquals": {"kms:ViaService": list(services)}}
    return {**through, "ForAnyValue:StringEquals": {"kms:ResourceAliases": [alias]}} if alias else through


def parameter_statements(
    read: Sequence[str], write: Sequence[str], regions: Sequence[str]
) -> list[Statement]:
    """Read the parameters of ``read``, write and undo those of ``write``; list names and settings.

    Args:
        read: the patterns to read, which may stand for any region.
        regions: the regions in which ``read`` holds.
    """
    if not read:
        return []
    return [
        allow("ListParameters", ["ssm:DescribeParameters"], ["*"]),
        allow(
            "ReadParameters",
            READ_PARAMETERS,
            _with_own(read, write),
            condition=_asked_in(regions),
        ),
        allow(
            "WriteParameters",
            WRITE_PARAMETERS,
            write,
        ),
    ]


def _asked_in(regions: Sequence[str]) -> Condition:
    """Return a condition on the region of the request (IAM User Guide, "AWS global condition context keys")."""
    return {"StringEquals": {"aws:RequestedRegion": list(regions)}}


def _with_own(read: Sequence[str], write: Sequence[str]) -> list[str]:
    """Return ``read``, and what of ``write`` no pattern of ``read`` names in any region."""
    anywhere = {each: ":".join([*(parts := each.split(":", 4))[:3], "*", parts[4]]) for each in write}
    return [*read, *(each for each in write if each not in read and anywhere[each] not in read)]


def topic_statements(topic: str) -> list[Statement]:
    """Publish the end of each migration to the deployment topic."""
    return [allow("Notify", ["sns:Publish"], [topic])]


def secret_statements(
    read: Sequence[str],
    write: Sequence[str],
    tagged_read: Sequence[str],
    tagged_write: Sequence[str],
    tags: Sequence[Mapping[str, str]],
    regions: Sequence[str],
) -> list[Statement]:
    """Read the secrets of ``read``, write and undo those of ``write``; see names and settings.

    Only plans list secrets, with the rights of the person who runs the command.

    Args:
        read, tagged_read: patterns that may stand for any region.
        regions: the regions in which those patterns hold.
        tagged_read, tagged_write: patterns that may match anything. Their rights hold only for secrets that have all
            tags of one of ``tags``, or are created with them. See the Secrets Manager User Guide, "Control access to
            secrets using attribute-based access control".
    """
    if not read and not tags:
        return []
    return [
        # Names and settings. A secret that does not exist yet has no tags.
        allow(
            "SeeSecrets",
            ["secretsmanager:DescribeSecret"],
            _with_own([*read, *tagged_read], [*write, *tagged_write]),
            condition=_asked_in(regions),
        ),
        *_given("ReadSecrets", ["secretsmanager:GetSecretValue"], _with_own(read, write), _asked_in(regions)),
        *_given("WriteSecrets", sorted({*CREATE_SECRET, *WRITE_SECRET}), write),
        *(
            statement
            for number, wanted in enumerate(tags)
            for statement in _tagged(number, wanted, tagged_read, tagged_write, regions)
        ),
    ]


def _tagged(
    number: int, wanted: Mapping[str, str], read: Sequence[str], write: Sequence[str], regions: Sequence[str]
) -> list[Statement]:
    has: Condition = {
        "StringEquals": {f"secretsmanager:ResourceTag/{name}": [value] for name, value in wanted.items()}
    }
    has_there: Condition = {"StringEquals": {**has["StringEquals"], **_asked_in(regions)["StringEquals"]}}
    made_with: Condition = {
        "StringEquals": {f"aws:RequestTag/{name}": [value] for name, value in wanted.items()},
        # A request that tags an existing secret names it. With these tags the secret would become the worker's
        # (Service Authorization Reference, "Condition keys for AWS Secrets Manager").
        "Null": {"secretsmanager:SecretId": "true"},
    }
    return [
        allow(
            f"ReadTaggedSecrets{number}",
            ["secretsmanager:GetSecretValue"],
            _with_own(read, write),
            condition=has_there,
        ),
        allow(f"WriteTaggedSecrets{number}", WRITE_SECRET, write, condition=has),
        allow(f"MakeTaggedSecrets{number}", CREATE_SECRET, write, condition=made_with),
    ]


def _given(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Condition | None = None
) -> list[Statement]:
    return [allow(sid, actions, resources, condition=condition)] if resources else []
