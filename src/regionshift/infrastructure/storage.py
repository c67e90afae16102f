"""The region's buckets: the deployment bucket and the log bucket for its access logs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure import carried
from regionshift.infrastructure.policies import resources as policies
from regionshift.infrastructure.policies.statement import policy
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.settings import components as named

ACCESS_LOG_PREFIX = "access/"
LifecycleRule = aws.s3.BucketLifecycleConfigurationRuleArgsDict
_EVERYTHING: LifecycleRule = {"id": "", "status": "Enabled", "filter": {"prefix": ""}}


@dataclass(frozen=True)
class BucketEncryption:
    """How new objects are encrypted by default. ``key`` is absent for SSE-S3."""

    algorithm: str
    key: pulumi.Input[str] | None = None


class PrivateBuckets(RegionComponent):
    """Creates buckets that keep versions, are encrypted and private, and use TLS only."""

    allow_data_loss = False
    """Whether buckets may be deleted with their objects."""

    def _bucket(self, thing: str, name: str, purpose: str) -> aws.s3.Bucket:
        return aws.s3.Bucket(
            self.site.label(thing),
            bucket=name,
            force_destroy=self.allow_data_loss,
            tags=self.site.tags(thing, purpose),
            opts=self.child(holds_data=True),
        )

    def _configure(
        self,
        thing: str,
        bucket: aws.s3.Bucket,
        encryption: BucketEncryption,
        rules: list[LifecycleRule],
    ) -> aws.s3.BucketVersioning:
        site = self.site
        versioning = aws.s3.BucketVersioning(
            site.label(f"{thing}-versioning"),
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=self.child(),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            site.label(f"{thing}-encryption"),
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": encryption.algorithm,
                        "kms_master_key_id": encryption.key,
                    },
                    "bucket_key_enabled": encryption.key is not None,
                }
            ],
            opts=self.child(),
        )
        aws.s3.BucketOwnershipControls(
            site.label(f"{thing}-ownership"),
            bucket=bucket.bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self.child(),
        )
        aws.s3.BucketLifecycleConfiguration(
            site.label(f"{thing}-lifecycle"),
            bucket=bucket.bucket,
            rules=rules,
            # S3 takes rules about old versions at any time, but they have no effect before versions are kept.
            opts=self.child(depends_on=[versioning]),
        )
        return versioning

    def _policy(self, thing: str, bucket: aws.s3.Bucket, text: pulumi.Input[str]) -> aws.s3.BucketPolicy:
        block = aws.s3.BucketPublicAccessBlock(
            self.site.label(f"{thing}-public-access"),
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.child(),
        )
        return aws.s3.BucketPolicy(
            self.site.label(f"{thing}-policy"),
            bucket=bucket.bucket,
            policy=text,
            # S3 refuses two of these calls at once on one bucket (OperationAborted).
            opts=self.child(depends_on=[block]),
        )


class StorageStack(PrivateBuckets):
    """Two versioned, private, TLS-only buckets, and those that ``carry`` asks the program to create.

    The log bucket is encrypted with SSE-S3: S3 cannot deliver server access logs to a bucket whose default is SSE-KMS
    (Amazon S3 User Guide, "Enabling Amazon S3 server access logging").
    """

    def __init__(
        self, site: Site, key: aws.kms.Key, opts: pulumi.ResourceOptions, *, allow_data_loss: bool = False
    ) -> None:
        super().__init__(site, "Storage", opts)
        self.allow_data_loss = allow_data_loss
        retention = site.config.retention

        self.log_bucket = self._bucket(
            "log-bucket", site.name(named.LOG_BUCKET), "access logs of the deployment bucket"
        )
        self._configure("log-bucket", self.log_bucket, BucketEncryption("AES256"), _log_rules(site))
        self.deployment_bucket = self._bucket(
            "deployment-bucket", site.name(named.DEPLOYMENT_BUCKET), "files of the environment"
        )
        self.versioning = self._configure(
            "deployment-bucket",
            self.deployment_bucket,
            BucketEncryption("aws:kms", key.arn),
            [old_versions(retention.old_versions), aborted_uploads(retention.aborted_uploads)],
        )
        self._policies()
        for name in carried.created_buckets(site):
            self._carried(name, key)
        self.register_outputs({"deployment_bucket": self.deployment_bucket.bucket})

    def _carried(self, name: str, key: aws.kms.Key) -> None:
        """Create a bucket that ``carry`` asks for, configured as the deployment bucket."""
        thing, retention = f"carried-{name}", self.site.config.retention
        bucket = self._bucket(thing, name, "carried files of the environment")
        self._configure(
            thing,
            bucket,
            BucketEncryption("aws:kms", key.arn),
            [old_versions(retention.old_versions), aborted_uploads(retention.aborted_uploads)],
        )
        self._policy(thing, bucket, policy(policies.tls_only_bucket, bucket=bucket.arn))

    def _policies(self) -> None:
        log_policy = self._policy(
            "log-bucket",
            self.log_bucket,
            policy(
                policies.log_bucket_statements,
                log_bucket=self.log_bucket.arn,
                source=self.deployment_bucket.arn,
                account=self.site.config.account,
                prefix=ACCESS_LOG_PREFIX,
            ),
        )
        self._policy(
            "deployment-bucket",
            self.deployment_bucket,
            policy(
                policies.deployment_bucket_statements,
                bucket=self.deployment_bucket.arn,
                **policies.deployment_bucket_writers(self.site),
            ),
        )
        aws.s3.BucketLogging(
            self.site.label("deployment-bucket-logging"),
            bucket=self.deployment_bucket.bucket,
            target_bucket=self.log_bucket.bucket,
            target_prefix=ACCESS_LOG_PREFIX,
            # Logs that arrive before the policy exists are lost.
            opts=self.child(depends_on=[log_policy]),
        )


def _log_rules(site: Site) -> list[LifecycleRule]:
    retention = site.config.retention
    return [
        {**_EVERYTHING, "id": "logs", "expiration": {"days": retention.access_logs}},
        old_versions(retention.old_versions),
        aborted_uploads(retention.aborted_uploads),
    ]


def old_versions(days: int) -> LifecycleRule:
    """Return the rule that deletes versions so many days after they are no longer current."""
    return {
        **_EVERYTHING,
        "id": "old-versions",
        "noncurrent_version_expiration": {"noncurrent_days": days},
    }


def aborted_uploads(days: int) -> LifecycleRule:
    """Return the rule that deletes the parts of unfinished uploads after so many days."""
    return {
        **_EVERYTHING,
        "id": "aborted-uploads",
        "abort_incomplete_multipart_upload": {"days_after_initiation": days},
    }
