"""S3 buckets and everything that is set on one."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.s3.bucket import BucketHandler
from regionshift.local.provider.handlers.s3.encryption import BucketEncryptionHandler
from regionshift.local.provider.handlers.s3.lifecycle import BucketLifecycleHandler
from regionshift.local.provider.handlers.s3.logging import BucketLoggingHandler
from regionshift.local.provider.handlers.s3.ownership import BucketOwnershipHandler
from regionshift.local.provider.handlers.s3.policy import BucketPolicyHandler
from regionshift.local.provider.handlers.s3.public_access import PublicAccessBlockHandler
from regionshift.local.provider.handlers.s3.replication import BucketReplicationHandler
from regionshift.local.provider.handlers.s3.versioning import BucketVersioningHandler

HANDLERS: tuple[Handler, ...] = (
    BucketHandler(),
    BucketEncryptionHandler(),
    BucketLifecycleHandler(),
    BucketLoggingHandler(),
    BucketOwnershipHandler(),
    BucketPolicyHandler(),
    PublicAccessBlockHandler(),
    BucketReplicationHandler(),
    BucketVersioningHandler(),
)
