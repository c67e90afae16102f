"""Checks of buckets and keys: existence, access, encryption, versions and logging."""

from __future__ import annotations

import json

from regionshift.operations.checks.base import Check, CheckContext, Wrong, expect
from regionshift.operations.usable_keys import keys_of, unusable

_ALL_FOUR = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class _BucketCheck(Check):
    output = "deployment_bucket_name"

    def ask(self, context: CheckContext, region: str) -> str:
        s3 = context.clients.get("s3", region)
        bucket = context.outputs.get(self.output, region)
        versioning = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        expect(f"versioning of {bucket}", versioning, "Enabled")
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        expect(f"public access block of {bucket}", dict(block), _ALL_FOUR)
        owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"][0]
        expect(f"object ownership of {bucket}", owner["ObjectOwnership"], "BucketOwnerEnforced")
        if not _denies_plain_http(s3.get_bucket_policy(Bucket=bucket)["Policy"]):
            raise Wrong(f"the policy of {bucket} does not deny requests without TLS")
        if not s3.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules"):
            raise Wrong(f"{bucket} has no lifecycle rules")
        self.more(context, region, bucket)
        return f"{bucket}: versioned, closed, TLS only, with lifecycle, encrypted"

    def more(self, context: CheckContext, region: str, bucket: str) -> None:
        """The checks that only this kind of bucket has."""
        rule = _encryption_of(context, region, bucket)
        expect(
            f"encryption of {bucket}", rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256"
        )


def _denies_plain_http(policy: str) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and str(statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")).lower() == "false"
        for statement in json.loads(policy)["Statement"]
    )


def _encryption_of(context: CheckContext, region: str, bucket: str) -> dict:  # type: ignore[type-arg]
    s3 = context.clients.get("s3", region)
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return dict(rules[0])


class DeploymentBucket(_BucketCheck):
    """The bucket that holds the environment's data."""

    name = "deployment bucket"

    def more(self, context: CheckContext, region: str, bucket: str) -> None:
        """Encrypted with the region's own key, bucket key on, access logged to the log bucket."""
        rule = _encryption_of(context, region, bucket)
        default = rule["ApplyServerSideEncryptionByDefault"]
        expect(f"encryption of {bucket}", default["SSEAlgorithm"], "aws:kms")
        expect(f"bucket key of {bucket}", rule.get("BucketKeyEnabled"), True)
        logging = (
            context.clients.get("s3", region).get_bucket_logging(Bucket=bucket).get("LoggingEnabled", {})
        )
        wanted = context.outputs.get("log_bucket_name", region)
        expect(f"log bucket of {bucket}", logging.get("TargetBucket"), wanted)


class LogBucket(_BucketCheck):
    """The bucket that S3 writes access logs to."""

    name = "log bucket"
    output = "log_bucket_name"


class KeyCheck(Check):
    """The region's key is enabled and rotated. Every other key that is used there is enabled."""

    name = "encryption key"
    remedy = (
        "`aws kms enable-key`, after `aws kms cancel-key-deletion` if it waits for its deletion;"
        " otherwise `regionshift up --refresh`, which restores the state of the settings"
    )

    def ask(self, context: CheckContext, region: str) -> str:
        kms = context.clients.get("kms", region)
        alias = context.config.names.key_alias(region)
        key = kms.describe_key(KeyId=alias)["KeyMetadata"]
        expect(f"state of {alias}", key["KeyState"], "Enabled")
        rotation = kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
        expect(f"rotation of {alias}", rotation, True)
        others = [each for each in keys_of(context.config, [region]) if each.key != alias]
        # The state's key may be in any region: it is checked once.
        others = [each for each in others if region in (each.region, context.primary)]
        if problems := [why for each in others if (why := unusable(context.clients, each)) is not None]:
            raise Wrong("; ".join(map(str, problems)))
        return f"{alias}: enabled, rotated"
