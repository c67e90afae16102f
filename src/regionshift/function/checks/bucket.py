"""``s3_bucket``: the deployment bucket is reachable, here, versioned and closed to the public."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from regionshift.function.checks.subject import CheckAnswer, Subject, ask
from regionshift.function.problems import code_of

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def check_bucket(subject: Subject) -> Sequence[CheckAnswer]:
    """Three questions to S3 about the deployment bucket."""
    bucket, s3 = subject.variables.deployment_bucket, subject.clients.s3
    return (
        ask(
            f"s3:HeadBucket {bucket}: reachable, in {subject.variables.region}",
            lambda: s3.head_bucket(Bucket=bucket),
            lambda reply: _is_here(reply, subject.variables.region),
        ),
        ask(
            f"s3:GetBucketVersioning {bucket}: Enabled",
            lambda: s3.get_bucket_versioning(Bucket=bucket),
            lambda reply: (reply.get("Status") == "Enabled", reply.get("Status", "never enabled")),
        ),
        ask(
            f"s3:GetPublicAccessBlock {bucket}: all four on",
            lambda: _public_blocks(s3, bucket),
            _all_on,
        ),
    )


def _is_here(reply: Mapping[str, Any], region: str) -> tuple[bool, str]:
    # Every answer of S3 names the bucket's region; without it the bucket is reachable, and no more is known.
    found = reply.get("BucketRegion")
    if found is None:
        return True, "reachable"
    return found == region, f"reachable, in {found}"


def _public_blocks(s3: Any, bucket: str) -> Mapping[str, bool]:
    try:
        reply = s3.get_public_access_block(Bucket=bucket)
    except ClientError as problem:
        if code_of(problem) == "NoSuchPublicAccessBlockConfiguration":
            return {}
        raise
    configuration: Mapping[str, bool] = reply["PublicAccessBlockConfiguration"]
    return configuration


def _all_on(blocks: Mapping[str, bool]) -> tuple[bool, str]:
    off = [name for name in _BLOCKS if blocks.get(name) is not True]
    return not off, f"off: {', '.join(off)}" if off else "all four on"
